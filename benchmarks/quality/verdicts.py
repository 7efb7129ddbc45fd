"""What a claim comes to: from a difference and its interval to a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

DRAWS = 2000
"""Resamples of rounds drawn for an interval."""


class Verdict(Enum):
    """How a claim fares on the clicks that were looked at."""

    HOLDS = "holds"
    FAILS = "does not hold here"
    OPEN = "undecided"


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the ends of its 95 % interval; NaN where there is too little data."""

    value: float
    low: float = math.nan
    high: float = math.nan


def over_zero(found: Interval) -> Verdict:
    """Judge the claim that a difference is more than 0.

    Examples
    --------
    >>> over_zero(Interval(0.03, 0.01, 0.05)), over_zero(Interval(0.03, -0.01, 0.07))
    (<Verdict.HOLDS: 'holds'>, <Verdict.OPEN: 'undecided'>)

    """
    if found.low > 0:
        return Verdict.HOLDS
    return Verdict.FAILS if found.high < 0 else Verdict.OPEN


def about_zero(found: Interval, margin: float) -> Verdict:
    """Judge the claim that a difference is less than a margin, either way.

    An interval within the margins says so; one beyond them says the opposite.
    """
    if -margin < found.low and found.high < margin:
        return Verdict.HOLDS
    return Verdict.FAILS if found.low > margin or found.high < -margin else Verdict.OPEN


def opposite(found: Interval) -> Interval:
    """Return the difference the other way round."""
    return Interval(-found.value, -found.high, -found.low)


def minus(one: Interval, other: Interval) -> Interval:
    """Return the difference of two values found on different clicks.

    Their errors are taken for independent, so the squares of the half intervals add up.
    """
    value = one.value - other.value
    return Interval(
        value,
        value - math.hypot(one.value - one.low, other.high - other.value),
        value + math.hypot(one.high - one.value, other.value - other.low),
    )


def mean_of_rounds(values: Sequence[float]) -> Interval:
    """Return the mean over rounds of a measurement, by the bootstrap's percentiles.

    Rounds lie apart in time and are taken for independent. It needs at least two.
    """
    rounds = np.asarray(values, np.float64)
    drawn = np.random.default_rng(0).integers(len(rounds), size=(DRAWS, len(rounds)))
    means = rounds[drawn].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975]).tolist()
    return Interval(float(rounds.mean()), low, high)


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Judge a claim that is to hold everywhere: one failure is enough against it.

    Examples
    --------
    >>> all_of([Verdict.HOLDS, Verdict.OPEN]).value
    'undecided'

    """
    found = set(verdicts)
    if Verdict.FAILS in found:
        return Verdict.FAILS
    return Verdict.HOLDS if found == {Verdict.HOLDS} else Verdict.OPEN


def any_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Judge a claim that something can happen: one case is enough for it."""
    found = set(verdicts)
    if Verdict.HOLDS in found:
        return Verdict.HOLDS
    return Verdict.FAILS if found == {Verdict.FAILS} else Verdict.OPEN
