"""The clicks of an unfinished batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextclick.connectors import Clicks, Id, Position

from .sessionizer import Assigned


class PendingClicks:
    """Clicks that wait until their batch is full, by column, each with its session.

    Attributes
    ----------
    sessions, items, times
        The clicks as they were read.
    handles
        The numbers of their sessions; -1 where a click is late or too far ahead.
    places
        Where each stands in its topic; None where the source does not say.
    ended
        Sessions that ended before or among these clicks.
    answered
        The recommendations of so many of them, the first ones, have been written.

    Examples
    --------
    >>> pending = Pending()
    >>> clicks = Clicks(["anna", "bert"], ["shoes", "socks"], np.array([1.0, 0.0]))
    >>> pending.add(clicks, Assigned(np.array([7, -1]), np.array([True, False]), np.array([]), []))
    >>> len(pending), pending.timely.tolist(), Pending.of(pending.values()).items
    (2, [0], ['shoes', 'socks'])

    """

    def __init__(self) -> None:
        self.sessions: list[Id] = []
        self.items: list[Id] = []
        self.times: list[float] = []
        self.handles: list[int] = []
        self.places: list[Position | None] = []
        self.ended: list[int] = []
        self.answered = 0

    def __len__(self) -> int:
        """Return the number of clicks, those not to be learned included."""
        return len(self.items)

    @property
    def on_time(self) -> NDArray[np.int64]:
        """The indices of the clicks that are to be learned."""
        return np.flatnonzero(np.array(self.handles, np.int64) >= 0)

    @property
    def timely_times(self) -> NDArray[np.float64]:
        """The times of the clicks that are to be learned."""
        return np.array(self.times, np.float64)[self.on_time]

    def select(self, places: NDArray[np.int64]) -> tuple[list[Id], list[Id]]:
        """Give the sessions' numbers and the items of some of the clicks."""
        indices = places.tolist()
        return [self.handles[place] for place in indices], [self.items[place] for place in indices]

    def add(self, clicks: Clicks, assigned: Assigned) -> None:
        """Take clicks and their sessions."""
        self.sessions += clicks.sessions
        self.items += clicks.items
        self.times += clicks.times.tolist()
        self.handles += assigned.handles.tolist()
        self.places += clicks.places or [None] * len(clicks)
        self.ended += assigned.ended

    def values(self) -> dict[str, Any]:
        """Copy all of it, in JSON's types."""
        columns = {name: part.copy() for name, part in vars(self).items() if name != "answered"}
        return {**columns, "answered": self.answered}

    @classmethod
    def of(cls, values: dict[str, Any]) -> PendingClicks:
        """Make it again of what `values` gave."""
        pending = cls()
        for name, part in values.items():
            setattr(pending, name, part)
        return pending
