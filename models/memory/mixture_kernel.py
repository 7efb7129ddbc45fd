"""The mixture's special items weighed, click by click, with the gradient: compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compute.jit import compiled
from .boost import (
    AFTER_SHARE,
    DIRECT_VOTES,
    EARLIER_SHARE,
    GROUPS,
    IS_RECENT,
    ITEM_FACT,
    LARGEST,
    LIKES_GROUP,
    LIKES_SAY,
    MIXTURE_SAYS,
    NETWORK_SAYS,
    OWN_GROUP,
    OWN_SAYS,
    RECENT_SAYS,
    SOME,
    VOTES,
    Boost,
    Boosted,
    Single,
    compute_boost,
    learn_boost,
    logarithms,
    no_boost,
)
from .history import (
    AFTER,
    BEFORE,
    CLICK_COUNT,
    CLICKS_SINCE_FIRST,
    CLICKS_SINCE_LAST,
    EARLIER_CLICKS,
    EVIDENCE,
    ITEM_FACTS,
    LAST,
    LOOKBACK,
    NEIGHBOUR_CLICKS,
    RECENT,
    SECONDS_SINCE_FIRST,
    SECONDS_SINCE_LAST,
    SESSION_FEATURES,
    SESSION_ITEMS,
    SPECIAL,
    TARGET,
)
from .memory import GATE_FEATURES, PARTS, Evidence, Weights

LEAST = 1e-6
"""A share of the mixture below this is taken for none."""

TINY = 1e-12

NETWORK, LIKE, OWN_PART, RECENT_PART = range(1 + PARTS)

NEAR = AFTER + BEFORE

Real = NDArray[np.float64]


class Weighed(NamedTuple):
    """What is found for c clicks; filled by `weigh`.

    Parameters
    ----------
    final
        (distinct,): each special item's probability.
    target, factor
        (c,): the target's probability, and what the network's is times for all others.
    bar
        (c,): the network's probability that another item needs to reach the target.
    better
        int64 (c,): how many special items reach it that the network alone would keep below, less
        those that it alone would let reach it; 0 before.

    """

    final: Real
    target: Real
    network_scale: Real
    threshold: NDArray[Any]
    n_above: NDArray[np.int64]


class _Table(NamedTuple):
    """Weights of evidence: by match, earlier click and offset; by turn; by age, and the ages."""

    likes: Real
    own: Real
    recent: Real
    age: NDArray[np.int64]


class _Moment(NamedTuple):
    """Room for what is worked out of one click, by piece of evidence, distinct item, fact or part.

    `says` is what the network and the three parts say of each item; `like` how much of the likes'
    weight is from clicks after, and from items before the session's last, and how many pieces of
    evidence speak for the item, and how many of these are directly after the last item.
    """

    weight: Real
    network_probs: Real
    like: Real
    mixed: Real
    chance: Real
    slope: Real
    boost: Real
    facts: Real
    gates: Real
    totals: Real
    worth: Real


class _Split(NamedTuple):
    """How the probability falls to the last item, the session's earlier ones, and the others.

    `returns` and `others` are the mixture's shares, `own_boosted` and `rest` these with the boosts.
    """

    last: int
    target: int
    back_to_target: bool
    returns: float
    others: float
    own_boosted: float
    rest: float
    repeat: float
    back: float
    repeat_odds: float
    back_odds: float
    to_others: float


FROM_AFTER, FROM_EARLIER, COUNTED, DIRECT = range(4)

HIGHEST_FACTOR, LOWEST_FACTOR = np.exp(LARGEST), np.exp(-LARGEST)


@compiled
def weigh(
    weights: Weights,
    boost: Boost,
    boosted: bool,
    evidence: Evidence,
    network: NDArray[Any],
    highest: Real,
    known: NDArray[np.bool_],
    slack: Real,
    weighed: Weighed,
    gradient: Weights,
    boost_gradient: Boost,
) -> None:
    """Work out the mixture for the special items of every click, and its gradient.

    Parameters
    ----------
    weights, boost, evidence
        What the memory has learned, and the evidence for c clicks.
    boosted
        Whether the boost is applied, and learned.
    network
        (distinct,): the network's probability of each special item.
    highest
        (c,): its highest over the catalogue.
    known, slack
        See `Mixture`.
    weighed
        Filled.
    gradient, boost_gradient
        Added to.

    """
    table, moment, of = _exponentials(weights), _room(), no_boost()
    for click in range(len(evidence.spans)):
        begin, end = evidence.spans[click]
        count = end - begin
        if np.isnan(highest[click]):
            weighed.target[click], weighed.threshold[click] = np.nan, np.inf
            continue
        place, match = evidence.place_of[click], evidence.match[click]
        for at in range(count):
            moment.network_probs[NETWORK, at] = network[begin + at]
        matches = _sum_evidence(table, place, match, count, moment)
        _tell_facts(evidence.facts[click], highest[click], matches, moment)
        _mix(weights, count, moment)
        moment.boost[:count] = 1.0
        if boosted:
            _group(place[LAST], count, moment, of)
            _tell_features(highest[click], evidence.item_facts[begin:end], moment, of)
            compute_boost(boost, of)
            for at in range(of.ends[GROUPS - 1]):
                moment.boost[of.items[at]] = of.factor[at]
        split = _split(weights, place, count, moment, of)
        _share(split, place, count, moment)
        weighed.network_scale[click] = split.to_others * moment.gates[NETWORK]
        if split.target >= 0:
            weighed.target[click] = moment.chance[split.target]
        _count_better(click, slack[click], count, moment, weighed)
        for at in range(count):
            weighed.final[begin + at] = moment.chance[at]
        if not known[click] or split.target < 0:
            continue
        _learn_split(split, moment.facts, gradient)
        if split.target != split.last:
            _find_slopes(split, place, count, moment, of)
            _learn_mixture(place, match, count, table, moment, gradient)
            if boosted:
                _pull(split, moment, of)
                learn_boost(boost, of, split.back_to_target, boost_gradient)


@compiled
def _exponentials(weights: Weights) -> _Table:
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
    return _Table(likes, own, recent, age)


@compiled
def _room() -> _Moment:
    return _Moment(
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
def _sum_evidence(
    table: _Table, place: NDArray[np.int16], match: NDArray[np.bool_], count: int, moment: _Moment
) -> int:
    """Sum each part's weights, in all and by item; return how many earlier clicks match."""
    network_probs, like, totals, weight = (
        moment.network_probs,
        moment.like,
        moment.totals,
        moment.weight,
    )
    for part in range(1, 1 + PARTS):
        totals[part] = 0.0
        network_probs[part, :count] = 0.0
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
                network_probs[LIKE, at] += own
                like[at, COUNTED] += 1
                like[at, FROM_AFTER] += own if offset < AFTER else 0.0
                like[at, FROM_EARLIER] += own if earlier >= first else 0.0
                like[at, DIRECT] += offset == 0 and earlier < first
            piece += 1
    for turn in range(SESSION_ITEMS - 1):
        weight[piece] = table.own[turn]
        if place[piece] >= 0:
            totals[OWN_PART] += weight[piece]
            network_probs[OWN_PART, place[piece]] += weight[piece]
        piece += 1
    for turn in range(RECENT):
        weight[piece] = table.recent[turn]
        if place[piece] >= 0:
            totals[RECENT_PART] += weight[piece]
            network_probs[RECENT_PART, place[piece]] += weight[piece]
        piece += 1
    return matches


