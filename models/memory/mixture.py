"""The forecast of network and memory together: its ranks, and what it teaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..best_items import best_items
from ..compute.device import on_host
from ..compute.jit import compiled
from ..items.vocabulary import NO_ITEM
from ..ranking import SLACK, CatalogueRanker, Ranking, ranks_above
from .boost import Boost
from .history import Whole
from .memory import Evidence, Memory
from .mixture_kernel import Real, Weighed, weigh


def mix(
    memory: Memory, evidence: Evidence, race: CatalogueRanker, part: slice, k: int, learn: bool
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


def forecast(race: CatalogueRanker, part: slice, k: int) -> tuple[Tensor, Tensor | None]:
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
        self._evidence = evidence
        network_says = probabilities(network, evidence)
        count = len(evidence.spans)
        weights, boost = memory.cut(memory.vector.numpy())
        self.gradient = np.zeros(len(memory.vector))
        gradient, boost_gradient = memory.cut(self.gradient)
        self._weighed = Weighed(
            np.full(len(network_says), -1.0),
            np.zeros(count),
            np.zeros(count),
            np.zeros(count, network_says.dtype),
            np.zeros(count, np.int64),
        )
        single = boost_gradient.astype(np.float32)
        weigh(
            weights,
            Boost.of(boost.astype(np.float32)),
            memory.boosted,
            evidence,
            network_says,
            network.amax(dim=1).cpu().numpy().astype(np.float64),
            known,
            slack.cpu().numpy().astype(np.float64),
            self._weighed,
            gradient,
            Boost.of(single),
        )
        boost_gradient[:] = single

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
        network, weighed = self._network, self._weighed
        device = network.device
        target, better = (
            torch.from_numpy(of).to(device) for of in (weighed.target, weighed.n_above)
        )
        thresholds = torch.from_numpy(weighed.threshold).to(device)[:, None]
        ranks = ranks_above(network, thresholds) + better
        # Where the probability is too small for a number, all items tie with it.
        ranks = torch.where(target == 0, items, ranks).minimum(items)
        ranks.masked_fill_(target.isnan(), -1)
        if absent is None:
            # New ones: a view would keep all the probabilities.
            none = (len(network), 0)
            return Ranking(ranks, ranks.new_empty(none), network.new_empty(none))
        found = _side_by_side(self._evidence.spans, self._evidence.rows, weighed.final)
        special = torch.from_numpy(found[0]).to(device)
        k = min(k, network.shape[1])
        final, factor = (
            torch.from_numpy(of).to(network) for of in (found[1], weighed.network_scale[:, None])
        )
        rest = (network * factor).masked_fill_(absent, -1)
        values, best = rest.scatter_(1, special, -1.0).topk(k, dim=1)
        # A target that is not known yet is nothing to recommend.
        final.masked_fill_(absent.gather(1, special), -1)
        values, order = torch.cat([values, final], dim=1).topk(k, dim=1)
        return Ranking(ranks, torch.cat([best, special], dim=1).gather(1, order), values)

    def best(self, blocked: NDArray[np.bool_], counts: Whole) -> tuple[Whole, NDArray[np.float64]]:
        """Return the best rows and their probabilities, see `best_items`."""
        weighed, evidence = self._weighed, self._evidence
        special = evidence.spans, evidence.rows, weighed.final
        return best_items(self._network, blocked, counts, weighed.network_scale, *special)


def probabilities(network: Tensor, evidence: Evidence) -> NDArray[Any]:
    """Return the network's probability of each special item of some clicks, on the host.

    Parameters
    ----------
    network
        (c, rows): the network's probabilities.
    evidence
        For these c clicks.

    Returns
    -------
    ndarray
        (distinct,): where the evidence is of other clicks, anything.

    """
    if evidence.rows.max(initial=NO_ITEM) >= network.shape[1]:
        raise IndexError("evidence for a row that the catalogue does not have")
    if on_host(network):
        return _probabilities(network.numpy(), evidence.spans, evidence.rows)
    begins, ends = evidence.spans[:, 0], evidence.spans[:, 1]
    clicks = np.repeat(np.arange(len(begins)), ends - begins)
    places = [np.arange(begin, end) for begin, end in evidence.spans.tolist()]
    at = np.concatenate(places) if places else np.zeros(0, np.int64)
    where = torch.from_numpy(clicks), torch.from_numpy(evidence.rows[at].astype(np.int64))
    values = network[tuple(of.to(network.device) for of in where)].cpu().numpy()
    says = np.zeros(len(evidence.rows), values.dtype)
    says[at] = values
    return says


@compiled
def _probabilities(network: NDArray[Any], spans: Whole, rows: NDArray[np.int32]) -> NDArray[Any]:
    says = np.empty(len(rows), network.dtype)
    for click in range(len(spans)):
        for at in range(spans[click, 0], spans[click, 1]):
            says[at] = network[click, rows[at]]
    return says


def _side_by_side(
    spans: Whole, rows: NDArray[np.int32], values: NDArray[np.float64]
) -> tuple[Whole, NDArray[np.float64]]:
    """Return each click's rows and values, (c, most), filled up with row 0 and -1."""
    counts = spans[:, 1] - spans[:, 0]
    at = np.arange(max(1, counts.max(initial=0)))
    inside = at < counts[:, None]
    places = np.where(inside, spans[:, :1] + at, 0)
    if not len(rows):
        return np.zeros(places.shape, np.int64), np.full(places.shape, -1.0)
    return np.where(inside, rows[places], NO_ITEM).astype(np.int64), np.where(
        inside, values[places], -1.0
    )
