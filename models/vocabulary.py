"""Item ids to rows of the tables, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Id = str | int

NO_ITEM = 0
"""The row that stands for no item: it is never given out, never scored."""


class Vocabulary:
    """The catalogue: every item clicked so far, each with a row of its own.

    Rows are given out in the order of first clicks, from 1; they index the item tables.

    Examples
    --------
    >>> vocabulary = Vocabulary()
    >>> vocabulary.admit(["shoes", "socks", "shoes"])
    (array([1, 2, 1]), array([ True,  True, False]))
    >>> vocabulary.id_of(2), len(vocabulary)
    ('socks', 2)

    """

    def __init__(self, ids: Iterable[Id] = ()) -> None:
        self._ids: list[Id] = list(ids)
        self._rows: dict[Id, int] = {item: row for row, item in enumerate(self._ids, start=1)}

    def __len__(self) -> int:
        """Give the number of items known."""
        return len(self._ids)

    @property
    def ids(self) -> list[Id]:
        """The items in the order of their rows, from row 1."""
        return self._ids

    def id_of(self, row: int) -> Id:
        """Give the item of a row."""
        return self._ids[row - 1]

    def rows_of(self, items: Sequence[Id]) -> NDArray[np.int64]:
        """Look items up; `NO_ITEM` for those never seen."""
        rows = self._rows
        return np.array([rows.get(item, NO_ITEM) for item in items], dtype=np.int64)

    def admit(self, items: Sequence[Id]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Look items up in stream order, giving each new one a row.

        Returns
        -------
        rows
            int64, shape (n,).
        new
            bool, shape (n,): this click is the first ever of its item.

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
                        self._ids.append(item)
                        row = known[item] = len(self._ids)
                        new[place] = True
                    found[place] = row
        return np.array(found, dtype=np.int64), new

    def withdraw(self, count: int) -> None:
        """Take back the newest items until `count` are left."""
        for item in self._ids[count:]:
            del self._rows[item]
        del self._ids[count:]
