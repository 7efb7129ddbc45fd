"""What comes together is made durable together, by a thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, NamedTuple, TypeVar

from .recorder import Recorded, RecordError

T = TypeVar("T")

MOST_WAITING = 32 << 20
"""Bytes that may wait; more are turned away."""

MOST_AT_ONCE = 8 << 20
"""Bytes that are made durable at once, about."""

Outcome = Recorded | RecordError


class _Waiting(NamedTuple, Generic[T]):
    records: Sequence[T]
    size: int
    future: Future[Recorded]


class GroupCommit(Generic[T]):
    """Hands groups of records to a function that makes them durable.

    Parameters
    ----------
    place
        Where they go, for messages.
    commit
        Makes several requests' records durable, and returns what became of each request.
    begin
        Called first, on the thread.

    """

    def __init__(
        self,
        place: str,
        commit: Callable[[list[Sequence[T]]], Sequence[Outcome]],
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._place = place
        self._commit = commit
        self._begin = begin
        self._queue: deque[_Waiting[T]] = deque()
        self._bytes = 0
        self._closed = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="record", daemon=True)
        self._thread.start()

    def submit(self, records: Sequence[T], size: int) -> Future[Recorded]:
        """Make records durable, all of them or none.

        Parameters
        ----------
        records
            The records of one request.
        size
            Their bytes.

        """
        future: Future[Recorded] = Future()
        with self._news:
            if self._closed:
                future.set_exception(RecordError(f"{self._place} is closed: the run has ended"))
            elif self._bytes and self._bytes + size > MOST_WAITING:
                future.set_exception(
                    RecordError(f"too many clicks wait to be written to {self._place}: try again")
                )
            else:
                self._queue.append(_Waiting(records, size, future))
                self._bytes += size
                self._news.notify()
        return future

    def close(self) -> None:
        """Make durable what waits, and take no more."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join()

    def _work(self) -> None:
        self._begin()
        while group := self._take():
            # Who has given up waiting is left out; the others cannot give up any more.
            group = [each for each in group if each.future.set_running_or_notify_cancel()]
            if not group:
                continue
            outcomes: Sequence[Outcome]
            try:
                outcomes = self._commit([waiting.records for waiting in group])
            except Exception as error:
                failure = error if isinstance(error, RecordError) else RecordError(str(error))
                outcomes = [failure] * len(group)
            for waiting, outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, RecordError):
                    waiting.future.set_exception(outcome)
                else:
                    waiting.future.set_result(outcome)

    def _take(self) -> list[_Waiting[T]]:
        """Wait for records; return those to be made durable together, none at the end."""
        group: list[_Waiting[T]] = []
        size = 0
        with self._news:
            self._news.wait_for(lambda: self._queue or self._closed)
            while self._queue and (not group or size + self._queue[0].size <= MOST_AT_ONCE):
                waiting = self._queue.popleft()
                size += waiting.size
                group.append(waiting)
            self._bytes -= size
        return group
