"""The forecast of network and memory together: its ranks, and what it teaches."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .memory import LIKES, PARTS, TINY, Evidence, Memory
from .ranking import SLACK, Race, Ranking, count_at_least
from .vocabulary import NO_ITEM

LEAST = 1e-6
"""A share of the mixture below this is taken for none."""


def mix(
    memory: Memory,
    evidence: Evidence,
    race: Race,
    forecasts: Iterator[tuple[Tensor, Tensor]],
    k: int,
    learn: bool,
) -> tuple[Ranking, Tensor]:
    """Rank a batch's targets by the mixture.

    Parameters
    ----------
    memory
        What weighs the evidence.
    evidence
        For the m clicks.
    race
        The targets.
    forecasts
        What `forecast` gives for each part of the race.
    k
        How many best items to give.
    learn
        Whether the gradient is wanted.

    Returns
    -------
    ranking
        Of all targets.
    gradient
        Of −Σ log p(target) over the known ones, shaped like `Memory.vector`; zero if not wanted.

    """
    rankings, gradient = [], torch.zeros_like(memory.vector)
    for part, (scores, network) in zip(race.parts, forecasts, strict=True):
        told, targets, items = evidence.of(part), race.targets[part], race.items[part]
        mixture = Mixture(memory, told, scores, network, targets, items)
        # The softmax adds rounding of its own.
        slack = SLACK * torch.finfo(scores.dtype).eps * (race.size[part] + 1)
        rankings.append(mixture.ranking(slack, k))
        if learn:
            gradient += mixture.gradient(~race.unseen[part])
    return race.finish(rankings), gradient


def forecast(race: Race, part: slice) -> tuple[Tensor, Tensor]:
    """Give the network's scores for some of the clicks, and its probabilities: (c, rows) each."""
    scores = race.scores(part)
    # Before the first item there is none to share the probability among: no item has it all.
    nothing = scores[:, NO_ITEM].masked_fill_(race.items[part] == 0, 0)
    network = scores.softmax(dim=1)
    nothing.fill_(-torch.inf)
    return scores, network


