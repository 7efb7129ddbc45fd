"""How much more likely each item with evidence is than by the mixture, learned: compiled."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compute.jit import compiled, summing
from .layout import ITEM_FACTS, SPECIAL

Single = NDArray[np.float32]

(
    ONE,
    LIKES_SAY,
    NETWORK_SAYS,
    AFTER_SHARE,
    EARLIER_SHARE,
    RECENT_SAYS,
    IS_RECENT,
    ITEM_FACT,
    DIRECT_VOTES,
    VOTES,
    OWN_SAYS,
    MIXTURE_SAYS,
) = (0, 1, 2, 3, 4, 5, 6, 7, 7 + ITEM_FACTS, 8 + ITEM_FACTS, 9 + ITEM_FACTS, 10 + ITEM_FACTS)
FEATURES = 11 + ITEM_FACTS
"""The features f(i) of an item, 0 where there is no such evidence:

=====================  ==========================================================
ONE                    1
LIKES_SAY              .5 ln p_likes
NETWORK_SAYS           .5 ln of the network's probability by its highest, at least -6
AFTER_SHARE            share of the like weight that is from clicks after, not before
EARLIER_SHARE          share of it that is from items before the session's last
RECENT_SAYS            .5 ln(100 p_recent)
IS_RECENT              1 where it is among the stream's latest clicks
ITEM_FACT, ...         ln(1 + each of the `ITEM_FACTS`), times .5, .3, .3, .2, .2
DIRECT_VOTES           ln(1 + clicks on it directly after the session's last item)
VOTES                  ln(1 + pieces of like evidence for it)
OWN_SAYS               .5 ln p_own
MIXTURE_SAYS           .3 ln m
=====================  ==========================================================
"""

MOMENT_FEATURES = 10
"""The features c of the moment: 1; whether the session has one click; the logarithms of its length,
of the network's highest probability, of one more than its matches and than the total weight of the
likes, of how often its last item has been followed, and of its distinct items; whether there is a
match; whether the session had come back to its last item."""

OWN_GROUP, LIKES_GROUP, RECENT_GROUP = range(3)
GROUPS = 3
"""An item is of the first group whose evidence it has."""

HIDDEN = 16

TOGETHER = 4
"""Features or hidden units that a loop takes at once; their numbers are multiples of it."""

LEAK = np.float32(0.05)
"""The slope of the hidden layer's rectifier below zero."""

LARGEST = np.float32(8.0)
"""A boost is cut to plus and minus this."""

SOME = np.float32(1e-9)


class Boost(NamedTuple):
    """The weights of the boost, or their gradient.

    Parameters
    ----------
    direct
        w, (GROUPS, FEATURES): of the features, by group.
    hidden
        v, (GROUPS, HIDDEN): of the hidden layer, by group.
    features, moment
        A, (HIDDEN, FEATURES), and C, (HIDDEN, MOMENT_FEATURES): of the hidden layer's inputs.

    """

    direct: Single
    hidden: Single
    features: Single
    moment: Single

    @classmethod
    def of(cls, vector: Single) -> Boost:
        """Return views of a vector of `BOOST_WEIGHTS` numbers."""
        return cls(*(vector[part].reshape(shape) for part, shape in CUTS))


SHAPES = [(GROUPS, FEATURES), (GROUPS, HIDDEN), (HIDDEN, FEATURES), (HIDDEN, MOMENT_FEATURES)]
ENDS = list(itertools.accumulate(map(math.prod, SHAPES)))
CUTS = [
    (slice(end - math.prod(shape), end), shape) for end, shape in zip(ENDS, SHAPES, strict=True)
]
BOOST_WEIGHTS, DIRECT_WEIGHTS = ENDS[-1], ENDS[0]


def initial_boost(seed: int) -> Single:
    """Return the weights that a model starts with: no boost, and random hidden features."""
    draw = np.random.default_rng(seed)
    vector = np.zeros(BOOST_WEIGHTS, np.float32)
    weights = Boost.of(vector)
    weights.features[:] = 0.3 * draw.standard_normal(weights.features.shape)
    weights.moment[:] = 0.2 * draw.standard_normal(weights.moment.shape)
    return vector


class BoostedItems(NamedTuple):
    """The items of one moment that have a boost, group after group.

    Parameters
    ----------
    items
        int64 (SPECIAL,): which of the moment's distinct items each is.
    ends
        int64 (GROUPS,): where each group ends.
    features, hidden
        (FEATURES, SPECIAL) and (HIDDEN, SPECIAL): f and h.
    moment
        (MOMENT_FEATURES,): c.
    factor, slope
        (SPECIAL,): exp b, and the gradient by b.
    bits
        int32 (SPECIAL,): room for `logarithms`.

    """

    items: NDArray[np.int64]
    ends: NDArray[np.int64]
    features: Single
    hidden: Single
    moment: Single
    factor: Single
    slope: Single
    bits: NDArray[np.int32]


@compiled
def no_boost() -> BoostedItems:
    """Return room for the boosted items of one moment at a time."""
    return BoostedItems(
        np.empty(SPECIAL, np.int64),
        np.zeros(GROUPS, np.int64),
        np.ones((FEATURES, SPECIAL), np.float32),
        np.empty((HIDDEN, SPECIAL), np.float32),
        np.empty(MOMENT_FEATURES, np.float32),
        np.empty(SPECIAL, np.float32),
        np.empty(SPECIAL, np.float32),
        np.empty(SPECIAL, np.int32),
    )


@summing
def compute_boost(weights: Boost, items: BoostedItems) -> None:
    """Fill in `hidden` and `factor` from the features.

    ``h = lrelu(A f + C c)``, ``b = w f + v h`` by the item's group, and ``factor = exp b``.
    """
    count = items.ends[GROUPS - 1]
    for unit in range(HIDDEN):
        row, start = items.hidden[unit], np.float32(0)
        for at in range(MOMENT_FEATURES):
            start += weights.moment[unit, at] * items.moment[at]
        row[:count] = start
        for first in range(0, FEATURES, TOGETHER):
            _add_rows(row, weights.features[unit], items.features, first, 0, count)
        for at in range(count):
            row[at] = row[at] if row[at] > 0 else LEAK * row[at]
    items.factor[:count] = 0
    begin = 0
    for group in range(GROUPS):
        end = items.ends[group]
        for first in range(0, FEATURES, TOGETHER):
            _add_rows(items.factor, weights.direct[group], items.features, first, begin, end)
        for first in range(0, HIDDEN, TOGETHER):
            _add_rows(items.factor, weights.hidden[group], items.hidden, first, begin, end)
        begin = end
    for at in range(count):
        items.factor[at] = np.exp(min(max(items.factor[at], -LARGEST), LARGEST))


@summing
def learn_boost(weights: Boost, items: BoostedItems, own: bool, gradient: Boost) -> None:
    """Add the gradient by the weights, given `slope`, that by the boosts of the clicked kind."""
    chosen = range(OWN_GROUP, OWN_GROUP + 1) if own else range(OWN_GROUP + 1, GROUPS)
    begin = 0 if own else items.ends[OWN_GROUP]
    start = begin
    for group in chosen:
        end = items.ends[group]
        for first in range(0, FEATURES, TOGETHER):
            _add_products(gradient.direct[group], items.slope, items.features, first, start, end)
        for first in range(0, HIDDEN, TOGETHER):
            _add_products(gradient.hidden[group], items.slope, items.hidden, first, start, end)
        start = end
    for unit in range(HIDDEN):
        row, total = items.hidden[unit], np.float32(0)
        start = begin
        for group in chosen:
            end = items.ends[group]
            weight = weights.hidden[group, unit]
            total += _through_rectifier(row[start:end], items.slope[start:end], weight)
            start = end
        for first in range(0, FEATURES, TOGETHER):
            _add_products(gradient.features[unit], row, items.features, first, begin, start)
        for at in range(MOMENT_FEATURES):
            gradient.moment[unit, at] += total * items.moment[at]


@summing
def _add_rows(
    into: Single, weights: Single, rows: Single, first: int, begin: int, end: int
) -> None:
    """Add `TOGETHER` rows, each times its weight, from one place to another."""
    # Loops from 0 on become machine code for many numbers at once, those from elsewhere do not.
    sums = into[begin:end]
    one, two = rows[first, begin:end], rows[first + 1, begin:end]
    three, four = rows[first + 2, begin:end], rows[first + 3, begin:end]
    of_one, of_two = weights[first], weights[first + 1]
    of_three, of_four = weights[first + 2], weights[first + 3]
    for at in range(len(sums)):
        sums[at] += of_one * one[at] + of_two * two[at] + of_three * three[at] + of_four * four[at]


@summing
def _add_products(into: Single, by: Single, rows: Single, first: int, begin: int, end: int) -> None:
    """Add the products of `TOGETHER` rows with another, from one place to another."""
    row = by[begin:end]
    one, two = rows[first, begin:end], rows[first + 1, begin:end]
    three, four = rows[first + 2, begin:end], rows[first + 3, begin:end]
    of_one = of_two = of_three = of_four = np.float32(0)
    for at in range(len(row)):
        of_one += row[at] * one[at]
        of_two += row[at] * two[at]
        of_three += row[at] * three[at]
        of_four += row[at] * four[at]
    into[first] += of_one
    into[first + 1] += of_two
    into[first + 2] += of_three
    into[first + 3] += of_four


@summing
def _through_rectifier(row: Single, slope: Single, weight: np.float32) -> np.float32:
    """Replace hidden values by the gradient by what goes into the rectifier; return its sum."""
    total = np.float32(0)
    for at in range(len(row)):
        row[at] = slope[at] * weight * (np.float32(1) if row[at] > 0 else LEAK)
        total += row[at]
    return total


def _polynomial() -> tuple[np.float32, ...]:
    """Fit ln over one octave, from 1 to 2; the error is below 3e-7."""
    fit = np.polynomial.Chebyshev.interpolate(np.log, 8, domain=[1, 2])
    return tuple(np.float32(c) for c in fit.convert(kind=np.polynomial.Polynomial).coef)


C0, C1, C2, C3, C4, C5, C6, C7, C8 = _polynomial()
LN2 = np.float32(np.log(2))


@compiled
def logarithms(values: Single, bits: NDArray[np.int32], count: int) -> None:
    """Replace positive numbers by their natural logarithms, many at a time.

    By the exponent and a polynomial of the rest; `bits` is room to work in.
    """
    words = values.view(np.int32)
    for at in range(count):
        bits[at] = (words[at] >> 23) - 127
        words[at] = (words[at] & 0x007FFFFF) | 0x3F800000
    for at in range(count):
        x = values[at]
        found = C7 + x * C8
        found = C5 + x * C6 + x * x * found
        found = C3 + x * C4 + x * x * found
        found = C1 + x * C2 + x * x * found
        values[at] = C0 + x * found + LN2 * np.float32(bits[at])
