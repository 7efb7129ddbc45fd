"""Where the data of a model's items are, by the rows of its catalogue."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nextclick.connectors import Id
from nextclick.models.queries import Catalogue

MOST_MOVES = 1 << 16
"""Latest moves that are kept; who has seen fewer of them looks at every item again."""


class Moves:
    """The items, in order, whose data have been given a place or have left it."""

    def __init__(self) -> None:
        self._before = 0
        self._keys: list[str] = []

    @property
    def count(self) -> int:
        """How many there have been."""
        return self._before + len(self._keys)

    def add(self, key: str) -> None:
        """Add one."""
        self._keys.append(key)
        if len(self._keys) >= 2 * MOST_MOVES:
            del self._keys[:MOST_MOVES]
            self._before += MOST_MOVES

    def since(self, count: int) -> list[str] | None:
        """Return those after the first `count`; None where they are no longer kept."""
        return self._keys[count - self._before :] if count >= self._before else None


class CataloguePlaces:
    """The place of the data of each row's item, brought up to date by what has changed.

    Parameters
    ----------
    catalogue
        Of a model.
    moves
        Of the items' data.

    Attributes
    ----------
    places
        int64 (rows,): 0 where an item has no data, and where a row has no item.
    version
        How often they have changed.

    """

    def __init__(self, catalogue: Catalogue, moves: Moves) -> None:
        self.places = np.zeros(0, np.int64)
        self.version = 0
        self._admissions = np.zeros(0, np.int64)
        self._restored = catalogue.restored
        self._moves = moves.count

    def follow(
        self,
        catalogue: Catalogue,
        place_of: Mapping[str, int],
        moves: Moves,
        most: int | None = None,
    ) -> bool:
        """Bring the places up to date.

        Parameters
        ----------
        catalogue
            The catalogue, as it is now.
        place_of
            The place of each item that has data.
        moves
            What has changed in it.
        most
            Look at so many rows at most.

        Returns
        -------
        bool
            Whether they are up to date.

        """
        admissions = catalogue.admissions
        new = len(admissions) - len(self.places)
        if new:
            # A catalogue that was restored may have fewer rows.
            kept = min(len(admissions), len(self.places))
            self.places = np.append(self.places[:kept], np.zeros(max(new, 0), np.int64))
            self._admissions = np.append(self._admissions[:kept], np.zeros(max(new, 0), np.int64))
            self.version += 1
        moved = moves.since(self._moves)
        if self._restored != catalogue.restored or moved is None or len(moved) > len(admissions):
            # No row has such an admission: all are looked at.
            self._admissions[:] = -1
            moved = []
        self._restored, self._moves = catalogue.restored, moves.count
        if moved:
            self._move(catalogue, place_of, moved)
        rows = np.flatnonzero(admissions != self._admissions)[:most]
        if len(rows):
            self._look(catalogue, place_of, rows)
        return most is None or len(rows) < most

    def _move(self, catalogue: Catalogue, place_of: Mapping[str, int], moved: list[str]) -> None:
        """Note the places of items whose data have moved, where the catalogue has them."""
        for items in (list[Id](moved), [int(key) for key in moved if _is_number(key)]):
            rows = catalogue.rows_of(items)
            known = np.flatnonzero(rows)
            if len(known):
                places = [place_of.get(str(items[at]), 0) for at in known.tolist()]
                self.places[rows[known]] = places
                self.version += 1

    def _look(
        self, catalogue: Catalogue, place_of: Mapping[str, int], rows: NDArray[np.int64]
    ) -> None:
        """Find the places of the items that some rows have now."""
        admissions = catalogue.admissions
        self._admissions[rows] = admissions[rows]
        self.places[rows] = [
            place_of.get(str(catalogue.id_of(row)), 0) if held else 0
            for row, held in zip(rows.tolist(), admissions[rows].tolist(), strict=True)
        ]
        self.version += 1


def _is_number(key: str) -> bool:
    """Whether a whole number is written so."""
    digits = key.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(key) > 1024:
        return False
    return digits == "0" == key or digits[0] != "0"
