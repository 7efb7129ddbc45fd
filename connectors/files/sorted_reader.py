"""A log put in the order of time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray

from ..clicks import Id, Position, Rejected
from ..decoding.blocks import Decoded
from .reader import Reader, changed
from .storage.log_file import LogFile


class SortedReader:
    """Reads a log whole, and serves it in the order of time.

    Clicks of equal time keep the file's order; rejected records come first: the log is read a
    second time for them, and they are not held. A position is ``{"record": records before,
    "crc": of the whole log}``. Memory: 24 bytes a click, and each distinct id once.

    Parameters
    ----------
    reader
        Gives the log in file order.
    path
        The file, for messages.

    """

    BLOCK = 1 << 16

    def __init__(self, reader: Reader, path: LogFile) -> None:
        self._reader = reader
        self._path = path
        self.by_user = reader.by_user
        self._loaded = False
        self._again: Iterator[list[Rejected]] | None = None
        self._record = 0
        self._records = 0

    @property
    def warnings(self) -> list[str]:
        """What a person should know."""
        return self._warnings if self._loaded else self._reader.warnings

    def read(self) -> Decoded | None:
        """Return the next block; None at the end."""
        self._load()
        start = self._record + self._records
        lost = self._lost
        total = lost + len(self._times)
        if start >= total:
            return None
        if start < lost:
            rejected = self._next_rejected(start)
            self._record, self._records = start, len(rejected)
            return Decoded([], [], np.zeros(0), rejected)
        end = min(start + self.BLOCK, total)
        self._record, self._records = start, end - start
        rows = slice(start - lost, end - lost)
        names = self._names
        return Decoded(
            [names[code] for code in self._sessions[rows].tolist()],
            [names[code] for code in self._items[rows].tolist()],
            self._times[rows],
            events=self._event_names(rows) if self._has_events else None,
        )

    @property
    def notes(self) -> list[str]:
        """What the records have told, such as the unit of their times."""
        return self._reader.notes

    @property
    def share(self) -> float | None:
        """How much of the log has been given, from 0 to 1."""
        if not self._loaded:
            return 0.0
        total = self._lost + len(self._times)
        return (self._record + self._records) / total if total else None

    def position(self, given: int, part: int = 0) -> Position:
        """Return the position after the first `given` records of the block read last."""
        return {"record": self._record + given, "crc": self._crc}

    def seek(self, position: Position) -> None:
        """Go on from a position, having made sure that the whole log is the same."""
        if position.keys() != {"record", "crc"}:
            raise changed(
                self._path, "it was then read with other options, or as another kind of file"
            )
        self._load()
        if position["crc"] != self._crc:
            raise changed(self._path, "a log that is sorted when read must not grow either")
        self._record, self._records = int(position["record"]), 0
        self._again = None

    def digest(self) -> int:
        """Return a CRC-32 of the whole log."""
        self._load()
        return self._crc

    def rewind(self) -> None:
        """Go back to the start."""
        self._record = self._records = 0
        self._again = None

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def _load(self) -> None:
        if self._loaded:
            return
        codes: defaultdict[Id, int] = defaultdict(count().__next__)
        sessions: list[NDArray[np.int64]] = []
        items: list[NDArray[np.int64]] = []
        times: list[NDArray[np.float64]] = []
        events: list[NDArray[np.int64]] = []
        self._lost = 0
        while (block := self._reader.read()) is not None:
            sessions.append(np.array([codes[name] for name in block.sessions], dtype=np.int64))
            items.append(np.array([codes[name] for name in block.items], dtype=np.int64))
            times.append(block.times)
            if block.events is not None:
                named = [-1 if name is None else codes[name] for name in block.events]
                events.append(np.array(named, dtype=np.int64))
            else:
                events.append(np.full(len(block.items), -1))
            self._lost += len(block.rejected)
        self._names = list(codes)
        joined = np.concatenate([np.zeros(0), *times])
        order = np.argsort(joined, kind="stable")
        self._times = joined[order]
        self._sessions = np.concatenate([np.zeros(0, dtype=np.int64), *sessions])[order]
        self._items = np.concatenate([np.zeros(0, dtype=np.int64), *items])[order]
        self._events = np.concatenate([np.zeros(0, dtype=np.int64), *events])[order]
        self._has_events = bool((self._events >= 0).any())
        # What is read a second time changes the reader's own.
        self._crc = self._reader.digest()
        self._warnings = list(self._reader.warnings)
        self._loaded = True

    def _event_names(self, rows: slice) -> list[Id | None]:
        names = self._names
        return [None if code < 0 else names[code] for code in self._events[rows].tolist()]

    def _next_rejected(self, start: int) -> list[Rejected]:
        """Return the next rejected records, after the first `start`."""
        skip = 0
        if self._again is None:
            self._reader.rewind()
            self._again, skip = self._read_rejected(), start
        for rejected in self._again:
            if skip < len(rejected):
                return rejected[skip : skip + self._lost - start]
            skip -= len(rejected)
        raise changed(self._path, "while it was read, it has lost records")

    def _read_rejected(self) -> Iterator[list[Rejected]]:
        while (block := self._reader.read()) is not None:
            if block.rejected:
                yield block.rejected
