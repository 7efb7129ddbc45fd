"""Copies of large arrays for snapshots, into RAM that was prepared for them."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .device import on_host

ALIGNED, PAGE = 16, 4096
"""Bytes: a copy begins at a multiple of the first; a machine gives out at least the second."""

LARGE = 1 << 20
"""Bytes from which on preparing RAM pays."""

LEAST_AHEAD, AHEAD = 1.1, 1.25
"""Where less than the first, times what is needed, is ready, the second is prepared."""


class SnapshotBuffer:
    """Copies what a model's state holds, while the stream waits for it.

    Pages that a process touches for the first time cost several times as much as copying into
    them. So the copies of a state share one buffer, which is reused as soon as nobody refers to any
    of them, and the pages that the next state will need are touched in advance, by another thread.
    A copy never changes.

    Attributes
    ----------
    wanted
        Whether states are asked for, and so prepared for.

    Examples
    --------
    >>> copies = SnapshotBuffer()
    >>> copies.begin()
    >>> copies.copy(torch.tensor([10, 20, 30]), np.array([2, 0]))
    tensor([30, 10])

    """

    def __init__(self) -> None:
        self.wanted = False
        # In a list, so that its holders can be counted.
        self._piece = [np.empty(0, np.uint8)]
        # How far the state reaches in it, and how far it has been touched.
        self._used = self._ready = 0
        # All that the state takes; what was expected then, and what is by now.
        self._taken = self._planned = self._expected = 0
        self._toucher: threading.Thread | None = None

    def __reduce__(self) -> tuple[type[SnapshotBuffer], tuple[()]]:
        """Leave the buffer behind when pickled or copied."""
        return SnapshotBuffer, ()

    def prepare(self, size: int) -> None:
        """Prepare for a state of about `size` bytes, if any is wanted.

        What the last state took beyond its expected size is added.
        """
        self._expected = size
        need = size + max(0, self._taken - self._planned)
        if not self.wanted or need < LARGE or LEAST_AHEAD * need <= self._ready:
            return
        if self._toucher and self._toucher.is_alive():
            return
        end = int(AHEAD * need)
        # Without RAM or a thread for it the copy takes longer, and that is all.
        with suppress(MemoryError, RuntimeError):
            if end > len(self._piece[0]):
                self._renew(2 * end)
            untouched = self._piece[0][self._ready : end]
            toucher = threading.Thread(target=_touch, args=(untouched,), name="snapshot-pages")
            toucher.start()
            self._toucher, self._ready = toucher, end

    def begin(self) -> None:
        """Begin the next state."""
        self.wanted = True
        if self._toucher:
            self._toucher.join()
            self._toucher = None
        size = len(self._piece[0])
        if _holders(self._piece) > UNHELD or size < self._taken:
            self._renew(max(size, 2 * self._taken))
        self._planned = self._expected
        self._used = self._taken = 0

    def copy(self, tensor: Tensor, rows: NDArray[np.int64] | None = None) -> Tensor:
        """Copy a tensor, or some of its rows, to the host."""
        tensor = tensor.detach()
        if rows is None:
            return self.allocate(tensor.shape, tensor.dtype).copy_(tensor)
        copy = self.allocate((len(rows), *tensor.shape[1:]), tensor.dtype)
        places = torch.from_numpy(rows).to(tensor.device)
        if on_host(tensor):
            return torch.index_select(tensor, 0, places, out=copy)
        return copy.copy_(tensor.index_select(0, places))

    def allocate(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return an empty tensor on the host for something else that the state holds."""
        size = math.prod(shape) * dtype.itemsize
        begin, end = self._used, self._used + -(-size // ALIGNED) * ALIGNED
        self._taken += end - begin
        if end > len(self._piece[0]):
            # Room to grow into, which costs nothing before it is touched.
            self._renew(2 * self._taken)
            begin, end = 0, end - begin
        self._used = end
        self._ready = max(self._ready, end)
        kind = torch.empty(0, dtype=dtype).numpy().dtype
        return torch.from_numpy(self._piece[0][begin : begin + size].view(kind).reshape(shape))

    def _renew(self, size: int) -> None:
        """Take another buffer; the last one stays with those who refer to copies in it."""
        self._piece[0] = np.empty(size, np.uint8)
        self._ready = 0


def _touch(part: NDArray[np.uint8]) -> None:
    part[::PAGE] = 0


def _holders(piece: list[NDArray[np.uint8]]) -> int:
    """Count the references to a buffer: every copy in it has one, and every view of a copy."""
    return sys.getrefcount(piece[0])


UNHELD = _holders([np.empty(0, np.uint8)])
"""The count without any copy: another number in another version of Python."""
