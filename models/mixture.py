"""The forecast of network and memory together: its ranks, and what it teaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .compiled import compiled
from .device import on_host
from .memory import Evidence, Memory, Weights
from .ranking import SLACK, Race, Ranking, ranks_above
from .vocabulary import NO_ITEM
from .weighing import Real, weigh_up


def mix(
    memory: Memory, evidence: Evidence, race: Race, part: slice, k: int, learn: bool
) -> tuple[Ranking, Real]:
    """Rank some of a batch's targets by the mixture.

    Parameters
    ----------
    memory
        What weighs the evidence.
    evidence
        For all m clicks.
    race
        The targets.
    part
        Which c of them.
    k
        How many best items to give.
    learn
        Whether the gradient is wanted.

    Returns
    -------
    ranking
        Of these targets.
    gradient
        Of −Σ log p(target) over the known ones, shaped like `Memory.vector`; zero if not wanted.

    """
    network, absent = forecast(race, part, k)
    known = (~race.unseen[part]).cpu().numpy() if learn else np.zeros(len(network), np.bool_)
    # The softmax adds rounding of its own.
    slack = SLACK * torch.finfo(network.dtype).eps * (race.size[part] + 1)
    mixture = Mixture(memory, evidence.of(part), network, known, slack)
    return mixture.ranking(race.items[part], absent, k), mixture.gradient


def forecast(race: Race, part: slice, k: int) -> tuple[Tensor, Tensor | None]:
    """Give the network's probabilities for some of the clicks: (c, rows).

    For lists of k best items also where no item is known: bool (c, rows).
    """
    scores = race.scores(part)
    absent = scores == -torch.inf if k else None
    # Before the first item there is none to share the probability among: no item has it all.
    scores[:, NO_ITEM].masked_fill_(race.items[part] == 0, 0)
    # In place: twice the catalogue's scores would not fit the cache.
    return torch.softmax(scores, dim=1, out=scores), absent


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
    network
        (c, rows): the network's probabilities.
    known
        bool (c,): over which clicks the gradient is wanted.
    slack
        (c,): what rounding cannot tell apart, as a share.

    Attributes
    ----------
    gradient
        Of −Σ log p(target), shaped like `Memory.vector`.

    """

    def __init__(
        self,
        memory: Memory,
        evidence: Evidence,
        network: Tensor,
        known: NDArray[np.bool_],
        slack: Tensor,
    ) -> None:
        self._network = network
        self._special = evidence.special
        says = probabilities(network, evidence.special)
        count = len(says)
        self.gradient = np.zeros(len(memory.vector))
        self._final = np.zeros(says.shape)
        self._goal, self._factor = np.zeros(count), np.zeros(count)
        self._bar, self._better = np.zeros(count, says.dtype), np.zeros(count, np.int64)
        weigh_up(
            memory.weights,
            *evidence,
            says,
            network.amax(dim=1).cpu().numpy().astype(np.float64),
            np.full(network.shape[1], -1, np.int32),
            known,
            slack.cpu().numpy().astype(np.float64),
            self._final,
            self._goal,
            self._factor,
            self._bar,
            self._better,
            Weights.of(self.gradient),
        )

    def ranking(self, items: Tensor, absent: Tensor | None, k: int) -> Ranking:
        """Rank the targets, and give the k best items and their probabilities.

        Parameters
        ----------
        items
            int64 (c,): how many items are known.
        absent
            bool (c, rows): where no item is known; needed for lists only.
        k
            How many best items to give.

        """
        network = self._network
        device = network.device
        goal, better = (torch.from_numpy(of).to(device) for of in (self._goal, self._better))
        ranks = ranks_above(network, torch.from_numpy(self._bar).to(device)[:, None]) + better
        # Where the probability is too small for a number, all items tie with it.
        ranks = torch.where(goal == 0, items, ranks).minimum(items)
        ranks.masked_fill_(goal.isnan(), -1)
        if absent is None:
            # New ones: a view would keep all the probabilities.
            none = (len(network), 0)
            return Ranking(ranks, ranks.new_empty(none), network.new_empty(none))
        special = torch.from_numpy(self._special).to(device).long()
        k = min(k, network.shape[1])
        final, factor = (
            torch.from_numpy(of).to(network) for of in (self._final, self._factor[:, None])
        )
        rest = (network * factor).masked_fill_(absent, -1)
        values, best = rest.scatter_(1, special, -1.0).topk(k, dim=1)
        # A target that is not known yet is nothing to recommend.
        final.masked_fill_(absent.gather(1, special), -1)
        values, order = torch.cat([values, final], dim=1).topk(k, dim=1)
        return Ranking(ranks, torch.cat([best, special], dim=1).gather(1, order), values)


def probabilities(network: Tensor, special: NDArray[np.int32]) -> NDArray[Any]:
    """Give the network's probability of each special item: (c, SPECIAL), on the host."""
    if on_host(network):
        if special.max(initial=NO_ITEM) >= network.shape[1]:
            raise IndexError("evidence for a row that the catalogue does not have")
        return _probabilities(network.numpy(), special)
    return network.gather(1, torch.from_numpy(special).to(network.device).long()).cpu().numpy()


@compiled
def _probabilities(network: NDArray[Any], special: NDArray[np.int32]) -> NDArray[Any]:
    says = np.empty(special.shape, network.dtype)
    for click in range(len(special)):
        for at in range(special.shape[1]):
            says[click, at] = network[click, special[click, at]]
    return says
