"""Exact ranks and best items over the whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .vocabulary import NO_ITEM

BLOCK_ROWS = 4096
"""Rows of the table that are scored at a time on a CPU: their scores stay in its cache."""

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

    Works through blocks, so that memory stays bounded however large the catalogue. Scores that
    differ by no more than rounding count as equal, so equal rows always tie.

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
    goals = embedding[targets]
    own = (outputs * goals).sum(dim=1) + bias[targets]
    # Products of other shapes are rounded differently: what rounding cannot tell apart is equal.
    size = outputs.norm(dim=1) * goals.norm(dim=1) + bias[targets].abs()
    least = (own - SLACK * torch.finfo(own.dtype).eps * size)[:, None]
    unborn = clicks[:, None] <= births.clicks
    unseen = (unborn & (targets[:, None] == births.rows)).any(dim=1) | (targets == NO_ITEM)

    # Counting what is worse, not what is better, makes a score that is not a number count
    # against the model.
    worse = torch.zeros_like(targets)
    rows = max(1, BLOCK_SCORES // max(1, len(outputs)))
    if outputs.device.type == "cpu":
        rows = min(rows, BLOCK_ROWS)
    for block, shift in zip(embedding.split(rows), bias.split(rows), strict=True):
        worse += (torch.addmm(shift, outputs, block.T) < least).sum(dim=1)
    late = torch.addmm(bias[births.rows], outputs, embedding[births.rows].T)
    ranks = len(bias) - worse - (unborn & ~(late < least)).sum(dim=1)
    ranks.clamp_(min=1)
    ranks.masked_fill_(torch.isnan(own), -1)
    ranks.masked_fill_(unseen, 0)
    best, scores = _best(outputs, embedding, bias, unborn, births, k)
    return Ranking(ranks, best, scores)


def _best(
    outputs: Tensor, embedding: Tensor, bias: Tensor, unborn: Tensor, births: Births, k: int
) -> tuple[Tensor, Tensor]:
    """Give rows and scores of the k best items of each click."""
    k = min(k, len(bias))
    best = outputs.new_empty((len(outputs), k), dtype=torch.int64)
    values = outputs.new_empty((len(outputs), k))
    if k:
        block = max(1, BLOCK_SCORES // len(bias))
        for start in range(0, len(outputs), block):
            clicks = slice(start, start + block)
            scores = torch.addmm(bias, outputs[clicks], embedding.T)
            known = scores[:, births.rows].masked_fill(unborn[clicks], -torch.inf)
            scores[:, births.rows] = known
            values[clicks], best[clicks] = torch.topk(scores, k, dim=1)
    return best, values
