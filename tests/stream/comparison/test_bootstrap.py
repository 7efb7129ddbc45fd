from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nextclick.stream.comparison.bootstrap import (
    LEAST_BLOCKS,
    Difference,
    differences,
    draw_blocks,
    expected_run,
)


def series(
    count: int, memory: float, draw: np.random.Generator, many: int | None = None
) -> NDArray[Any]:
    """Series of variance 1: each value is `memory` times the one before, and noise."""
    noise = draw.normal(size=(count + 200, many or 1)) * np.sqrt(1 - memory**2)
    values = np.zeros_like(noise)
    for at in range(1, len(noise)):
        values[at] = memory * values[at - 1] + noise[at]
    return np.asarray(values[200:] if many else values[200:, 0])


def plain_draw(blocks: int, run: float, draws: int, seed: int) -> NDArray[Any]:
    """The stationary bootstrap one step at a time, as Politis & Romano write it."""
    draw = np.random.default_rng(seed)
    counts = np.zeros((draws, blocks), np.int64)
    for own in counts:
        at = int(draw.integers(blocks))
        for _ in range(blocks):
            own[at] += 1
            at = int(draw.integers(blocks)) if draw.random() < 1 / run else (at + 1) % blocks
    return counts


@pytest.mark.parametrize("run", [1.0, 4.0, 15.0])
def test_what_is_drawn_varies_as_in_a_plain_reference(run: float) -> None:
    values = series(200, 0.6, np.random.default_rng(1))
    means = [
        counts @ values / 200
        for counts in (draw_blocks(200, run, 3000), plain_draw(200, run, 3000, 2))
    ]
    assert np.mean(means[0]) == pytest.approx(np.mean(means[1]), abs=0.02)
    assert np.std(means[0]) == pytest.approx(np.std(means[1]), rel=0.06)


def test_every_draw_is_as_long_as_the_stream_and_every_block_as_likely() -> None:
    counts = draw_blocks(150, 6.0, 4000)
    assert (counts.sum(axis=1) == 150).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.12)


def test_the_variance_is_that_of_the_formula() -> None:
    # Politis & Romano 1994, lemma 1: the variance over all draws in closed form.
    values = series(120, 0.5, np.random.default_rng(3))
    run, count = 5.0, len(values)
    centred = values - values.mean()
    circular = [float(centred @ np.roll(centred, -lag)) / count for lag in range(count)]
    exact = circular[0] / count
    for lag in range(1, count):
        weight = (1 - lag / count) * (1 - 1 / run) ** lag
        exact += 2 * weight * circular[lag] / count
    drawn = draw_blocks(count, run, 20_000) @ values / count
    assert np.var(drawn) == pytest.approx(exact, rel=0.04)


def test_runs_are_the_longer_the_longer_a_series_remembers_itself() -> None:
    draw = np.random.default_rng(5)
    runs = [
        np.mean([expected_run(series(800, memory, draw)) for _ in range(10)])
        for memory in (0.0, 0.5, 0.9)
    ]
    assert runs[0] < 4 < runs[1] < runs[2]
    # The optimum for an autoregressive series, of which Politis & White 2004 is an estimate.
    optimum = (2 * 0.5 / (1 - 0.5**2)) ** (2 / 3) * 800 ** (1 / 3)
    assert runs[1] == pytest.approx(optimum, rel=0.35)


def test_a_series_that_never_moves_has_runs_too() -> None:
    assert expected_run(np.zeros(200)) >= 1


