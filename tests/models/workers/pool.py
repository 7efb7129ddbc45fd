"""A pool of processes that serve the tests of models with many workers."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from nextclick.models.workers import Group, serve

SIZES = (2, 3, 5)
MOST = max(SIZES)
LIMIT = timedelta(minutes=30)
"""Of an exchange, and of what a test does between two."""

END, SERVE, CALL = range(3)
"""What the processes are told to do."""


def _join(folder: str, rank: int) -> dict[int, dist.ProcessGroup]:
    store = dist.FileStore(str(Path(folder) / "store"), MOST)  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=rank, world_size=MOST, timeout=LIMIT)
    return {size: dist.new_group(list(range(size)), timeout=LIMIT) for size in SIZES}


def _work(folder: str, rank: int, calls: Connection) -> None:
    torch.set_num_threads(1)
    groups = _join(folder, rank)
    told = torch.zeros(2, dtype=torch.int64)
    while True:
        dist.broadcast(told, 0)
        what, size = told.tolist()
        if what == END:
            return
        if rank >= size:
            continue
        if what == SERVE:
            serve(Group(groups[size]), device="cpu")
        else:
            function, arguments = calls.recv()
            calls.send(function(Group(groups[size]), *arguments))


class Pool:
    """Processes that serve one group after another, of several sizes; this process is rank 0."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        spawn = multiprocessing.get_context("spawn")
        self._processes, self._calls = [], []
        for rank in range(1, MOST):
            here, there = spawn.Pipe()
            arguments = self._folder.name, rank, there
            self._processes.append(spawn.Process(target=_work, args=arguments, daemon=True))
            self._calls.append(here)
        for process in self._processes:
            process.start()
        self._groups = _join(self._folder.name, 0)

    @contextmanager
    def group(self, size: int) -> Iterator[Group]:
        """Yield rank 0's group of so many ranks, and stop it."""
        if size == 1:
            yield Group()
            return
        dist.broadcast(torch.tensor([SERVE, size]), 0)
        group = Group(self._groups[size])
        try:
            yield group
        finally:
            group.stop()

    def call(self, size: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Call a function of a module with each rank's group; return what it returns, by rank."""
        if size == 1:
            return [function(Group(), *arguments)]
        dist.broadcast(torch.tensor([CALL, size]), 0)
        for calls in self._calls[: size - 1]:
            calls.send((function, arguments))
        own = function(Group(self._groups[size]), *arguments)
        return [own, *(calls.recv() for calls in self._calls[: size - 1])]

    def close(self) -> None:
        """End the processes."""
        dist.broadcast(torch.zeros(2, dtype=torch.int64), 0)
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.kill()
        dist.destroy_process_group()
        self._folder.cleanup()