class Mixture:
    """The forecast for c clicks; the equations stand at `Memory`.

    Only the *special* items are worked out one by one: those that evidence speaks for, the
    session's own, and the target. All others come in the order of the network's softmax, times one
    factor a click.

    Parameters
    ----------
    memory
        What weighs the evidence.
    evidence
        For the c clicks.
    scores, network
        (c, rows): what `forecast` gives.
    targets
        int64 (c,): the clicked items' rows.
    items
        int64 (c,): how many items are known.

    """

    def __init__(
        self,
        memory: Memory,
        evidence: Evidence,
        scores: Tensor,
        network: Tensor,
        targets: Tensor,
        items: Tensor,
    ) -> None:
        self._memory = memory
        self._evidence = evidence
        self._scores = scores
        self._items = items
        self._targets = targets
        self._network = network

        # An item may be special more than once: `same` is the place of one of them.
        last, target = evidence.last[:, None], targets[:, None]
        self._special = special = torch.cat([evidence.rows, last, target], dim=1)
        places = torch.arange(special.shape[1], device=special.device)
        mark = torch.empty(scores.shape, dtype=torch.int32, device=special.device)
        mark.scatter_(1, special, places.int().expand_as(special))
        self._same = same = mark.gather(1, special).long()
        self._alone = (same == places) & (special != NO_ITEM)
        self._own, self._last, self._target = (
            same[:, LIKES : LIKES + PARTS[1]],
            same[:, -2:-1],
            same[:, -1:],
        )
        self._has_own = special[:, LIKES : LIKES + PARTS[1]] != NO_ITEM
        self._has_last = evidence.last != NO_ITEM

        # What the network and the three parts say of the special items, and their mixture.
        self._weights = memory.weigh(evidence)
        parts = self._weights.split(PARTS, dim=1)
        totals = torch.stack([part.sum(dim=1) for part in parts], dim=1)
        self._scales = 1 / totals.clamp_min(TINY)
        says = [network.gather(1, special)]
        for number, at in enumerate(same[:, :-2].split(PARTS, dim=1)):
            share = parts[number] * self._scales[:, number, None]
            says.append(torch.zeros_like(says[0]).scatter_add_(1, at, share))
        self._says = torch.stack(says)
        self._facts = facts = memory.facts(evidence, totals[:, 0], network.amax(dim=1))
        void = torch.nn.functional.pad(totals <= 0, (1, 0))
        gates = (facts @ memory.weights["gates"].T).masked_fill_(void, -torch.inf)
        self._gates = gates.softmax(dim=1)
        self._mixed = (self._says * self._gates.T[:, :, None]).sum(dim=0)

        # How the probability falls to the last item, the earlier ones of the session, and others.
        at_last = (self._mixed.gather(1, self._last)[:, 0] * self._has_last).clamp(0, 1)
        at_own = self._mixed.gather(1, self._own) * self._has_own
        self._returns = returns = at_own.sum(dim=1)
        self._others = others = 1 - at_last - returns
        self._repeat_facts = _with_odds(facts, at_last)
        self._return_facts = _with_odds(facts, returns / (1 - at_last).clamp_min(LEAST))
        repeat = torch.sigmoid(self._repeat_facts @ memory.weights["repeat"])
        back = torch.sigmoid(self._return_facts @ memory.weights["return"])
        # Where there is but one kind of item, it has it all.
        self._back = back = torch.where(others > LEAST, back, 1.0) * (returns > 0)
        alone = (others <= LEAST) & (returns <= 0)
        self._repeat = repeat = repeat.masked_fill(alone, 1.0) * self._has_last
        to_others = (1 - repeat) * (1 - back) / others.clamp_min(LEAST)
        to_own = (1 - repeat) * back / returns.clamp_min(TINY)
        self._factor = (to_others * self._gates[:, 0])[:, None]
        final = self._mixed * to_others[:, None]
        # Where there is no last or earlier item, what is written falls on `NO_ITEM`.
        final.scatter_(1, self._own, at_own * to_own[:, None])
        final.scatter_(1, self._last, repeat[:, None])
        self._final = final.masked_fill_(special == NO_ITEM, 0)

    def ranking(self, slack: Tensor, k: int) -> Ranking:
        """Rank the targets, and give the k best items and their probabilities.

        Parameters
        ----------
        slack
            (c,): what rounding cannot tell apart, as a share.
        k
            How many best items to give.

        """
        goal = self._final.gather(1, self._target)
        least = goal * (1 - slack[:, None])
        bar = (least / self._factor).nan_to_num_(nan=torch.inf, posinf=torch.inf)
        ranks = count_at_least(self._network, bar)
        # Among these the special items were counted as if nothing but the network spoke for them.
        right, counted = self._final >= least, self._says[0] >= bar
        ranks += ((right.long() - counted.long()) * self._alone).sum(dim=1)
        # Where the probability is too small for a number, all items tie with it.
        goal = goal[:, 0]
        ranks = torch.where(goal == 0, self._items, ranks).minimum(self._items)
        ranks.masked_fill_(goal.isnan(), -1)
        if not k:
            return Ranking(ranks, self._special[:, :0], self._final[:, :0])
        k = min(k, self._network.shape[1])
        rest = (self._network * self._factor).masked_fill_(self._scores == -torch.inf, -1)
        values, best = rest.scatter_(1, self._special, -1.0).topk(k, dim=1)
        # A target that is not known yet is nothing to recommend.
        void = ~self._alone | (self._scores.gather(1, self._special) == -torch.inf)
        values = torch.cat([values, self._final.masked_fill(void, -1)], dim=1)
        values, order = values.topk(k, dim=1)
        return Ranking(ranks, torch.cat([best, self._special], dim=1).gather(1, order), values)

    def gradient(self, known: Tensor) -> Tensor:
        """Give the gradient of −Σ log p(target) by the memory's weights.

        Parameters
        ----------
        known
            bool (c,): over which clicks.

        """
        memory, evidence = self._memory, self._evidence
        repeats = known & self._has_last & (self._last == self._target)[:, 0]
        of_own = (self._own == self._target) & self._has_own
        returns = known & ~repeats & of_own.any(dim=1)
        go_on = known & ~repeats & ~returns
        # Regressions: (forecast − what happened) · facts.
        miss_repeat = (self._repeat - repeats.to(self._repeat)) * (known & self._has_last)
        asked = (returns | go_on) & (self._returns > 0) & (self._others > LEAST)
        miss_return = (self._back - returns.to(self._back)) * asked
        # By the mixture's probabilities: −log m(target) + log of the sum over its kind.
        of_target = -1 / self._mixed.gather(1, self._target).clamp_min(TINY)
        of_target *= (returns | go_on)[:, None]
        of_kind = returns / self._returns.clamp_min(TINY) - go_on / self._others.clamp_min(LEAST)
        of_own_each = of_kind[:, None] * self._has_own
        of_last = (go_on & self._has_last) / -self._others.clamp_min(LEAST)
        at = torch.cat([self._target, self._own, self._last], dim=1)
        slopes = torch.cat([of_target, of_own_each, of_last[:, None]], dim=1)
        # By what each of the four says of these, then by the gates.
        says = self._says.gather(2, at.expand(len(self._says), -1, -1))
        worth = (says * slopes).sum(dim=2).T
        pull = self._gates * (worth - (self._gates * worth).sum(dim=1, keepdim=True))
        # By the logarithm of each weight, a share of its part.
        each = torch.zeros_like(self._mixed).scatter_add_(1, at, slopes).gather(1, self._same)
        counts = torch.tensor(PARTS, device=at.device)
        gain = each[:, :-2] - worth[:, 1:].repeat_interleave(counts, dim=1)
        share = (self._gates[:, 1:] * self._scales).repeat_interleave(counts, dim=1)
        likes, own, recent = (self._weights * share * gain).split(PARTS, dim=1)
        likes = likes.view(len(at), len(memory.item_of), -1)
        by_click = likes.sum(dim=0)
        w = memory.weights
        by_age = torch.zeros_like(w["recent"]).index_add_(0, memory.age, recent.sum(dim=0))
        return memory.gradient(
            {
                "gates": pull.T @ self._facts,
                "repeat": miss_repeat @ self._repeat_facts,
                "return": miss_return @ self._return_facts,
                "items": torch.zeros_like(w["items"]).index_add_(
                    0, memory.item_of, by_click.sum(dim=1)
                ),
                "turns": torch.zeros_like(w["turns"]).index_add_(
                    0, memory.turn_of, by_click.sum(dim=1)
                ),
                "offsets": by_click.sum(dim=0),
                "match": (likes.sum(dim=2) * evidence.match).sum()[None],
                "own": own.sum(dim=0),
                "recent": by_age,
            }
        )


def _with_odds(facts: Tensor, chance: Tensor) -> Tensor:
    """Put the log odds of a chance behind the facts."""
    return torch.cat([facts, chance.clamp(LEAST, 1 - LEAST).logit()[:, None]], dim=1)
