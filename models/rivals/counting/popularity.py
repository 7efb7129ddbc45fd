"""Recent popularity: what has been clicked most recently, for every session the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...recommender import Arrays
from ..tables.columns import Columns
from ..tables.decay import RENEWAL, Decay
from .base import CountingModel, Evidence, Session


class Popularity(CountingModel):
    """Scores an item by its clicks, each worth half of what it was every `half_life` clicks.

    The popularity of recent clicks, decayed (Y. Ji, A. Sun, J. Zhang and C. Li, *A Re-visit of the
    Popularity Baseline in Recommender Systems*, 2020: DecayPop), with clicks for a clock.

    Parameters
    ----------
    half_life
        In clicks.
    **options
        See `CountingModel`.

    Examples
    --------
    >>> model = Popularity()
    >>> model.learn_many([1, 2, 3], ["shoes", "socks", "socks"])
    >>> model.recommend(["shoes", "hat"], k=1)[0][0]
    'shoes'

    """

    name = "popularity"

    def __init__(self, *, half_life: float = 100, **options: Any) -> None:
        super().__init__(**options)
        self.decay = Decay(half_life)
        self._columns = Columns(self.journal, weights=np.float64)

    def score(self, session: Session) -> Evidence:
        """Score all items alike for every session: by weight in units of a click made now."""
        weights = self._columns.arrays["weights"][: self.items.used]
        return Evidence(None, weights / self.decay.weight(self.clicks))

    def count(self, session: Session, row: int) -> None:
        """Add a click's weight to the item's."""
        self._columns.reach(self.items.used)
        weights = self._columns.arrays["weights"]
        if self.decay.renews(self.clicks):
            self._columns.put("weights", slice(None), weights * 2.0**-RENEWAL)
        self._columns.put("weights", row, weights[row] + self.decay.weight(self.clicks))

    def drop(self, row: int) -> None:
        """Drop the item's clicks."""
        self._columns.clear(row)

    def parts(self) -> Arrays:
        """Copy the weights by row."""
        return self._columns.state(self.items.used)

    def take(self, arrays: Arrays) -> None:
        """Restore the weights."""
        self._columns.restore(arrays)
