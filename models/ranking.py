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

from .compute.background import Task, Worker, cut
from .compute.device import on_host
from .compute.half_scores import scan
from .compute.score_blocks import ROOM, BlockScan, Scanned, Wanted, Whole
from .compute.torch_scan import Asked, TorchScan, flat
from .compute.transfer import send
from .items.best_items import best_listed
from .items.own_scores import own_scores
from .items.vocabulary import NO_ITEM
from .memory.evidence import Evidence, speaks_for_target

MOST_CLICKS = 512
"""Clicks whose scores are scanned together, at most: a block of them stays in the cache."""

WORTH_HALVING = 32
"""At least so many clicks are ranked in two parts, with one scan in common."""

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
    """Ranks of the targets and, where asked for, the best items: on the host.

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
    half
        Whether scores may be computed in bfloat16 first, see `HalfScan`.
    late
        bool (m,): nothing is counted before the mixture's bars are known.
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
        self.half = False
        self.late = np.zeros(len(outputs), np.bool_)
        self.barred: NDArray[np.bool_] | None = None
        self.evidence: Task[Evidence] | None = None
        self.own, self.size = own_scores(outputs, embedding, bias, targets)
        self.unseen = targets == NO_ITEM
        self.parts: list[slice] = []
        # Of each part, by its start: the chunk of clicks that are scored together.
        self._chunks: dict[int, Chunk] = {}
        whole = slice(0, max(1, len(outputs)))
        host = on_host(outputs)
        # On a GPU each chunk would cost a wait.
        for chunk in cut(whole, -(-whole.stop // MOST_CLICKS) if host else 1, 1):
            parts = cut(chunk, 2 if shared and host else 1, WORTH_HALVING // 2)
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
        # A GPU queues its work by itself, and the evidence may come later.
        for part in self.parts if on_host(self._outputs) else ():
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
                scores = self._outputs[chunk.clicks], self._embedding, self._bias
                if on_host(self._outputs):
                    chunk.scan = scan(*scores, self._wanted(chunk.clicks), self.half)
                else:
                    chunk.scan = TorchScan(*scores, self._asked(), self._about_targets)
        return chunk.scan

    def _bars(self, clicks: slice) -> Tensor:
        """Return the scores that other items must reach to tie with the targets: (c,)."""
        own = self.own[clicks]
        # Products of other shapes round differently: what rounding cannot tell apart is equal. The
        # softmax adds rounding of its own.
        more = 1 if self.evidence else 0
        return own - SLACK * torch.finfo(own.dtype).eps * (self.size[clicks] + more)

    def _wanted(self, clicks: slice) -> Wanted:
        """Return what is wanted of the scores of some clicks, on the host."""
        evidence = self.evidence.result().of(clicks) if self.evidence else None
        bars = self._bars(clicks).numpy()
        if evidence and self.half:
            # Scores close to a bar are computed twice: not for a bar that is not used.
            self.late[clicks] = speaks_for_target(evidence)
            bars = np.where(self.late[clicks], np.inf, bars).astype(bars.dtype)
        return Wanted(
            bars,
            evidence is not None,
            self._room,
            *_special(evidence, len(bars)),
            self._new_items.rows.numpy(),
            self._new_items.clicks.numpy(),
            self._clicks[clicks].numpy(),
            self._unlisted,
        )

    def _asked(self) -> Asked:
        """Return what is wanted of all scores, on a device that is not the host."""
        evidence = self.evidence.result() if self.evidence else None
        spans, rows = _special(evidence, self.own.shape[0])
        special, unlisted = [self._clicks[:0]] * 3, self.unseen[:0]
        if evidence or self.barred is not None:
            arrays = self._unlisted, *flat(spans, rows)
            unlisted, *special = send(arrays, self._outputs.device)
        wanted = self._bars(slice(None)), evidence is not None, self._room
        new = self._new_items.rows, self._unknown
        return Asked(*wanted, spans, rows, special, *new, unlisted)

    @property
    def _room(self) -> int:
        return room_for(self.k, self._bias.shape[0])

    @property
    def _unlisted(self) -> NDArray[np.bool_]:
        return np.zeros((0, 0), np.bool_) if self.barred is None else self.barred[None]

    @property
    def _about_targets(self) -> list[Tensor]:
        return [self.unseen, self.size, self.items] if self.evidence else [self.unseen]

    def about_targets(self, part: slice) -> list[NDArray[Any]]:
        """Return `unseen` of some targets, on the host; with evidence, also `size` and `items`."""
        scan = self._scan(part)
        if isinstance(scan, TorchScan) and not on_host(self._outputs):
            scan.scanned()
            return scan.others
        return [of[part].numpy() for of in self._about_targets]

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
        counts, again = np.zeros(len(bars), np.int64), np.flatnonzero(clicks)
        if len(again):
            first = self._within(part).start
            counts[again] = self._scan(part).count(first + again, bars[again])
        return counts

    def rank(self, part: slice) -> Ranking:
        """Rank some of the targets by score, and return the k best items."""
        found = self.found(part)
        # A target is among those that reach its bar, however the product rounds its score.
        ranks = np.where(found.broken, -1, np.maximum(found.above, 1))
        (unseen,) = self.about_targets(part)[:1]
        return self.ranking(unseen, ranks, found.listed, found.listed_rows)

    def ranking(
        self,
        unseen: NDArray[np.bool_],
        ranks: Whole,
        values: NDArray[Any],
        rows: NDArray[np.int32],
        special: tuple[Whole, NDArray[np.int32], NDArray[np.float64]] | None = None,
    ) -> Ranking:
        """Return the ranks of some targets, and the k best items of those that are listed.

        Parameters
        ----------
        unseen, ranks
            Bool and int64 (c,).
        values, rows
            (c, l): what the listed items are ordered by, and their rows.
        special
            The special items': spans, rows and values, see `best_listed`.

        """
        k = min(self.k, self._bias.shape[0])
        best, scores = best_listed(values, rows, k, special)
        return Ranking(
            torch.from_numpy(np.where(unseen, 0, ranks)),
            torch.from_numpy(best),
            torch.from_numpy(scores).to(self._outputs.dtype),
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


def wanted_for_lists(
    clicks: int,
    k: int,
    barred: NDArray[np.bool_],
    special: tuple[Whole, NDArray[np.int32]] | None,
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
    special
        Where there is a memory: the spans and rows of the items that it has evidence for.

    """
    none = np.zeros(0, np.int64)
    return Wanted(
        np.full(clicks, np.inf, np.float32),
        special is not None,
        room_for(k, barred.shape[1]),
        *(special or (np.zeros((clicks, 2), np.int64), np.zeros(0, np.int32))),
        none,
        none,
        np.zeros(clicks, np.int64),
        barred,
    )


def room_for(k: int, rows: int, least: int = ROOM) -> int:
    """Return how many scores a scan may list for lists of k of so many items."""
    return min(max(least, 2 * k), rows + 1) if k else 0


def _special(evidence: Evidence | None, clicks: int) -> tuple[Whole, NDArray[np.int32]]:
    """Return the spans and rows of the special items of some clicks."""
    if evidence:
        return evidence.spans, evidence.rows
    return np.zeros((clicks, 2), np.int64), np.zeros(0, np.int32)


def rank(
    outputs: Tensor,
    embedding: Tensor,
    bias: Tensor,
    targets: Tensor,
    clicks: Tensor,
    new_items: NewItems,
    k: int = 0,
    barred: NDArray[np.bool_] | None = None,
) -> Ranking:
    """Rank each target among all items known before its click, with a `CatalogueRanker`."""
    ranker = CatalogueRanker(outputs, embedding, bias, targets, clicks, new_items)
    ranker.k, ranker.barred = k, barred
    return ranker.finish([ranker.rank(part) for part in ranker.parts])
