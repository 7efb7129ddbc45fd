"""How much more likely each item with evidence is than the mixture says, learned: compiled."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled, summing
from .moments import ITEM_FACTS, SPECIAL

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
ITEM_FACT, ...         `moments.ITEM_FACTS`, times `ITEM_SCALES`
DIRECT_VOTES           ln(1 + clicks on it directly after the session's last item)
VOTES                  ln(1 + pieces of like evidence for it)
OWN_SAYS               .5 ln p_own
MIXTURE_SAYS           .3 ln m
=====================  ==========================================================
"""

ITEM_SCALES = (0.5, 0.3, 0.3, 0.2, 0.2)

MOMENT_FEATURES = 10
"""The features c of the moment: 1; whether the session has one click; the logarithms of its length,
of the network's highest probability, of one more than its matches and than the total weight of the
likes, of how often its last item has been followed, and of its distinct items; whether there is a
match; whether the session had come back to its last item."""

OWN_GROUP, LIKES_GROUP, RECENT_GROUP = range(3)
GROUPS = 3
"""An item is of the first group whose evidence it has."""

HIDDEN = 16

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
    """Return the weights that a model begins with: no boost, and random hidden features."""
    draw = np.random.default_rng(seed)
    vector = np.zeros(BOOST_WEIGHTS, np.float32)
    weights = Boost.of(vector)
    weights.features[:] = 0.3 * draw.standard_normal(weights.features.shape)
    weights.moment[:] = 0.2 * draw.standard_normal(weights.moment.shape)
    return vector


class Boosted(NamedTuple):
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
    factor, pull
        (SPECIAL,): exp b, and the gradient by b.
    bits
        int32 (SPECIAL,): room for `_logarithms`.

    """

    items: NDArray[np.int64]
    ends: NDArray[np.int64]
    features: Single
    hidden: Single
    moment: Single
    factor: Single
    pull: Single
    bits: NDArray[np.int32]


@compiled
def no_boost() -> Boosted:
    """Return room for the boosted items of one moment at a time."""
    return Boosted(
        np.empty(SPECIAL, np.int64),
        np.zeros(GROUPS, np.int64),
        np.ones((FEATURES, SPECIAL), np.float32),
        np.empty((HIDDEN, SPECIAL), np.float32),
        np.empty(MOMENT_FEATURES, np.float32),
        np.empty(SPECIAL, np.float32),
        np.empty(SPECIAL, np.float32),
        np.empty(SPECIAL, np.int32),
    )


@compiled
def compute_boost(weights: Boost, of: Boosted) -> None:
    """Fill in `hidden` and `factor` from the features.

    ``h = lrelu(A f + C c)``, ``b = w f + v h`` by the item's group, and ``factor = exp b``.
    """
    count = of.ends[GROUPS - 1]
    for unit in range(HIDDEN):
        row = of.hidden[unit]
        start = np.float32(0)
        for at in range(MOMENT_FEATURES):
            start += weights.moment[unit, at] * of.moment[at]
        row[:count] = start
        for feature in range(FEATURES):
            _add_row(row, weights.features[unit, feature], of.features[feature], 0, count)
        for at in range(count):
            row[at] = row[at] if row[at] > 0 else LEAK * row[at]
    of.factor[:count] = 0
    begin = 0
    for group in range(GROUPS):
        end = of.ends[group]
        for feature in range(FEATURES):
            _add_row(of.factor, weights.direct[group, feature], of.features[feature], begin, end)
        for unit in range(HIDDEN):
            _add_row(of.factor, weights.hidden[group, unit], of.hidden[unit], begin, end)
        begin = end
    for at in range(count):
        of.factor[at] = np.exp(min(max(of.factor[at], -LARGEST), LARGEST))


@summing
def learn_boost(weights: Boost, of: Boosted, own: bool, gradient: Boost) -> None:
    """Add the gradient by the weights, given `pull`, that by the boosts of the clicked kind."""
    begin = 0 if own else of.ends[OWN_GROUP]
    stop = of.ends[OWN_GROUP if own else GROUPS - 1]
    for unit in range(HIDDEN):
        row, total = of.hidden[unit], np.float32(0)
        start = begin
        for group in range(GROUPS):
            end = min(max(of.ends[group], start), stop)
            found, weight = np.float32(0), weights.hidden[group, unit]
            for at in range(start, end):
                found += of.pull[at] * row[at]
                # From here on the row holds the gradient by what goes into the rectifier.
                row[at] = of.pull[at] * weight * (np.float32(1) if row[at] > 0 else LEAK)
                total += row[at]
            gradient.hidden[group, unit] += found
            start = end
        for feature in range(FEATURES):
            found = np.float32(0)
            other = of.features[feature]
            for at in range(begin, stop):
                found += row[at] * other[at]
            gradient.features[unit, feature] += found
        for at in range(MOMENT_FEATURES):
            gradient.moment[unit, at] += total * of.moment[at]
    for feature in range(FEATURES):
        start, other = begin, of.features[feature]
        for group in range(GROUPS):
            end = min(max(of.ends[group], start), stop)
            found = np.float32(0)
            for at in range(start, end):
                found += of.pull[at] * other[at]
            gradient.direct[group, feature] += found
            start = end


@compiled
def _add_row(into: Single, weight: np.float32, row: Single, begin: int, end: int) -> None:
    for at in range(begin, end):
        into[at] += weight * row[at]


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
