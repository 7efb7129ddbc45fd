"""Exact ranks and best items over the whole catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .compute.background import Worker
from .compute.device import on_host
from .compute.jit import summing
from .items.table import pick
from .items.vocabulary import NO_ITEM
from .score_blocks import ScoreBlocks

BLOCK_SCORES = 1 << 24
"""Scores that each thread holds at a time, at most about (64 MiB in float32)."""

GPU_SCORES = 1 << 29
"""Scores that a GPU holds at a time (2 GiB in float32): each part of a batch costs a wait."""

LEAST_CLICKS, MOST_CHUNKS = 96, 6
"""Where two threads share the work, the clicks are cut into at most `MOST_CHUNKS` chunks of
`LEAST_CLICKS` or more, if the scores fit."""

WORTH_HALVING = 32
"""A chunk of at least this many clicks is ranked in two parts there, with scores in common."""

COUNTED = 1 << 20
"""Largest count kept in float32, which is exact up to 2 to the power of 24."""

SLACK = 4.0
"""Rounding errors of a score, in units of the last place of the largest it could be."""


@dataclass(slots=True)
class NewItems:
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
        count against the model; 0 where the target was not yet known; -1 where a score is not a
        number.
    best, scores
        int64 and float (m, k): rows of the best items and their scores, best first; a score of
        minus infinity means that there are fewer than k items.

    """

    ranks: Tensor
    best: Tensor
    scores: Tensor


