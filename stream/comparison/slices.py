"""What kind of click a click is: its place in the session, its item's past, whether it repeats."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nextclick.models import State
from nextclick.models.recommender import Id

from .item_counts import RARE, ItemCounts

SLICES: dict[str, tuple[str, ...]] = {
    "place": ("second", "third", "later"),
    "target": ("new", "rare", "common", "popular"),
    "repeat": ("last", "earlier", "none"),
}
"""The kinds by property; each scored click is of one kind in every line."""

LABELS = {
    "place": "the click's place in its session",
    "second": "second click",
    "third": "third click",
    "later": "fourth click or later",
    "target": "earlier clicks on the clicked item",
    "new": "new: none",
    "rare": f"rare: 1 to {RARE - 1}",
    "common": "common: between rare and popular",
    "popular": "popular: among the 1 % most clicked",
    "repeat": "whether the session had the item before",
    "last": "yes, at the previous click",
    "earlier": "yes, earlier",
    "none": "no",
}
"""The kinds in words."""

REMEMBERED = 100
"""A session's latest clicks among which a repetition is looked for."""


def slice_names() -> list[tuple[str, str]]:
    """Return all kinds, each with the property that it divides."""
    return [(line, kind) for line, kinds in SLICES.items() for kind in kinds]


class Slicer:
    """Classifies clicks as they come, by what came before each of them.

    Parameters
    ----------
    catalogue
        Counts the clicks of each item; every click is passed to it here.

    Examples
    --------
    >>> slicer = Slicer(ItemCounts(models=1, max_items=10))
    >>> kinds = slicer.take(["anna", "anna", "anna"], ["shoes", "hat", "hat"])
    >>> [[slice_names()[kind] for kind in click] for click in kinds[1:].tolist()][0]
    [('place', 'second'), ('target', 'new'), ('repeat', 'none')]
    >>> kinds[0].tolist()
    [-1, -1, -1]

    """

    def __init__(self, catalogue: ItemCounts) -> None:
        self.n_items = catalogue
        # Session -> how many clicks it has had, and the latest of them.
        self._sessions: dict[Id, tuple[int, deque[Id]]] = {}

    def take(self, sessions: Sequence[Id], items: Sequence[Id]) -> NDArray[np.int64]:
        """Return the kinds of n clicks, each before it is counted.

        Returns
        -------
        NDArray[np.int64]
            Shape (n, 3): the places of the click's kinds in `slice_names`; -1 where it is the
            first of its session, which is not scored.

        """
        kinds = np.full((len(items), len(SLICES)), -1)
        known = self._sessions
        for at, (session, item) in enumerate(zip(sessions, items, strict=True)):
            clicks = self.n_items.click(item)
            count, latest = known.get(session) or (0, deque(maxlen=REMEMBERED))
            if count:
                kinds[at] = min(count, 3) - 1, self._target(clicks), _repeat(item, latest)
            latest.append(item)
            known[session] = count + 1, latest
        return kinds

    def forget(self, sessions: Sequence[Id]) -> None:
        """Drop sessions that have ended."""
        for session in sessions:
            self._sessions.pop(session, None)

    def state(self) -> State:
        """Copy the live sessions; the catalogue has a state of its own."""
        sessions = [
            [session, count, list(latest)] for session, (count, latest) in self._sessions.items()
        ]
        return State({}, {"sessions": sessions})

    def restore(self, state: State) -> None:
        """Restore what `state` returned."""
        self._sessions = {
            session: (count, deque(latest, maxlen=REMEMBERED))
            for session, count, latest in state.values["sessions"]
        }

    def _target(self, clicks: int) -> int:
        if not clicks:
            return 3
        if clicks < RARE:
            return 4
        return 6 if self.n_items.popular(clicks) else 5


def _repeat(item: Id, latest: deque[Id]) -> int:
    if item == latest[-1]:
        return 7
    return 8 if item in latest else 9
