"""Which of several processes this one is, by the environment that torchrun and others set.

This file imports nothing that takes long.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

ADDRESS, PORT = "MASTER_ADDR", "MASTER_PORT"
"""Variables with the address of the store through which the processes find each other."""

COMMANDS = ("run", "compare")
"""The commands that several processes share; any other is carried out by the first alone."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a process among those that were started together.

    Parameters
    ----------
    rank, size
        Its number, from 0, and how many processes there are.
    local_rank, local_size
        The same among those of its machine.
    address, port
        Where the store is.
    node
        The number of its machine.
    agent
        Whether torchrun's agent is the parent of this process and keeps the store.

    Examples
    --------
    >>> Place(1, 4).name, Place(1, 4).is_first
    ('worker 2 of 4', False)

    """

    rank: int
    size: int
    local_rank: int = 0
    local_size: int = 1
    address: str = "localhost"
    port: int = 0
    node: int = 0
    agent: bool = False

    @property
    def is_first(self) -> bool:
        """Whether it is the process that reads the source, writes, and talks to people."""
        return self.rank == 0

    @property
    def name(self) -> str:
        """What messages call it."""
        return worker_name(self.rank, self.size)


def worker_name(rank: int, size: int) -> str:
    """Return what messages call a process.

    Examples
    --------
    >>> worker_name(1, 4)
    'worker 2 of 4'

    """
    return f"worker {rank + 1} of {size}"


def launched_place(environ: Mapping[str, str] = os.environ) -> Place | None:
    """Return the place that the environment gives this process; None where it runs alone.

    Examples
    --------
    >>> launched_place({}) is None
    True
    >>> variables = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "29400"}
    >>> launched_place(variables)
    Place(rank=1, size=2, local_rank=0, local_size=1, address='a', port=29400, node=0, agent=False)

    """
    try:
        rank, size = int(environ["RANK"]), int(environ["WORLD_SIZE"])
        address, port = environ[ADDRESS], int(environ[PORT])
    except (KeyError, ValueError):
        return None
    if size < 2:
        return None
    return Place(
        rank,
        size,
        _number(environ, "LOCAL_RANK", 0),
        _number(environ, "LOCAL_WORLD_SIZE", 1),
        address,
        port,
        _number(environ, "GROUP_RANK", 0),
        environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
    )


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, "")
    return int(value) if value.isdecimal() else default
