"""The latest clicks, by which items are popular."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...base import fits
from ...recommender import Arrays
from .lru_table import ROW, LRUTable
from .undo_log import UndoLog


class RecentClicks:
    """A bounded list of the items clicked last, as stamps of an `LRUTable`.

    Parameters
    ----------
    bound
        How many clicks are kept.
    items
        What has the items.
    journal
        Keeps what was changed.

    """

    def __init__(self, bound: int, items: LRUTable, journal: UndoLog) -> None:
        self.bound = bound
        self._items = items
        self._journal = journal
        self._arrays: Arrays = {"stamps": np.zeros(bound, np.int64)}
        self._clicks = 0

    def add(self, stamp: int) -> None:
        """Add a click on an item; the oldest one goes where there are as many as the bound."""
        self._journal.put(self._arrays, "stamps", self._clicks % self.bound, stamp)
        self._journal.note(setattr, self, "_clicks", self._clicks)
        self._clicks += 1

    def counts(self) -> NDArray[np.float64]:
        """Return how many of the clicks were on each item, by row."""
        stamps = self._arrays["stamps"]
        rows = stamps[self._items.alive(stamps)] & ROW
        counts = np.bincount(rows, minlength=self._items.used).astype(np.float64)
        counts[0] = 0  # Of places not filled yet.
        return counts

    def state(self) -> Arrays:
        """Copy the clicks, the oldest first."""
        stamps = self._arrays["stamps"]
        if self._clicks < self.bound:
            return {"stamps": stamps[: self._clicks].copy()}
        return {"stamps": np.roll(stamps, -(self._clicks % self.bound))}

    def restore(self, arrays: Arrays) -> None:
        """Restore what `state` returned."""
        stamps = arrays["stamps"]
        fits(len(stamps) <= self.bound, "the latest clicks and their bound")
        self._arrays["stamps"] = np.zeros(self.bound, np.int64)
        self._arrays["stamps"][: len(stamps)] = stamps
        self._clicks = len(stamps)
