"""Item ids to rows of the tables, and back."""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Id = str | int

NO_ITEM = 0
"""The row that stands for no item: it is never given out, never scored."""


class Vocabulary:
    """The catalogue: the items clicked so far, each with a row of its own.

    Rows index the item tables. A new item gets a row that an evicted one has left, else the next
    one after the rows in use.

    Parameters
    ----------
    min_count
        An item enters the catalogue at its click of this number.
    bound
        At most this many items are kept, and at most as many are counted that have not entered.

    Attributes
    ----------
    restored
        How often a state was restored: rows may have other items then, of the same admissions.

    Examples
    --------
    >>> vocabulary = Vocabulary(bound=1)
    >>> vocabulary.admit(["shoes", "socks", "shoes"])
    (array([1, 2, 1]), array([ True,  True, False]))
    >>> vocabulary.touch(["shoes"])
    >>> vocabulary.evict()
    [2]
    >>> vocabulary.admit(["hat"]), vocabulary.id_of(2)
    ((array([2]), array([ True])), 'hat')

    """

    def __init__(self, min_count: int = 1, bound: int = 1_000_000) -> None:
        self.min_count = min_count
        self.bound = bound
        # From the least to the most recently clicked.
        self._rows: OrderedDict[Id, int] = OrderedDict()
        self._ids: list[Id | None] = [None]
        self._free: list[int] = []
        # By row: the time of the latest click, and how many clicks had come by then. Arrays, since
        # a snapshot copies them while the stream waits.
        self._times = array("d", [-math.inf])
        self._touched = array("q", [0])
        self._clicks = 0
        # How many admissions there were, and which of them gave each row its item.
        self._admissions = np.zeros(1024, np.int64)
        self._admitted = 0
        # Clicks of items that have not entered, least recently clicked first.
        self._counts: OrderedDict[Id, int] = OrderedDict()
        self.restored = 0

    def __len__(self) -> int:
        """Return the number of items known."""
        return len(self._rows)

    def __contains__(self, item: object) -> bool:
        """Whether an item is known."""
        return item in self._rows

    @property
    def used(self) -> int:
        """Rows in use: all rows given out so far lie below this one."""
        return len(self._ids)

    def id_of(self, row: int) -> Id:
        """Return the item of a row."""
        item = self._ids[row]
        if item is None:
            raise KeyError(f"row {row} holds no item")
        return item

    @property
    def admissions(self) -> NDArray[np.int64]:
        """The number of the admission of each row's item, 0 for none; a comeback is another."""
        return self._admissions[: self.used]

    def rows_of(self, items: Sequence[Id]) -> NDArray[np.int64]:
        """Look items up; `NO_ITEM` for those that are not known."""
        rows = self._rows
        return np.array([rows.get(item, NO_ITEM) for item in items], dtype=np.int64)

    def clicked_lately(self, count: int) -> NDArray[np.bool_]:
        """Return for each row whether its item is among the last `count` clicks on known items."""
        touched = np.array(self._touched)
        return (touched > 0) & (touched > self._clicks - count)

    def admit(self, items: Sequence[Id]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Look items up in stream order, giving each that enters a row.

        Returns
        -------
        rows
            int64, shape (n,); `NO_ITEM` where the item has not been clicked often enough.
        new
            bool, shape (n,): at this click its item enters the catalogue.

        """
        known = self._rows
        found = list(map(known.get, items))
        new = np.zeros(len(items), dtype=np.bool_)
        if None in found:
            counts: dict[Id, int] = {}
            for place, row in enumerate(found):
                if row is not None:
                    continue
                item = items[place]
                row = known.get(item)
                if row is None and self.min_count > 1:
                    counts[item] = counts.get(item, self._counts.get(item, 0)) + 1
                    if counts[item] < self.min_count:
                        row = NO_ITEM
                if row is None:
                    row = known[item] = self._give(item)
                    new[place] = True
                found[place] = row
        return np.array(found, dtype=np.int64), new

    def _give(self, item: Id) -> int:
        self._admitted += 1
        if self._free:
            row = self._free.pop()
            self._ids[row] = item
            self._admissions[row] = self._admitted
            return row
        self._ids.append(item)
        self._times.append(-math.inf)
        self._touched.append(0)
        if len(self._ids) > len(self._admissions):
            self._admissions = np.concatenate([self._admissions, np.zeros_like(self._admissions)])
        self._admissions[len(self._ids) - 1] = self._admitted
        return len(self._ids) - 1

    def withdraw(self, rows: Sequence[int], used: int) -> None:
        """Undo an `admit`.

        Parameters
        ----------
        rows
            The rows of its new items, in their order.
        used
            `used` as it was before.

        """
        self._admitted -= len(rows)
        for row in reversed(rows):
            del self._rows[self.id_of(row)]
            self._admissions[row] = 0
            if row >= used:
                self._ids.pop()
                self._times.pop()
                self._touched.pop()
            else:
                self._ids[row] = None
                self._free.append(row)

    def touch(self, items: Sequence[Id], time: float = -math.inf) -> None:
        """Make items the most recently clicked, in stream order, at this event time."""
        known = self._rows
        found = list(map(known.get, items))
        if None not in found and not self._counts:
            deque(map(known.move_to_end, items), maxlen=0)
            rows = np.array(found, np.int64)
            np.frombuffer(self._times)[rows] = time
            # The latest of an item's clicks is its highest number.
            numbers = np.arange(self._clicks + 1, self._clicks + 1 + len(rows))
            np.maximum.at(np.frombuffer(self._touched, np.int64), rows, numbers)
            self._clicks += len(rows)
            return
        for item in items:
            row = self._rows.get(item)
            if row is not None:
                self._rows.move_to_end(item)
                self._clicks += 1
                self._times[row], self._touched[row] = time, self._clicks
                self._counts.pop(item, None)
            else:
                self._counts[item] = self._counts.pop(item, 0) + 1
                if len(self._counts) > self.bound:
                    self._counts.popitem(last=False)

    def evict(self, before: float = -math.inf) -> list[int]:
        """Drop items least recently clicked: beyond the bound, or before an event time.

        Returns
        -------
        list of int
            The rows that they leave.

        """
        evicted = []
        while self._rows:
            row = next(iter(self._rows.values()))
            if len(self._rows) <= self.bound and self._times[row] >= before:
                break
            self._rows.popitem(last=False)
            self._ids[row] = None
            self._admissions[row] = self._touched[row] = 0
            evicted.append(row)
        self._free.extend(evicted)
        return evicted

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Copy the catalogue: values in JSON's types, and arrays by row.

        ``items`` has None where a row holds none.
        """
        values = {
            "items": self._ids.copy(),
            "free": self._free.copy(),
            "admitted": self._admitted,
            "clicks": self._clicks,
            "sighted": list(self._counts.items()),
        }
        times, touched = np.array(self._times), np.array(self._touched)
        return values, {"lives": self.admissions.copy(), "times": times, "touched": touched}

    def restore(self, values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Restore what `state` returned."""
        self._ids = list(values["items"])
        live = np.flatnonzero(arrays["lives"])
        touched = arrays["touched"][live]
        # What was admitted and not touched comes last, as it was admitted.
        untouched = np.where(touched == 0, arrays["lives"][live], 0)
        recent = live[np.lexsort((touched, untouched))]
        self._rows = OrderedDict((self.id_of(row), row) for row in recent.tolist())
        self._free = list(values["free"])
        self._times = array("d", arrays["times"].tobytes())
        self._touched = array("q", arrays["touched"].tobytes())
        self._admissions = np.zeros(max(1024, 2 * self.used), np.int64)
        self._admissions[: self.used] = arrays["lives"]
        self._admitted, self._clicks = values["admitted"], values["clicks"]
        sighted = values["sighted"][-self.bound :]
        self._counts = OrderedDict((item, count) for item, count in sighted)
        self.restored += 1
