"""Exact ranks and best items over the whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .vocabulary import NO_ITEM

BLOCK_SCORES = 1 << 24
"""At most about this many scores (64 MiB in float32) are held at a time."""

BLOCK_ROWS = 1024
"""Rows whose scores are found at a time on a CPU."""

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
    """Ranks by something better than the network's scores alone."""

    def __call__(
        self, scores: Tensor, clicks: slice, slack: Tensor, unseen: Tensor, items: Tensor, k: int
    ) -> Ranking:
        """Rank some of the clicks.

        Parameters
        ----------
        scores
            (c, rows): the network's, minus infinity where a row holds no item that is known.
        clicks
            Which of the m clicks they belong to.
        slack
            (c,): what rounding cannot tell apart, as a share of a probability.
        unseen
            bool (c,): the target was not yet known.
        items
            int64 (c,): how many items were known.
        k
            How many best items to give.

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
        What ranks, where it is not the scores alone.

    """
    goals = embedding[targets]
    # Products of other shapes are rounded differently: what rounding cannot tell apart is equal.
    size = outputs.norm(dim=1) * goals.norm(dim=1) + bias[targets].abs()
    slack = SLACK * torch.finfo(size.dtype).eps * (size if mixer is None else size + 1)
    unborn = clicks[:, None] <= births.clicks
    unseen = (unborn & (targets[:, None] == births.rows)).any(dim=1) | (targets == NO_ITEM)
    items = (bias > -torch.inf).sum() - unborn.sum(dim=1)

    k = min(k, len(bias))
    block = max(1, BLOCK_SCORES // len(bias))
    parts = []
    for start in range(0, max(1, len(outputs)), block):
        part = slice(start, start + block)
        scores = products(outputs[part], embedding, bias)
        if len(births.rows):
            scores[:, births.rows] = scores[:, births.rows].masked_fill_(unborn[part], -torch.inf)
        if mixer is not None:
            parts.append(mixer(scores, part, slack[part], unseen[part], items[part], k))
            continue
        own = scores.gather(1, targets[part, None])
        ranks = count_at_least(scores, own - slack[part, None])
        values, best = torch.topk(scores, k, dim=1)
        parts.append(Ranking(ranks.masked_fill_(own[:, 0].isnan(), -1), best, values))
    ranks, best, values = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("ranks", "best", "scores")
    )
    return Ranking(ranks.masked_fill_(unseen, 0), best, values)


def products(outputs: Tensor, embedding: Tensor, bias: Tensor) -> Tensor:
    """Give the scores of all rows: (m, hidden) and (rows, hidden) to (m, rows).

    On a CPU in blocks of rows: so each block's scores are still in the cache when they are written
    out, and the product is half as fast again as one over all rows.
    """
    if outputs.device.type != "cpu" or len(bias) <= BLOCK_ROWS:
        return torch.addmm(bias, outputs, embedding.T)
    scores = outputs.new_empty((len(outputs), len(bias)))
    for start in range(0, len(bias), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        torch.addmm(bias[rows], outputs, embedding[rows].T, out=scores[:, rows])
    return scores


def count_at_least(values: Tensor, least: Tensor) -> Tensor:
    """Count in each row the values that are at least as large as its bar; -1 where one is no number.

    By the sum of the signs of their distances from the number just below the bar, which none of
    them can be equal to: twice as fast as to count where a comparison holds. Exact for up to 2²⁴
    values a row.

    Parameters
    ----------
    values
        (m, n).
    least
        (m, 1).

    Examples
    --------
    >>> count_at_least(torch.tensor([[1.0, 2.0, 3.0, 2.0]]), torch.tensor([[2.0]]))
    tensor([3])

    """
    below = torch.nextafter(least, least.new_tensor(-torch.inf))
    signs = (values - below).sign_().sum(dim=1)
    return ((signs + values.shape[1]) / 2).nan_to_num_(nan=-1.0).long()
