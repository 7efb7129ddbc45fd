"""Losses over a batch's candidates."""

from __future__ import annotations

import torch
from torch import Tensor


def sampled_cross_entropy(
    scores: Tensor, candidates: Tensor, expected: Tensor, floor: float = 1.0
) -> Tensor:
    """Cross-entropy over the batch's targets and sampled negatives, corrected for the sampling.

    ``-mean_i log softmax_j(s_ij - log q_j)[i]``, where q_j is how often candidate j is expected
    among the candidates (Bengio & Senécal, 2008, "Adaptive Importance Sampling to Accelerate
    Training of a Neural Probabilistic Language Model"; known as the logQ correction). A candidate
    that equals a row's target in another column is left out of that row's softmax.

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

    Returns
    -------
    Tensor
        A scalar.

    """
    targets = torch.arange(len(scores), device=scores.device)
    corrected = scores - expected.clamp(min=floor).log().to(scores.dtype)
    repeated = candidates[: len(scores), None] == candidates
    repeated[targets, targets] = False
    return torch.nn.functional.cross_entropy(corrected.masked_fill(repeated, -torch.inf), targets)
