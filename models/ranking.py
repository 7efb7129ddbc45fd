"""Exact ranks and best items over the whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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


class Mixer(Protocol):
    """Turns scores into something better."""

    def __call__(self, scores: Tensor, clicks: slice) -> Tensor:
        """Give the probabilities of all rows for some of the clicks.

        Parameters
        ----------
        scores
            (c, rows): the network's, minus infinity where a row holds no item that is known; may
            be overwritten.
        clicks
            Which of the m clicks they belong to.

        Returns
        -------
        Tensor
            (c, rows): negative where a row holds no item that is known.

        """
        ...


def rank(
    outputs: Tensor,
    embedding: Tensor,
    bias: Tensor,
    targets: Tensor,
    clicks: Tensor,
    births: Births,
    k: int = 0,
    mixer: Mixer | None = None,
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
    mixer
        What makes probabilities of the scores, where it is not the scores that are ranked.

    """
    goals = embedding[targets]
    # Products of other shapes are rounded differently: what rounding cannot tell apart is equal.
    size = outputs.norm(dim=1) * goals.norm(dim=1) + bias[targets].abs()
    slack = SLACK * torch.finfo(size.dtype).eps * (size if mixer is None else size + 1)
    unborn = clicks[:, None] <= births.clicks
    unseen = (unborn & (targets[:, None] == births.rows)).any(dim=1) | (targets == NO_ITEM)

    ranks = torch.empty_like(targets)
    k = min(k, len(bias))
    best = outputs.new_empty((len(outputs), k), dtype=torch.int64)
    values = outputs.new_empty((len(outputs), k))
    block = max(1, BLOCK_SCORES // len(bias))
    for start in range(0, len(outputs), block):
        part = slice(start, start + block)
        scores = torch.addmm(bias, outputs[part], embedding.T)
        known = scores[:, births.rows].masked_fill(unborn[part], -torch.inf)
        scores[:, births.rows] = known
        if mixer is not None:
            scores = mixer(scores, part)
        own = scores.gather(1, targets[part, None])
        least = own - slack[part, None] * (1 if mixer is None else own)
        # Counting what is worse, not what is better, makes a score that is not a number count
        # against the model.
        found = scores.shape[1] - (scores < least).sum(dim=1)
        ranks[part] = found.masked_fill(torch.isnan(own[:, 0]), -1)
        if k:
            values[part], best[part] = torch.topk(scores, k, dim=1)
    ranks.masked_fill_(unseen, 0)
    return Ranking(ranks, best, values)