@compiled
def _tell_facts(habits: Real, highest: float, matches: int, moment: _Moment) -> None:
    facts = moment.facts
    for at in range(SESSION_FEATURES):
        facts[at] = habits[at]
    facts[SESSION_FEATURES] = np.log(max(highest, TINY))
    facts[SESSION_FEATURES + 1] = matches > 0
    facts[SESSION_FEATURES + 2] = np.log1p(matches)
    facts[SESSION_FEATURES + 3] = np.log1p(moment.totals[LIKE])


@compiled
def _mix(weights: Weights, count: int, moment: _Moment) -> None:
    """Open the gates, and mix what the network and the parts say of each item."""
    gates, network_probs, mixed = moment.gates, moment.network_probs, moment.mixed
    most = -np.inf
    for part in range(1 + PARTS):
        gates[part] = -np.inf
        if part == NETWORK or moment.totals[part] > 0:
            gates[part] = _dot(weights.gates[part], moment.facts, GATE_FEATURES)
        most = max(most, gates[part])
    total = 0.0
    for part in range(1 + PARTS):
        gates[part] = np.exp(gates[part] - most)
        total += gates[part]
    for part in range(1 + PARTS):
        gates[part] /= total
    for at in range(count):
        mixed[at] = gates[NETWORK] * network_probs[NETWORK, at]
    for part in range(1, 1 + PARTS):
        if moment.totals[part] > 0:
            for at in range(count):
                network_probs[part, at] /= moment.totals[part]
                mixed[at] += gates[part] * network_probs[part, at]


