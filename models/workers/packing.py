"""Tensors of several types and shapes as one run of bytes, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

ALIGNED = 8
"""Bytes: each tensor begins at a multiple of it, so that it can be read where it lies."""


def aligned(size: int) -> int:
    """Return how many bytes something of a size takes, up to where the next one begins."""
    return -(-size // ALIGNED) * ALIGNED


class Form(NamedTuple):
    """The shape and the type of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def size(self) -> int:
        """How many bytes it takes in a run."""
        return aligned(math.prod(self.shape) * self.dtype.itemsize)


def form_of(tensor: Tensor) -> Form:
    """Return the form of a tensor."""
    return Form(tuple(tensor.shape), tensor.dtype)


def pack(tensors: Sequence[Tensor]) -> Tensor:
    """Return the bytes of some tensors of one device, one after the other.

    Examples
    --------
    >>> pack([torch.zeros(3), torch.ones(1, dtype=torch.int32)]).shape
    torch.Size([24])

    """
    parts = []
    for tensor in tensors:
        part = tensor.reshape(-1)
        # One number may be called contiguous whatever its stride; its bytes are none then.
        if part.stride(0) != 1:
            part = part.new_empty(len(part)).copy_(part)
        part = part.view(torch.uint8)
        parts.append(part)
        if len(part) % ALIGNED:
            parts.append(part.new_zeros(-len(part) % ALIGNED))
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.uint8)


def unpack(run: Tensor, forms: Sequence[Form]) -> list[Tensor]:
    """Return the tensors of a run, which share its memory.

    Examples
    --------
    >>> run = pack([torch.zeros(3), torch.ones(1, dtype=torch.int32)])
    >>> unpack(run, [Form((3,), torch.float32), Form((1,), torch.int32)])
    [tensor([0., 0., 0.]), tensor([1], dtype=torch.int32)]

    """
    found, begin = [], 0
    for form in forms:
        end = begin + math.prod(form.shape) * form.dtype.itemsize
        found.append(run[begin:end].view(form.dtype).view(form.shape))
        begin += form.size
    return found
