"""Exact ranks and best items over the whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .vocabulary import NO_ITEM

BLOCK_SCORES = 1 << 24
"""At most about this many scores (64 MiB in float32) are held at a time."""

SLACK = 4.0
"""Rounding errors of a score, in units of the last place of the largest it could be."""


@dataclass(slots=True)
class Births:
    """The items that enter the catalogue within a batch.

    Parameters
    ----------
    rows
        int64 (b,): their rows.
    clicks
        int64 (b,): the click of the batch in which each is first seen. An item competes for the
        clicks after that one.

    """

    rows: Tensor
    clicks: Tensor


@dataclass(slots=True)
class Ranking:
    """Ranks of the targets and, where asked for, the best items.

    Parameters
    ----------
    ranks
        int64 (m,): one more than the number of other items that score as high or higher, so ties
        count against the model; 0 where the target was not yet known; -1 where its score is not
        a number.
    best, scores
        int64 and float (m, k): rows of the best items and their scores, best first; a score of
        minus infinity means that there are fewer than k items.

    """

    ranks: Tensor
    best: Tensor
    scores: Tensor


def rank(
    outputs: Tensor,
    embedding: Tensor,
    bias: Tensor,
    targets: Tensor,
    clicks: Tensor,
    births: Births,
    k: int = 0,
) -> Ranking:
    """Rank each target among all the items known before its click.

    Works through blocks of clicks, so that memory stays bounded however large the catalogue.
    Scores that differ by no more than rounding count as equal, so equal rows always tie.

    Parameters
    ----------
    outputs
        (m, hidden): the network's outputs.
    embedding, bias
        (rows, hidden) and (rows,): of every row; the bias is minus infinity where a row holds no
        item.
    targets
        int64 (m,): row of the clicked item; `NO_ITEM` where it is not in the catalogue.
    clicks
        int64 (m,): place of the click in its batch.
    births
        The items first seen within the batch.
    k
        How many best items to give.

    """
    block = max(1, BLOCK_SCORES // max(1, len(bias)))
    parts = [
        _rank_block(*part, embedding, bias, births, k)
        for part in zip(
            outputs.split(block), targets.split(block), clicks.split(block), strict=True
        )
    ]
    if len(parts) == 1:
        return parts[0]
    return Ranking(
        torch.cat([part.ranks for part in parts]),
        torch.cat([part.best for part in parts]),
        torch.cat([part.scores for part in parts]),
    )


def _rank_block(
    outputs: Tensor,
    targets: Tensor,
    clicks: Tensor,
    embedding: Tensor,
    bias: Tensor,
    births: Births,
    k: int,
) -> Ranking:
    scores = torch.addmm(bias, outputs, embedding.T)
    unborn = clicks[:, None] <= births.clicks
    unseen = (unborn & (targets[:, None] == births.rows)).any(dim=1) | (targets == NO_ITEM)
    scores[:, births.rows] = scores[:, births.rows].masked_fill(unborn, -torch.inf)
    own = scores.gather(1, targets[:, None])
    # Columns of one product can be rounded differently: what rounding cannot tell apart is equal.
    size = outputs.norm(dim=1) * embedding[targets].norm(dim=1) + bias[targets].abs()
    slack = SLACK * torch.finfo(scores.dtype).eps * size[:, None]
    # Counting what is worse, not what is better, makes a score that is not a number count
    # against the model.
    ranks = len(bias) - (scores < own - slack).sum(dim=1)
    ranks.masked_fill_(torch.isnan(own.squeeze(1)), -1)
    ranks.masked_fill_(unseen, 0)
    top = torch.topk(scores, min(k, len(bias)), dim=1)
    return Ranking(ranks, top.indices, top.values)
