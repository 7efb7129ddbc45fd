"""Messages between two processes of a group."""

from __future__ import annotations

import json
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from safetensors.numpy import load, save

from nextclick.models import State
from nextclick.models.workers import LostWorker


class Wire:
    """Messages between two processes of a group: JSON, and a state's arrays after it.

    Parameters
    ----------
    group
        The group.

    Attributes
    ----------
    bytes, seconds
        How much has been sent and received, and how long that took with the waits.

    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self._group = group
        self.bytes = 0
        self.seconds = 0.0

    def send(self, rank: int, message: dict[str, Any], state: State | None = None) -> None:
        """Send a message, with a state or without one."""
        if state is not None:
            message = {**message, "values": state.values}
        text = json.dumps(message, default=float).encode()
        arrays = b"" if state is None else save(_contiguous(state.arrays))
        began = perf_counter()
        try:
            dist.send(torch.tensor([len(text), len(arrays)]), rank, group=self._group)
            for part in (text, arrays):
                if part:
                    array = torch.frombuffer(bytearray(part), dtype=torch.uint8)
                    dist.send(array, rank, group=self._group)
        except RuntimeError as error:
            raise LostWorker(str(error)) from error
        self.bytes += len(text) + len(arrays)
        self.seconds += perf_counter() - began

    def receive(self, rank: int) -> dict[str, Any]:
        """Return the next message of a process; its state is in it by that name."""
        sizes = torch.zeros(2, dtype=torch.int64)
        parts = []
        began = perf_counter()
        try:
            dist.recv(sizes, rank, group=self._group)
            for size in sizes.tolist():
                part = torch.empty(size, dtype=torch.uint8)
                if size:
                    dist.recv(part, rank, group=self._group)
                parts.append(part.numpy().tobytes())
        except RuntimeError as error:
            raise LostWorker(str(error)) from error
        message: dict[str, Any] = json.loads(parts[0])
        if "values" in message:
            arrays = load(parts[1]) if parts[1] else {}
            message["state"] = State(arrays, message.pop("values"))
        self.bytes += sum(map(len, parts))
        self.seconds += perf_counter() - began
        return message


def _contiguous(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}
