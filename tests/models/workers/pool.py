"""A pool of processes that serve the tests of models with many workers."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from nextclick.models.workers import Group, serve

SIZES = (2, 3, 5)
MOST = max(SIZES)
LIMIT = timedelta(minutes=30)
"""Of an exchange, and of what a test does between two."""


def _join(folder: str, rank: int) -> dict[int, dist.ProcessGroup]:
    store = dist.FileStore(str(Path(folder) / "store"), MOST)  # type: ignore[attr-defined]
    dist.init_process_group("gloo", store=store, rank=rank, world_size=MOST, timeout=LIMIT)
    return {size: dist.new_group(list(range(size)), timeout=LIMIT) for size in SIZES}


def _work(folder: str, rank: int) -> None:
    torch.set_num_threads(1)
    groups = _join(folder, rank)
    size = torch.zeros(1, dtype=torch.int64)
    while True:
        dist.broadcast(size, 0)
        if not size:
            return
        if rank < int(size):
            serve(Group(groups[int(size)]), device="cpu")


class Pool:
    """Processes that serve one group after another, of several sizes; this process is rank 0."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        spawn = multiprocessing.get_context("spawn")
        self._processes = [
            spawn.Process(target=_work, args=(self._folder.name, rank), daemon=True)
            for rank in range(1, MOST)
        ]
        for process in self._processes:
            process.start()
        self._groups = _join(self._folder.name, 0)

    @contextmanager
    def group(self, size: int) -> Iterator[Group]:
        """Yield rank 0's group of so many ranks, and stop it."""
        if size == 1:
            yield Group()
            return
        dist.broadcast(torch.tensor([size]), 0)
        group = Group(self._groups[size])
        try:
            yield group
        finally:
            group.stop()

    def close(self) -> None:
        """End the processes."""
        dist.broadcast(torch.zeros(1, dtype=torch.int64), 0)
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.kill()
        dist.destroy_process_group()
        self._folder.cleanup()
