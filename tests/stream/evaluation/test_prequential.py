from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.utils import Rolling
from safetensors.numpy import load, save

from nextclick.models.recommender import State
from nextclick.stream.evaluation import prequential
from nextclick.stream.evaluation.metrics import METRICS, Recall
from nextclick.stream.evaluation.prequential import Prequential

Stream = tuple[Any, Any, Any]


def stream_of(ranks: list[int]) -> Stream:
    """Return ranks with their places: every third click of the stream is scored."""
    positions = np.arange(3, 3 * len(ranks) + 3, 3)
    return np.array(ranks, np.int64), positions, 1_000.0 + positions / 7


def feed(figures: Prequential, stream: Stream, cuts: list[int]) -> Prequential:
    ends = sorted(cut for cut in cuts if cut < len(stream[0]))
    for start, stop in zip([0, *ends], [*ends, len(stream[0])], strict=True):
        figures.update(*(column[start:stop] for column in stream))
    return figures


def stored(state: State) -> State:
    """Write a state as a snapshot does and read it back."""
    return State(
        arrays=load(save(state.arrays)),
        values=msgspec.json.decode(msgspec.json.encode(state.values)),
    )


def by_hand(ranks: list[int], k: int = 20) -> dict[str, float]:
    metrics = [kind(k) for kind in METRICS.values()]
    for metric in metrics:
        metric.update_many(ranks)
    return {metric.name.lower(): metric.get() for metric in metrics}


def draw_ranks(length: int, seed: int) -> list[int]:
    return [int(rank) for rank in np.random.default_rng(seed).integers(0, 31, length)]


# Drawn by length: lists that hypothesis fills element by element are mostly too short to wrap.
ranks_lists = st.builds(draw_ranks, st.integers(0, 200), st.integers(0, 999))
cut_lists = st.lists(st.integers(0, 200), max_size=12)


@given(ranks=ranks_lists, window=st.integers(1, 30))
def test_the_figures_are_those_of_the_metrics(ranks: list[int], window: int) -> None:
    results = feed(Prequential(window=window), stream_of(ranks), []).results()
    seen = [rank for rank in ranks if rank > 0]
    assert results["scored"] == len(ranks)
    assert results["unseen"] == len(ranks) - len(seen)
    assert {key: results[key] for key in by_hand([])} == by_hand(ranks)
    assert results["seen"] == by_hand(seen)
    assert results["sliding"] == by_hand(ranks[-window:])
    starts = range(0, len(ranks), window)
    pieces = [ranks[start : start + window] for start in starts]
    ends = [min(start + window, len(ranks)) for start in starts]
    assert results["windows"] == [
        {
            "clicks": 3 * end,
            "time": 1_000.0 + 3 * end / 7,
            "scored": len(piece),
            "recall@20": by_hand(piece)["recall@20"],
            "mrr@20": by_hand(piece)["mrr@20"],
        }
        for end, piece in zip(ends, pieces, strict=True)
    ]


@given(ranks=ranks_lists, cuts=cut_lists, window=st.integers(1, 50), limit=st.sampled_from([2, 6]))
def test_no_figure_depends_on_the_batches(
    ranks: list[int], cuts: list[int], window: int, limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prequential, "MOST_WINDOWS", limit)
        whole = feed(Prequential(window=window), stream_of(ranks), []).results()
        pieces = feed(Prequential(window=window), stream_of(ranks), cuts).results()
        singles = feed(Prequential(window=window), stream_of(ranks), list(range(200))).results()
    assert whole == pieces == singles


@given(
    ranks=ranks_lists,
    cuts=cut_lists,
    window=st.integers(1, 50),
    limit=st.sampled_from([2, 6, 2000]),
    stop=st.integers(0, 200),
)
def test_a_restored_run_goes_on_as_if_never_stopped(
    ranks: list[int], cuts: list[int], window: int, limit: int, stop: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prequential, "MOST_WINDOWS", limit)
        patch.setattr("nextclick.stream.evaluation.drift.BLOCK", 5)
        patch.setattr("nextclick.stream.evaluation.drift.SETTLE", 2)
        stream = stream_of(ranks)
        unbroken = feed(Prequential(window=window), stream, cuts)

        killed = feed(Prequential(window=window), tuple(c[:stop] for c in stream), cuts)
        state = stored(killed.state())
        feed(killed, stream, [])  # what the killed run did after its snapshot is lost
        resumed = Prequential(window=window)
        resumed.restore(state)
        feed(resumed, tuple(c[stop:] for c in stream), [max(0, cut - stop) for cut in cuts])
        assert resumed.results() == unbroken.results()
        assert msgspec.json.encode(resumed.results()) == msgspec.json.encode(unbroken.results())
        assert resumed.state().values == unbroken.state().values


def test_a_state_is_a_copy() -> None:
    figures = feed(Prequential(window=3), stream_of([1, 2, 0, 4, 1]), [])
    state = figures.state()
    frozen = stored(state)
    feed(figures, stream_of([1] * 7), [])
    assert state.values == frozen.values
    for name, array in frozen.arrays.items():
        np.testing.assert_array_equal(state.arrays[name], array)


