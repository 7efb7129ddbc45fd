"""A log of lines that this process appends to, each on the disk before it is confirmed."""

from __future__ import annotations

import errno
import fcntl
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from ...clicks import Id
from ...group_commit import GroupCommit
from ...recorder import FullError, Recorded, RecordError
from ...source import SourceError
from .log_repair import recent_event_ids, repair

REMEMBERED = 100_000
"""Event ids that are remembered, so that a click sent again is not written again."""


Line = tuple[bytes, Id | None]
"""A line without its line break, and the id of its event."""


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
        self._group: GroupCommit[Line] = GroupCommit(str(path), self._commit)

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
        given = [None] * len(lines) if events is None else events
        size = sum(map(len, lines)) + len(lines)
        return self._group.submit(list(zip(lines, given, strict=True)), size)

    def durable(self, descriptor: int) -> int | None:
        """Return how many bytes of an open file are on the disk; None: it is another file."""
        same = os.path.samestat(os.fstat(descriptor), self._status)
        return self._durable if same else None

    def close(self) -> None:
        """Write what waits, and close the log."""
        self._group.close()
        os.close(self._descriptor)

    def _commit(self, group: list[Sequence[Line]]) -> list[Recorded]:
        """Write lines, and flush them to the disk."""
        fresh: dict[Id, None] = {}
        parts: list[bytes] = []
        results = []
        for lines in group:
            before = len(parts)
            for line, event in lines:
                if event is not None:
                    if event in self._events or event in fresh:
                        continue
                    fresh[event] = None
                parts.append(line)
            written = len(parts) - before
            results.append(Recorded(written, len(lines) - written))
        if parts:
            try:
                self._follow_name()
                self._write(b"\n".join(parts) + b"\n")
            except OSError as error:
                raise _failed(self.path, error) from error
            self._wake()
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
