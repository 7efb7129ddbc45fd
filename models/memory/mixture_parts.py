"""What network and evidence say of each item, and their mixture: compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compute.jit import compiled
from .layout import (
    AFTER,
    EARLIER_CLICKS,
    EVIDENCE,
    LOOKBACK,
    NEAR,
    RECENT,
    SESSION_FEATURES,
    SESSION_ITEMS,
    SPECIAL,
    Real,
)
from .weights import GATE_FEATURES, PARTS, Weights

TINY = 1e-12

NETWORK, LIKE, OWN_PART, RECENT_PART = range(1 + PARTS)

FROM_AFTER, FROM_EARLIER, COUNTED, DIRECT = range(4)
"""Columns of `Moment.like`."""


class EvidenceWeights(NamedTuple):
    """Weights of evidence: by match, earlier click and offset; by turn; by age, and the ages."""

    likes: Real
    own: Real
    recent: Real
    age: NDArray[np.int64]


class Moment(NamedTuple):
    """Room for what is computed for one click.

    Parameters
    ----------
    weight
        (EVIDENCE,): of each piece of evidence.
    part_probs
        (1 + PARTS, SPECIAL): each item's probability by the network and by the parts.
    like
        (SPECIAL, 4): how much of an item's weight as a like is from clicks after, and from items
        before the session's last; how many pieces of evidence speak for it, and how many of these
        are directly after the last item.
    mixed, final
        (SPECIAL,): each item's probability by the mixture, and in the end.
    slope
        (SPECIAL,): the gradient by `mixed`.
    boost
        (SPECIAL,): each item's factor, 1 for those without a boost.
    features
        (GATE_FEATURES,).
    gates
        (1 + PARTS,): how far the network and each part are trusted.
    totals
        (1 + PARTS,): the weight of all evidence of each part.
    part_slope
        (1 + PARTS,): the gradient by each gate, before the softmax.

    """

    weight: Real
    part_probs: Real
    like: Real
    mixed: Real
    final: Real
    slope: Real
    boost: Real
    features: Real
    gates: Real
    totals: Real
    part_slope: Real


@compiled
def new_moment() -> Moment:
    """Return room for one click at a time."""
    return Moment(
        np.empty(EVIDENCE),
        np.empty((1 + PARTS, SPECIAL)),
        np.empty((SPECIAL, 4)),
        np.empty(SPECIAL),
        np.empty(SPECIAL),
        np.empty(SPECIAL),
        np.empty(SPECIAL),
        np.empty(GATE_FEATURES),
        np.empty(1 + PARTS),
        np.empty(1 + PARTS),
        np.empty(1 + PARTS),
    )


@compiled
def evidence_weights(weights: Weights) -> EvidenceWeights:
    """Return the weights of evidence from their logarithms."""
    items, turns, offsets = np.exp(weights.items), np.exp(weights.turns), np.exp(weights.offsets)
    matched = np.exp(weights.match[0])
    likes = np.empty((2, EARLIER_CLICKS, NEAR))
    earlier = 0
    for item in range(len(LOOKBACK)):
        for turn in range(LOOKBACK[item]):
            for offset in range(NEAR):
                likes[0, earlier, offset] = items[item] * turns[turn] * offsets[offset]
                likes[1, earlier, offset] = likes[0, earlier, offset] * matched
            earlier += 1
    own, recent, age = np.empty(SESSION_ITEMS - 1), np.empty(RECENT), np.empty(RECENT, np.int64)
    for turn in range(SESSION_ITEMS - 1):
        own[turn] = np.exp(weights.own[turn])
    for at in range(RECENT):
        age[at] = int(2 * np.log2(at + 1))
        recent[at] = np.exp(weights.recent[age[at]])
    return EvidenceWeights(likes, own, recent, age)


@compiled
def sum_evidence(
    table: EvidenceWeights,
    place: NDArray[np.int16],
    match: NDArray[np.bool_],
    count: int,
    moment: Moment,
) -> int:
    """Sum each part's weights, in all and by item; return how many earlier clicks match."""
    part_probs, like, totals, weight = moment.part_probs, moment.like, moment.totals, moment.weight
    for part in range(1, 1 + PARTS):
        totals[part] = 0.0
        part_probs[part, :count] = 0.0
    like[:count] = 0.0
    matches, piece, first = 0, 0, LOOKBACK[0]
    for earlier in range(EARLIER_CLICKS):
        matches += match[earlier]
        row = table.likes[int(match[earlier])]
        for offset in range(NEAR):
            own = row[earlier, offset]
            weight[piece] = own
            at = place[piece]
            if at >= 0:
                totals[LIKE] += own
                part_probs[LIKE, at] += own
                like[at, COUNTED] += 1
                like[at, FROM_AFTER] += own if offset < AFTER else 0.0
                like[at, FROM_EARLIER] += own if earlier >= first else 0.0
                like[at, DIRECT] += offset == 0 and earlier < first
            piece += 1
    for turn in range(SESSION_ITEMS - 1):
        weight[piece] = table.own[turn]
        if place[piece] >= 0:
            totals[OWN_PART] += weight[piece]
            part_probs[OWN_PART, place[piece]] += weight[piece]
        piece += 1
    for turn in range(RECENT):
        weight[piece] = table.recent[turn]
        if place[piece] >= 0:
            totals[RECENT_PART] += weight[piece]
            part_probs[RECENT_PART, place[piece]] += weight[piece]
        piece += 1
    return matches


@compiled
def fill_gate_features(
    session_features: Real, highest: float, matches: int, moment: Moment
) -> None:
    """Fill in the features of the gates, see `GATE_FEATURES`."""
    features = moment.features
    for at in range(SESSION_FEATURES):
        features[at] = session_features[at]
    features[SESSION_FEATURES] = np.log(max(highest, TINY))
    features[SESSION_FEATURES + 1] = matches > 0
    features[SESSION_FEATURES + 2] = np.log1p(matches)
    features[SESSION_FEATURES + 3] = np.log1p(moment.totals[LIKE])


@compiled
def mix_parts(weights: Weights, count: int, moment: Moment) -> None:
    """Compute the gates, and ``m(i) = Σ_s g_s p_s(i)`` of each item."""
    gates, part_probs, mixed = moment.gates, moment.part_probs, moment.mixed
    most = -np.inf
    for part in range(1 + PARTS):
        gates[part] = -np.inf
        if part == NETWORK or moment.totals[part] > 0:
            gates[part] = dot(weights.gates[part], moment.features, GATE_FEATURES)
        most = max(most, gates[part])
    total = 0.0
    for part in range(1 + PARTS):
        gates[part] = np.exp(gates[part] - most)
        total += gates[part]
    for part in range(1 + PARTS):
        gates[part] /= total
    for at in range(count):
        mixed[at] = gates[NETWORK] * part_probs[NETWORK, at]
    for part in range(1, 1 + PARTS):
        if moment.totals[part] > 0:
            for at in range(count):
                part_probs[part, at] /= moment.totals[part]
                mixed[at] += gates[part] * part_probs[part, at]


@compiled
def dot(left: Real, right: Real, count: int) -> float:
    """Return the product of the first numbers of two vectors, added up in order."""
    total = 0.0
    for at in range(count):
        total += left[at] * right[at]
    return total


@compiled
def add_scaled(into: Real, factor: float, values: Real, count: int) -> None:
    """Add the first numbers of a vector, times a factor."""
    for at in range(count):
        into[at] += factor * values[at]
