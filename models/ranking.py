"""Exact ranks and best items over the whole catalogue."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .compute.background import Task, Worker
from .compute.device import on_host
from .compute.jit import contracting
from .items.best_items import best_listed
from .items.table import pick
from .items.vocabulary import NO_ITEM
from .memory.evidence import Evidence, speaks_for_target
from .score_blocks import ROOM, BlockScan, Scanned, Wanted, Whole
from .torch_scan import TorchScan

MOST_CLICKS = 512
"""Clicks whose scores are scanned together, at most: a block of them stays in the cache."""

WORTH_HALVING = 32
"""At least so many clicks are ranked in two parts, with one scan in common."""

MARGIN = 5.0
"""Where evidence speaks for a target, the network's scores are listed from this far below the
target's own on: most bars of the mixture lie above."""

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

    Scores that differ by no more than rounding count as equal, so equal rows always tie. It works
    in phases: the targets' own scores, and so the bars that others must reach; one scan of all
    scores, block by block, shared by two threads; and ranks and lists from what that has found.

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
    shared
        Whether two threads share the work.

    Attributes
    ----------
    k
        How many best items are wanted.
    barred
        bool (rows,): what is not to be among the best items; None for nothing.
    evidence
        The memory's, where there is one: its items are special.
    own, size
        (m,): the targets' scores, and the largest that these could be.
    unseen
        bool (m,): the target was not yet known.
    parts
        Slices of the clicks, in order, so that two threads can share the work.

    """

    def __init__(
        self,
        outputs: Tensor,
        embedding: Tensor,
        bias: Tensor,
        targets: Tensor,
        clicks: Tensor,
        new_items: NewItems,
        shared: bool = False,
    ) -> None:
        self._outputs = outputs
        self._embedding = embedding
        self._bias = bias
        self._new_items = new_items
        self._clicks = clicks
        self.k = 0
        self.barred: Tensor | None = None
        self.evidence: Task[Evidence] | None = None
        self.own, self.size = own_scores(outputs, embedding, bias, targets)
        self.unseen = targets == NO_ITEM
        self.parts: list[slice] = []
        # Of each part, by its start: the chunk of clicks that are scored together.
        self._chunks: dict[int, Chunk] = {}
        whole = slice(0, max(1, len(outputs)))
        for chunk in cut(whole, -(-whole.stop // MOST_CLICKS), 1):
            parts = cut(chunk, 2 if shared and on_host(outputs) else 1, WORTH_HALVING // 2)
            self._chunks |= dict.fromkeys((part.start for part in parts), Chunk(chunk))
            self.parts += parts
        if len(new_items.rows):
            itself = targets[:, None] == new_items.rows
            self.unseen |= (self._unknown & itself).any(dim=1)

    @cached_property
    def items(self) -> Tensor:
        """int64 (m,): how many items were known."""
        known = (self._bias > torch.finfo(self._bias.dtype).min).sum()
        return known - self._unknown.sum(dim=1)

    @property
    def _unknown(self) -> Tensor:
        """Bool (m, b): which of the batch's new items a click comes before."""
        return self._clicks[:, None] <= self._new_items.clicks

    def begin(self, worker: Worker) -> None:
        """Begin to scan the scores on another thread; whoever asks for what is found helps."""
        for part in self.parts:
            worker.submit(self._scan(part).compute)

    def found(self, part: slice) -> Scanned:
        """Return what the scan of all scores found for a part of the clicks."""
        within = self._within(part)
        return self._scan(part).scanned().of(within)

    def _within(self, part: slice) -> slice:
        first = self._chunks[part.start].clicks.start
        return slice(part.start - first, part.stop - first)

    def _scan(self, part: slice) -> BlockScan | TorchScan:
        chunk = self._chunks[part.start]
        with chunk.lock:
            if chunk.scan is None:
                bars = self.bars(chunk.clicks)
                chunk.scan = self._scan_of(chunk.clicks, self._wanted(chunk.clicks, bars))
        return chunk.scan

    def _scan_of(self, clicks: slice | Tensor, wanted: Wanted) -> BlockScan | TorchScan:
        return scan(self._outputs[clicks], self._embedding, self._bias, wanted)

    def bars(self, clicks: slice) -> NDArray[Any]:
        """Return the scores that other items must reach to tie with the targets: (c,)."""
        own = self.own[clicks]
        # Products of other shapes round differently: what rounding cannot tell apart is equal. The
        # softmax adds rounding of its own.
        more = 1 if self.evidence else 0
        slack = SLACK * torch.finfo(own.dtype).eps * (self.size[clicks] + more)
        return (own - slack).cpu().numpy()

    def _wanted(self, clicks: slice, bars: NDArray[Any]) -> Wanted:
        """Return what is wanted of the scores of some clicks."""
        evidence = self.evidence.result().of(clicks) if self.evidence else None
        if self.k:
            floors = np.full_like(bars, -np.inf)
        else:
            floors = np.full_like(bars, np.inf)
            if evidence and on_host(self._outputs):
                near = speaks_for_target(evidence) & ~self.unseen[clicks].numpy()
                floors[near] = bars[near] - MARGIN
        room = min(max(ROOM, 2 * self.k), len(self._bias) + 1)
        barred = np.zeros((0, 0), np.bool_)
        if self.barred is not None:
            barred = self.barred[None].cpu().numpy()
        return Wanted(
            bars,
            floors,
            evidence is not None,
            room,
            evidence.spans if evidence else np.zeros((len(bars), 2), np.int64),
            evidence.rows if evidence else np.zeros(0, np.int32),
            self._new_items.rows.cpu().numpy(),
            self._new_items.clicks.cpu().numpy(),
            self._clicks[clicks].cpu().numpy(),
            barred,
        )

    def count(self, part: slice, bars: NDArray[Any], clicks: NDArray[np.bool_]) -> Whole:
        """Count the scores of items that are not special, from other bars on.

        Parameters
        ----------
        part
            Which c clicks.
        bars
            (c,): how many scores are at least as high is counted.
        clicks
            bool (c,): for which of them; the others have 0.

        """
        found, counts = self.found(part), np.zeros(len(bars), np.int64)
        if self.barred is None:
            listed = clicks & (bars > found.floor)
            counts[listed] = (found.listed[listed] >= bars[listed, None]).sum(axis=1)
            clicks = clicks & ~listed
        again = np.flatnonzero(clicks)
        if len(again):
            chunk, first = self._chunks[part.start].clicks, self._within(part).start
            wanted = self._wanted(chunk, self.bars(chunk)).only(first + again, bars[again])
            chosen = torch.from_numpy(part.start + again).to(self._outputs.device)
            counts[again] = self._scan_of(chosen, wanted).scanned().above
        return counts

    def rank(self, part: slice) -> Ranking:
        """Rank some of the targets by score, and return the k best items."""
        found = self.found(part)
        ranks = np.where(found.broken, -1, found.above)
        return self.ranking(part, ranks, found.listed, found.listed_rows)

    def ranking(
        self,
        part: slice,
        ranks: Whole,
        values: NDArray[Any],
        rows: NDArray[np.int32],
        special: tuple[Whole, NDArray[np.int32], NDArray[np.float64]] | None = None,
    ) -> Ranking:
        """Return the ranks of some targets, and the k best items of those that are listed.

        Parameters
        ----------
        part
            Which c targets.
        ranks
            int64 (c,).
        values, rows
            (c, l): what the listed items are ordered by, and their rows.
        special
            The special items': spans, rows and values, see `best_listed`.

        """
        device, dtype = self._outputs.device, self._outputs.dtype
        k = min(self.k, len(self._bias))
        best, scores = best_listed(values, rows, k, special)
        return Ranking(
            torch.from_numpy(ranks).to(device).masked_fill_(self.unseen[part], 0),
            torch.from_numpy(best).to(device),
            torch.from_numpy(scores).to(device, dtype),
        )

    def finish(self, rankings: Sequence[Ranking]) -> Ranking:
        """Join the rankings of all parts."""
        if len(rankings) == 1:
            return rankings[0]
        names = ("ranks", "best", "scores")
        return Ranking(*(torch.cat([getattr(of, name) for of in rankings]) for name in names))


