"""The prediction of network and memory together: its ranks, and what it teaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..compute.score_blocks import Scanned
from ..ranking import SLACK, CatalogueRanker, Ranking
from .boost import Boost
from .evidence import Evidence
from .layout import Real
from .memory import Memory
from .mixture_kernel import Evaluation, Predictions, evaluate_mixture
from .special_items import share_scores
from .weights import Parameters, cut


def mix(
    memory: Memory, evidence: Evidence, ranker: CatalogueRanker, part: slice, learn: bool
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
    learn
        Whether the gradient is wanted.

    Returns
    -------
    ranking
        Of these targets.
    gradient
        Of −Σ log p(target) over the known ones, shaped like `Memory.vector`; zero if not wanted.

    """
    found, (unseen, size, items) = ranker.found(part), ranker.about_targets(part)
    # The softmax adds rounding of its own.
    eps = torch.finfo(ranker.size.dtype).eps
    slack = SLACK * eps * (size.astype(np.float64) + 1)
    mixture = Mixture(memory, evidence.of(part), found, ~unseen & learn, slack)
    bars = mixture.bars(found.highest.dtype)
    counted = mixture.alone & ~ranker.late[part]
    above = np.where(counted, found.above, 0)
    above += ranker.count(part, bars, ~counted & ~unseen & ~found.broken)
    ranks = mixture.ranks(above, items)
    if not ranker.k:
        none = found.listed[:, :0], found.listed_rows
        return ranker.ranking(unseen, ranks, *none), mixture.gradient
    listed = mixture.probabilities(found.listed)
    special = mixture.special(None if ranker.barred is None else ranker.barred[None])
    return ranker.ranking(unseen, ranks, listed, found.listed_rows, special), mixture.gradient


class Mixture:
    """The prediction for c clicks; the equations stand at `Memory`.

    Only the *special* items are computed one by one: those that evidence speaks for, the session's
    own, and the target. All others come in the order of the network's scores: they have the
    network's probability, times one factor a click.

    Parameters
    ----------
    memory
        What weighs the evidence.
    evidence
        For the c clicks.
    found
        What was found among the network's scores, the special items apart.
    known
        bool (c,): over which clicks the gradient is wanted.
    slack
        (c,): what rounding cannot tell apart, as a share.

    Attributes
    ----------
    gradient
        Of −Σ log p(target), shaped like `Memory.vector`.
    top
        (c,): the network's highest probability; not a number where a score is none.

    """

    def __init__(
        self,
        memory: Memory,
        evidence: Evidence,
        found: Scanned,
        known: NDArray[np.bool_],
        slack: Real,
    ) -> None:
        self._evidence = evidence
        self._scores = found.special
        shares = share_scores(
            evidence.spans, found.special, found.highest, found.total, found.broken
        )
        special, self.top, self._norm = shares
        self._evaluation = evaluation = _no_evaluation(evidence)
        self.gradient = np.zeros(len(memory.vector))
        weights, boost = cut(memory.vector.numpy())
        gradient, boost_gradient = cut(self.gradient)
        # Added up with as many digits as the scores have.
        sums = boost_gradient.astype(found.special.dtype)
        evaluate_mixture(
            Parameters(weights, Boost.of(boost.astype(np.float32))),
            memory.boosted,
            evidence,
            Predictions(special, self.top, known, slack),
            evaluation,
            Parameters(gradient, Boost.of(sums)),
        )
        boost_gradient[:] = sums

    @property
    def alone(self) -> NDArray[np.bool_]:
        """Bool (c,): nothing but the network speaks for the target."""
        return self._evaluation.alone

    def bars(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the network's scores that other items need to reach the targets: (c,)."""
        # Below zero where the target is not known, and all that is counted is not used.
        threshold = np.maximum(self._evaluation.threshold, 0)
        with np.errstate(divide="ignore"):
            bars: NDArray[Any] = (np.log(threshold) + self._norm).astype(dtype)
        return bars

    def ranks(self, above: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the targets' ranks; -1 where a score is not a number.

        Parameters
        ----------
        above
            int64 (c,): how many other items reach each target.
        items
            int64 (c,): how many items are known.

        """
        evaluation = self._evaluation
        ranks = np.minimum(above + evaluation.n_above, items)
        # Where the probability is too small for a number, all items tie with it.
        ranks = np.where(evaluation.target_prob == 0, items, ranks)
        return np.where(np.isnan(evaluation.target_prob), -1, ranks)

    def probabilities(self, scores: NDArray[Any]) -> Real:
        """Return the probabilities of other items from their scores, (c, l); -inf where none."""
        probs = np.exp(scores - self._norm[:, None]) * self._evaluation.network_scale[:, None]
        return np.where(scores == -np.inf, -np.inf, probs)

    def special(
        self, barred: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], Real]:
        """Return the special items' spans, rows and probabilities; -inf for what is not listed.

        Parameters
        ----------
        barred
            bool (c or 1, rows): what is not to be listed; None for nothing.

        """
        spans, rows = self._evidence.spans, self._evidence.rows
        # What is not known yet is nothing to recommend.
        final = np.where(self._scores == -np.inf, -np.inf, self._evaluation.final)
        if barred is not None:
            for click, (begin, end) in enumerate(spans):
                hidden = barred[min(click, len(barred) - 1), rows[begin:end]]
                final[begin:end][hidden] = -np.inf
        return spans, rows, final


def _no_evaluation(evidence: Evidence) -> Evaluation:
    clicks = len(evidence.spans)
    return Evaluation(
        np.full(len(evidence.rows), -1.0),
        np.zeros(clicks),
        np.zeros(clicks),
        np.zeros(clicks),
        np.zeros(clicks, np.int64),
        np.zeros(clicks, np.bool_),
    )
