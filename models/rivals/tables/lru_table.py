"""Things in the order in which they were last clicked, each with a row of its own."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...base import fits, within_bounds
from ...recommender import Arrays
from .undo_log import UndoLog

SPAN = 1 << 32
"""A stamp is this times the number of an admission, plus the row."""

ROW = SPAN - 1
"""The bits of a stamp that hold the row."""


class LRUTable:
    """Ids, each with a row, from the least to the most recently clicked.

    Rows begin at 1 and are given anew when they were left. What is kept for long is kept as a
    stamp, which names one stay of one id: a row together with the number of its admission.

    A `Vocabulary` does much the same for whole batches. Here every click may drop what is oldest,
    and all of it can be taken back.

    Parameters
    ----------
    bound
        Number of ids that may be kept; the owner drops the oldest beyond it.
    journal
        Keeps what was changed.

    Attributes
    ----------
    stamps
        int64, by row: the stamp of what has the row, 0 for nothing.

    """

    def __init__(self, bound: int, journal: UndoLog) -> None:
        self.bound = bound
        self._journal = journal
        self._rows: dict[Any, int] = {}
        # A ring through row 0: what comes after it is the oldest, before it the newest.
        self._ids: list[Any] = [None]
        self._older: list[int] = [0]
        self._newer: list[int] = [0]
        self._free: list[int] = []
        self._born = 0
        self.stamps: NDArray[np.int64] = np.zeros(1024, np.int64)
        # By row: when it was last clicked, by a clock that a snapshot need not keep.
        self._clicked: NDArray[np.int64] = np.zeros(1024, np.int64)
        self._clock = 1

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._rows)

    @property
    def used(self) -> int:
        """All rows ever given lie below this one."""
        return len(self._ids)

    @property
    def oldest(self) -> int:
        """The row least recently clicked; 0 for none."""
        return self._newer[0]

    def get(self, id_: Hashable) -> int:
        """Return the row of an id; 0 for none."""
        return self._rows.get(id_, 0)

    def id_of(self, row: int) -> Any:
        """Return what has a row."""
        return self._ids[row]

    def newest(self) -> Iterator[int]:
        """Go through the rows, the most recently clicked first."""
        row = self._older[0]
        while row:
            yield row
            row = self._older[row]

    def alive(self, stamps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which stamps still stand for the id in their row."""
        alive: NDArray[np.bool_] = self.stamps[stamps & ROW] == stamps
        return alive

    @property
    def admissions(self) -> NDArray[np.int64]:
        """By row: the stamp of what has it, 0 for nothing."""
        return self.stamps[: self.used]

    def rows_of(self, ids: Sequence[Hashable]) -> NDArray[np.int64]:
        """Return the rows of ids; 0 for those that are not there."""
        rows = self._rows
        return np.array([rows.get(id_, 0) for id_ in ids], np.int64)

    def ages(self) -> NDArray[np.int64]:
        """Return by row how long ago each was clicked: less for what was clicked later."""
        return self._clock - self._clicked[: self.used]

    def live_rows(self, stamps: tuple[int, ...]) -> list[int]:
        """Return the rows of those stamps that still stand for the id in their row."""
        owners = self.stamps
        return [stamp & ROW for stamp in stamps if owners[stamp & ROW] == stamp]

    def add(self, id_: Hashable) -> int:
        """Return a new id a row, as the most recently clicked."""
        if self._free:
            row = self._free.pop()
            self._ids[row] = id_
            self._journal.note(self._free.append, row)
        else:
            row = len(self._ids)
            self._ids.append(id_)
            self._older.append(0)
            self._newer.append(0)
            if row == len(self.stamps):
                self.stamps = np.concatenate([self.stamps, np.zeros_like(self.stamps)])
                self._clicked = np.concatenate([self._clicked, np.zeros_like(self._clicked)])
            self._journal.note(self._shorten)
        self._rows[id_] = row
        self._born += 1
        self.stamps[row] = self._born * SPAN + row
        self._link(row, self._older[0])
        self._journal.note(self._unadd, row)
        return row

    def touch(self, row: int) -> None:
        """Make a row the most recently clicked."""
        older = self._older[row]
        self._journal.note(self._untouch, row, older, int(self._clicked[row]))
        self._clicked[row] = self._clock
        self._clock += 1
        if self._newer[row]:
            self._unlink(row)
            self._link(row, self._older[0])

    def drop(self, row: int) -> None:
        """Remove a row's id."""
        id_, stamp, older = self._ids[row], int(self.stamps[row]), self._unlink(row)
        del self._rows[id_]
        self._ids[row] = None
        self.stamps[row] = 0
        self._free.append(row)
        self._journal.note(self._undrop, row, id_, stamp, older)

    def _link(self, row: int, older: int) -> None:
        newer = self._newer[older]
        self._older[row], self._newer[row] = older, newer
        self._newer[older] = self._older[newer] = row

    def _unlink(self, row: int) -> int:
        older, newer = self._older[row], self._newer[row]
        self._newer[older], self._older[newer] = newer, older
        return older

    def _shorten(self) -> None:
        for column in (self._ids, self._older, self._newer):
            column.pop()

    def _unadd(self, row: int) -> None:
        self._unlink(row)
        self.stamps[row] = 0
        self._born -= 1
        del self._rows[self._ids[row]]
        self._ids[row] = None

    def _untouch(self, row: int, older: int, clicked: int) -> None:
        self._clicked[row] = clicked
        self._clock -= 1
        self._unlink(row)
        self._link(row, older)

    def _undrop(self, row: int, id_: Hashable, stamp: int, older: int) -> None:
        self._free.pop()
        self._ids[row] = id_
        self._rows[id_] = row
        self.stamps[row] = stamp
        self._link(row, older)

    def state(self) -> tuple[list[Any], Arrays]:
        """Copy the ids, from the least to the most recently clicked, and all else by name."""
        rows = np.fromiter(self.newest(), np.int64, len(self))[::-1].copy()
        arrays: Arrays = {
            "rows": rows,
            "stamps": self.stamps[rows],
            "free": np.array(self._free, np.int64),
            "born": np.array([self._born, self.used], np.int64),
        }
        return [self._ids[row] for row in rows.tolist()], arrays

    def restore(self, ids: list[Any], arrays: Arrays) -> None:
        """Restore what `state` returned."""
        self._born, used = arrays["born"].tolist()
        given, free = arrays["rows"], arrays["free"]
        fits(
            len(set(ids)) == len(ids) == len(given) == len(np.unique(given))
            and within_bounds(given, 1, used)
            and within_bounds(free, 1, used)
            and np.array_equal(arrays["stamps"] & ROW, given),
            "the ids and their rows",
        )
        rows = given.tolist()
        self._rows = dict(zip(ids, rows, strict=True))
        self._ids, self._older, self._newer = [None] * used, [0] * used, [0] * used
        self._free = arrays["free"].tolist()
        self.stamps = np.zeros(max(1024, 2 * used), np.int64)
        self.stamps[given] = arrays["stamps"]
        self._clicked = np.zeros(len(self.stamps), np.int64)
        self._clicked[given] = np.arange(1, len(given) + 1)
        self._clock = len(given) + 1
        for id_, row in self._rows.items():
            self._ids[row] = id_
            self._link(row, self._older[0])
