"""Numbers by row, in arrays that grow with the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ...recommender import Arrays
from .undo_log import UndoLog


class Columns:
    """Arrays of one length, one row for each thing; new rows are zero.

    Parameters
    ----------
    journal
        Keeps what was written over.
    **kinds
        The columns' types by name.

    """

    def __init__(self, journal: UndoLog, **kinds: DTypeLike) -> None:
        self._journal = journal
        self.arrays: Arrays = {name: np.zeros(64, kind) for name, kind in kinds.items()}

    def reach(self, length: int) -> None:
        """Grow to at least this many rows."""
        for name, array in self.arrays.items():
            if length > len(array):
                longer = np.zeros(max(length, 2 * len(array)), array.dtype)
                longer[: len(array)] = array
                self.arrays[name] = longer

    def put(self, name: str, row: Any, value: Any) -> None:
        """Write one value, or those of a slice or array of rows."""
        self._journal.put(self.arrays, name, row, value)

    def clear(self, row: int) -> None:
        """Make a row zero."""
        for name in self.arrays:
            self._journal.put(self.arrays, name, row, 0)

    def state(self, used: int) -> Arrays:
        """Copy the first rows."""
        self.reach(used)
        return {name: array[:used].copy() for name, array in self.arrays.items()}

    def restore(self, arrays: Arrays) -> None:
        """Restore what `state` returned."""
        self.arrays = {name: arrays[name].copy() for name in self.arrays}
