"""Adding up evidence by item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class RowSums:
    """Adds numbers by row, in room that is kept between calls.

    So it takes time for the numbers only, however many rows there are.

    Examples
    --------
    >>> import numpy as np
    >>> RowSums().add(np.array([7, 2, 7]), np.array([1.0, 2.0, 3.0]))
    (array([2, 7]), array([2., 4.]))

    """

    def __init__(self) -> None:
        self._sums = np.zeros(64)
        self._marks = np.zeros(64, np.int64)

    def _reach(self, rows: NDArray[np.int64]) -> None:
        most = int(rows.max(initial=0))
        if most >= len(self._sums):
            self._sums = np.zeros(2 * most)
            self._marks = np.zeros(2 * most, np.int64)

    def add(
        self, rows: NDArray[np.int64], numbers: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return each of the rows once, with the sum of its numbers."""
        self._reach(rows)
        np.add.at(self._sums, rows, numbers)
        order = np.arange(len(rows))
        self._marks[rows] = order
        once = rows[self._marks[rows] == order]
        sums = self._sums[once]
        self._sums[once] = self._marks[once] = 0
        return once, sums

    def among(self, rows: NDArray[np.int64], chosen: list[int]) -> NDArray[np.bool_]:
        """Return which of the rows are among the chosen ones."""
        self._reach(rows)
        self._reach(np.array(chosen))
        self._marks[chosen] = 1
        found: NDArray[np.bool_] = self._marks[rows] == 1
        self._marks[chosen] = 0
        return found
