from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nextclick.stream.comparison import rank_counts as module
from nextclick.stream.comparison.rank_counts import MOST_BLOCKS, RankCounts, figure_names, gains_of
from nextclick.stream.evaluation.gains import bins_of
from nextclick.stream.evaluation.metrics import METRICS, MRR, Recall

KS = [1, 5, 20]


def ranks_of(count: int, models: int, seed: int = 0) -> NDArray[np.int64]:
    draw = np.random.default_rng(seed)
    return np.asarray(draw.integers(0, 40, size=(count, models)), np.int64)


def filled(
    ranks: NDArray[np.int64], cuts: list[int] | None = None, ks: list[int] = KS
) -> RankCounts:
    """RankCounts of ranks, shape (clicks, models), given in batches that end at the cuts."""
    tallies = RankCounts(ranks.shape[1], ks)
    bins = np.column_stack([bins_of(column, max(ks)) for column in ranks.T])
    clicks = 2 * np.arange(1, len(ranks) + 1)
    ends = [*sorted(cuts or []), len(ranks)]
    for start, stop in zip([0, *ends], ends, strict=False):
        tallies.update(bins[start:stop], clicks[start:stop], float(stop))
    return tallies


def test_figures_are_those_of_the_metrics() -> None:
    ranks = ranks_of(3000, 2)
    found = filled(ranks).figures()
    for model in range(2):
        for name, kind in METRICS.items():
            for k in KS:
                metric = kind(k)
                metric.update_many(ranks[:, model])
                assert found[model][f"{name}@{k}"] == metric.get()


@given(st.integers(1, 9000), st.lists(st.integers(0, 9000), max_size=6), st.integers(0, 9))
@settings(max_examples=25)
def test_batches_change_nothing_and_the_blocks_hold_every_click(
    count: int, cuts: list[int], seed: int
) -> None:
    ranks = ranks_of(count, 2, seed)
    whole, parts = filled(ranks), filled(ranks, [min(cut, count) for cut in cuts])
    gains, clicks = parts.gains()
    assert clicks.sum() == count
    assert len(clicks) <= MOST_BLOCKS
    assert len(clicks) > MOST_BLOCKS // 2 or parts.span == 1
    assert (clicks[:-1] == parts.span).all()
    np.testing.assert_array_equal(gains, whole.gains()[0])
    # Each block holds the clicks of its own time.
    for block in (0, len(clicks) - 1):
        own = ranks[block * parts.span : (block + 1) * parts.span]
        bins = np.column_stack([bins_of(column, 20) for column in own.T])
        counts = np.stack([np.bincount(column, minlength=22) for column in bins.T])
        np.testing.assert_allclose(gains[block], gains_of(counts, KS))


def test_the_last_half_is_exact_to_a_block() -> None:
    ranks = ranks_of(5000, 1)
    tallies = filled(ranks)
    where, figures = tallies.last_half()
    assert abs(where["scored"] - 2500) <= tallies.span
    metric = Recall(20)
    metric.update_many(ranks[5000 - where["scored"] :, 0])
    assert figures[0]["recall@20"] == metric.get()
    # Every second click was scored.
    assert where["after"] == 2 * (5000 - where["scored"])


@pytest.mark.parametrize("count", [1, 99, 250, 1024, 30_000])
def test_windows_follow_each_other_and_cover_the_stream(count: int) -> None:
    ranks = ranks_of(count, 2)
    windows, figures = filled(ranks).windows()
    assert len(windows) <= module.MOST_WINDOWS
    assert sum(window["scored"] for window in windows) == count
    assert all(window["scored"] >= module.LEAST_WINDOW for window in windows[:-1])
    at = 0
    for window, found in zip(windows, figures, strict=True):
        own = ranks[at : at + window["scored"]]
        at += window["scored"]
        assert window["clicks"] == 2 * at
        metric = MRR(5)
        metric.update_many(own[:, 1])
        assert found[1, figure_names(KS).index("mrr@5")] == pytest.approx(metric.get())


def test_without_a_clock_a_window_has_no_time() -> None:
    tallies = RankCounts(1, [1])
    tallies.update(np.array([[1]]), np.array([1]), -math.inf)
    assert tallies.windows()[0][0]["time"] is None


def test_no_clicks_are_no_windows_and_figures_of_zero() -> None:
    tallies = RankCounts(2, KS)
    assert tallies.windows()[0] == []
    assert tallies.last_half()[0] == {"scored": 0, "after": 0}
    assert set(tallies.figures()[0].values()) == {0.0}


@given(st.integers(1, 4000), st.integers(0, 4000))
@settings(max_examples=25)
def test_restored_it_goes_on_as_if_never_stopped(count: int, cut: int) -> None:
    ranks = ranks_of(count, 2)
    cut = min(cut, count)
    first = filled(ranks[:cut])
    resumed = filled(ranks_of(3000, 2, seed=5))  # Holds other clicks: none of them may be left.
    resumed.restore(first.state())
    bins = np.column_stack([bins_of(column, 20) for column in ranks[cut:].T])
    resumed.update(bins, 2 * np.arange(cut + 1, count + 1), float(count))
    whole = filled(ranks, [cut])
    assert resumed.figures() == whole.figures()
    assert resumed.last_half() == whole.last_half()
    assert resumed.windows()[0] == whole.windows()[0]
    np.testing.assert_array_equal(resumed.gains()[0], whole.gains()[0])


@pytest.mark.parametrize("count", [0, 1, 31, 99, 250, 1024, 30_000])
def test_growing_windows_are_short_at_first_and_cover_the_stream_s_beginning(count: int) -> None:
    ranks = ranks_of(count, 2)
    tallies = filled(ranks)
    windows, figures = tallies.growing()
    covered = sum(window["scored"] for window in windows)
    full = tallies.windows()[0]
    assert covered == min(count, 16 * full[0]["scored"]) if full else covered == 0
    at = 0
    for window, found in zip(windows, figures, strict=True):
        own = ranks[at : at + window["scored"]]
        at += window["scored"]
        assert window["clicks"] == 2 * at
        metric = MRR(5)
        metric.update_many(own[:, 1])
        assert found[1, figure_names(KS).index("mrr@5")] == pytest.approx(metric.get())
    if count >= 1024:
        assert windows[0]["scored"] <= max(32, 0.01 * count)
