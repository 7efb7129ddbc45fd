"""Item-kNN: the items that share most sessions with the session's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...recommender import Arrays, prefixed, within
from ..tables.bounded_lists import TopCounts
from ..tables.columns import Columns
from ..tables.lru_table import ROW
from ..tables.row_sums import RowSums
from .base import NOTHING, CountingModel, Evidence, Session


class ItemKNN(CountingModel):
    """Scores an item by its likeness to the session's items, those clicked last counting most.

    The likeness of i and j is the sessions that hold both, over
    (sessions with i + shrink)^alpha · (sessions with j + shrink)^(1 − alpha): the cosine where
    alpha is a half (item-kNN in B. Hidasi et al., *Session-based Recommendations with Recurrent
    Neural Networks*, 2016, and in M. Ludewig and D. Jannach, 2018; after G. Linden, B. Smith and
    J. York, 2003). Both are counted as the clicks come. An item is like itself by its further
    clicks in sessions that hold it: they count as sessions that hold it twice.

    Parameters
    ----------
    alpha, shrink
        As above. `shrink` makes little evidence count less.
    decay
        The item before the session's last counts so much less, and so on.
    neighbours
        Number of items kept an item; a new one takes the place of the one that shares the
        fewest sessions.
    window
        Number of different items of a session that are paired, and score others.
    **options
        See `CountingModel`.

    """

    name = "item-knn"
    distinct = True

    def __init__(
        self,
        *,
        alpha: float = 0.75,
        shrink: float = 5,
        decay: float = 0.1,
        neighbours: int = 200,
        window: int = 10,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if neighbours < 1 or window < 1 or shrink < 0:
            raise ValueError("neighbours and window are at least 1, shrink at least 0")
        self.alpha = alpha
        self.shrink = shrink
        self.decay = decay
        self.window = window
        self._adder = RowSums()
        self._pairs = TopCounts(self.journal, neighbours)
        self._holders = Columns(self.journal, sessions=np.float64)

    def score(self, session: Session) -> Evidence:
        """Add up the likenesses to the session's items."""
        rows, parts = [], []
        holders = self._holders.arrays["sessions"]
        worth = 1.0
        for own in reversed(session.clicks):
            if worth == 0:
                break
            keys = self._pairs.get(own)
            alive = self.items.alive(keys)
            like = keys[alive] & ROW
            rows.append(like)
            norm = (holders[own] + self.shrink) ** self.alpha
            norms = norm * (holders[like] + self.shrink) ** (1 - self.alpha)
            parts.append(worth * self._pairs.get(own, "weights")[alive] / norms)
            worth *= self.decay
        if not rows:
            return NOTHING
        if len(rows) == 1:
            return Evidence(rows[0], parts[0])
        return Evidence(*self._adder.add(np.concatenate(rows), np.concatenate(parts)))

    def count(self, session: Session, row: int) -> None:
        """Pair the item with the session's others, or with itself where it has been clicked."""
        stamps = self.items.stamps
        stamp = int(stamps[row])
        if row in session.clicks:
            self._pairs.add(row, stamp, 1)
            return
        for other in session.clicks:
            self._pairs.add(other, stamp, 1)
            self._pairs.add(row, int(stamps[other]), 1)
        self._holders.reach(self.items.used)
        self._holders.put("sessions", row, self._holders.arrays["sessions"][row] + 1)

    def drop(self, row: int) -> None:
        """Drop the item's pairs; those that others have of it are void with its stamp."""
        self._pairs.clear(row)
        self._holders.clear(row)

    def parts(self) -> Arrays:
        """Copy the pairs and the items' sessions."""
        return {
            **prefixed("pairs.", self._pairs.state()),
            **prefixed("holders.", self._holders.state(self.items.used)),
        }

    def take(self, arrays: Arrays) -> None:
        """Restore what `parts` returned."""
        self._pairs.restore(within("pairs.", arrays))
        self._holders.restore(within("holders.", arrays))