def test_the_windows_kept_are_bounded_and_merge_without_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prequential, "MOST_WINDOWS", 4)
    ranks = np.random.default_rng(0).integers(0, 30, 101).tolist()
    figures = Prequential(window=5)
    most = 0
    for count in range(1, 102):
        figures.update(*(column[count - 1 : count] for column in stream_of(ranks[:count])))
        most = max(most, len(figures.results()["windows"]))
        windows = figures.results()["windows"]
        assert sum(window["scored"] for window in windows) == count
        assert windows[-1]["clicks"] == 3 * count
        assert len({window["scored"] for window in windows[:-1]}) <= 1
    assert most == 5
    assert [window["scored"] for window in windows] == [40, 40, 21]
    assert [window["clicks"] for window in windows] == [120, 240, 303]
    assert [window["time"] for window in windows] == [1_000.0 + at / 7 for at in (120, 240, 303)]
    assert windows[1]["mrr@20"] == by_hand(ranks[40:80])["mrr@20"]
    assert figures.results()["mrr@20"] == by_hand(ranks)["mrr@20"]


@given(ranks=ranks_lists, window=st.integers(1, 50))
def test_fading_figures_follow_the_recurrence(ranks: list[int], window: int) -> None:
    figures = feed(Prequential(window=window, fading=0.9), stream_of(ranks), [])
    total = hits = reciprocal = 0.0
    for rank in ranks:
        hit = 1 <= rank <= 20
        total = 1 + 0.9 * total
        hits = hit + 0.9 * hits
        reciprocal = (1 / rank if hit else 0.0) + 0.9 * reciprocal
    fading = figures.results()["fading"]
    assert fading["recall@20"] == pytest.approx(hits / total if ranks else 0.0, rel=1e-9)
    assert fading["mrr@20"] == pytest.approx(reciprocal / total if ranks else 0.0, rel=1e-9)


def test_sliding_figures_equal_rivers_rolling_metric() -> None:
    ranks = np.random.default_rng(1).integers(0, 30, 300).tolist()
    figures = Prequential(window=40)
    rolling = Rolling(Recall, window_size=40)
    names = list(range(1, 21))
    for start, column in enumerate(zip(*stream_of(ranks), strict=True)):
        figures.update(*([value] for value in column))
        rolling.update(ranks[start], names)
        assert figures.sliding()["recall@20"] == rolling.obj.get()


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 60_000), max_size=20), stop=st.integers(0, 60_000))
def test_a_drift_is_reported_whatever_the_cuts_and_restores(cuts: list[int], stop: int) -> None:
    draw = np.random.default_rng(5).random(60_000)
    ranks = np.where(draw < np.where(np.arange(60_000) < 30_000, 0.6, 0.3), 1, 99)
    stream = stream_of(ranks.tolist())
    begun = feed(Prequential(), tuple(column[:stop] for column in stream), cuts)
    figures = Prequential()
    figures.restore(stored(begun.state()))
    results = feed(figures, tuple(column[stop:] for column in stream), cuts).results()
    (alarm,) = results["drift"]
    assert alarm["since"] == pytest.approx(90_000, abs=1_500)
    assert alarm["before"] == pytest.approx(0.6, abs=0.01)
    assert alarm["after"] == pytest.approx(0.3, abs=0.05)
    assert results == feed(Prequential(), stream, []).results()


def test_before_the_first_scored_click_every_figure_is_zero() -> None:
    results = Prequential().results()
    assert results["scored"] == results["unseen"] == 0
    assert results["recall@20"] == results["mrr@20"] == results["ndcg@20"] == 0.0
    assert results["seen"] == results["sliding"] == results["fading"] == by_hand([])
    assert results["windows"] == results["drift"] == []


def test_where_every_item_was_unseen_the_seen_figures_are_zero() -> None:
    results = feed(Prequential(), stream_of([0, 0, 0]), []).results()
    assert (results["scored"], results["unseen"]) == (3, 3)
    assert results["seen"] == by_hand([])


def test_names_follow_k() -> None:
    results = feed(Prequential(k=5), stream_of([5, 6]), []).results()
    assert results["recall@5"] == results["windows"][0]["recall@5"] == 0.5


@pytest.mark.parametrize(
    ("ranks", "message"),
    [([2, -3], "-3 is negative"), ([1.0, float("nan")], "never NaN"), ([1, 2, 3], "length")],
)
def test_what_is_no_batch_of_ranks_is_refused_whole(ranks: list[Any], message: str) -> None:
    figures = feed(Prequential(), stream_of([1, 30]), [])
    before = figures.results()
    with pytest.raises(ValueError, match=message):
        figures.update(ranks, [7, 8], [1.0, 2.0])
    assert figures.results() == before


def test_a_state_of_other_options_is_refused() -> None:
    state = Prequential(k=10).state()
    with pytest.raises(ValueError, match="started with k = 10 and cannot continue with 20"):
        Prequential(k=20).restore(state)


@pytest.mark.parametrize("options", [{"k": 0}, {"window": 0}, {"fading": 1.0}, {"fading": 0.0}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(options))} must be"):
        Prequential(**options)
