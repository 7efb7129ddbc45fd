"""The mixture for the special items of some clicks, click by click, and its gradient: compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compute.jit import compiled
from .boost import GROUPS, compute_boost, learn_boost, no_boost
from .boost_features import fill_boost_features, list_boosted
from .evidence import Evidence
from .layout import LAST, Real
from .mixture_gradient import fill_boost_slope, fill_slope, learn_mixture, learn_split
from .mixture_parts import (
    NETWORK,
    Moment,
    evidence_weights,
    fill_gate_features,
    mix_parts,
    new_moment,
    sum_evidence,
)
from .repeat_split import Split, share_probability, split_probability
from .weights import Parameters


class Predictions(NamedTuple):
    """The network's predictions for c clicks.

    Parameters
    ----------
    special
        (distinct,): its probability of each special item.
    highest
        (c,): its highest probability in the catalogue.
    known, slack
        See `Mixture`.

    """

    special: Real
    highest: Real
    known: NDArray[np.bool_]
    slack: Real


class Evaluation(NamedTuple):
    """The mixture's probabilities for c clicks, and what ranks their targets.

    Parameters
    ----------
    final
        (distinct,): each special item's probability.
    target_prob
        (c,): the target's probability.
    network_scale
        (c,): factor from the network's probability to the mixture's, for all other items.
    threshold
        (c,): the network's probability that another item needs to reach the target.
    n_above
        int64 (c,): number of special items that reach the target, itself included; 0 before.
    alone
        bool (c,): nothing but the network speaks for the target, so the threshold is the network's
        own probability of it; false before.

    """

    final: Real
    target_prob: Real
    network_scale: Real
    threshold: Real
    n_above: NDArray[np.int64]
    alone: NDArray[np.bool_]


@compiled
def evaluate_mixture(
    parameters: Parameters,
    boosted: bool,
    evidence: Evidence,
    network: Predictions,
    evaluation: Evaluation,
    gradient: Parameters,
) -> None:
    """Compute the mixture for the special items of every click, and its gradient.

    Parameters
    ----------
    parameters
        What the memory has learned.
    boosted
        Whether the boost is applied, and learned.
    evidence, network
        The evidence and the network's predictions for c clicks.
    evaluation
        Filled.
    gradient
        Added to, for the known targets.

    """
    table, moment, items = evidence_weights(parameters.mixture), new_moment(), no_boost()
    for click in range(len(evidence.spans)):
        if np.isnan(network.highest[click]):
            evaluation.target_prob[click], evaluation.threshold[click] = np.nan, np.inf
            continue
        begin, end = evidence.spans[click]
        place, match = evidence.place_of[click], evidence.match[click]
        count, highest = end - begin, network.highest[click]
        for at in range(count):
            moment.part_probs[NETWORK, at] = network.special[begin + at]
        matches = sum_evidence(table, place, match, count, moment)
        fill_gate_features(evidence.session_features[click], highest, matches, moment)
        mix_parts(parameters.mixture, count, moment)
        moment.boost[:count] = 1.0
        if boosted:
            list_boosted(place[LAST], count, moment, items)
            facts = evidence.item_facts[begin:end]
            fill_boost_features(highest, facts, moment, items)
            compute_boost(parameters.boost, items)
            for at in range(items.ends[GROUPS - 1]):
                moment.boost[items.items[at]] = items.factor[at]
        split = split_probability(parameters.mixture, place, moment, items)
        share_probability(split, place, count, moment)
        for at in range(count):
            evaluation.final[begin + at] = moment.final[at]
        _compare(split, click, network.slack[click], count, moment, evaluation)
        if network.known[click] and split.target >= 0:
            learn_split(split, moment.features, gradient.mixture)
            if split.target != split.last:
                fill_slope(split, place, count, moment, items)
                learn_mixture(place, match, count, table, moment, gradient.mixture)
                if boosted:
                    fill_boost_slope(split, moment, items)
                    learn_boost(parameters.boost, items, split.back_to_target, gradient.boost)


@compiled
def _compare(
    split: Split, click: int, slack: float, count: int, moment: Moment, evaluation: Evaluation
) -> None:
    """Compare the items with the target: fill in all but `final`."""
    network_scale = split.to_others * moment.gates[NETWORK]
    evaluation.network_scale[click] = network_scale
    target = split.target
    if target >= 0:
        evaluation.target_prob[click] = moment.final[target]
        by_network = moment.gates[NETWORK] * moment.part_probs[NETWORK, target] * split.to_others
        evaluation.alone[click] = network_scale > 0 and moment.final[target] == by_network
    least = evaluation.target_prob[click] * (1 - slack)
    evaluation.threshold[click] = least / network_scale if network_scale > 0 else np.inf
    for at in range(count):
        evaluation.n_above[click] += moment.final[at] >= least