@pytest.mark.parametrize(("memory", "least"), [(0.0, 0.91), (0.5, 0.88), (0.8, 0.85)])
def test_the_intervals_hold_the_true_difference_about_as_often_as_they_say(
    memory: float, least: float
) -> None:
    draw = np.random.default_rng(7)
    blocks, trials, held = 512, 100, 0
    clicks = np.ones(blocks, np.int64)
    # What both models have in common cancels.
    shared = 5 * series(blocks, 0.9, draw, trials)
    other = shared + 0.3 + series(blocks, memory, draw, trials)
    for trial in range(trials):
        gains = np.stack([other[:, trial], shared[:, trial]], axis=1)[:, :, None]
        (each,) = differences(gains, clicks, ["a", "b"], ["recall@20"])
        assert each.low is not None
        assert each.high is not None
        held += each.low <= 0.3 <= each.high
    assert least <= held / trials <= 0.99


def test_drawing_single_blocks_would_be_too_sure() -> None:
    # What the runs are for: with runs of one block the intervals are far too narrow.
    draw = np.random.default_rng(8)
    held = 0
    for trial, values in enumerate(series(512, 0.8, draw, 100).T):
        means = draw_blocks(512, 1.0, 500, trial) @ values / 512
        low, high = np.quantile(means, [0.025, 0.975])
        held += low <= 0 <= high
    assert held < 70


def test_every_two_models_are_compared_in_every_figure() -> None:
    draw = np.random.default_rng(9)
    gains = draw.random((200, 3, 2)) * 10
    gains[:, 0, 1] += 5
    clicks = np.full(200, 10)
    table = differences(gains, clicks, ["a", "b", "c"], ["recall@20", "mrr@20"])
    pairs = {(each.model, each.other) for each in table}
    assert pairs == {("a", "b"), ("a", "c"), ("b", "c")}
    assert len(table) == 6
    for each in table:
        at = [["a", "b", "c"].index(name) for name in (each.model, each.other)]
        column = ["recall@20", "mrr@20"].index(each.figure)
        expected = gains[:, at[0], column].sum() - gains[:, at[1], column].sum()
        assert each.difference == pytest.approx(expected / 2000)
        assert each.low is not None
        assert each.high is not None
        assert each.low < each.difference < each.high
        assert each.real == (each.figure == "mrr@20" and each.model == "a") or not each.real
    assert [each.real for each in table if each.figure == "mrr@20"][:2] == [True, True]


def test_models_that_are_the_same_do_not_differ() -> None:
    gains = np.random.default_rng(1).random((300, 1, 1)).repeat(2, axis=1)
    (each,) = differences(gains, np.ones(300, np.int64), ["a", "b"], ["mrr@20"])
    assert (each.difference, each.low, each.high, each.real) == (0.0, 0.0, 0.0, False)


@pytest.mark.parametrize("blocks", [0, 1, LEAST_BLOCKS - 1])
def test_a_short_stream_is_told_nothing_of(blocks: int) -> None:
    gains = np.random.default_rng(2).random((blocks, 2, 1))
    (each,) = differences(gains, np.ones(blocks, np.int64), ["a", "b"], ["mrr@20"])
    assert (each.low, each.high, each.run, each.real) == (None, None, None, False)


def test_a_difference_is_real_where_its_interval_excludes_0() -> None:
    def real(low: float, high: float) -> bool:
        return Difference("recall@20", "a", "b", 0.1, low, high, 1.0).real

    assert [real(0.05, 0.2), real(-0.2, -0.1), real(-0.1, 0.2), real(0.0, 0.0)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_third_model_changes_nothing_between_two_others() -> None:
    draw = np.random.default_rng(11)
    gains = draw.random((400, 2, 1))
    third = np.cumsum(draw.normal(size=(400, 1, 1)), axis=0)  # Remembers itself for long.
    clicks = np.full(400, 3)
    (alone,) = differences(gains, clicks, ["a", "b"], ["mrr@20"])
    three = differences(np.concatenate([gains, third], axis=1), clicks, ["a", "b", "c"], ["mrr@20"])
    assert (three[0].low, three[0].high) == pytest.approx((alone.low, alone.high))
    assert three[0].run == alone.run
    assert three[1].run is not None
    assert alone.run is not None
    assert three[1].run > alone.run