class Chunk:
    """Clicks whose scores are scanned together.

    Attributes
    ----------
    clicks
        Which they are.
    scan, lock
        Made by whichever thread comes first.

    """

    def __init__(self, clicks: slice) -> None:
        self.clicks = clicks
        self.scan: BlockScan | TorchScan | None = None
        self.lock = threading.Lock()


def scan(outputs: Tensor, embedding: Tensor, bias: Tensor, wanted: Wanted) -> BlockScan | TorchScan:
    """Return a scan of all scores: compiled on a CPU in float32, else by operations of torch."""
    compiled_one = on_host(outputs) and outputs.dtype == torch.float32
    return (BlockScan if compiled_one else TorchScan)(outputs, embedding, bias, wanted)


def wanted_for_lists(
    clicks: int, k: int, barred: NDArray[np.bool_], evidence: Evidence | None
) -> Wanted:
    """Return what a scan has to find for lists of k items, and nothing else.

    Parameters
    ----------
    clicks
        Number of clicks.
    k
        How many items each list has.
    barred
        bool (clicks, rows): what is not to be listed.
    evidence
        The memory's, where there is one.

    """
    none, nowhere = np.zeros(0, np.int64), np.zeros((clicks, 2), np.int64)
    return Wanted(
        np.full(clicks, np.inf, np.float32),
        np.full(clicks, -np.inf, np.float32),
        evidence is not None,
        min(max(ROOM, 2 * k), barred.shape[1] + 1),
        evidence.spans if evidence else nowhere,
        evidence.rows if evidence else np.zeros(0, np.int32),
        none,
        none,
        np.zeros(clicks, np.int64),
        barred,
    )


