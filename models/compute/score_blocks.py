"""The scores of all items, block by block: never all of them are written."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .block_pass import (
    LANES,
    PIECE,
    Apart,
    Found,
    Lists,
    Single,
    Work,
    list_block,
    pass_block,
    take_apart,
)
from .group_counts import Groups, Rows, count_in_groups
from .jit import compiled

Whole = NDArray[np.int64]
Small = NDArray[np.int32]

BLOCK_SCORES, BLOCK_ROWS, MANY_ROWS = 1 << 18, 1024, 1 << 17
"""Scores of a block, about: they stay in the cache. Rows of one, at least and at most."""

MOST_GROUPS = 0.25
"""Of all groups: where more of them reach a bar, all scores are computed again."""

ROOM = 512
"""Scores that are listed for a click by each thread at most, the better half of them at least."""


@dataclass(slots=True)
class Wanted:
    """What is to be found among the scores of m clicks, and which scores stand apart.

    Parameters
    ----------
    bars
        (m,): how many scores are at least as high is counted.
    sums
        Whether the highest scores and the sums of exponentials are wanted; then other bars may
        come later.
    room
        How many of the best scores may be listed a click, see `ROOM`; 0 for no lists.
    spans, rows
        int64 (m, 2) and int32 (n,): the special items of click i are
        ``rows[spans[i, 0] : spans[i, 1]]``, each once. Their scores are returned; they are neither
        counted nor summed nor listed.
    new_rows, new_clicks
        int64 (b,): items that enter within the batch compete only after these of its clicks.
    known_from
        int64 (m,): place of each click in its batch.
    barred
        bool (m or 1, rows): what is not to be listed; (0, 0) for nothing.

    """

    bars: NDArray[Any]
    sums: bool
    room: int
    spans: Whole
    rows: Small
    new_rows: Whole
    new_clicks: Whole
    known_from: Whole
    barred: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), np.bool_))

    def only(self, clicks: Whole, bars: NDArray[Any]) -> Wanted:
        """Return that some clicks' scores are counted from other bars on, and nothing else."""
        nothing = False, 0
        special, new = (self.spans[clicks], self.rows), (self.new_rows, self.new_clicks)
        return Wanted(bars, *nothing, *special, *new, self.known_from[clicks])


@dataclass(slots=True)
class Scanned:
    """What was found among the scores of m clicks.

    Parameters
    ----------
    above
        int64 (m,): scores at least as high as the bar.
    highest, total
        (m,) and float64 (m,): the highest score, and the sum of ``exp(score - highest)``.
    special
        (n,): the scores of the special items.
    broken
        bool (m,): a score is not a number, or is infinite.
    listed, listed_rows
        (m, l) and int32 (m, l): the listed scores, in no order; minus infinity where there are
        fewer.

    """

    above: Whole
    highest: NDArray[Any]
    total: NDArray[np.float64]
    special: NDArray[Any]
    broken: NDArray[np.bool_]
    listed: NDArray[Any]
    listed_rows: Small

    def of(self, clicks: slice) -> Scanned:
        """Return what was found for some of the clicks; the special items stay those of all."""
        return Scanned(
            self.above[clicks],
            self.highest[clicks],
            self.total[clicks],
            self.special,
            self.broken[clicks],
            self.listed[clicks],
            self.listed_rows[clicks],
        )


