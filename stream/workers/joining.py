"""Joining the others for a run or a comparison, where there are others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..config.options import ConfigError, parse_positive
from ..config.run import StreamConfig
from . import member as members
from .meeting import MeetingError
from .member import Member
from .place import Place, launched_place


def found_place() -> Place | None:
    """Return the place of this process, by its group or else by its environment; None: alone."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        size = distributed.get_world_size()
        return Place(distributed.get_rank(), size) if size > 1 else None
    return launched_place()


@contextmanager
def joined(
    work: str,
    config: StreamConfig,
    details: dict[str, Any],
    refuse: Callable[[], None] = lambda: None,
) -> Iterator[Member | None]:
    """Join the other processes while the context lasts, where there are any.

    Parameters
    ----------
    work
        What is to be done: ``run`` or ``compare``.
    config
        The options.
    details
        What the others need to know of them, in JSON's types.
    refuse
        Raises an error for what several processes cannot do together.

    Yields
    ------
    Member or None
        None where this process is alone.

    Raises
    ------
    ConfigError
        The others cannot be joined.

    """
    place = found_place()
    if place is None:
        yield None
        return
    refuse()
    remedy = "" if config.snapshots is None else "; the last snapshot holds what was learned before"
    limit = parse_positive(config.worker_timeout, "--worker-timeout")
    gpu = config.device != "cpu" and torch.cuda.is_available()
    task = {"work": work, "timeout": limit, "remedy": remedy, "gpu": gpu, **details}
    try:
        if _is_connected():
            member = members.take_group(task if place.is_first else None)
        elif place.is_first:
            member = members.join_as_first(place, task)
        else:
            member = members.join_as_other(place)
        member.connect()
    except MeetingError as error:
        raise ConfigError(f"{place.name}: {error}") from error
    try:
        yield member
    except BaseException:
        member.failed = True
        raise
    finally:
        member.leave()


def torch_threads(cores: int, processes: int = 1) -> int:
    """Return how many threads torch should have: the other cores rank.

    Parameters
    ----------
    cores
        The cores of the machine.
    processes
        How many processes share them and compute one model.

    Examples
    --------
    >>> torch_threads(8), torch_threads(8, 2), torch_threads(1)
    (4, 2, 1)

    """
    return max(1, cores // (2 * processes))


def _is_connected() -> bool:
    distributed = sys.modules.get("torch.distributed")
    return bool(distributed and distributed.is_available() and distributed.is_initialized())
