"""What a protocol keeps of the sessions, and what it says of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nextclick.models.recommender import Id

Flags = NDArray[np.bool_]

DRIVING = ("learned", "sessions", "items", "times", "places")
"""What `TestedBatch.driving` has as it is."""


@dataclass(slots=True)
class Session:
    """What the protocol keeps of a live session.

    Parameters
    ----------
    clicks, seen
        How many it has had, and how many of these on items that had been seen or were learned.
    items
        Its different items, the latest last, where repeats are left out.
    tested
        Its items and their times since the test began, for a frozen model; unseen ones left out.
    held
        Rows of its scored clicks, which count once the session is long enough.

    """

    clicks: int = 0
    seen: int = 0
    items: list[Id] = field(default_factory=list)
    tested: list[tuple[Id, float]] = field(default_factory=list)
    held: list[list[float]] = field(default_factory=list)


@dataclass(slots=True)
class TestedBatch:
    """A batch of n clicks as the protocol sees it.

    Parameters
    ----------
    learned
        How many of its clicks come before the test begins.
    preceded
        bool (n,): which have a predecessor in their session, and so are scored.
    counts
        bool (n,): which of these count.
    own
        For each click its session's items before it, where repeats are left out.
    sessions, items, times
        What a frozen model is tested with: for each session of the batch, its clicks since the
        test began.
    places
        For each click of the batch its place in these; -1 for one that is not there.

    """

    __test__ = False  # For pytest.

    learned: int
    preceded: Flags
    counts: Flags
    own: list[list[Id]] = field(default_factory=list)
    sessions: list[Id] = field(default_factory=list)
    items: list[Id] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def driving(self) -> dict[str, Any]:
        """Return what drives a model of another process, in JSON's types."""
        values = {name: getattr(self, name) for name in DRIVING}
        return {"preceded": self.preceded.tolist(), **values}

    @classmethod
    def driven_by(cls, values: dict[str, Any]) -> Self:
        """Return the batch by what `driving` has returned; which clicks count stays unsaid."""
        preceded = np.array(values["preceded"], np.bool_)
        values = {name: values[name] for name in DRIVING}
        return cls(preceded=preceded, counts=np.zeros_like(preceded), **values)
