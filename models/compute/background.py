"""Work on a second thread, where a core is free for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import torch

from .device import cores, on_host

T = TypeVar("T")

THREAD_NAME = "model-worker"


class Task(Future[T]):
    """A future that is computed by its worker, or by whoever asks for the result before that.

    Parameters
    ----------
    function
        What computes the result.

    """

    def __init__(self, function: Callable[[], T]) -> None:
        super().__init__()
        self._function = function
        self._begun = threading.Lock()

    def run(self) -> bool:
        """Compute the result, unless that has begun or was cancelled; return whether it was done.

        An error is kept for `result`.
        """
        if not self._begun.acquire(blocking=False) or not self.set_running_or_notify_cancel():
            return False
        try:
            self.set_result(self._function())
        except BaseException as error:
            self.set_exception(error)
        return True

    def result(self, timeout: float | None = None) -> T:
        """Return the result: compute it here where that has not begun, else wait for it."""
        self.run()
        return super().result(timeout)


class Worker:
    """Computes on a thread of its own what will be asked for later.

    Only for few and large operations: those of two threads run side by side, but each time one
    ends its thread waits for the interpreter, so many small tasks on both threads
    are slower than on one.
    A GPU queues its work by itself, and where there are fewer than twice as many cores as torch has
    threads another one only gets in the way: there each result is computed when it is asked for.

    Parameters
    ----------
    device
        Where the tasks compute.

    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._thread = ThreadPoolExecutor(1, THREAD_NAME)

    def __getstate__(self) -> dict[str, Any]:
        """Return what `pickle` and `copy.deepcopy` keep: not the thread, which waits for work."""
        return {"_device": self._device}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` returned, with a new thread."""
        self.__init__(state["_device"])  # type: ignore[misc]

    def submit(self, function: Callable[..., T], *arguments: Any, parallel: bool = True) -> Task[T]:
        """Begin to compute a result.

        Parameters
        ----------
        function, *arguments
            What to compute.
        parallel
            Whether it is worth another thread; if not, it is computed when it is asked for.

        """
        task = Task(partial(function, *arguments))
        spare = cores() >= 2 * torch.get_num_threads()
        if parallel and spare and on_host(self._device):
            self._thread.submit(task.run)
        return task

    def wait(self) -> None:
        """Wait until nothing is being computed on the other thread, and nothing is left to be."""
        self._thread.submit(int).result()


def gather(tasks: Sequence[Task[T]]) -> list[T]:
    """Return the results of tasks that a worker began in this order.

    The worker goes from the first task on; here those not yet begun are computed from the last on.
    """
    for task in reversed(tasks):
        if not task.run():
            break
    return [task.result() for task in tasks]


def cut(whole: slice, parts: int, least: int) -> list[slice]:
    """Cut a slice into at most `parts` equal parts of at least `least`.

    Examples
    --------
    >>> cut(slice(10, 20), 3, least=3)
    [slice(10, 14, None), slice(14, 18, None), slice(18, 20, None)]
    >>> cut(slice(10, 20), 3, least=6)
    [slice(10, 20, None)]

    """
    count = whole.stop - whole.start
    size = -(-count // max(1, min(parts, count // least)))
    return [slice(at, min(at + size, whole.stop)) for at in range(whole.start, whole.stop, size)]
