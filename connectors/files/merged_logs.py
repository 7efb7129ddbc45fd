"""Several log files as one source, in the order of time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..clicks import Clicks, Id, Position, Rejected
from ..decoding.blocks import MOST_BYTES, PATIENCE, rejected_size
from ..decoding.log_format import LogFormat
from ..source import REMEDIES, SourceError, check_kind
from .log_part import Part
from .storage.decompression import COMPRESSIONS
from .storage.log_file import LogFile

MOST_OPEN = 256
"""Files that are read beside each other at most."""


class MergedLogs:
    """Several log files as one source, their clicks in the order of time.

    The files come in the order of their first clicks. Where they overlap in time their clicks are
    merged; each file's own order is kept. A position is ``{"kind": "log", "files": {name: place},
    "done": {name: place}}`` with the files that were begun: a file that comes later is read on
    after a resume.

    Parameters
    ----------
    files
        The files.
    form
        Where each of them keeps what a click is made of.

    Attributes
    ----------
    gap, warnings, share
        See `Source`.

    Raises
    ------
    SourceError
        A file cannot be opened or lacks a column, or some have sessions and others users.

    """

    def __init__(self, files: Sequence[LogFile], form: LogFormat) -> None:
        parts = [Part(file, form) for file in files]
        for before, part in pairwise(parts):
            # Without clicks a file stays behind the one before it.
            part.start = before.start if part.start == -np.inf else part.start
        self._parts = sorted(parts, key=lambda part: part.start)
        for number, part in enumerate(self._parts):
            part.number = number
        self.gap = self._common_gap()
        self._notes: list[str] = []
        names = [str(part.file) for part in self._parts]
        if names != [str(file) for file in files]:
            self._notes.append(f"the files are read in the order of time: {_listed(names)}")
        self._overlapping = False
        self._begin_with([])

    @property
    def warnings(self) -> list[str]:
        """What a person should know; what is alike in several files, of the first of them."""
        notes: dict[str, str] = {}
        for part in self._parts:
            for note in part.warnings:
                notes.setdefault(note.replace(str(part.file), ""), note)
        return [*self._notes, *notes.values()]

    @property
    def share(self) -> float | None:
        """How much has been given, from 0 to 1, taking the files as equally long."""
        total = 0.0
        for part in self._parts:
            share = part.share
            if share is None:
                return None
            total += share
        return total / len(self._parts)

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        """Read on; logs never wait. See `Source.poll`."""
        if limit < 1:
            raise ValueError(f"a poll must ask for at least one click, not {limit}")
        sessions: list[Id] = []
        items: list[Id] = []
        times: list[NDArray[np.float64]] = []
        events: list[Id | None] = []
        rejected: list[Rejected] = []
        size = 0
        while len(items) < limit:
            if self._unready:
                found = self._fill(self._unready.pop())
                rejected += found
                size += sum(map(rejected_size, found))
                if len(rejected) >= PATIENCE or size >= MOST_BYTES:
                    break
            elif self._waiting and (not self._ready or self._ready[0][0] >= self._waiting[0].start):
                self._begin(self._waiting.popleft())
            elif not self._ready:
                break
            else:
                taken = self._take(limit - len(items))
                sessions += taken.sessions
                items += taken.items
                times.append(taken.times)
                events += [None] * len(taken) if taken.events is None else taken.events
        if not items and not rejected:
            return None
        joined = np.concatenate(times) if times else np.zeros(0)
        named = events if any(event is not None for event in events) else None
        return Clicks(sessions, items, joined, self._position(), rejected, events=named)

    def seek(self, position: Position) -> None:
        """Go on from a position that an earlier `poll` gave.

        Raises
        ------
        SourceError
            It is one in another source, or one of the files is missing or has changed.

        """
        check_kind(position, "log", f"the logs {_listed([str(each.file) for each in self._parts])}")
        if "files" in position:
            places = {**position["done"], **position["files"]}
        else:  # It was one log then.
            places = {str(position.get("name", self._parts[0].file.name)): position}
        found = self._find(places)
        self.close()
        for part, place in found.items():
            part.seek(place)
        self._begin_with(list(found))
        self._latest = float(position.get("time", -np.inf))
        early = [str(part.file) for part in self._waiting if part.start < self._latest]
        if early:
            self._notes.append(
                f"{_listed(early)}: new since the snapshot, with clicks from before it, which are "
                "read now, after later ones"
            )

    def commit(self, position: Position) -> None:
        """Do nothing: nobody outside keeps a log's position."""

    def close(self) -> None:
        """Close the files."""
        for part in self._parts:
            part.close()

    def _begin_with(self, begun: list[Part]) -> None:
        """Stand where only these files were begun."""
        self._latest = -np.inf
        self._done: dict[str, Position] = {}
        self._waiting = deque(part for part in self._parts if part not in begun)
        self._open = sorted(begun, key=lambda part: part.number)
        self._ready = [
            (part.keys[part.taken], part.number)
            for part in self._open
            if part.taken < len(part.keys)
        ]
        heapify(self._ready)
        self._unready = [part for part in self._open if part.taken == len(part.keys)][::-1]

    def _begin(self, part: Part) -> None:
        """Open the next file, beside those that have not ended."""
        if self._ready and part.has_clicks and not self._overlapping:
            self._overlapping = True
            other = self._parts[self._ready[0][1]]
            self._notes.append(
                f"{other.file} and {part.file} overlap in time: the clicks of such files are "
                "merged in the order of time"
            )
        if len(self._open) == MOST_OPEN:
            raise SourceError(
                f"{part.file}: more than {MOST_OPEN} files overlap in time here: read them with "
                "--sort"
            )
        self._open.append(part)
        self._unready.append(part)

    def _fill(self, part: Part) -> list[Rejected]:
        """Read on in a file whose clicks are all given."""
        rejected = part.fill()
        if part.ended:
            self._open.remove(part)
            # Positions that were given before keep the old one.
            self._done = {**self._done, str(part.file): part.position}
        elif part.keys:
            heappush(self._ready, (part.keys[0], part.number))
        else:
            self._unready.append(part)
        return rejected

    def _take(self, limit: int) -> Clicks:
        """Take what comes before all other files' clicks, at least one."""
        _, number = self._ready[0]
        part = self._parts[number]
        # The two below the first in the heap are the least of all others.
        until, other = min(self._ready[1:3], default=(np.inf, len(self._parts)))
        bisect = bisect_right if number < other else bisect_left
        end = bisect(part.keys, until, part.taken)
        if self._waiting:
            end = min(end, bisect_left(part.keys, self._waiting[0].start, part.taken))
        taken = part.take(min(end - part.taken, limit))
        self._latest = max(self._latest, part.keys[part.taken - 1])
        if part.taken < len(part.keys):
            heapreplace(self._ready, (part.keys[part.taken], number))
        else:
            heappop(self._ready)
            self._unready.append(part)
        return taken

    def _position(self) -> Position:
        files = {str(part.file): part.position for part in self._open if part.begun}
        position: Position = {"kind": "log", "files": files, "done": self._done}
        return position if self._latest == -np.inf else {**position, "time": self._latest}

    def _common_gap(self) -> float | None:
        gaps = {part.gap: part.file for part in self._parts}
        if len(gaps) > 1:
            users = next(file for gap, file in gaps.items() if gap is not None)
            raise SourceError(f"{gaps[None]} has sessions and {users} only users: read one of them")
        return next(iter(gaps))

    def _find(self, places: Position) -> dict[Part, Position]:
        """Return the file that each place of a position is in."""
        found: dict[Part, Position] = {}
        for name, place in places.items():
            for same in (str, _last, _bare):
                left = [part for part in self._parts if part not in found]
                named = [part for part in left if same(str(part.file)) == same(name)]
                if len(named) == 1:
                    found[named[0]] = place
                    break
            else:
                raise SourceError(
                    f"{name}: the snapshot was taken after reading of this file, and it is "
                    f"missing: put it back, or {REMEDIES}"
                )
        return found


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _bare(name: str) -> str:
    """Return a file's name as it is when the file is not compressed."""
    last = _last(name)
    for ending in COMPRESSIONS:
        last = last.removesuffix(ending)
    return last


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
