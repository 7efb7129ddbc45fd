"""The verdicts of `benchmarks/quality/claims.py` follow from the figures."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

VERDICTS = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "quality" / "verdicts.py"))
Interval, Verdict = VERDICTS["Interval"], VERDICTS["Verdict"]
HOLDS, FAILS, OPEN = Verdict.HOLDS, Verdict.FAILS, Verdict.OPEN

ends = st.floats(-1, 1)
intervals = st.tuples(ends, ends, ends).map(sorted).map(lambda e: Interval(e[1], e[0], e[2]))


@given(intervals)
def test_a_claim_and_its_opposite_never_both_hold(found: object) -> None:
    over_zero, opposite = VERDICTS["over_zero"], VERDICTS["opposite"]
    swapped = {HOLDS: FAILS, FAILS: HOLDS, OPEN: OPEN}
    assert over_zero(opposite(found)) is swapped[over_zero(found)]


def test_without_an_interval_nothing_is_decided() -> None:
    assert VERDICTS["over_zero"](Interval(0.5)) is OPEN
    assert VERDICTS["about_zero"](Interval(0.0), 0.01) is OPEN
    assert VERDICTS["over_zero"](VERDICTS["minus"](Interval(0.5), Interval(0.1, 0.0, 0.2))) is OPEN


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.009, 0.009, HOLDS),
        (0.001, 0.009, HOLDS),  # A real difference, and a small one.
        (-0.011, 0.009, OPEN),
        (0.011, 0.02, FAILS),
        (-0.02, -0.011, FAILS),
    ],
)
def test_about_the_same_is_told_by_the_margin(low: float, high: float, verdict: object) -> None:
    assert VERDICTS["about_zero"](Interval((low + high) / 2, low, high), 0.01) is verdict


@given(intervals, intervals)
def test_the_difference_of_two_is_less_sure_than_either(one: object, other: object) -> None:
    found = VERDICTS["minus"](one, other)
    assert found.low <= found.value <= found.high
    for each in (one, other):
        assert found.high - found.low >= (each.high - each.low) / 2**0.5 - 1e-9  # type: ignore[attr-defined]


def test_errors_of_independent_values_add_in_squares() -> None:
    found = VERDICTS["minus"](Interval(5.0, 2.0, 9.0), Interval(1.0, -2.0, 5.0))
    assert (found.value, found.low, found.high) == (4.0, -1.0, 9.0)


def test_rounds_that_agree_decide_and_rounds_that_do_not_do_not() -> None:
    over_zero, mean_of_rounds = VERDICTS["over_zero"], VERDICTS["mean_of_rounds"]
    assert over_zero(mean_of_rounds([0.1, 0.2, 0.15] * 4)) is HOLDS
    assert over_zero(mean_of_rounds([0.1, -0.2, 0.15] * 4)) is OPEN
    assert over_zero(mean_of_rounds([-0.1, -0.2, -0.15] * 4)) is FAILS


@pytest.mark.parametrize(
    ("found", "everywhere", "somewhere"),
    [
        ([HOLDS, HOLDS], HOLDS, HOLDS),
        ([HOLDS, OPEN], OPEN, HOLDS),
        ([HOLDS, FAILS], FAILS, HOLDS),
        ([OPEN, FAILS], FAILS, OPEN),
        ([FAILS, FAILS], FAILS, FAILS),
        ([], OPEN, OPEN),
    ],
)
def test_many_verdicts_make_one(found: list[object], everywhere: object, somewhere: object) -> None:
    assert VERDICTS["all_of"](found) is everywhere
    assert VERDICTS["any_of"](found) is somewhere
