"""What a `BlockScan` finds, by operations of torch: on a GPU, or in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .score_blocks import Scanned, Small, Wanted, Whole
from .transfer import fetch, send

BLOCK_SCORES = 1 << 25
"""Scores that are written at a time, at most about (128 MiB in float32)."""


class Asked(NamedTuple):
    """What is to be found among the scores of m clicks, see `Wanted`; tensors on the device.

    Parameters
    ----------
    bars
        (m,).
    sums
        Whether the highest scores and the sums of exponentials are wanted.
    room
        How many of the best scores are listed a click; 0 for none.
    spans, rows
        The special items, on the host.
    special
        int64 (n,) each, click by click: the special items' clicks, their places among `rows`, and
        their rows.
    new_rows, unknown
        int64 (b,) and bool (m, b): items that enter within the batch, and which clicks come before.
    barred
        bool (m or 1, rows): what is not to be listed; (0, 0) for nothing.

    """

    bars: Tensor
    sums: bool
    room: int
    spans: Whole
    rows: Small
    special: Sequence[Tensor]
    new_rows: Tensor
    unknown: Tensor
    barred: Tensor


def send_wanted(wanted: Wanted, device: torch.device) -> Asked:
    """Return what is wanted, on a device."""
    bars, new_rows, new_clicks, known_from, barred, *special = send(
        [
            wanted.bars,
            wanted.new_rows,
            wanted.new_clicks,
            wanted.known_from,
            wanted.barred,
            *flat(wanted.spans, wanted.rows),
        ],
        device,
    )
    unknown = known_from[:, None] <= new_clicks
    of_special = wanted.spans, wanted.rows, special
    return Asked(bars, wanted.sums, wanted.room, *of_special, new_rows, unknown, barred)


def flat(spans: Whole, rows: Small) -> tuple[Whole, Whole, Whole]:
    """Return special items' clicks, places and rows, click by click.

    Examples
    --------
    >>> flat(np.array([[1, 3], [0, 1]]), np.array([7, 8, 9], np.int32))
    (array([0, 0, 1]), array([1, 2, 0]), array([8, 9, 7]))

    """
    places, counts = places_of(spans)
    return np.repeat(np.arange(len(counts)), counts), places, rows[places].astype(np.int64)


def places_of(spans: Whole) -> tuple[Whole, Whole]:
    """Return the places within some spans, one span after the other, and how many each has.

    Examples
    --------
    >>> places_of(np.array([[4, 6], [0, 1]]))
    (array([4, 5, 0]), array([2, 1]))

    """
    begins, counts = spans[:, 0], spans[:, 1] - spans[:, 0]
    ends = counts.cumsum()
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(begins - ends + counts, counts), counts


class TorchScan:
    """The scores ``outputs @ embeddingᵀ + bias`` of all rows, block by block of rows.

    All arrays stay on the device until the end, and no step waits for one before it: what is
    wanted goes there in one transfer, and what is found comes back in one.

    Parameters
    ----------
    outputs, embedding, bias
        See `BlockScan`.
    wanted
        What is to be found, on the host, or already on the device.
    others
        What else the host needs of the device.

    Attributes
    ----------
    others
        These, on the host, once it is known what was found.

    """

    def __init__(
        self,
        outputs: Tensor,
        embedding: Tensor,
        bias: Tensor,
        wanted: Wanted | Asked,
        others: Sequence[Tensor] = (),
    ) -> None:
        self._outputs = outputs
        self._embedding = embedding
        self._bias = bias
        device = outputs.device
        self._asked = send_wanted(wanted, device) if isinstance(wanted, Wanted) else wanted
        self._others = others
        self.others: list[NDArray[Any]] = []
        self._scanned: Scanned | None = None

    def compute(self) -> None:
        """Do nothing: a GPU queues its work by itself."""

    def scanned(self) -> Scanned:
        """Return what was found."""
        if self._scanned is None:
            self._scanned = self._scan()
        return self._scanned

    def count(self, clicks: Whole, bars: NDArray[Any]) -> Whole:
        """Count some clicks' scores from other bars on, without those of special items."""
        asked, outputs = self._asked, self._outputs
        spans = asked.spans[clicks]
        chosen, bar, *special = send([clicks, bars, *flat(spans, asked.rows)], outputs.device)
        nothing, new = (False, 0), (asked.new_rows, asked.unknown[chosen])
        only = Asked(bar, *nothing, spans, asked.rows, special, *new, asked.barred[:0])
        return TorchScan(outputs[chosen], self._embedding, self._bias, only).scanned().above

    def _scan(self) -> Scanned:
        outputs, asked, device = self._outputs, self._asked, self._outputs.device
        count, n_rows = outputs.shape[0], self._bias.shape[0]
        bars = asked.bars.to(outputs.dtype)[:, None]
        # Scores of no block go to one more column.
        size = max(1, min(n_rows, BLOCK_SCORES // max(1, count)))
        room = outputs.new_empty((count, size + 1))
        special = Special(asked, outputs)
        above = torch.zeros(count, dtype=torch.int64, device=device)
        broken = torch.zeros(count, dtype=torch.bool, device=device)
        highest = outputs.new_full((count,), -torch.inf)
        total = outputs.new_zeros(count, dtype=torch.float64)
        best = Best(asked, outputs)
        for start in range(0, n_rows, size):
            stop = min(start + size, n_rows)
            block = room[:, : stop - start + 1]
            torch.addmm(
                self._bias[start:stop],
                outputs,
                self._embedding[start:stop].T,
                out=block[:, :-1],
            )
            block[:, -1] = -torch.inf
            special.take(block, start)
            broken |= special.broken | ~(block < torch.inf).all(dim=1)
            above += (block >= bars).sum(dim=1)
            if asked.sums:
                most = torch.maximum(highest, block.amax(dim=1))
                finite = most.masked_fill(most == -torch.inf, 0)
                total *= (highest - finite).exp().double()
                total += (block - finite[:, None]).exp_().sum(dim=1).double()
                highest = most
            best.add(block[:, :-1], start)
        lists = best.scores, best.rows.int()
        counts, peaks, sums, apart, odd, listed, rows, *self.others = fetch(
            [above, highest, total, special.scores, broken, *lists, *self._others]
        )
        return Scanned(counts, peaks, sums, apart, odd, listed, rows)


class Special:
    """The scores that stand apart from the others.

    Attributes
    ----------
    scores
        (n,): those of the special items.
    broken
        bool (m,): one of them is not a number, or is infinite.

    """

    def __init__(self, asked: Asked, outputs: Tensor) -> None:
        self._clicks, self._places, self._rows = asked.special
        self._new_rows, self._unknown = asked.new_rows, asked.unknown
        self.scores = outputs.new_full((len(asked.rows),), -torch.inf)
        self.broken = torch.zeros(outputs.shape[0], dtype=torch.bool, device=outputs.device)

    def take(self, block: Tensor, start: int) -> None:
        """Hide what does not compete in a block, and take the special scores out of it."""
        last = block.shape[1] - 1
        if self._new_rows.shape[0]:
            columns = _columns(self._new_rows, start, last)
            block[:, columns] = block[:, columns].masked_fill_(self._unknown, -torch.inf)
            block[:, last] = -torch.inf
        if self._rows.shape[0]:
            columns = _columns(self._rows, start, last)
            found = block[self._clicks, columns]
            inside = columns < last
            self.scores[self._places] = torch.where(inside, found, self.scores[self._places])
            odd = (inside & ~(found < torch.inf)).to(torch.int32)
            broken = torch.zeros_like(self.broken, dtype=torch.int32)
            self.broken |= broken.index_add_(0, self._clicks, odd) > 0
            block[self._clicks, columns] = -torch.inf


class Best:
    """The best scores of the blocks so far.

    Attributes
    ----------
    scores, rows
        (m, l): they, and their rows.

    """

    def __init__(self, asked: Asked, outputs: Tensor) -> None:
        self._room, self._barred = asked.room, asked.barred
        self.scores = outputs.new_empty((outputs.shape[0], 0))
        self.rows = asked.new_rows.new_empty((outputs.shape[0], 0))

    def add(self, block: Tensor, start: int) -> None:
        """List the best of a block and of those so far."""
        if not self._room:
            return
        if self._barred.shape[0]:
            part = self._barred[:, start : start + block.shape[1]]
            block.masked_fill_(part, -torch.inf)
        values, rows = block.topk(min(self._room, block.shape[1]), dim=1)
        values = torch.cat([self.scores, values], dim=1)
        rows = torch.cat([self.rows, rows + start], dim=1)
        self.scores, order = values.topk(min(self._room, values.shape[1]), dim=1)
        self.rows = rows.gather(1, order)


def _columns(rows: Tensor, start: int, last: int) -> Tensor:
    columns = rows - start
    return columns.masked_fill((columns < 0) | (columns >= last), last)
