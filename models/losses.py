"""Losses over a batch's candidates, and over the whole catalogue.

All but `cross_entropy` have one signature and are in `LOSSES`, by name. In every one of them a
row's negatives are the candidates in the other columns, but for those that are no item (their
score is minus infinity) and those that repeat the row's own target: these are left out.

In the formulas s_ij is the score of candidate j at row i, whose target is candidate i; n_i is the
number of negatives of row i, Σ_j runs over these, and σ is the logistic function. w_ij is the
softmax over the negatives only: ``exp(s_ij) / Σ_k exp(s_ik)``. A row without negatives teaches
nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import elu as bend
from torch.nn.functional import logsigmoid, nll_loss


def sampled_cross_entropy(
    scores: Tensor,
    candidates: Tensor,
    expected: Tensor,
    floor: float = 1.0,
    *,
    logq: float = 1.0,
    smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy over the batch's targets and sampled negatives, corrected for the sampling.

    ``-mean_i log softmax_j(s_ij - log q_j)[i]``, where q_j is how often candidate j is expected
    among the candidates (Bengio & Senécal, 2008, "Adaptive Importance Sampling to Accelerate
    Training of a Neural Probabilistic Language Model"; known as the logQ correction). A candidate
    that equals a row's target in another column is left out of that row's softmax.

    Hidasi's GRU4Rec, whose ``logq`` is the one here, takes for q the item's count in the whole log,
    to the power alpha for sampled candidates, leaves repeats of the target in, and sums over the
    rows.

    Parameters
    ----------
    scores
        (m, c), c ≥ m: score of each candidate at each target. Column i is the target of row i.
    candidates
        int64 (c,): the candidates' rows; the first m are the targets.
    expected
        float (c,): q.
    floor
        q is taken to be at least this. Without it a new item, which is never expected, would be
        given so large a head start that it is never learned.
    logq
        How much of the correction is made: this multiplies ``log q``.
    smoothing
        Label smoothing: what part of a row's label is spread evenly over its target and negatives,
        see `cross_entropy`.

    Returns
    -------
    Tensor
        A scalar.

    """
    correction = logq * expected.clamp(min=floor).log().to(scores.dtype)
    corrected = (scores - correction).masked_fill(repeated(scores, candidates), -torch.inf)
    targets = torch.arange(len(scores), device=scores.device)
    return cross_entropy(corrected, targets, smoothing)


def repeated(scores: Tensor, candidates: Tensor) -> Tensor:
    """Return where a candidate repeats the row's target in another column: bool, as the scores."""
    return (candidates[: len(scores), None] == candidates).fill_diagonal_(False)


