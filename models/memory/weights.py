"""What the memory learns: the weights of the mixture."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from .boost import BOOST_WEIGHTS, Boost, initial_boost
from .layout import AFTER, BEFORE, LOOKBACK, SESSION_FEATURES, SESSION_ITEMS, Real

PARTS = 3
"""Likes, own and recent: see `Memory`."""

GATE_FEATURES = SESSION_FEATURES + 4
"""Number of features of the gates: those of the session, see `SESSION_FEATURES`; the logarithm of
the network's highest probability; whether, and the logarithm of how often, an earlier click has the
same item before it; and that of the total weight of the likes."""

AGES = 14
"""Number of ages of the latest clicks, in half octaves."""


class Weights(NamedTuple):
    """The mixture's weights, or their gradient: views of one vector.

    Parameters
    ----------
    gates
        (1 + PARTS, GATE_FEATURES): of the network and the parts.
    repeat, back
        (GATE_FEATURES + 1,): of a repeat and of a return, by the gates' features and the mixture's
        own log odds.
    items, turns, offsets, match
        Logarithms of a like's weight: by which of the session's items it is on, how many clicks on
        that item have come since, where it stands, and one more if the item before matches.
    own, recent
        Logarithms of the other parts' weights, by how far back and how old.

    """

    gates: Real
    repeat: Real
    back: Real
    items: Real
    turns: Real
    offsets: Real
    match: Real
    own: Real
    recent: Real

    @classmethod
    def of(cls, vector: Real) -> Weights:
        """Return views of a vector of `WEIGHTS` numbers."""
        return cls(*(vector[part].reshape(shape) for part, shape in CUTS))


SHAPES: list[tuple[int, ...]] = [
    (1 + PARTS, GATE_FEATURES),
    (GATE_FEATURES + 1,),
    (GATE_FEATURES + 1,),
    (len(LOOKBACK),),
    (max(LOOKBACK),),
    (AFTER + BEFORE,),
    (1,),
    (SESSION_ITEMS - 1,),
    (AGES,),
]
ENDS = list(itertools.accumulate(map(math.prod, SHAPES)))
CUTS = [
    (slice(end - math.prod(shape), end), shape) for end, shape in zip(ENDS, SHAPES, strict=True)
]
WEIGHTS = ENDS[-1]
"""Number of the mixture's weights."""


class Parameters(NamedTuple):
    """All that the memory learns, as the compiled loops take it, or its gradient.

    Parameters
    ----------
    mixture
        The mixture's weights.
    boost
        The boost's, in float32.

    """

    mixture: Weights
    boost: Boost


def cut(vector: Real) -> tuple[Weights, Real]:
    """Return views of the mixture's and the boost's parts of the memory's vector, or a gradient."""
    return Weights.of(vector), vector[WEIGHTS:]


def initial_vector(seed: int) -> Real:
    """Return the weights that a memory starts with: the mixture's, and those of a boost of 1."""
    vector = np.zeros(WEIGHTS + BOOST_WEIGHTS)
    weights, boost = cut(vector)
    boost[:] = initial_boost(seed)
    weights.gates[0, 0] = 1.0
    # What repeats and returns go by was alike on shops, news and travel: the odds that they
    # have on this item and in this session, and those that the mixture gives them.
    weights.repeat[[4, 5, -1]] = 0.3, 0.4, 0.3
    weights.back[[6, -1]] = 0.2, 0.8
    weights.items[:] = -0.7 * np.arange(len(LOOKBACK))
    weights.turns[:] = -0.3 * np.log2(np.arange(1, max(LOOKBACK) + 1))
    weights.offsets[:] = -0.5 * np.array([*range(AFTER), *range(1, BEFORE + 1)])
    weights.match[:] = 1.0
    weights.own[:] = -np.log(np.arange(1, SESSION_ITEMS))
    weights.recent[:] = -0.1 * np.arange(AGES)
    return vector
