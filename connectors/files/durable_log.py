"""A log of lines that this process appends to, each on the disk before it is confirmed."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..clicks import Id
from ..recorder import FullError, Recorded, RecordError
from ..source import SourceError
from .log_repair import recent_event_ids, repair

MOST_WAITING = 32 << 20
"""Bytes that may wait to be written; more are turned away."""

MOST_AT_ONCE = 8 << 20
"""Bytes that are written and flushed at once, about."""

REMEMBERED = 100_000
"""Event ids that are remembered, so that a click sent again is not written again."""


class _Waiting(NamedTuple):
    lines: Sequence[bytes]
    events: Sequence[Id | None]
    size: int
    future: Future[Recorded]


class DurableLog:
    """A log of lines, appended to by this process alone.

    What comes together is written and flushed to the disk together, by a thread. If writing fails,
    what was written of it is taken back, and nothing of it is confirmed. A last line without its
    line break, from a crash, is mended when the log is opened. Where the log was renamed, a new
    one is begun.

    Parameters
    ----------
    path
        The log; created where it is not there.
    wake
        Called when more is on the disk.

    Attributes
    ----------
    notes
        Sentences on what a person should know, such as what was mended.

    Raises
    ------
    SourceError
        It cannot be written, or another process appends to it.

    """

    def __init__(self, path: Path, wake: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self.notes: list[str] = []
        self._wake = wake
        self._descriptor = self._open()
        try:
            if note := repair(path, self._descriptor):
                self.notes.append(note)
            events = recent_event_ids(self._descriptor, REMEMBERED)
            self._status = os.fstat(self._descriptor)
        except OSError as error:
            os.close(self._descriptor)
            raise _cannot_write(path, error) from error
        self._events: OrderedDict[Id, None] = OrderedDict.fromkeys(events)
        self._durable = self._status.st_size
        self._take_back = False
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._closed = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="append", daemon=True)
        self._thread.start()

    def append(
        self, lines: Sequence[bytes], events: Sequence[Id | None] | None = None
    ) -> Future[Recorded]:
        """Append lines; the future has a result when they are on the disk.

        Parameters
        ----------
        lines
            Without line breaks.
        events
            For each line the id of its event, or None: a line whose event is already in the log
            is not written again.

        Returns
        -------
        Future
            How many lines were written and how many were known; or a `RecordError`: none were
            written.

        """
        future: Future[Recorded] = Future()
        size = sum(map(len, lines)) + len(lines)
        given = [None] * len(lines) if events is None else events
        with self._news:
            if self._closed:
                future.set_exception(RecordError(f"{self.path} is closed: the run has ended"))
            elif self._bytes and self._bytes + size > MOST_WAITING:
                future.set_exception(
                    RecordError(f"too many clicks wait to be written to {self.path}: try again")
                )
            else:
                self._queue.append(_Waiting(lines, given, size, future))
                self._bytes += size
                self._news.notify()
        return future

    def durable(self, descriptor: int) -> int | None:
        """Return how many bytes of an open file are on the disk; None: it is another file."""
        same = os.path.samestat(os.fstat(descriptor), self._status)
        return self._durable if same else None

    def close(self) -> None:
        """Write what waits, and close the log."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join()
        os.close(self._descriptor)

    def _work(self) -> None:
        while group := self._take():
            # Who has given up waiting is left out; the others cannot give up any more.
            group = [each for each in group if each.future.set_running_or_notify_cancel()]
            try:
                results = self._commit(group)
            except OSError as error:
                failure = _failed(self.path, error)
                for waiting in group:
                    waiting.future.set_exception(failure)
                continue
            except SourceError as error:  # Where the log was, there is another that is no good.
                for waiting in group:
                    waiting.future.set_exception(RecordError(str(error)))
                continue
            self._wake()
            for waiting, result in zip(group, results, strict=True):
                waiting.future.set_result(result)

    def _take(self) -> list[_Waiting]:
        """Wait for lines; return those to be written together, none at the end."""
        group: list[_Waiting] = []
        size = 0
        with self._news:
            self._news.wait_for(lambda: self._queue or self._closed)
            while self._queue and (not group or size + self._queue[0].size <= MOST_AT_ONCE):
                waiting = self._queue.popleft()
                size += waiting.size
                group.append(waiting)
            self._bytes -= size
        return group

    def _commit(self, group: list[_Waiting]) -> list[Recorded]:
        """Write a group of lines, and flush them to the disk."""
        self._follow_name()
        fresh: dict[Id, None] = {}
        parts: list[bytes] = []
        results = []
        for waiting in group:
            before = len(parts)
            for line, event in zip(waiting.lines, waiting.events, strict=True):
                if event is not None:
                    if event in self._events or event in fresh:
                        continue
                    fresh[event] = None
                parts.append(line)
            written = len(parts) - before
            results.append(Recorded(written, len(waiting.lines) - written))
        if parts:
            self._write(b"\n".join(parts) + b"\n")
        self._events.update(fresh)
        while len(self._events) > REMEMBERED:
            self._events.popitem(last=False)
        return results

    def _write(self, data: bytes) -> None:
        if self._take_back:
            os.ftruncate(self._descriptor, self._durable)
            self._take_back = False
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            # Somebody else has begun a line: ours must not be joined with it.
            data = b"\n" + data
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._descriptor, left) :]
            os.fsync(self._descriptor)
        except OSError:
            self._take_back, self._durable = True, size
            with suppress(OSError):
                os.ftruncate(self._descriptor, size)
                self._take_back = False
            raise
        self._durable = size + len(data)

    def _follow_name(self) -> None:
        """Begin a new log where the old one was renamed or removed."""
        try:
            if os.path.samestat(self.path.stat(), self._status):
                return
        except FileNotFoundError:
            pass
        descriptor = self._open()
        try:
            repair(self.path, descriptor)
            status = os.fstat(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if self._take_back:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._durable)
        os.close(self._descriptor)
        self._descriptor, self._take_back = descriptor, False
        self._durable = status.st_size
        self._status = status

    def _open(self) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
            descriptor = os.open(self.path, flags, 0o644)
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except BlockingIOError:
            os.close(descriptor)
            raise SourceError(
                f"another process takes clicks into {self.path}: stop it first, or name another "
                "log after http:"
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise _cannot_write(self.path, error) from error
        return descriptor


def _cannot_write(path: Path, error: OSError) -> SourceError:
    return SourceError(f"{path} cannot be written: {error.strerror}; name another log after http:")


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _failed(path: Path, error: OSError) -> RecordError:
    kind = FullError if error.errno in FULL else RecordError
    return kind(f"{path} cannot be written: {error.strerror}; none of these clicks was recorded")