def cross_entropy(scores: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy over all columns; with a column for each item, over the whole catalogue.

    ``-mean_i [(1 - ε) log p_i[t_i] + ε mean_j log p_i[j]]`` with ``p_i = softmax_j(s_ij)`` and the
    target t_i. The second part is label smoothing (Szegedy et al., 2016, "Rethinking the Inception
    Architecture for Computer Vision", section 7): the label is ``1 - ε + ε/n`` for the target and
    ``ε/n`` for each other of n columns. Hidasi's GRU4Rec gives ``1 - ε`` and ``ε/(n-1)``, which is
    the same for ε greater by a factor of n/(n-1) here.

    Parameters
    ----------
    scores
        (m, n). A column of minus infinity is no item and has no part in the row.
    targets
        int64 (m,): the target's column.
    smoothing
        ε, from 0 to below 1.

    Returns
    -------
    Tensor
        A scalar.

    Examples
    --------
    >>> cross_entropy(torch.zeros(1, 8), torch.tensor([3]))  # log 8
    tensor(2.0794)

    """
    logarithms = scores.log_softmax(1)
    loss = nll_loss(logarithms, targets)
    if not smoothing:
        return loss
    inside = scores != -torch.inf
    spread = -logarithms.masked_fill(~inside, 0).sum(1) / inside.sum(1)
    return (1 - smoothing) * loss + smoothing * spread.mean()


def binary_cross_entropy(
    scores: Tensor,
    candidates: Tensor,
    expected: Tensor,
    floor: float = 1.0,
    *,
    logq: float = 0.0,
) -> Tensor:
    """Binary cross-entropy: whether each candidate, by itself, is the next click.

    ``mean_i [-log σ(s_ii) - 1/n_i Σ_j log(1 - σ(s_ij))]`` (Kang & McAuley, 2018, "Self-Attentive
    Sequential Recommendation", section III-E, who draw one negative). The mean over the negatives
    keeps the two parts in balance however many there are.

    With `logq` the scores are first lowered by ``logq · log max(floor, q_j)``. At 1 this is
    noise-contrastive estimation but for a constant (Mnih & Teh, 2012, "A Fast and Simple Algorithm
    for Training Neural Probabilistic Language Models"): the scores come to rank by how probable an
    item is, and not by how much more probable than as a negative.

    Parameters
    ----------
    scores, candidates, expected, floor
        As in `sampled_cross_entropy`.
    logq
        How much of the correction for the sampling is made.

    Returns
    -------
    Tensor
        A scalar.

    """
    corrected = scores - logq * expected.clamp(min=floor).log().to(scores.dtype)
    own, others, negative = _split(corrected, candidates)
    return (_mean(-logsigmoid(-others), negative) - _heed(logsigmoid(own[:, 0]), negative)).mean()


def bpr(scores: Tensor, candidates: Tensor, expected: Tensor, floor: float = 1.0) -> Tensor:
    """Bayesian personalised ranking: every negative is to score below the target.

    ``-mean_i 1/n_i Σ_j log σ(s_ii - s_ij)`` (Rendle et al., 2009, "BPR: Bayesian Personalized
    Ranking from Implicit Feedback", as Hidasi et al., 2016, "Session-based Recommendations with
    Recurrent Neural Networks", average it over the negatives). Hidasi's code sums instead, over
    rows and columns, the target's own column too, which adds log 2 a row.

    Parameters
    ----------
    scores, candidates
        As in `sampled_cross_entropy`.
    expected, floor
        Not used: the negatives count as they come.

    Returns
    -------
    Tensor
        A scalar.

    """
    own, others, negative = _split(scores, candidates)
    return _mean(-logsigmoid(own - others), negative).mean()


def bpr_max(
    scores: Tensor,
    candidates: Tensor,
    expected: Tensor,
    floor: float = 1.0,
    *,
    regularisation: float = 1.0,
    elu: float = 0.0,
) -> Tensor:
    """BPR against the negative of the highest score, made smooth by the softmax.

    ``mean_i [-log Σ_j w_ij σ(s_ii - s_ij) + λ Σ_j w_ij s_ij²]`` (Hidasi & Karatzoglou, 2018,
    "Recurrent Neural Networks with Top-k Gains for Session-based Recommendations"). The second part
    holds the scores of the negatives near zero, those the most that the softmax weighs most. w_ij
    has its part in the gradient.

    Hidasi's code adds 10⁻²⁴ inside the logarithm, so that a target more than about 55 below its
    negatives gets no gradient; here the logarithm is exact. It sums over the rows, and by default
    bends the scores with elu = 0.5; the formula has no such bend.

    Parameters
    ----------
    scores, candidates
        As in `sampled_cross_entropy`.
    expected, floor
        Not used: the negatives count as they come.
    regularisation
        λ.
    elu
        If not 0, a score s below 0 is first bent to ``elu · (exp(s) - 1)`` (Clevert et al., 2016,
        "Fast and Accurate Deep Network Learning by Exponential Linear Units"), so that none is
        less than ``-elu``. The order of the scores stays, so ranking needs no bend.

    Returns
    -------
    Tensor
        A scalar.

    """
    own, others, negative = _split(scores, candidates)
    if elu:
        own, others = bend(own, elu), bend(others, elu)
    weights = _log_weights(others, negative)
    missed = -_heed((weights + logsigmoid(own - others)).logsumexp(1), negative)
    return (missed + regularisation * _heed((weights.exp() * others**2).sum(1), negative)).mean()


def top1(scores: Tensor, candidates: Tensor, expected: Tensor, floor: float = 1.0) -> Tensor:
    """TOP1: how many negatives score above the target, made smooth, and all scores near zero.

    ``mean_i 1/n_i Σ_j [σ(s_ij - s_ii) + σ(s_ij²)]`` (Hidasi et al., 2016, "Session-based
    Recommendations with Recurrent Neural Networks", section 3.1.3). Hidasi's code sums over the
    rows and divides by the number of columns, the target's own too, which adds 1/2 to Σ_j.

    Parameters
    ----------
    scores, candidates
        As in `sampled_cross_entropy`.
    expected, floor
        Not used: the negatives count as they come.

    Returns
    -------
    Tensor
        A scalar.

    """
    own, others, negative = _split(scores, candidates)
    return _mean((others - own).sigmoid() + (others**2).sigmoid(), negative).mean()


def top1_max(scores: Tensor, candidates: Tensor, expected: Tensor, floor: float = 1.0) -> Tensor:
    """TOP1 against the negative of the highest score, made smooth by the softmax.

    ``mean_i Σ_j w_ij [σ(s_ij - s_ii) + σ(s_ij²)]`` (Hidasi & Karatzoglou, 2018, "Recurrent Neural
    Networks with Top-k Gains for Session-based Recommendations"). Hidasi's code sums over the rows.

    Parameters
    ----------
    scores, candidates
        As in `sampled_cross_entropy`.
    expected, floor
        Not used: the negatives count as they come.

    Returns
    -------
    Tensor
        A scalar.

    """
    own, others, negative = _split(scores, candidates)
    weights = _log_weights(others, negative).exp()
    terms = weights * ((others - own).sigmoid() + (others**2).sigmoid())
    return _heed(terms.sum(1), negative).mean()


LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross-entropy": sampled_cross_entropy,
    "bpr": bpr,
    "bpr-max": bpr_max,
    "top1": top1,
    "top1-max": top1_max,
    "binary-cross-entropy": binary_cross_entropy,
}
"""The losses over candidates: each is called with scores, candidates, expected and floor."""


def _split(scores: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Part the targets from the negatives.

    Returns
    -------
    own
        (m, 1): the scores of the targets.
    others
        (m, c): the scores, but 0 where a column is no negative of the row, so that nothing infinite
        can get into a gradient.
    negative
        bool (m, c): where it is one. A score that is not a number is one, and is seen in the loss.

    """
    negative = (candidates[: len(scores), None] != candidates) & (scores != -torch.inf)
    return scores.diagonal()[:, None], scores.masked_fill(~negative, 0), negative


def _mean(terms: Tensor, negative: Tensor) -> Tensor:
    """Average over each row's negatives: (m, c) to (m,)."""
    return terms.masked_fill(~negative, 0).sum(1) / negative.sum(1).clamp(min=1)


def _log_weights(others: Tensor, negative: Tensor) -> Tensor:
    """Take the logarithm of the softmax over each row's negatives: (m, c) to (m, c)."""
    # The lowest finite number, not minus infinity: a row without negatives must stay finite.
    return others.masked_fill(~negative, torch.finfo(others.dtype).min).log_softmax(1)


def _heed(losses: Tensor, negative: Tensor) -> Tensor:
    """Leave out the rows without negatives."""
    return losses.masked_fill(~negative.any(1), 0)
