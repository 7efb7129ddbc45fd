"""How the probability falls to repeats, returns and all other items: compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compute.jit import compiled
from .boost import GROUPS, OWN_GROUP, BoostedItems
from .layout import LAST, NEIGHBOUR_CLICKS, SESSION_ITEMS, TARGET
from .mixture_parts import TINY, Moment, dot
from .weights import GATE_FEATURES, Weights

LEAST = 1e-6
"""A share of the mixture below this counts as none."""


class Split(NamedTuple):
    """How the probability falls to the last item, the session's earlier ones, and the others.

    Parameters
    ----------
    last, target
        Which of the click's items these are; -1 for none.
    back_to_target
        Whether the target is one of the session's earlier items.
    returns, others
        The mixture's shares of the earlier items, and of the others.
    own_boosted, rest
        These with the boosts.
    repeat, back
        The probability of a repeat, and of a return where it is none.
    repeat_odds, back_odds
        The mixture's own log odds of these.
    to_others
        Factor from the boosted mixture to the others' probabilities.

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


@compiled
def split_probability(
    weights: Weights, place: NDArray[np.int16], moment: Moment, boosted: BoostedItems
) -> Split:
    """Predict whether the click repeats the last item, or returns to an earlier one."""
    mixed, boost, features = moment.mixed, moment.boost, moment.features
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
    for at in range(boosted.ends[OWN_GROUP], boosted.ends[GROUPS - 1]):
        item = boosted.items[at]
        rest += mixed[item] * (boost[item] - 1)
    repeat_odds, back_odds = _logit(at_last), _logit(returns / max(1 - at_last, LEAST))
    repeat = _sigmoid(
        dot(weights.repeat, features, GATE_FEATURES) + weights.repeat[GATE_FEATURES] * repeat_odds
    )
    back = _sigmoid(
        dot(weights.back, features, GATE_FEATURES) + weights.back[GATE_FEATURES] * back_odds
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
    return Split(
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
def share_probability(split: Split, place: NDArray[np.int16], count: int, moment: Moment) -> None:
    """Share the probability of each kind among its items."""
    mixed, boost, final = moment.mixed, moment.boost, moment.final
    for at in range(count):
        final[at] = mixed[at] * boost[at] * split.to_others
    for turn in range(SESSION_ITEMS - 1):
        own = place[NEIGHBOUR_CLICKS + turn]
        if own >= 0:
            whole = (1 - split.repeat) * split.back
            final[own] = mixed[own] * boost[own] * whole / split.own_boosted
    if split.last >= 0:
        final[split.last] = split.repeat


@compiled
def _logit(chance: float) -> float:
    kept = min(max(chance, LEAST), 1 - LEAST)
    return float(np.log(kept / (1 - kept)))


@compiled
def _sigmoid(odds: float) -> float:
    return float(1 / (1 + np.exp(-odds)))