@compiled
def _group(last: int, count: int, moment: _Moment, of: Boosted) -> None:
    """List the items that have a boost: those with evidence, but for the session's last."""
    network_probs, listed = moment.network_probs, 0
    for group in range(GROUPS):
        for at in range(count):
            own, like = network_probs[OWN_PART, at] > 0, network_probs[LIKE, at] > 0
            if group == OWN_GROUP:
                chosen = own
            elif group == LIKES_GROUP:
                chosen = like and not own
            else:
                chosen = network_probs[RECENT_PART, at] > 0 and not (own or like)
            if chosen and at != last:
                of.items[listed] = at
                listed += 1
        of.ends[group] = listed


@compiled
def _tell_features(highest: float, item_facts: Single, moment: _Moment, of: Boosted) -> None:
    """Fill in the features of the items that have a boost, and those of the moment."""
    f, network_probs, like = of.features, moment.network_probs, moment.like
    count = of.ends[GROUPS - 1]
    for at in range(count):
        item = of.items[at]
        by_likes = network_probs[LIKE, item] * moment.totals[LIKE]
        f[LIKES_SAY, at] = _or_one(network_probs[LIKE, item])
        f[NETWORK_SAYS, at] = (network_probs[NETWORK, item] + SOME) / highest
        f[AFTER_SHARE, at] = like[item, FROM_AFTER] / by_likes if by_likes > 0 else 0.0
        f[EARLIER_SHARE, at] = like[item, FROM_EARLIER] / by_likes if by_likes > 0 else 0.0
        f[RECENT_SAYS, at] = _or_one(100 * network_probs[RECENT_PART, item])
        f[IS_RECENT, at] = network_probs[RECENT_PART, item] > 0
        for fact in range(ITEM_FACTS):
            f[ITEM_FACT + fact, at] = 1 + item_facts[item, fact]
        f[DIRECT_VOTES, at] = 1 + like[item, DIRECT]
        f[VOTES, at] = 1 + like[item, COUNTED]
        f[OWN_SAYS, at] = _or_one(network_probs[OWN_PART, item])
        f[MIXTURE_SAYS, at] = moment.mixed[item] + SOME
    for feature, scale, least in LOGARITHMS:
        row = f[feature]
        logarithms(row, of.bits, count)
        for at in range(count):
            row[at] = scale * max(row[at], least)
    facts, c = moment.facts, of.moment
    c[0], c[1], c[2] = 1, facts[2], 0.4 * facts[1]
    c[3], c[4], c[5] = (
        0.2 * facts[SESSION_FEATURES],
        facts[SESSION_FEATURES + 1],
        0.4 * facts[SESSION_FEATURES + 2],
    )
    c[6], c[7], c[8] = 0.3 * facts[SESSION_FEATURES + 3], 0.15 * facts[7], facts[8]
    c[9] = 0.4 * facts[9]


@compiled
def _or_one(share: float) -> float:
    """Return a share whose logarithm is wanted; where there is none that is to be 0."""
    return share if share > 0 else 1.0


