"""What rank 0 tells the others to do: a kind and some arrays, as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .packing import Form, aligned, unpack

Arrays = Sequence[NDArray[np.generic]]

FIRST = 1 << 16
"""Bytes of a message that are sent before its length is known."""

HEAD = 128
"""Numbers before the arrays: the kind, how many arrays there are, and each one's type and
length."""

TYPES = (np.uint8, np.int32, np.int64, np.float64, np.float32, np.bool_)


class Message(IntEnum):
    """What the other ranks are told."""

    NOTHING = 0
    STOP = 1
    BEGIN = 2
    STEP = 3
    EVICT = 4
    SAVE = 5
    LOAD = 6
    ANSWER = 7


def encode(kind: Message, arrays: Arrays) -> Tensor:
    """Return a message, `FIRST` bytes long or more.

    Raises
    ------
    ValueError
        There are more arrays than a message can have, or one is of a type that is not sent.

    """
    if 2 + 2 * len(arrays) > HEAD:
        raise ValueError(f"a message of {len(arrays)} arrays is too long")
    head = np.zeros(HEAD, np.int64)
    head[:2] = kind, len(arrays)
    for at, array in enumerate(arrays):
        if array.dtype.type not in TYPES:
            raise ValueError(f"an array of the type {array.dtype} is not sent")
        head[2 + 2 * at : 4 + 2 * at] = TYPES.index(array.dtype.type), array.size
    parts = [head, *(np.ascontiguousarray(array).reshape(-1) for array in arrays)]
    ends = list(accumulate(aligned(part.nbytes) for part in parts))
    run = np.zeros(max(FIRST, ends[-1]), np.uint8)
    for part, end in zip(parts, ends, strict=True):
        begin = end - aligned(part.nbytes)
        run[begin : begin + part.nbytes] = part.view(np.uint8)
    return torch.from_numpy(run)


def length_of(first: Tensor) -> int:
    """Return how many bytes a message has, from its first ones."""
    head = first[: 8 * HEAD].view(torch.int64).numpy()
    return 8 * HEAD + sum(form.size for form in _forms(head))


def decode(run: Tensor) -> tuple[Message, list[NDArray[np.generic]]]:
    """Return what `encode` was given; the arrays are flat."""
    head = run[: 8 * HEAD].view(torch.int64).numpy()
    found = unpack(run[8 * HEAD :], _forms(head))
    return Message(int(head[0])), [tensor.numpy() for tensor in found]


def _forms(head: NDArray[np.int64]) -> list[Form]:
    count = int(head[1])
    pairs = head[2 : 2 + 2 * count].reshape(-1, 2).tolist()
    return [Form((size,), EMPTY[kind].dtype) for kind, size in pairs]


EMPTY = [torch.from_numpy(np.zeros(0, kind)) for kind in TYPES]
