"""The clicks of an unfinished batch."""

from __future__ import annotations

import math
import time
from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextclick.connectors import Clicks, Id, Position

from .sessions.sessionizer import Assigned


class PendingClicks:
    """Clicks that wait until their batch is full, by column, each with its session.

    Attributes
    ----------
    sessions, items, times
        The clicks as they were read.
    handles
        The numbers of their sessions; -1 where a click is late or too far ahead.
    places
        The place of each in its topic; None where the source has none.
    ended
        Sessions that ended before or among these clicks.
    n_recommended
        How many of the clicks, the first ones, have got their recommendations.
    arrived
        When each came in, by `time.monotonic`; NaN where an earlier process read it. It is not
        kept in snapshots.

    Examples
    --------
    >>> pending = PendingClicks()
    >>> clicks = Clicks(["anna", "bert"], ["shoes", "socks"], np.array([1.0, 0.0]))
    >>> pending.add(clicks, Assigned(np.array([7, -1]), np.array([True, False]), np.array([]), []))
    >>> len(pending), pending.on_time.tolist(), PendingClicks.of(pending.values()).items
    (2, [0], ['shoes', 'socks'])

    """

    def __init__(self) -> None:
        self.sessions: list[Id] = []
        self.items: list[Id] = []
        self.times: list[float] = []
        self.handles: list[int] = []
        self.places: list[Position | None] = []
        self.ended: list[int] = []
        self.n_recommended = 0
        self.arrived = array("d")

    def __len__(self) -> int:
        """Return the number of clicks, those not to be learned included."""
        return len(self.items)

    @property
    def unrecommended(self) -> int:
        """The number of clicks that have not got their recommendations."""
        return len(self.items) - self.n_recommended

    @property
    def on_time(self) -> NDArray[np.int64]:
        """The indices of the clicks that are to be learned."""
        return np.flatnonzero(np.array(self.handles, np.int64) >= 0)

    @property
    def times_on_time(self) -> NDArray[np.float64]:
        """The times of the clicks that are to be learned."""
        return np.array(self.times, np.float64)[self.on_time]

    def select(self, places: NDArray[np.int64]) -> tuple[list[int], list[Id]]:
        """Return the sessions' numbers and the items of some of the clicks."""
        indices = places.tolist()
        return [self.handles[place] for place in indices], [self.items[place] for place in indices]

    def add(self, clicks: Clicks, assigned: Assigned) -> None:
        """Add clicks and their sessions."""
        self.sessions += clicks.sessions
        self.items += clicks.items
        self.times += clicks.times.tolist()
        self.handles += assigned.handles.tolist()
        self.places += clicks.places or [None] * len(clicks)
        self.ended += assigned.ended
        arrived = time.monotonic() if clicks.arrived is None else clicks.arrived
        self.arrived.extend([arrived] * len(clicks))

    def values(self) -> dict[str, Any]:
        """Copy all of it, in JSON's types."""
        columns = {name: part.copy() for name, part in vars(self).items() if type(part) is list}
        return {**columns, "answered": self.n_recommended}

    @classmethod
    def of(cls, values: dict[str, Any]) -> PendingClicks:
        """Return what `values` was called on."""
        pending = cls()
        for name, part in values.items():
            setattr(pending, "n_recommended" if name == "answered" else name, part)
        pending.arrived = array("d", [math.nan] * len(pending))
        return pending
