"""Copies of large arrays for snapshots, into memory that is used again."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .device import on_host

LARGE = 1 << 20
"""Bytes from which on it pays to use memory again."""


class Copies:
    """Copies what a model's state holds, while the stream waits for it.

    Memory that a process touches for the first time costs several times as much as copying into
    it. So the large copies of one state are made in the memory of those of an earlier one, as soon
    as nobody holds these any more. A copy is its holder's: it changes no more.

    Examples
    --------
    >>> copies = Copies()
    >>> copies.begin()
    >>> copies.of(torch.tensor([10, 20, 30]), np.array([2, 0]))
    tensor([30, 10])

    """

    def __init__(self) -> None:
        self._buffers: list[NDArray[np.uint8]] = []
        self._made = 0

    def __reduce__(self) -> tuple[type[Copies], tuple[()]]:
        """Leave the memory behind when pickled or copied."""
        return Copies, ()

    def begin(self) -> None:
        """Begin the next state: what is copied first takes the place of what was first before."""
        self._made = 0

    def of(self, tensor: Tensor, rows: NDArray[np.int64] | None = None) -> Tensor:
        """Copy a tensor, or some of its rows, to the host."""
        tensor = tensor.detach()
        places = None if rows is None else torch.from_numpy(rows).to(tensor.device)
        if not on_host(tensor):
            return tensor.cpu() if places is None else tensor.index_select(0, places).cpu()
        shape = tensor.shape if rows is None else (len(rows), *tensor.shape[1:])
        copy = torch.from_numpy(self._room(shape, tensor.numpy().dtype))
        if places is None:
            return copy.copy_(tensor)
        return torch.index_select(tensor, 0, places, out=copy)

    def _room(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        size = int(np.prod(shape)) * dtype.itemsize
        if size < LARGE:
            return np.empty(shape, dtype)
        if self._made == len(self._buffers):
            self._buffers.append(np.empty(0, np.uint8))
        if _holders(self._buffers, self._made) > UNHELD or len(self._buffers[self._made]) < size:
            # Room to grow into, which costs nothing before it is touched.
            self._buffers[self._made] = np.empty(2 * size, np.uint8)
        buffer = self._buffers[self._made]
        self._made += 1
        return buffer[:size].view(dtype).reshape(shape)


def _holders(buffers: list[NDArray[np.uint8]], place: int) -> int:
    """Count who refers to a buffer: every copy in it does, and every view of one."""
    return sys.getrefcount(buffers[place])


UNHELD = _holders([np.empty(0, np.uint8)], 0)
"""What is counted where no copy lies: another number in another version of Python."""
