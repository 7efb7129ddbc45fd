"""Sequential rules: what follows an item within a few clicks, the nearer the more."""

from __future__ import annotations

from typing import Any, ClassVar

from ..recommender import Arrays
from .counting import NOTHING, CountingModel, Evidence, Session
from .lists import Tallies
from .recency import ROW


class Rules(CountingModel):
    """Scores an item by how often, and how near, it has followed the session's last item.

    Sequential rules (SR) of M. Ludewig and D. Jannach, *Evaluation of Session-based
    Recommendation Algorithms* (2018): a click adds 1/d to the rule from the item clicked d clicks
    before it, for d up to `steps`.

    Parameters
    ----------
    steps
        How many clicks back rules reach.
    followers
        So many rules are kept from an item; a new one takes the place of the weakest.
    options
        See `CountingModel`.

    """

    name: ClassVar[str] = "rules"

    def __init__(self, *, steps: int = 5, followers: int = 200, **options: Any) -> None:
        super().__init__(**options)
        if steps < 1 or followers < 1:
            raise ValueError("steps and followers are at least 1")
        self.window = steps
        self._rules = Tallies(self.journal, followers)

    def score(self, session: Session) -> Evidence:
        """Give the rules from the session's last item."""
        if not session.clicks:
            return NOTHING
        last = session.clicks[-1]
        keys = self._rules.get(last)
        alive = self.items.alive(keys)
        return Evidence(keys[alive] & ROW, self._rules.get(last, "weights")[alive])

    def count(self, session: Session, row: int) -> None:
        """Strengthen the rules from the session's last items to this one."""
        stamp = int(self.items.stamps[row])
        for step, before in enumerate(reversed(session.clicks), 1):
            self._rules.add(before, stamp, 1 / step)

    def drop(self, row: int) -> None:
        """Let the rules from the item go; those to it die with its stamp."""
        self._rules.clear(row)

    def parts(self) -> Arrays:
        """Copy the rules."""
        return self._rules.state()

    def take(self, arrays: Arrays) -> None:
        """Take back the rules."""
        self._rules.restore(arrays)