def cut(whole: slice, parts: int, least: int) -> list[slice]:
    """Cut a slice into at most `parts` equal parts of at least `least`.

    Examples
    --------
    >>> cut(slice(10, 20), 3, least=3)
    [slice(10, 14, None), slice(14, 18, None), slice(18, 20, None)]
    >>> cut(slice(10, 20), 3, least=6)
    [slice(10, 20, None)]

    """
    count = whole.stop - whole.start
    size = -(-count // max(1, min(parts, count // least)))
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
    ranker.k, ranker.barred = k, barred
    return ranker.finish([ranker.rank(part) for part in ranker.parts])


def own_scores(
    outputs: Tensor, embedding: Tensor, bias: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return each target's score, and the largest that it could be: (m,) each."""
    if on_host(outputs):
        own, sizes = _own_scores(outputs.numpy(), embedding.numpy(), bias.numpy(), targets.numpy())
        return torch.from_numpy(own), torch.from_numpy(sizes)
    embedded, biases = pick(embedding, targets), pick(bias, targets)
    norms = outputs.norm(dim=1) * embedded.norm(dim=1)
    return (outputs * embedded).sum(dim=1) + biases, norms + biases.abs()


@contracting
def _own_scores(
    outputs: NDArray[Any], embedding: NDArray[Any], bias: NDArray[Any], targets: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any]]:
    own, sizes = np.empty(len(outputs), outputs.dtype), np.empty(len(outputs), outputs.dtype)
    zero = outputs.dtype.type(0)
    for row in range(len(outputs)):
        output, embedded = outputs[row], embedding[targets[row]]
        one, other, score = zero, zero, zero
        for place in range(len(output)):
            one += output[place] * output[place]
            other += embedded[place] * embedded[place]
            # Term after term, as a product of matrices adds them up.
            score += output[place] * embedded[place]
        own[row] = score + bias[targets[row]]
        sizes[row] = np.sqrt(one) * np.sqrt(other) + np.abs(bias[targets[row]])
    return own, sizes
