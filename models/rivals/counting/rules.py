"""Sequential rules: what follows an item within a few clicks, the nearer the more."""

from __future__ import annotations

from typing import Any

from ...recommender import Arrays
from ..tables.bounded_lists import TopCounts
from ..tables.decay import RENEWAL, Decay
from ..tables.lru_table import ROW
from .base import NOTHING, CountingModel, Evidence, Session


class Rules(CountingModel):
    """Scores an item by how often, and how near, it has followed the session's last item.

    Sequential rules (SR) of M. Ludewig and D. Jannach, *Evaluation of Session-based
    Recommendation Algorithms* (2018): a click adds 1/d to the rule from the item clicked d clicks
    before it, for d up to `steps`. Rules fade with the clicks of the stream, see `Decay`.

    Parameters
    ----------
    steps
        How many clicks back rules reach.
    half_life
        In clicks of the stream.
    followers
        Number of rules kept from an item; a new one takes the place of the weakest.
    **options
        See `CountingModel`.

    """

    name = "rules"

    def __init__(
        self, *, steps: int = 20, half_life: float = 1_000_000, followers: int = 200, **options: Any
    ) -> None:
        super().__init__(**options)
        if steps < 1 or followers < 1:
            raise ValueError("steps and followers are at least 1")
        self.window = steps
        self.decay = Decay(half_life)
        self._rules = TopCounts(self.journal, followers)

    def score(self, session: Session) -> Evidence:
        """Return the rules from the session's last item."""
        if not session.clicks:
            return NOTHING
        last = session.clicks[-1]
        keys = self._rules.get(last)
        alive = self.items.alive(keys)
        weights = self._rules.get(last, "weights")[alive]
        return Evidence(keys[alive] & ROW, weights / self.decay.weight(self.clicks))

    def count(self, session: Session, row: int) -> None:
        """Strengthen the rules from the session's last items to this one."""
        stamp = int(self.items.stamps[row])
        if self.decay.renews(self.clicks):
            self._rules.scale(2.0**-RENEWAL)
        unit = self.decay.weight(self.clicks)
        for step, before in enumerate(reversed(session.clicks), 1):
            self._rules.add(before, stamp, unit / step)

    def drop(self, row: int) -> None:
        """Drop the rules from the item; those to it are void with its stamp."""
        self._rules.clear(row)

    def parts(self) -> Arrays:
        """Copy the rules."""
        return self._rules.state()

    def take(self, arrays: Arrays) -> None:
        """Restore the rules."""
        self._rules.restore(arrays)
