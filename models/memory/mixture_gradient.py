"""The gradient of −log p(target) by all that the memory learns, for one click: compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compute.jit import compiled
from .boost import GROUPS, LARGEST, OWN_GROUP, BoostedItems
from .layout import (
    FIRST_RECENT,
    LOOKBACK,
    NEAR,
    NEIGHBOUR_CLICKS,
    RECENT,
    SESSION_ITEMS,
    Real,
)
from .mixture_parts import (
    LIKE,
    OWN_PART,
    RECENT_PART,
    TINY,
    EvidenceWeights,
    Moment,
    add_scaled,
    dot,
)
from .repeat_split import LEAST, Split
from .weights import GATE_FEATURES, PARTS, Weights

HIGHEST_FACTOR, LOWEST_FACTOR = np.exp(LARGEST), np.exp(-LARGEST)


@compiled
def learn_split(split: Split, features: Real, gradient: Weights) -> None:
    """Add the regressions' gradients: (prediction − what happened) · features."""
    repeats = split.target == split.last
    if split.last >= 0:
        miss = split.repeat - repeats
        add_scaled(gradient.repeat, miss, features, GATE_FEATURES)
        gradient.repeat[GATE_FEATURES] += miss * split.repeat_odds
    if not repeats and split.returns > 0 and split.others > LEAST:
        miss = split.back - split.back_to_target
        add_scaled(gradient.back, miss, features, GATE_FEATURES)
        gradient.back[GATE_FEATURES] += miss * split.back_odds


@compiled
def fill_slope(
    split: Split, place: NDArray[np.int16], count: int, moment: Moment, boosted: BoostedItems
) -> None:
    """Fill in the gradient by the mixture.

    It is that of −log m(target), and of the logarithm of the sum over the items of its kind.
    """
    slope, boost = moment.slope, moment.boost
    for at in range(count):
        slope[at] = 0.0
    slope[split.target] -= 1 / max(moment.mixed[split.target], TINY)
    for turn in range(SESSION_ITEMS - 1):
        own = place[NEIGHBOUR_CLICKS + turn]
        if own >= 0:
            if split.back_to_target:
                slope[own] += boost[own] / split.own_boosted
            else:
                slope[own] -= 1 / split.rest
    if not split.back_to_target:
        if split.last >= 0:
            slope[split.last] -= 1 / split.rest
        for at in range(boosted.ends[OWN_GROUP], boosted.ends[GROUPS - 1]):
            slope[boosted.items[at]] += (boost[boosted.items[at]] - 1) / split.rest


@compiled
def fill_boost_slope(split: Split, moment: Moment, boosted: BoostedItems) -> None:
    """Fill in the gradient by the boosts of the items of the target's kind, 0 where one is cut."""
    of_kind = split.own_boosted if split.back_to_target else split.rest
    for at in range(boosted.ends[GROUPS - 1]):
        item = boosted.items[at]
        share = moment.mixed[item] * moment.boost[item] / of_kind
        factor = boosted.factor[at]
        cut = factor >= HIGHEST_FACTOR or factor <= LOWEST_FACTOR
        boosted.slope[at] = 0.0 if cut else share - (item == split.target)


@compiled
def learn_mixture(
    place: NDArray[np.int16],
    match: NDArray[np.bool_],
    count: int,
    table: EvidenceWeights,
    moment: Moment,
    gradient: Weights,
) -> None:
    """Add the gradients by the gates, and by the logarithm of each weight, a share of its part."""
    part_slope, totals = moment.part_slope, moment.totals
    mean = 0.0
    for part in range(1 + PARTS):
        part_slope[part] = dot(moment.part_probs[part], moment.slope, count)
        mean += moment.gates[part] * part_slope[part]
    for part in range(1 + PARTS):
        add_scaled(
            gradient.gates[part],
            moment.gates[part] * (part_slope[part] - mean),
            moment.features,
            GATE_FEATURES,
        )
    for part in range(1, 1 + PARTS):
        totals[part] = moment.gates[part] / totals[part] if totals[part] > 0 else 0.0
    _learn_likes(place, match, moment, gradient)
    _learn_own_and_recent(place, table, moment, gradient)


@compiled
def _learn_likes(
    place: NDArray[np.int16], match: NDArray[np.bool_], moment: Moment, gradient: Weights
) -> None:
    slope, part_slope, totals = moment.slope, moment.part_slope, moment.totals
    at = 0
    for item in range(len(LOOKBACK)):
        for turn in range(LOOKBACK[item]):
            of_click = 0.0
            for offset in range(NEAR):
                if place[at] >= 0:
                    gain = slope[place[at]] - part_slope[LIKE]
                    by_weight = moment.weight[at] * totals[LIKE] * gain
                    gradient.offsets[offset] += by_weight
                    of_click += by_weight
                at += 1
            gradient.items[item] += of_click
            gradient.turns[turn] += of_click
            if match[at // NEAR - 1]:
                gradient.match[0] += of_click


@compiled
def _learn_own_and_recent(
    place: NDArray[np.int16], table: EvidenceWeights, moment: Moment, gradient: Weights
) -> None:
    slope, part_slope, totals = moment.slope, moment.part_slope, moment.totals
    for turn in range(SESSION_ITEMS - 1):
        own = place[NEIGHBOUR_CLICKS + turn]
        if own >= 0:
            gain = slope[own] - part_slope[OWN_PART]
            gradient.own[turn] += table.own[turn] * totals[OWN_PART] * gain
    for turn in range(RECENT):
        recent = place[FIRST_RECENT + turn]
        if recent >= 0:
            gain = slope[recent] - part_slope[RECENT_PART]
            gradient.recent[table.age[turn]] += table.recent[turn] * totals[RECENT_PART] * gain
