from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models import State
from nextclick.stream.evaluation.growing_windows import PART, SHORTEST, window_end
from nextclick.stream.evaluation.prequential import Prequential


def feed(figures: Prequential, start: int, stop: int, step: int = 64) -> Prequential:
    """Feed a stream of which every second click is scored."""
    ranks = np.random.default_rng(7).integers(0, 31, 40_000)
    for begin in range(start, stop, step):
        at = np.arange(begin, min(begin + step, stop))
        figures.update(ranks[at], 2 * at + 2, 1_000.0 + at)
    return figures


@given(st.integers(0, 30_000), st.integers(1, 3_000))
def test_they_follow_each_other_and_end_with_the_sixteenth_whole_window(
    scored: int, window: int
) -> None:
    growing = feed(Prequential(window=window), 0, scored, step=997).results()["growing"]
    covered = 0
    for each in growing:
        assert each["clicks"] == 2 * (covered + each["scored"])
        assert each["scored"] <= min(max(SHORTEST, covered // PART), window)
        covered += each["scored"]
    assert covered == min(scored, PART * window)


def test_they_begin_short_and_grow_with_the_stream() -> None:
    results = feed(Prequential(), 0, 40_000).results()
    sizes = [each["scored"] for each in results["growing"]]
    assert sizes[0] == SHORTEST
    assert sizes[:-1] == sorted(sizes[:-1])
    assert sizes[-2] > 2_000
    assert 80 < len(sizes) < 110


def test_their_number_grows_with_the_logarithm_of_the_stream() -> None:
    ends = [0]
    while (end := window_end(ends[-1], 10**9)) is not None:
        ends.append(end)
    assert ends[-1] == PART * 10**9
    assert len(ends) < 350


@given(st.integers(0, 5_000), st.integers(0, 5_000), st.integers(1, 500))
def test_a_restored_run_goes_on_as_if_never_stopped(stop: int, more: int, window: int) -> None:
    unbroken = feed(Prequential(window=window), 0, stop + more, step=211)
    begun = feed(Prequential(window=window), 0, stop)
    resumed = Prequential(window=window)
    resumed.restore(begun.state())
    assert feed(resumed, stop, stop + more).results() == unbroken.results()


def test_a_snapshot_without_them_goes_on_without_them() -> None:
    begun = feed(Prequential(window=500), 0, 1_000)
    state = begun.state()
    arrays: dict[str, Any] = {
        name: array for name, array in state.arrays.items() if not name.startswith("growing")
    }
    resumed = Prequential(window=500)
    resumed.restore(State(arrays, state.values))
    results = feed(resumed, 1_000, 2_000).results()
    # What was missed cannot be made up for, and half a beginning would mislead.
    assert results["growing"] == []
    whole = feed(Prequential(window=500), 0, 2_000).results()
    assert results["windows"] == whole["windows"]


@pytest.mark.parametrize("longest", [1, 7, 32, 10_000])
def test_every_window_holds_a_click_at_least(longest: int) -> None:
    start = 0
    while (end := window_end(start, longest)) is not None:
        assert start < end <= start + longest
        start = end
    assert start == PART * longest