LOWEST = np.float32(-100)
LOGARITHMS = (
    (LIKES_SAY, np.float32(0.5), LOWEST),
    (NETWORK_SAYS, np.float32(0.5), np.float32(-12)),
    (RECENT_SAYS, np.float32(0.5), LOWEST),
    (ITEM_FACT + CLICK_COUNT, np.float32(0.5), LOWEST),
    (ITEM_FACT + CLICKS_SINCE_LAST, np.float32(0.3), LOWEST),
    (ITEM_FACT + CLICKS_SINCE_FIRST, np.float32(0.3), LOWEST),
    (ITEM_FACT + SECONDS_SINCE_LAST, np.float32(0.2), LOWEST),
    (ITEM_FACT + SECONDS_SINCE_FIRST, np.float32(0.2), LOWEST),
    (DIRECT_VOTES, np.float32(1), LOWEST),
    (VOTES, np.float32(1), LOWEST),
    (OWN_SAYS, np.float32(0.5), LOWEST),
    (MIXTURE_SAYS, np.float32(0.3), LOWEST),
)
"""Features that are logarithms, with their scales, and the least that a logarithm is taken for."""


@compiled
def _split(
    weights: Weights, place: NDArray[np.int16], count: int, moment: _Moment, of: Boosted
) -> _Split:
    mixed, boost, facts = moment.mixed, moment.boost, moment.facts
    last, target = place[LAST], place[TARGET]
    at_last = min(max(mixed[last], 0.0), 1.0) if last >= 0 else 0.0
    returns = own_boosted = 0.0
    back_to_target = False
    for turn in range(SESSION_ITEMS - 1):
        own = place[NEIGHBOUR_CLICKS + turn]
        if own >= 0:
            returns += mixed[own]
            own_boosted += mixed[own] * boost[own]
            back_to_target |= own == target
    others = 1 - at_last - returns
    rest = others
    for at in range(of.ends[OWN_GROUP], of.ends[GROUPS - 1]):
        item = of.items[at]
        rest += mixed[item] * (boost[item] - 1)
    repeat_odds, back_odds = _logit(at_last), _logit(returns / max(1 - at_last, LEAST))
    repeat = _sigmoid(
        _dot(weights.repeat, facts, GATE_FEATURES) + weights.repeat[GATE_FEATURES] * repeat_odds
    )
    back = _sigmoid(
        _dot(weights.back, facts, GATE_FEATURES) + weights.back[GATE_FEATURES] * back_odds
    )
    # Where there is but one kind of item, it has it all.
    if others <= LEAST:
        back = 1.0
        if returns <= 0:
            repeat = 1.0
    if returns <= 0:
        back = 0.0
    if last < 0:
        repeat = 0.0
    rest = max(rest, LEAST)
    return _Split(
        last,
        target,
        back_to_target and target != last,
        returns,
        others,
        max(own_boosted, TINY),
        rest,
        repeat,
        back,
        repeat_odds,
        back_odds,
        (1 - repeat) * (1 - back) / rest,
    )


@compiled
def _share(split: _Split, place: NDArray[np.int16], count: int, moment: _Moment) -> None:
    """Share the probability of each kind among its items."""
    mixed, boost, chance = moment.mixed, moment.boost, moment.chance
    for at in range(count):
        chance[at] = mixed[at] * boost[at] * split.to_others
    for turn in range(SESSION_ITEMS - 1):
        own = place[NEIGHBOUR_CLICKS + turn]
        if own >= 0:
            whole = (1 - split.repeat) * split.back
            chance[own] = mixed[own] * boost[own] * whole / split.own_boosted
    if split.last >= 0:
        chance[split.last] = split.repeat


@compiled
def _count_better(click: int, slack: float, count: int, moment: _Moment, weighed: Weighed) -> None:
    least = weighed.target[click] * (1 - slack)
    network_scale = weighed.network_scale[click]
    weighed.threshold[click] = least / network_scale if network_scale > 0 else np.inf
    # As `network` has it, so that whatever is counted twice is counted alike.
    reach = weighed.threshold[click]
    for at in range(count):
        # The network's other special items were counted as if nothing else spoke for them.
        above = moment.chance[at] >= least
        weighed.n_above[click] += int(above) - int(moment.network_probs[NETWORK, at] >= reach)


