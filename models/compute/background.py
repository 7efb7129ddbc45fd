"""Work beside the main thread, where a core is free for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch

from .device import cores, on_host

T = TypeVar("T")


class Worker:
    """Begins tasks on a thread of its own, ahead of when their results are asked for.

    Only for few and large operations: those of two threads run side by side, but each time one
    ends its thread waits for the interpreter, so many small ones on both are slower than on one.
    A GPU queues its work by itself, and where there are fewer than twice as many cores as torch has
    threads another one only gets in the way: there each task is done when its result is asked for.

    Parameters
    ----------
    device
        Where the tasks compute.

    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._thread = ThreadPoolExecutor(1, "aside")

    def __getstate__(self) -> dict[str, Any]:
        """Give what `pickle` and `copy.deepcopy` keep: not the thread, which waits for work."""
        return {"_device": self._device}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """Take back what `__getstate__` gave, with a thread of its own."""
        self._device = kept["_device"]
        self._thread = ThreadPoolExecutor(1, "aside")

    def submit(self, tasks: Sequence[Callable[[], T]], parallel: bool = True) -> Iterator[T]:
        """Begin tasks, and give their results one by one, in order.

        Whoever asks for the first result does what has not been begun by then, the last task first.

        Parameters
        ----------
        tasks
            What to do.
        worth
            Whether they are worth a thread; if not, each is done when its result is asked for.

        """
        spare = cores() >= 2 * torch.get_num_threads()
        if not parallel or not on_host(self._device) or not spare:
            return (task() for task in tasks)
        return self._results(tasks, [self._thread.submit(task) for task in tasks])

    def wait(self) -> None:
        """Wait until all that was begun is done."""
        self._thread.submit(lambda: None).result()

    def _results(self, tasks: Sequence[Callable[[], T]], futures: list[Future[T]]) -> Iterator[T]:
        own = []
        while futures and futures[-1].cancel():
            futures.pop()
            own.append(tasks[len(futures)]())
        yield from (future.result() for future in futures)
        yield from reversed(own)
