"""What a `BlockScan` finds, by operations of torch: on a GPU, or in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from .score_blocks import Scanned, Wanted

BLOCK_SCORES = 1 << 25
"""Scores that are written at a time, at most about (128 MiB in float32)."""


class TorchScan:
    """The scores ``outputs @ embeddingᵀ + bias`` of all rows, block by block of rows.

    All arrays stay on the device until the end, and no step waits for one before it.

    Parameters
    ----------
    outputs, embedding, bias, wanted
        See `BlockScan`.

    """

    def __init__(self, outputs: Tensor, embedding: Tensor, bias: Tensor, wanted: Wanted) -> None:
        self._outputs = outputs
        self._embedding = embedding
        self._bias = bias
        self._wanted = wanted
        self._scanned: Scanned | None = None

    def compute(self) -> None:
        """Do nothing: a GPU queues its work by itself."""

    def scanned(self) -> Scanned:
        """Return what was found."""
        if self._scanned is None:
            self._scanned = self._scan()
        return self._scanned

    def _scan(self) -> Scanned:
        outputs, wanted, device = self._outputs, self._wanted, self._outputs.device
        count, n_rows = len(outputs), len(self._bias)
        bars = torch.from_numpy(wanted.bars).to(outputs)[:, None]
        # Scores of no block go to one more column.
        size = max(1, min(n_rows, BLOCK_SCORES // max(1, count)))
        room = outputs.new_empty((count, size + 1))
        special = Special(wanted, outputs)
        above = torch.zeros(count, dtype=torch.int64, device=device)
        broken = torch.zeros(count, dtype=torch.bool, device=device)
        highest = outputs.new_full((count,), -torch.inf)
        total = outputs.new_zeros(count, dtype=torch.float64)
        best = Best(wanted, outputs)
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
            if wanted.sums:
                most = torch.maximum(highest, block.amax(dim=1))
                finite = most.masked_fill(most == -torch.inf, 0)
                total *= (highest - finite).exp().double()
                total += (block - finite[:, None]).exp_().sum(dim=1).double()
                highest = most
            best.add(block[:, :-1], start)
        return Scanned(
            above.cpu().numpy(),
            highest.cpu().numpy(),
            total.cpu().numpy(),
            special.scores.cpu().numpy(),
            broken.cpu().numpy(),
            best.scores.cpu().numpy(),
            best.rows.int().cpu().numpy(),
            best.floor.cpu().numpy(),
        )


class Special:
    """The scores that stand apart from the others.

    Attributes
    ----------
    scores
        (n,): those of the special items.
    broken
        bool (m,): one of them is not a number, or is infinite.

    """

    def __init__(self, wanted: Wanted, outputs: Tensor) -> None:
        device = outputs.device
        spans = torch.from_numpy(wanted.spans).to(device)
        counts = wanted.spans[:, 1] - wanted.spans[:, 0]
        n = int(counts.sum())
        self._clicks = torch.arange(len(spans), device=device).repeat_interleave(
            spans[:, 1] - spans[:, 0], output_size=n
        )
        begins = torch.from_numpy(counts.cumsum() - counts).to(device)
        within = torch.arange(n, device=device) - begins[self._clicks]
        self._places = spans[:, 0][self._clicks] + within
        self._rows = torch.from_numpy(wanted.rows).to(device).long()[self._places]
        self._new_rows = torch.from_numpy(wanted.new_rows).to(device)
        known_from = torch.from_numpy(wanted.known_from).to(device)
        new_clicks = torch.from_numpy(wanted.new_clicks).to(device)
        self._unknown = known_from[:, None] <= new_clicks
        self.scores = outputs.new_full((len(wanted.rows),), -torch.inf)
        self.broken = torch.zeros(len(outputs), dtype=torch.bool, device=device)

    def take(self, block: Tensor, start: int) -> None:
        """Hide what does not compete in a block, and take the special scores out of it."""
        last = block.shape[1] - 1
        if len(self._new_rows):
            columns = _columns(self._new_rows, start, last)
            block[:, columns] = block[:, columns].masked_fill_(self._unknown, -torch.inf)
            block[:, last] = -torch.inf
        if len(self._rows):
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
    floor
        (m,): every score above it is listed.

    """

    def __init__(self, wanted: Wanted, outputs: Tensor) -> None:
        # Ranks are counted in a pass of their own.
        self._room = wanted.room if (wanted.floors == -torch.inf).any() else 0
        self._barred = torch.from_numpy(wanted.barred).to(outputs.device)
        self.scores = outputs.new_empty((len(outputs), 0))
        self.rows = torch.empty((len(outputs), 0), dtype=torch.int64, device=outputs.device)
        self.floor = outputs.new_full((len(outputs),), torch.inf)

    def add(self, block: Tensor, start: int) -> None:
        """List the best of a block and of those so far."""
        if not self._room:
            return
        if len(self._barred):
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