@compiled
def _learn_split(split: _Split, facts: Real, gradient: Weights) -> None:
    """Add the regressions' gradients: (forecast − what happened) · facts."""
    repeats = split.target == split.last
    if split.last >= 0:
        miss = split.repeat - repeats
        _add(gradient.repeat, miss, facts, GATE_FEATURES)
        gradient.repeat[GATE_FEATURES] += miss * split.repeat_odds
    if not repeats and split.returns > 0 and split.others > LEAST:
        miss = split.back - split.back_to_target
        _add(gradient.back, miss, facts, GATE_FEATURES)
        gradient.back[GATE_FEATURES] += miss * split.back_odds


@compiled
def _find_slopes(
    split: _Split, place: NDArray[np.int16], count: int, moment: _Moment, of: Boosted
) -> None:
    """Find the gradient by the mixture: of −log m(target), and of log of the sum over its kind."""
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
        for at in range(of.ends[OWN_GROUP], of.ends[GROUPS - 1]):
            slope[of.items[at]] += (boost[of.items[at]] - 1) / split.rest


@compiled
def _pull(split: _Split, moment: _Moment, of: Boosted) -> None:
    """Find the gradient by the boosts of the items of the clicked kind, 0 where one is cut."""
    of_kind = split.own_boosted if split.back_to_target else split.rest
    for at in range(of.ends[GROUPS - 1]):
        item = of.items[at]
        share = moment.mixed[item] * moment.boost[item] / of_kind
        network_scale = of.factor[at]
        cut = network_scale >= HIGHEST_FACTOR or network_scale <= LOWEST_FACTOR
        of.pull[at] = 0.0 if cut else share - (item == split.target)


@compiled
def _learn_mixture(
    place: NDArray[np.int16],
    match: NDArray[np.bool_],
    count: int,
    table: _Table,
    moment: _Moment,
    gradient: Weights,
) -> None:
    """Add the gradients by the gates, and by the logarithm of each weight, a share of its part."""
    slope, worth, totals = moment.slope, moment.worth, moment.totals
    mean = 0.0
    for part in range(1 + PARTS):
        worth[part] = _dot(moment.network_probs[part], slope, count)
        mean += moment.gates[part] * worth[part]
    for part in range(1 + PARTS):
        _add(
            gradient.gates[part],
            moment.gates[part] * (worth[part] - mean),
            moment.facts,
            GATE_FEATURES,
        )
    for part in range(1, 1 + PARTS):
        totals[part] = moment.gates[part] / totals[part] if totals[part] > 0 else 0.0
    at = 0
    for item in range(len(LOOKBACK)):
        for turn in range(LOOKBACK[item]):
            of_click = 0.0
            for offset in range(NEAR):
                if place[at] >= 0:
                    gain = slope[place[at]] - worth[LIKE]
                    pull = moment.weight[at] * totals[LIKE] * gain
                    gradient.offsets[offset] += pull
                    of_click += pull
                at += 1
            gradient.items[item] += of_click
            gradient.turns[turn] += of_click
            if match[at // NEAR - 1]:
                gradient.match[0] += of_click
    for turn in range(SESSION_ITEMS - 1):
        if place[NEIGHBOUR_CLICKS + turn] >= 0:
            gain = slope[place[NEIGHBOUR_CLICKS + turn]] - worth[OWN_PART]
            gradient.own[turn] += table.own[turn] * totals[OWN_PART] * gain
    for turn in range(RECENT):
        if place[NEIGHBOUR_CLICKS + SESSION_ITEMS - 1 + turn] >= 0:
            gain = slope[place[NEIGHBOUR_CLICKS + SESSION_ITEMS - 1 + turn]] - worth[RECENT_PART]
            gradient.recent[table.age[turn]] += table.recent[turn] * totals[RECENT_PART] * gain


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
