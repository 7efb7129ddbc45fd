"""Item ids to rows of the tables, and back."""

from __future__ import annotations

from collections import OrderedDict
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

    Examples
    --------
    >>> vocabulary = Vocabulary()
    >>> vocabulary.admit(["shoes", "socks", "shoes"])
    (array([1, 2, 1]), array([ True,  True, False]))
    >>> vocabulary.touch(["shoes"])
    >>> vocabulary.evict(bound=1)
    [2]
    >>> vocabulary.admit(["hat"]), vocabulary.id_of(2)
    ((array([2]), array([ True])), 'hat')

    """

    def __init__(self) -> None:
        # From the least to the most recently clicked.
        self._rows: OrderedDict[Id, int] = OrderedDict()
        self._ids: list[Id | None] = [None]
        self._free: list[int] = []

    def __len__(self) -> int:
        """Give the number of items known."""
        return len(self._rows)

    @property
    def used(self) -> int:
        """Rows in use: all rows given out so far lie below this one."""
        return len(self._ids)

    def id_of(self, row: int) -> Id:
        """Give the item of a row."""
        item = self._ids[row]
        if item is None:
            raise KeyError(f"row {row} holds no item")
        return item

    def rows_of(self, items: Sequence[Id]) -> NDArray[np.int64]:
        """Look items up; `NO_ITEM` for those that are not known."""
        rows = self._rows
        return np.array([rows.get(item, NO_ITEM) for item in items], dtype=np.int64)

    def admit(self, items: Sequence[Id]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Look items up in stream order, giving each new one a row.

        Returns
        -------
        rows
            int64, shape (n,).
        new
            bool, shape (n,): at this click its item enters the catalogue.

        """
        known = self._rows
        found = list(map(known.get, items))
        new = np.zeros(len(items), dtype=np.bool_)
        if None in found:
            for place, row in enumerate(found):
                if row is None:
                    item = items[place]
                    row = known.get(item)
                    if row is None:
                        row = known[item] = self._give(item)
                        new[place] = True
                    found[place] = row
        return np.array(found, dtype=np.int64), new

    def _give(self, item: Id) -> int:
        if self._free:
            row = self._free.pop()
            self._ids[row] = item
            return row
        self._ids.append(item)
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
        for row in reversed(rows):
            del self._rows[self.id_of(row)]
            if row >= used:
                self._ids.pop()
            else:
                self._ids[row] = None
                self._free.append(row)

    def touch(self, items: Sequence[Id]) -> None:
        """Make items the most recently clicked, in stream order."""
        for item in items:
            self._rows.move_to_end(item)

    def evict(self, bound: int) -> list[int]:
        """Drop the least recently clicked items until at most `bound` are left; give their rows."""
        evicted = []
        while len(self._rows) > bound:
            _, row = self._rows.popitem(last=False)
            self._ids[row] = None
            evicted.append(row)
        self._free.extend(evicted)
        return evicted

    def state(self) -> dict[str, Any]:
        """Copy the catalogue, in JSON's types."""
        return {
            "items": list(self._rows),
            "rows": list(self._rows.values()),
            "free": self._free.copy(),
            "used": self.used,
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self._rows = OrderedDict(zip(values["items"], values["rows"], strict=True))
        self._free = list(values["free"])
        self._ids = [None] * values["used"]
        for item, row in self._rows.items():
            self._ids[row] = item
