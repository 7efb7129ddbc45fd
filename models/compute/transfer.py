"""Copies between the host and the device: many arrays together, in one transfer.

A copy to a GPU from ordinary RAM makes the host wait until the GPU has done all that it was asked
before, as does every copy back. So a batch's numbers are sent together from pinned RAM, which
nothing waits for, and what the host needs of the results is fetched together. Torch keeps pinned
RAM and uses it again once the copy from it has ended.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .device import on_host

ALIGNED = 16
"""Bytes: each array begins at a multiple of it."""


def send(arrays: Sequence[NDArray[Any]], device: torch.device) -> list[Tensor]:
    """Return arrays as tensors on a device: one transfer, which the host does not wait for.

    On the host nothing is copied.

    Examples
    --------
    >>> send([np.array([1, 2]), np.array([[True]])], torch.device("cpu"))
    [tensor([1, 2]), tensor([[True]])]

    """
    if on_host(device):
        return [torch.from_numpy(array) for array in arrays]
    ends = np.cumsum([_padded(array.nbytes) for array in arrays], dtype=np.int64).tolist()
    pinned = torch.empty(ends[-1], dtype=torch.uint8, pin_memory=device.type == "cuda")
    packed = pinned.numpy()
    parts = []
    for array, end in zip(arrays, ends, strict=True):
        begin = end - _padded(array.nbytes)
        part = slice(begin, begin + array.nbytes)
        packed[part] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        parts.append(part)
    sent = pinned.to(device, non_blocking=True)
    return [
        sent[part].view(_type_of(array)).view(array.shape)
        for array, part in zip(arrays, parts, strict=True)
    ]


def to_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device; the host does not wait for the copy."""
    return send([array], device)[0]


def fetch(tensors: Sequence[Tensor]) -> list[NDArray[Any]]:
    """Return tensors of one device as arrays on the host: one transfer, which the host waits for.

    On the host nothing is copied.

    Examples
    --------
    >>> fetch([torch.tensor([1, 2]), torch.tensor([0.5])])
    [array([1, 2]), array([0.5], dtype=float32)]

    """
    if on_host(tensors[0]):
        return [tensor.numpy() for tensor in tensors]
    # Those of larger numbers first: so each begins at a multiple of its own.
    order = sorted(range(len(tensors)), key=lambda place: -tensors[place].itemsize)
    flat = [tensors[place].reshape(-1).view(torch.uint8) for place in order]
    packed = torch.cat(flat).cpu().numpy()
    arrays: dict[int, NDArray[Any]] = {}
    begin = 0
    for place in order:
        tensor = tensors[place]
        end = begin + math.prod(tensor.shape) * tensor.itemsize
        kind = torch.empty(0, dtype=tensor.dtype).numpy().dtype
        arrays[place] = packed[begin:end].view(kind).reshape(tuple(tensor.shape))
        begin = end
    return [arrays[place] for place in range(len(tensors))]


def _padded(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


def _type_of(array: NDArray[Any]) -> torch.dtype:
    return torch.from_numpy(np.empty(0, array.dtype)).dtype
