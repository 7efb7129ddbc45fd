"""The prediction of network and memory together: its ranks, and what it teaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.transfer import send
from ..items.best_items import best_items
from ..items.vocabulary import NO_ITEM
from ..ranking import SLACK, CatalogueRanker, Ranking, ranks_above
from .boost import Boost
from .evidence import Evidence
from .layout import Real, Whole
from .memory import Memory
from .mixture_kernel import Evaluation, Predictions, evaluate_mixture
from .special_items import padded, probabilities
from .weights import Parameters, cut


def mix(
    memory: Memory,
    evidence: Evidence,
    ranker: CatalogueRanker,
    part: slice,
    k: int,
    learn: bool,
) -> tuple[Ranking, Real]:
    """Rank some of a batch's targets by the mixture.

    Parameters
    ----------
    memory
        What weighs the evidence.
    evidence
        For all m clicks.
    ranker
        The targets.
    part
        Which c of them.
    k
        Number of best items to return.
    learn
        Whether the gradient is wanted.

    Returns
    -------
    ranking
        Of these targets.
    gradient
        Of −Σ log p(target) over the known ones, shaped like `Memory.vector`; zero if not wanted.

    """
    network, absent = network_probabilities(ranker, part, k)
    known = ~ranker.unseen[part] if learn else np.zeros(len(network), np.bool_)
    # The softmax adds rounding of its own.
    slack = SLACK * torch.finfo(network.dtype).eps * (ranker.size[part] + 1)
    mixture = Mixture(memory, evidence.of(part), network, known, slack)
    return mixture.ranking(ranker.items[part], absent, k), mixture.gradient


def network_probabilities(
    ranker: CatalogueRanker, part: slice, k: int
) -> tuple[Tensor, Tensor | None]:
    """Return the network's probabilities for some of the clicks: (c, rows).

    For lists of k best items also where no item is known, or may be listed: bool (c, rows).
    """
    scores = ranker.scores(part)
    absent = scores == -torch.inf if k else None
    if absent is not None and ranker.barred is not None:
        absent |= ranker.barred
    # Before the first item there is none to share the probability among: no item has it all.
    scores[:, NO_ITEM].masked_fill_(ranker.items[part] == 0, 0)
    # In place: twice the catalogue's scores would not fit the cache.
    return torch.softmax(scores, dim=1, out=scores), absent


class Mixture:
    """The prediction for c clicks; the equations stand at `Memory`.

    Only the *special* items are computed one by one: those that evidence speaks for, the session's
    own, and the target. All others come in the order of the network's softmax, times one factor a
    click.

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
        known: NDArray[np.bool_] | Tensor,
        slack: Tensor,
    ) -> None:
        self._network = network
        self._evidence = evidence
        others = [network.amax(dim=1), slack, *([known] if isinstance(known, Tensor) else [])]
        special, (highest, slacks, *given) = probabilities(network, evidence, *others)
        if not isinstance(known, Tensor):
            given = [known]
        self._evaluation = evaluation = _no_evaluation(evidence, special.dtype)
        self.gradient = np.zeros(len(memory.vector))
        weights, boost = cut(memory.vector.numpy())
        gradient, boost_gradient = cut(self.gradient)
        single = boost_gradient.astype(np.float32)
        evaluate_mixture(
            Parameters(weights, Boost.of(boost.astype(np.float32))),
            memory.boosted,
            evidence,
            Predictions(special, _real(highest), given[0], _real(slacks)),
            evaluation,
            Parameters(gradient, Boost.of(single)),
        )
        boost_gradient[:] = single

    def ranking(self, items: Tensor, absent: Tensor | None, k: int) -> Ranking:
        """Rank the targets, and return the k best items and their probabilities.

        Parameters
        ----------
        items
            int64 (c,): how many items are known.
        absent
            bool (c, rows): where no item is known; needed for lists only.
        k
            Number of best items to return.

        """
        network, evaluation = self._network, self._evaluation
        target_prob, n_above, threshold = send(
            [evaluation.target_prob, evaluation.n_above, evaluation.threshold], network.device
        )
        ranks = ranks_above(network, threshold[:, None]) + n_above
        # Where the probability is too small for a number, all items tie with it.
        ranks = torch.where(target_prob == 0, items, ranks).minimum(items)
        ranks.masked_fill_(target_prob.isnan(), -1)
        if absent is None:
            # New ones: a view would keep all the probabilities.
            none = (len(network), 0)
            return Ranking(ranks, ranks.new_empty(none), network.new_empty(none))
        return Ranking(ranks, *self._best(absent, min(k, network.shape[1])))

    def _best(self, absent: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the rows of the k best items and their probabilities: (c, k)."""
        network = self._network
        rows, probs = padded(self._evidence, self._evaluation.final)
        scales = self._evaluation.network_scale[:, None]
        special, final, scale = send([rows, probs, scales], network.device)
        final, scale = final.to(network), scale.to(network)
        rest = (network * scale).masked_fill_(absent, -1)
        values, best = rest.scatter_(1, special, -1.0).topk(k, dim=1)
        # A target that is not known yet is nothing to recommend.
        final.masked_fill_(absent.gather(1, special), -1)
        values, order = torch.cat([values, final], dim=1).topk(k, dim=1)
        best = torch.cat([best, special], dim=1).gather(1, order)
        # Where fewer than k items are known.
        return best, values.masked_fill_(values < 0, -torch.inf)

    def best(self, blocked: NDArray[np.bool_], counts: Whole) -> tuple[Whole, NDArray[np.float64]]:
        """Return the best rows and their probabilities, see `best_items`."""
        evaluation, evidence = self._evaluation, self._evidence
        special = evidence.spans, evidence.rows, evaluation.final
        return best_items(self._network, blocked, counts, evaluation.network_scale, *special)


def _real(values: NDArray[Any]) -> Real:
    return values.astype(np.float64)


def _no_evaluation(evidence: Evidence, dtype: np.dtype[Any]) -> Evaluation:
    clicks = len(evidence.spans)
    return Evaluation(
        np.full(len(evidence.rows), -1.0),
        np.zeros(clicks),
        np.zeros(clicks),
        np.zeros(clicks, dtype),
        np.zeros(clicks, np.int64),
    )
