"""How much RAM options need, compared with what there is, before any of it is taken."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch

from ..compute.device import on_host
from .cells import GATES
from .config import GRU4RecConfig

CGROUP = Path("/sys/fs/cgroup/memory.max")
"""Where Linux says how much a container may take."""

FIRST_ROWS = 1024
"""Rows that tables of items and sessions start with."""

LOGGED_CLICK = 32
"""Bytes of a click that the memory keeps."""

WEIGHT = 3
"""Numbers that a weight takes: itself, its gradient, and the optimizer's state of it."""


def check_room(needs: Mapping[str, int], device: torch.device) -> None:
    """Check that what options ask for fits the machine.

    Parameters
    ----------
    needs
        By option, with its value: how many bytes it takes at least.
    device
        Where.

    Raises
    ------
    ValueError
        An option takes more than all the RAM that there is.

    Examples
    --------
    >>> check_room({"hidden=1000000000": 36 * 10**18}, torch.device("cpu"))
    Traceback (most recent call last):
    ...
    ValueError: hidden=1000000000 takes 36,000,000.0 TB of memory at least, and there are ...

    """
    there = memory_of(device)
    for option, need in needs.items():
        if need > there:
            raise ValueError(
                f"{option} takes {_in_words(need)} of memory at least, and there are "
                f"{_in_words(there)}: choose less"
            )


def memory_of(device: torch.device) -> int:
    """Return how many bytes of RAM a device has, or this process may take of the machine's."""
    if not on_host(device):
        return int(torch.cuda.get_device_properties(device).total_memory)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(there, int(CGROUP.read_text()))
    except (OSError, ValueError):  # There is none, or it sets no limit.
        return there


def needs_of(config: GRU4RecConfig, width: int) -> dict[str, int]:
    """Return what the options of a config take at least, by option.

    Parameters
    ----------
    config
        The options.
    width
        Bytes of a number.

    """
    gates = GATES[config.cell]
    top = [*config.layers, *config.feed_forward][-1]
    first = {"tied": top, "separate": config.layers[0], "one-hot": 0}[config.embedding]
    steps = pairwise([first, *config.layers])
    cells = sum(gates * size * (before + size) for before, size in steps)
    layers = [config.layers[-1], *config.feed_forward]
    needs = {
        f"feed_forward={config.feed_forward}": WEIGHT * width * _products(layers),
        f"hidden={config.hidden}": WEIGHT * width * cells,
        f"window={config.window}": window_needs(config.window),
        f"n_negatives={config.n_negatives}": negatives_need(config.n_negatives, top, width),
    }
    return needs | {f"memory={config.memory}": LOGGED_CLICK * config.memory}


def window_needs(window: int) -> int:
    """Return how many bytes the clicks of the first sessions take."""
    return FIRST_ROWS * 8 * window


def negatives_need(negatives: int, size: int, width: int) -> int:
    """Return how many bytes a batch's negatives take: their rows, vectors and gradients."""
    return negatives * (8 + 2 * size * width)


def _products(sizes: Sequence[int]) -> int:
    return sum(before * after for before, after in pairwise(sizes))


def _in_words(count: int) -> str:
    for unit, size in (("TB", 10**12), ("GB", 10**9)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 10**6:,.0f} MB"
