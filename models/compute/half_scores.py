"""Scores in bfloat16 first, and in float32 where that leaves something open."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .block_pass import Single, Whole
from .device import on_host
from .half_pass import (
    Extents,
    Halves,
    fill_block,
    fill_norms,
    hide,
    pass_halves,
    reaches,
    score_special,
)
from .score_blocks import BlockScan, Scanned, Wanted
from .torch_scan import TorchScan

HALF_ROWS, HALF_OUTPUTS = 1 << 16, 32
"""From so many rows and outputs on it is worth it."""

MORE_COLUMNS, ALIGNED = 3, 8
"""Columns beside the embedding: the bias in two parts, and the reference. Rows have a multiple of
so many numbers."""

WORTH = 1.4
"""How many times as fast as in float32 a product in bfloat16 has to be."""


class HalfScan(BlockScan):
    """A `BlockScan` whose products are computed in bfloat16.

    The error of a score is bounded: by the norms of what is rounded, and by what it is rounded to.
    Whether a score reaches a bar is exact: what the bound leaves open is computed in float32, as
    are the special items' scores. The highest score and the sum of exponentials are those of the
    rounded scores. From each click's scores one of its highest is subtracted within the product,
    so that rounding the result counts little where the sum is large.

    """

    def __init__(self, outputs: Tensor, embedding: Tensor, bias: Tensor, wanted: Wanted) -> None:
        super().__init__(outputs, embedding, bias, wanted)
        count, hidden = outputs.shape
        highest = score_special(self._numbers, wanted.spans, wanted.rows, self._apart, self._found)
        near = np.maximum(highest, np.where(wanted.bars < np.inf, wanted.bars, -np.inf))
        finite = np.where(np.isfinite(near), near, 0).astype(np.float32)
        references = torch.from_numpy(finite).bfloat16()
        columns = -(-(hidden + MORE_COLUMNS) // ALIGNED) * ALIGNED
        self._halves = torch.zeros(count, columns, dtype=torch.bfloat16)
        norms, errors = np.empty(count, np.float32), np.empty(count, np.float32)
        fill_norms(self._numbers.outputs, norms, errors)
        self._halves[:, :hidden] = outputs
        self._halves[:, hidden : hidden + 2] = 1
        self._halves[:, hidden + 2] = -references
        blocks = np.zeros((len(self._found.highest) or self._left, 4), np.float32)
        self._extents = Extents(norms, errors, references.float().numpy(), blocks)
        self._all = np.arange(count)

    def _scores(self, rows: int) -> Any:
        """Return room for a block's rows and for their scores, in bfloat16."""
        count, columns = self._halves.shape
        block = torch.zeros(rows, columns, dtype=torch.bfloat16)
        return block, torch.empty(count * rows, dtype=torch.bfloat16)

    def _compute(self, block: int, start: int, room: Any, above: Whole, *of: Any) -> None:
        work, _ = of
        rows, scores = room
        wanted, extents, numbers = self._wanted, self._extents, self._numbers
        place = slice(start, start + self._rows)
        embedding, bias = numbers.embedding[place], numbers.bias[place]
        part, out = rows[: len(bias)], scores[: len(self._all) * len(bias)].view(-1, len(bias))
        part[:, : embedding.shape[1]] = self._embedding[place]
        fill_block(embedding, bias, bits(part), extents.blocks[block])
        torch.mm(self._halves, part.T, out=out)
        host = bits(out)
        hide(host, block, start, self._apart)
        missing, reaching = reaches(wanted.bars, self._all, extents, block, block + 1)
        bars = wanted.bars, missing[:, 0], reaching[:, 0]
        pass_halves(host, (block, start), numbers, bars, wanted.sums, self._found, above, work)

    def _least(self, clicks: Whole, bars: NDArray[Any]) -> Single:
        missing, _ = reaches(bars, clicks, self._extents, 0, len(self._extents.blocks))
        return missing

    def _join(self) -> Scanned:
        found = super()._join()
        if self._wanted.sums:
            found.highest = found.highest + self._extents.references
        return found


def bits(halves: Tensor) -> Halves:
    """Return a view of the bits of numbers in bfloat16."""
    return halves.view(torch.int16).numpy().view(np.uint16)


def worth_half(outputs: int, rows: int) -> bool:
    """Whether scores of so many outputs and rows are computed sooner in bfloat16 first."""
    return outputs >= HALF_OUTPUTS and rows >= HALF_ROWS


class HalfChoice:
    """Chooses `HalfScan` where it is worth it and this processor multiplies bfloat16 faster.

    That is measured once, when the catalogue is first large enough. A copy of a model chooses anew.

    Parameters
    ----------
    notify
        Told what was measured, and chosen.

    """

    def __init__(self, notify: Callable[[str], None] = lambda sentence: None) -> None:
        self._notify = notify
        self._speed: float | None = None

    def __reduce__(self) -> tuple[type[HalfChoice], tuple[()]]:
        """Return how to make another one, which tells nobody."""
        return HalfChoice, ()

    def __call__(self, outputs: int, rows: int) -> bool:
        """Whether scores of so many outputs and rows are to be computed in bfloat16 first."""
        if not worth_half(outputs, rows):
            return False
        if self._speed is None:
            self._speed = half_speed()
            chosen = "bfloat16 first" if self._speed >= WORTH else "float32"
            self._notify(
                f"from {HALF_ROWS:,} items on, ranking computes scores in {chosen}: bfloat16 is "
                f"{self._speed:.1f} times as fast here"
            )
        return self._speed >= WORTH


def never(outputs: int, rows: int) -> bool:
    """Choose float32."""
    return False


def scan(
    outputs: Tensor, embedding: Tensor, bias: Tensor, wanted: Wanted, half: bool = False
) -> BlockScan | TorchScan:
    """Return a scan of all scores: compiled on a CPU in float32, else by operations of torch.

    Parameters
    ----------
    outputs, embedding, bias, wanted
        See `BlockScan`.
    half
        Whether the compiled one may compute them in bfloat16 first, see `HalfScan`.

    """
    arrays = outputs, embedding, bias, wanted
    if not on_host(outputs) or outputs.dtype != torch.float32:
        return TorchScan(*arrays)
    if half and not wanted.room and worth_half(len(outputs), len(bias)):
        return HalfScan(*arrays)
    return BlockScan(*arrays)


@cache
def half_speed() -> float:
    """Return how many times as fast as in float32 this processor multiplies in bfloat16."""
    draws = torch.Generator().manual_seed(0)
    left, right = torch.randn(128, 104, generator=draws), torch.randn(1024, 104, generator=draws)
    halves = left.bfloat16(), right.bfloat16()
    return _shortest(left, right) / _shortest(*halves)


def _shortest(left: Tensor, right: Tensor) -> float:
    """Return the shortest of some times of a product."""
    out, times = left.new_empty(len(left), len(right)), []
    for _ in range(12):
        began = time.perf_counter()
        torch.mm(left, right.T, out=out)
        times.append(time.perf_counter() - began)
    return min(times)
