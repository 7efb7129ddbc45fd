"""Where a model computes."""

from __future__ import annotations

import os

import torch
from torch import Tensor

HOST = torch.device("cpu")
"""Where compiled loops and Python compute."""


def choose_device(device: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device.

    Raises
    ------
    ValueError
        The name is unknown, or there is no GPU.

    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is cuda, but {_why_no_gpu()}: choose auto or cpu")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def _why_no_gpu() -> str:
    if not torch.backends.cuda.is_built():
        return f"torch {torch.__version__} is built without CUDA"
    return "torch finds no GPU"


def on_host(where: Tensor | torch.device) -> bool:
    """Whether arrays lie where compiled loops can reach them; elsewhere torch does their work."""
    device = where if isinstance(where, torch.device) else where.device
    return device.type == "cpu"


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
