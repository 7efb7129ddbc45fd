"""The stores through which processes find each other: torch's, with the types that it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

import torch.distributed as dist


class Store(Protocol):
    """Keeps texts by name for several processes; what it raises is a RuntimeError."""

    def set(self, key: str, value: str) -> None:
        """Keep a value."""

    def get(self, key: str) -> bytes:
        """Return a value; wait until there is one."""
        ...

    def check(self, keys: list[str]) -> bool:
        """Whether there are values of all these names."""
        ...

    def multi_get(self, keys: list[str]) -> Sequence[bytes]:
        """Return several values."""
        ...

    def set_timeout(self, timeout: timedelta) -> None:
        """Bound how long an answer may take."""

    def clone(self) -> Store:
        """Return the same store, over a connection of its own."""
        ...


class KeptStore(Store, Protocol):
    """A store that a process keeps."""

    port: int


def tcp_store(host: str, port: int, *, keep: bool, seconds: float = 300.0) -> KeptStore:
    """Open a store that is reached over the network.

    Parameters
    ----------
    host, port
        Where it is; port 0 is any free one.
    keep
        Whether this process keeps it.
    seconds
        How long an answer may take.

    Raises
    ------
    RuntimeError
        It cannot be reached, or not be kept.

    """
    store: Any = dist.TCPStore(  # type: ignore[attr-defined]
        host,
        port,
        None,
        is_master=keep,
        timeout=timedelta(seconds=seconds),
        wait_for_workers=False,
        multi_tenant=True,
    )
    kept: KeptStore = store
    return kept


def part_of(prefix: str, store: Store) -> Store:
    """Return the part of a store whose names begin in one way."""
    whole: Any = store
    part: Any = dist.PrefixStore(prefix, whole)  # type: ignore[attr-defined]
    found: Store = part
    return found