class BlockScan:
    """The scores ``outputs @ embeddingᵀ + bias`` of all rows, block by block of rows.

    A block's product is written into a small buffer, and all that is wanted of it is found there
    while it is in the cache. Threads that call `compute` at the same time each take the next
    block. What is found does not depend on which thread took which.

    Parameters
    ----------
    outputs
        (m, hidden), float32, on a CPU.
    embedding, bias
        (rows, hidden) and (rows,).
    wanted
        What is to be found.

    """

    def __init__(self, outputs: Tensor, embedding: Tensor, bias: Tensor, wanted: Wanted) -> None:
        self._outputs = outputs
        self._embedding = embedding
        self._bias = bias
        self._wanted = wanted
        count = len(outputs)
        self._rows = block_rows(count, len(bias))
        blocks = range(0, len(bias), self._rows)
        self._blocks = iter(enumerate(blocks))
        self._left = len(blocks)
        self._numbers = Rows(outputs.numpy(), embedding.numpy(), bias.numpy())
        self._apart = _apart(wanted, len(blocks), self._rows)
        shape = (len(blocks), count) if wanted.sums else (0, 0)
        self._found = Found(
            np.empty(shape, np.float32),
            np.empty(shape, np.float32),
            np.full(len(wanted.rows), -np.inf, np.float32),
            np.zeros(count, np.bool_),
            np.empty((*shape, -(-self._rows // PIECE), LANES), np.float32),
        )
        self._threads: list[tuple[Whole, Lists]] = []
        self._failure: BaseException | None = None
        self._scanned: Scanned | None = None
        self._lock = threading.Lock()
        self._done = threading.Event()
        if not len(blocks):
            self._done.set()

    def compute(self) -> None:
        """Go through blocks until none is left that no thread works on."""
        try:
            room = None
            for block, start in self._blocks:
                room = self._room() if room is None else room
                self._compute(block, start, *room)
                with self._lock:
                    self._left -= 1
                    if not self._left:
                        self._done.set()
        except BaseException as failure:
            self._failure = failure
            self._done.set()
            raise

    def _room(self) -> tuple[Any, Whole, Work, Lists]:
        """Return a thread's room for a block's scores, its counts, and its lists."""
        count = len(self._outputs)
        above, lists = np.zeros(count, np.int64), Lists.empty(count, self._wanted.room)
        with self._lock:
            self._threads.append((above, lists))
        return self._scores(self._rows), above, Work.empty(), lists

    def _scores(self, rows: int) -> Any:
        return self._outputs.new_empty(len(self._outputs) * rows)

    def _compute(self, block: int, start: int, room: Any, above: Whole, *of: Any) -> None:
        work, lists = of
        embedding, bias = (at[start : start + self._rows] for at in (self._embedding, self._bias))
        scores = room[: len(self._outputs) * len(bias)].view(len(self._outputs), len(bias))
        torch.addmm(bias, self._outputs, embedding.T, out=scores)
        found, wanted, host = self._found, self._wanted, scores.numpy()
        take_apart(host, block, start, self._apart, found)
        pass_block(host, block, wanted.bars, wanted.sums, found, above, work)
        if wanted.room:
            list_block(host, start, wanted.barred, lists)

    def scanned(self) -> Scanned:
        """Return what was found, once all blocks have been gone through.

        Raises
        ------
        RuntimeError
            Another thread failed to compute some of them.

        """
        self.compute()
        self._done.wait()
        with self._lock:
            if self._failure:
                raise RuntimeError("another thread could not find the scores") from self._failure
            if self._scanned is None:
                self._scanned = self._join()
            return self._scanned

    def count(self, clicks: Whole, bars: NDArray[Any]) -> Whole:
        """Count some clicks' scores from other bars on, without those of special items.

        Where their highest scores are known, only groups of rows that reach a bar are looked at.
        """
        if not self._wanted.sums:
            return self._count_all(clicks, bars)
        self.scanned()
        wanted, found = self._wanted, self._found
        apart = wanted.spans, wanted.rows, wanted.new_rows, wanted.new_clicks, wanted.known_from
        groups = Groups(found.groups, found.highest, self._rows, *apart)
        most = int(MOST_GROUPS * found.groups.size / max(1, len(self._outputs)))
        least = self._least(clicks, bars)
        counts = count_in_groups(self._numbers, clicks, bars, least, groups, most)
        left = np.flatnonzero(counts < 0)
        if len(left):
            counts[left] = self._count_all(clicks[left], bars[left])
        return counts

    def _least(self, clicks: Whole, bars: NDArray[Any]) -> Single:
        """Return what a block's highest score has to be where a score may reach a bar."""
        return np.repeat(bars[:, None], len(self._found.highest), axis=1)

    def _count_all(self, clicks: Whole, bars: NDArray[Any]) -> Whole:
        outputs, only = self._outputs[torch.from_numpy(clicks)], self._wanted.only(clicks, bars)
        return BlockScan(outputs, self._embedding, self._bias, only).scanned().above

    def _join(self) -> Scanned:
        """Join what the threads found, in an order that does not depend on them."""
        found, wanted, count = self._found, self._wanted, len(self._outputs)
        above = sum((of for of, _ in self._threads), np.zeros(count, np.int64))
        highest, total = join_sums(found.highest, found.total)
        if self._threads and wanted.room:
            lists = [lists for _, lists in self._threads]
            most = max(int(of.used.max(initial=0)) for of in lists)
            for of in lists:
                for_used = np.arange(most) >= of.used[:, None]
                of.scores[:, :most][for_used] = -np.inf
            listed = np.concatenate([of.scores[:, :most] for of in lists], axis=1)
            rows = np.concatenate([of.rows[:, :most] for of in lists], axis=1)
        else:
            listed, rows = np.zeros((count, 0), np.float32), np.zeros((count, 0), np.int32)
        self._threads = []
        return Scanned(above, highest, total, found.special, found.broken, listed, rows)


def block_rows(outputs: int, rows: int) -> int:
    """Return how many rows a block has: whole pieces, about as many in each block.

    Examples
    --------
    >>> block_rows(64, 5000)
    3072

    """
    most = min(max(BLOCK_ROWS, BLOCK_SCORES // max(1, outputs)), MANY_ROWS)
    blocks = max(1, -(-rows // most))
    return -(-max(1, rows) // (blocks * BLOCK_ROWS)) * BLOCK_ROWS


def join_sums(highest: NDArray[Any], total: NDArray[Any]) -> tuple[NDArray[Any], Any]:
    """Join the highest scores and the sums of some parts, each (parts, m), in their order."""
    most = highest.max(axis=0, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        weights = np.exp(np.where(np.isfinite(most), highest - most, -np.inf), dtype=np.float64)
    return most, (total * weights).sum(axis=0)


def _apart(wanted: Wanted, blocks: int, rows: int) -> Apart:
    order = np.argsort(wanted.new_rows, kind="stable")
    starts = np.arange(blocks + 1) * rows
    new_rows = wanted.new_rows[order]
    return Apart(
        *_by_block(wanted.spans, wanted.rows, blocks, rows),
        np.searchsorted(new_rows, starts),
        new_rows,
        wanted.new_clicks[order],
        wanted.known_from,
    )


@compiled
def _by_block(
    spans: Whole, rows: Small, blocks: int, block_rows: int
) -> tuple[Whole, Small, Small, Small]:
    """Sort the special items of all clicks by block."""
    begins = np.zeros(blocks + 2, np.int64)
    for click in range(len(spans)):
        for place in range(spans[click, 0], spans[click, 1]):
            begins[rows[place] // block_rows + 2] += 1
    for block in range(2, blocks + 2):
        begins[block] += begins[block - 1]
    count = begins[blocks + 1]
    clicks, found = np.empty(count, np.int32), np.empty(count, np.int32)
    places = np.empty(count, np.int32)
    for click in range(len(spans)):
        for place in range(spans[click, 0], spans[click, 1]):
            block = rows[place] // block_rows + 1
            at = begins[block]
            begins[block] += 1
            clicks[at], found[at], places[at] = click, rows[place], place
    return begins[: blocks + 1], clicks, found, places
