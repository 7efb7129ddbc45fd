"""Requests that wait, and the lock that whoever uses the model holds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from nextclick.models import Answer

from .requests import Request

MOST_AT_ONCE = 64
"""Requests that one call of the model answers at most, while the stream waits."""

MOST_WAITING = 4096
"""Requests that may wait; more are turned away."""

LONGEST_WAIT = 10.0
"""Seconds after which a request that waits is given up."""


class BusyError(Exception):
    """A request cannot be answered now; the message says why."""


@dataclass(slots=True)
class Reply:
    """What is answered to one request.

    Parameters
    ----------
    answer
        The model's answer.
    request
        What was asked for.
    learned
        How many clicks the model had learned.
    behind, age
        How many clicks had been read and not learned, and for how many seconds it had learned
        nothing.
    shown
        For each item the data that are shown with it, as the inside of a JSON object; None where
        there are none of any.

    """

    answer: Answer
    request: Request
    learned: int
    behind: int
    age: float
    shown: Sequence[bytes] | None = None


class Answers(Protocol):
    """What answers requests; called by whoever holds the lock."""

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer requests by one call of the model."""
        ...


@dataclass(slots=True)
class _Waiting:
    request: Request
    future: asyncio.Future[Reply]
    since: float = field(default_factory=time.monotonic)


class RequestQueue:
    """Requests are answered together by whoever holds the model, or by the server if nobody does.

    The engine holds the lock while it uses the model, and gives it away while it waits for clicks.
    Requests come on the server's thread, which answers them itself where the lock is free. Where
    it is not, the engine answers them before it gives the lock away.

    Parameters
    ----------
    answers
        What answers requests.
    observe
        Told after each call of the model how many requests it answered, and how many seconds it
        took, by the clock and of the thread's processor time.

    """

    def __init__(
        self,
        answers: Answers,
        observe: Callable[[int, float, float], None] = lambda count, seconds, busy: None,
    ) -> None:
        self.answers = answers
        self._observe = observe
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduled = False

    def __len__(self) -> int:
        """Return how many requests wait."""
        return len(self._waiting)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take requests on a loop from now on."""
        self._loop = loop

    def end(self) -> None:
        """Take no more requests."""
        self._loop = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the model."""
        self._lock.acquire()
        try:
            yield
        finally:
            self._release()

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Release the model inside, having answered what waits; for whoever holds it."""
        self._release()
        try:
            yield
        finally:
            self._lock.acquire()

    def _release(self) -> None:
        if self._waiting:
            self._answer_some()
        self._lock.release()
        # Whoever came while the lock was held has not been answered yet.
        loop = self._loop
        if self._waiting and loop is not None:
            with suppress(RuntimeError):  # The server has just ended.
                loop.call_soon_threadsafe(self._answer_if_free)

    async def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Wait for the answers to requests; on the server's loop.

        Raises
        ------
        BusyError
            Too many wait, or the model does not answer in time.

        """
        loop = self._loop
        if loop is None:
            raise BusyError("the server is ending")
        if len(self._waiting) + len(requests) > MOST_WAITING:
            raise BusyError("too many requests are waiting: try again in a second")
        futures = []
        for request in requests:
            waiting = _Waiting(request, loop.create_future())
            futures.append(waiting.future)
            self._waiting.append(waiting)
        if not self._scheduled:
            # Not at once: what else has come by now is answered with it.
            self._scheduled = True
            loop.call_soon(self._answer_if_free)
        if len(futures) == 1:
            return [await futures[0]]
        return await asyncio.gather(*futures)

    def _answer_if_free(self) -> None:
        """Answer what waits, unless somebody else uses the model; on the server's loop."""
        self._scheduled = False
        if not self._waiting or not self._lock.acquire(blocking=False):
            return
        try:
            self._answer_some()
        finally:
            self._lock.release()
        if self._waiting and self._loop is not None and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._answer_if_free)

    def _answer_some(self) -> None:
        """Answer the first requests that wait; the lock is held."""
        some: list[_Waiting] = []
        with suppress(IndexError):  # Those that have waited for too long are taken out meanwhile.
            while len(some) < MOST_AT_ONCE:
                some.append(self._waiting.popleft())
        if not some:
            return
        began, busy = time.perf_counter(), time.thread_time()
        failure: Exception | None = None
        replies: list[Reply] = []
        try:
            replies = self.answers.answer([waiting.request for waiting in some])
        except Exception as error:
            failure = error
        self._observe(len(some), time.perf_counter() - began, time.thread_time() - busy)
        loop = self._loop
        if loop is None:
            return
        try:
            running = asyncio.get_running_loop() is loop
        except RuntimeError:
            running = False
        if running:
            _resolve(some, replies, failure)
        else:
            with suppress(RuntimeError):  # The server has just ended.
                loop.call_soon_threadsafe(_resolve, some, replies, failure)

    def give_up_old(self) -> None:
        """Fail requests that have waited for too long; on the server's loop."""
        now = time.monotonic()
        late: list[_Waiting] = []
        with suppress(IndexError):  # The engine answers meanwhile.
            while now - self._waiting[0].since > LONGEST_WAIT:
                late.append(self._waiting.popleft())
        failure = BusyError(f"the model has not answered for {LONGEST_WAIT:.0f} seconds: try again")
        _resolve(late, [], failure)


def _resolve(some: Sequence[_Waiting], replies: list[Reply], failure: Exception | None) -> None:
    """Hand replies to those who wait for them; on the server's loop."""
    for at, waiting in enumerate(some):
        if waiting.future.done():
            continue
        if failure is not None:
            waiting.future.set_exception(failure)
        else:
            waiting.future.set_result(replies[at])
