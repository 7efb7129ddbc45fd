"""The mixture's special items weighed up, click by click, with the gradient: compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .memory import FACTS, PARTS, Weights
from .moments import (
    AFTER,
    BEFORE,
    EARLIER_CLICKS,
    EVIDENCE,
    HABITS,
    LAST,
    LIKES,
    OWN,
    REACH,
    RECENT,
    TARGET,
)
from .vocabulary import NO_ITEM

LEAST = 1e-6
"""A share of the mixture below this is taken for none."""

TINY = 1e-12

NETWORK, LIKE, OWN_PART, RECENT_PART = range(1 + PARTS)

Real = NDArray[np.float64]


@compiled
def weigh_up(
    weights: Weights,
    special: NDArray[np.int32],
    match: NDArray[np.bool_],
    habits: Real,
    says: Real,
    highest: Real,
    mark: NDArray[np.int32],
    known: NDArray[np.bool_],
    slack: Real,
    final: Real,
    goal: Real,
    factor: Real,
    bar: Real,
    better: NDArray[np.int64],
    gradient: Weights,
) -> None:
    """Work out the mixture for the special items of every click, and its gradient.

    Parameters
    ----------
    weights, special, match, habits
        `Memory.weights` and the parts of `Evidence`.
    says
        (c, SPECIAL): the network's probability of each.
    highest
        (c,): its highest.
    mark
        (rows,): -1 everywhere, before and after.
    known, slack
        See `Mixture`.
    final
        (c, SPECIAL): filled with each special item's probability, the first time it is named; -1
        where it is named again, or none is.
    goal, factor
        (c,): filled with the target's probability, and what the network's is times for all others.
    bar
        (c,): filled with the network's probability that another needs to reach the target.
    better
        (c,): filled with how many special items reach it that the network alone would keep below,
        less those that it alone would let reach it.
    gradient
        Added to.

    """
    items, turns, offsets = np.exp(weights.items), np.exp(weights.turns), np.exp(weights.offsets)
    matched = np.exp(weights.match[0])
    like_weights = np.empty((2, EARLIER_CLICKS, AFTER + BEFORE))
    earlier = 0
    for item in range(len(REACH)):
        for turn in range(REACH[item]):
            for offset in range(AFTER + BEFORE):
                like_weights[0, earlier, offset] = items[item] * turns[turn] * offsets[offset]
                like_weights[1, earlier, offset] = like_weights[0, earlier, offset] * matched
            earlier += 1
    own_weights, recent_weights = np.empty(OWN - 1), np.empty(RECENT)
    for turn in range(OWN - 1):
        own_weights[turn] = np.exp(weights.own[turn])
    age = np.empty(RECENT, np.int64)
    for at in range(RECENT):
        age[at] = int(2 * np.log2(at + 1))
        recent_weights[at] = np.exp(weights.recent[age[at]])

    count = special.shape[1]
    place = np.empty(count, np.int64)
    rows = np.empty(count, np.int64)
    weight = np.empty(EVIDENCE)
    # What the network and the three parts say of each distinct special item, and their mixture.
    parts = np.empty((1 + PARTS, count))
    mixed, chance, slope = np.empty(count), np.empty(count), np.empty(count)
    facts, odds = np.empty(FACTS), np.empty(2)
    gates, totals, worth = np.empty(1 + PARTS), np.empty(1 + PARTS), np.empty(1 + PARTS)

    for click in range(len(special)):
        if np.isnan(highest[click]):
            goal[click], bar[click] = np.nan, np.inf
            for at in range(special.shape[1]):
                final[click, at] = -1
            continue
        distinct = 0
        for at in range(count):
            row = special[click, at]
            place[at] = -1
            if row != NO_ITEM:
                if mark[row] < 0:
                    mark[row] = distinct
                    rows[distinct] = row
                    for part in range(1, 1 + PARTS):
                        parts[part, distinct] = 0.0
                    parts[NETWORK, distinct] = says[click, at]
                    final[click, at] = distinct
                    distinct += 1
                else:
                    final[click, at] = -1
                place[at] = mark[row]
            else:
                final[click, at] = -1
        for at in range(distinct):
            mark[rows[at]] = -1

        for part in range(1 + PARTS):
            totals[part] = 0.0
        matches = 0
        for earlier in range(match.shape[1]):
            matches += match[click, earlier]
            row = int(match[click, earlier])
            for offset in range(AFTER + BEFORE):
                weight[earlier * (AFTER + BEFORE) + offset] = like_weights[row, earlier, offset]
        for at in range(OWN - 1):
            weight[LIKES + at] = own_weights[at]
        for at in range(RECENT):
            weight[LIKES + OWN - 1 + at] = recent_weights[at]
        for at in range(EVIDENCE):
            if place[at] >= 0:
                part = LIKE if at < LIKES else OWN_PART if at < LIKES + OWN - 1 else RECENT_PART
                totals[part] += weight[at]
                parts[part, place[at]] += weight[at]

        for at in range(HABITS):
            facts[at] = habits[click, at]
        facts[HABITS] = np.log(max(highest[click], TINY))
        facts[HABITS + 1] = matches > 0
        facts[HABITS + 2] = np.log1p(matches)
        facts[HABITS + 3] = np.log1p(totals[LIKE])
        most = -np.inf
        for part in range(1 + PARTS):
            gates[part] = -np.inf
            if part == NETWORK or totals[part] > 0:
                gates[part] = _dot(weights.gates[part], facts, FACTS)
            most = max(most, gates[part])
        sum_of_gates = 0.0
        for part in range(1 + PARTS):
            gates[part] = np.exp(gates[part] - most)
            sum_of_gates += gates[part]
        for part in range(1 + PARTS):
            gates[part] /= sum_of_gates
        for at in range(distinct):
            mixed[at] = gates[NETWORK] * parts[NETWORK, at]
        for part in range(1, 1 + PARTS):
            if totals[part] > 0:
                for at in range(distinct):
                    parts[part, at] /= totals[part]
                    mixed[at] += gates[part] * parts[part, at]

        # How the probability falls to the last item, the earlier ones of the session, and others.
        last, target = place[LAST], place[TARGET]
        at_last = min(max(mixed[last], 0.0), 1.0) if last >= 0 else 0.0
        returns = 0.0
        back_to_target = False
        for turn in range(OWN - 1):
            own = place[LIKES + turn]
            if own >= 0:
                returns += mixed[own]
                back_to_target |= own == target
        others = 1 - at_last - returns
        odds[0] = _logit(at_last)
        odds[1] = _logit(returns / max(1 - at_last, LEAST))
        repeat = _sigmoid(_dot(weights.repeat, facts, FACTS) + weights.repeat[FACTS] * odds[0])
        back = _sigmoid(_dot(weights.back, facts, FACTS) + weights.back[FACTS] * odds[1])
        # Where there is but one kind of item, it has it all.
        if others <= LEAST:
            back = 1.0
            if returns <= 0:
                repeat = 1.0
        if returns <= 0:
            back = 0.0
        if last < 0:
            repeat = 0.0
        to_others = (1 - repeat) * (1 - back) / max(others, LEAST)
        for at in range(distinct):
            chance[at] = mixed[at] * to_others
        for turn in range(OWN - 1):
            own = place[LIKES + turn]
            if own >= 0:
                chance[own] = mixed[own] * (1 - repeat) * back / max(returns, TINY)
        if last >= 0:
            chance[last] = repeat
        factor[click] = to_others * gates[NETWORK]
        if target >= 0:
            goal[click] = chance[target]
        least = goal[click] * (1 - slack[click])
        bar[click] = least / factor[click] if factor[click] > 0 else np.inf
        # As `says` has it, so that whatever is counted twice is counted alike.
        reach = bar[click]
        for at in range(distinct):
            # The network's other special items were counted as if nothing else spoke for them.
            better[click] += (chance[at] >= least) - (parts[NETWORK, at] >= reach)
        for at in range(count):
            if final[click, at] >= 0:
                final[click, at] = chance[int(final[click, at])]
        if not known[click] or target < 0:
            continue

        # Regressions: (forecast − what happened) · facts.
        repeats = target == last
        goes_back = not repeats and back_to_target
        goes_on = not repeats and not back_to_target
        if last >= 0:
            miss = repeat - repeats
            _add(gradient.repeat, miss, facts, FACTS)
            gradient.repeat[FACTS] += miss * odds[0]
        if repeats:
            continue
        if returns > 0 and others > LEAST:
            miss = back - goes_back
            _add(gradient.back, miss, facts, FACTS)
            gradient.back[FACTS] += miss * odds[1]
        # By the mixture's probabilities: −log m(target) + log of the sum over its kind.
        for at in range(distinct):
            slope[at] = 0.0
        slope[target] -= 1 / max(mixed[target], TINY)
        of_kind = 1 / max(returns, TINY) if goes_back else -1 / max(others, LEAST)
        for turn in range(OWN - 1):
            own = place[LIKES + turn]
            if own >= 0:
                slope[own] += of_kind
        if goes_on and last >= 0:
            slope[last] -= 1 / max(others, LEAST)
        # By what each of the four says, then by the gates.
        mean = 0.0
        for part in range(1 + PARTS):
            worth[part] = _dot(parts[part], slope, distinct)
            mean += gates[part] * worth[part]
        for part in range(1 + PARTS):
            _add(gradient.gates[part], gates[part] * (worth[part] - mean), facts, FACTS)
        # By the logarithm of each weight, a share of its part.
        for part in range(1, 1 + PARTS):
            totals[part] = gates[part] / totals[part] if totals[part] > 0 else 0.0
        at = 0
        for item in range(len(REACH)):
            for turn in range(REACH[item]):
                of_click = 0.0
                for offset in range(AFTER + BEFORE):
                    if place[at] >= 0:
                        gain = slope[place[at]] - worth[LIKE]
                        pull = weight[at] * totals[LIKE] * gain
                        gradient.offsets[offset] += pull
                        of_click += pull
                    at += 1
                gradient.items[item] += of_click
                gradient.turns[turn] += of_click
                if match[click, at // (AFTER + BEFORE) - 1]:
                    gradient.match[0] += of_click
        for turn in range(OWN - 1):
            if place[LIKES + turn] >= 0:
                gain = slope[place[LIKES + turn]] - worth[OWN_PART]
                gradient.own[turn] += own_weights[turn] * totals[OWN_PART] * gain
        for turn in range(RECENT):
            if place[LIKES + OWN - 1 + turn] >= 0:
                gain = slope[place[LIKES + OWN - 1 + turn]] - worth[RECENT_PART]
                gradient.recent[age[turn]] += recent_weights[turn] * totals[RECENT_PART] * gain


@compiled
def _dot(left: Real, right: Real, count: int) -> float:
    total = 0.0
    for at in range(count):
        total += left[at] * right[at]
    return total


@compiled
def _add(into: Real, times: float, values: Real, count: int) -> None:
    for at in range(count):
        into[at] += times * values[at]


@compiled
def _logit(chance: float) -> float:
    kept = min(max(chance, LEAST), 1 - LEAST)
    return float(np.log(kept / (1 - kept)))


@compiled
def _sigmoid(odds: float) -> float:
    return float(1 / (1 + np.exp(-odds)))