class CatalogueRanker:
    """The targets of a batch, each to be ranked among all the items known before its click.

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
    new_items
        The items first seen within the batch.
    width
        Other numbers that a click needs while it is ranked, where these are more than its scores.
    shared
        Whether two threads share the work.

    Attributes
    ----------
    size
        (m,): the largest that a target's score could be.
    unseen
        bool (m,): the target was not yet known.
    barred
        bool (rows,): what is not to be among the best items; None for nothing.
    parts
        Slices of the clicks, in order, so that RAM stays bounded however large the catalogue, and
        two threads can share the work.

    """

    def __init__(
        self,
        outputs: Tensor,
        embedding: Tensor,
        bias: Tensor,
        targets: Tensor,
        clicks: Tensor,
        new_items: NewItems,
        width: int = 0,
        shared: bool = False,
    ) -> None:
        self._bias = bias
        self._new_items = new_items
        self.targets = targets
        self.size = sizes(outputs, embedding, bias, targets)
        self._clicks = clicks
        self.barred: Tensor | None = None
        self.unseen = targets == NO_ITEM
        held = BLOCK_SCORES if on_host(outputs) else GPU_SCORES
        most = max(1, held // max(len(bias), width))
        shared = shared and on_host(outputs)
        chunks = MOST_CHUNKS if shared else 1
        self.parts: list[slice] = []
        # Of each part, by its start: the scores of its chunk, and where in these its own begin.
        self._blocks: dict[int, tuple[ScoreBlocks, int]] = {}
        for chunk in cut(slice(0, max(1, len(outputs))), chunks, LEAST_CLICKS, most):
            parts = cut(chunk, 2 if shared else 1, WORTH_HALVING // 2, most)
            blocks = ScoreBlocks(outputs[chunk], embedding, bias, len(parts))
            self._blocks |= {part.start: (blocks, part.start - chunk.start) for part in parts}
            self.parts += parts
        for part in self.parts if len(new_items.rows) else ():
            itself = targets[part, None] == new_items.rows
            self.unseen[part] |= (self._unknown(part) & itself).any(dim=1)

    @cached_property
    def items(self) -> Tensor:
        """int64 (m,): how many items were known."""
        least = self._bias.new_full((1, 1), torch.finfo(self._bias.dtype).min)
        unknown = torch.cat([self._unknown(part).sum(dim=1) for part in self.parts])
        return ranks_above(self._bias[None], least) - unknown

    def _unknown(self, part: slice) -> Tensor:
        """Bool (c, b): which of the batch's new items a part of the clicks comes before."""
        return self._clicks[part, None] <= self._new_items.clicks

    def begin(self, worker: Worker) -> None:
        """Begin to compute the scores on another thread; whoever asks for them helps."""
        for part in self.parts:
            worker.submit(self._blocks[part.start][0].compute)

    def scores(self, part: slice) -> Tensor:
        """Return the scores of all rows for a part of the clicks, once: (c, rows).

        Minus infinity where a row holds no item that is known before the click.
        """
        blocks, first = self._blocks[part.start]
        scores = blocks.read(slice(first, first + part.stop - part.start))
        rows = self._new_items.rows
        if len(rows):
            scores[:, rows] = scores[:, rows].masked_fill_(self._unknown(part), -torch.inf)
        return scores

    def rank(self, part: slice, k: int) -> Ranking:
        """Rank some of the targets by score, and return the k best items."""
        scores = self.scores(part)
        own = scores.gather(1, self.targets[part, None])
        # Products of other shapes round differently: what rounding cannot tell apart is equal.
        slack = SLACK * torch.finfo(own.dtype).eps * self.size[part, None]
        ranks = ranks_above(scores, own - slack).masked_fill_(self.unseen[part], 0)
        if k and self.barred is not None:
            scores.masked_fill_(self.barred, -torch.inf)
        if k:
            values, best = torch.topk(scores, min(k, scores.shape[1]), dim=1)
        else:
            # New ones: a view would keep all the scores.
            values = scores.new_empty((len(scores), 0))
            best = self.targets.new_empty((len(scores), 0))
        return Ranking(ranks, best, values)

    def finish(self, rankings: Sequence[Ranking]) -> Ranking:
        """Join the rankings of all parts."""
        together = rankings[0]
        if len(rankings) > 1:
            together = Ranking(
                *(
                    torch.cat([getattr(ranking, name) for ranking in rankings])
                    for name in ("ranks", "best", "scores")
                )
            )
        together.ranks.masked_fill_(self.unseen, 0)
        return together


def cut(whole: slice, parts: int, least: int, most: int) -> list[slice]:
    """Cut a slice into at most `parts` equal parts of at least `least`, and never more than `most`.

    Examples
    --------
    >>> cut(slice(10, 20), 3, least=3, most=10)
    [slice(10, 14, None), slice(14, 18, None), slice(18, 20, None)]
    >>> cut(slice(10, 20), 3, least=6, most=8)
    [slice(10, 18, None), slice(18, 20, None)]

    """
    count = whole.stop - whole.start
    share = -(-count // max(1, min(parts, count // least)))
    size = min(share, most)
    return [slice(at, min(at + size, whole.stop)) for at in range(whole.start, whole.stop, size)]


def rank(
    outputs: Tensor,
    embedding: Tensor,
    bias: Tensor,
    targets: Tensor,
    clicks: Tensor,
    new_items: NewItems,
    k: int = 0,
    barred: Tensor | None = None,
) -> Ranking:
    """Rank each target among all items known before its click, with a `CatalogueRanker`."""
    ranker = CatalogueRanker(outputs, embedding, bias, targets, clicks, new_items)
    ranker.barred = barred
    return ranker.finish([ranker.rank(part, k) for part in ranker.parts])


def sizes(outputs: Tensor, embedding: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Return the largest that each target's score could be: (m,)."""
    if on_host(outputs):
        of = (outputs.numpy(), embedding.numpy(), bias.numpy(), targets.numpy())
        return torch.from_numpy(_sizes(*of))
    norms = outputs.norm(dim=1) * pick(embedding, targets).norm(dim=1)
    largest: Tensor = norms + pick(bias, targets).abs()
    return largest


@summing
def _sizes(
    outputs: NDArray[Any], embedding: NDArray[Any], bias: NDArray[Any], targets: NDArray[np.int64]
) -> NDArray[Any]:
    sizes = np.empty(len(outputs), outputs.dtype)
    for row in range(len(outputs)):
        output, embedded = outputs[row], embedding[targets[row]]
        one, other = sizes.dtype.type(0), sizes.dtype.type(0)
        for place in range(len(output)):
            one += output[place] * output[place]
            other += embedded[place] * embedded[place]
        sizes[row] = np.sqrt(one) * np.sqrt(other) + np.abs(bias[targets[row]])
    return sizes


def ranks_above(values: Tensor, least: Tensor) -> Tensor:
    """Count each row's values that are at least as large as its threshold.

    Parameters
    ----------
    values
        (m, n); minus infinity where there is no value.
    least
        (m, 1); infinity where none is large enough.

    Returns
    -------
    Tensor
        int64 (m,); -1 for a row that has no rank: a value, or its threshold, is not a number, or a
        value is infinite.

    Examples
    --------
    >>> ranks_above(torch.tensor([[1.0, 2.0, 3.0, 2.0]]), torch.tensor([[2.0]]))
    tensor([3])

    """
    if on_host(values):
        return torch.from_numpy(_ranks_above(values.numpy(), least[:, 0].numpy()))
    broken = ~((values < torch.inf).all(dim=1) & (least[:, 0] <= torch.inf))
    return (values >= least).sum(dim=1).masked_fill_(broken, -1)


@summing
def _ranks_above(values: NDArray[Any], least: NDArray[Any]) -> NDArray[np.int64]:
    ranks, columns = np.empty(len(values), np.int64), values.shape[1]
    # Counted in the values' own type, many at a time, and no further than it counts exactly.
    zero, one = values.dtype.type(0), values.dtype.type(1)
    for row in range(len(values)):
        threshold, rank = least[row], 0
        odd = zero if threshold <= np.inf else one
        for start in range(0, columns, COUNTED):
            above, part = zero, values[row, start : start + COUNTED]
            for at in range(len(part)):
                above += one if part[at] >= threshold else zero
                odd += zero if part[at] < np.inf else one
            rank += int(above)
        ranks[row] = rank if odd == zero else -1
    return ranks
