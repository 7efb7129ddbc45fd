"""Clicks whose time is too far ahead of the stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from nextclick.models.recommender import Id

RECENT = 8
"""Number of latest clicks that show how far the stream has come."""

FIRST = 3
"""Clicks that make a stream: before, none is too far ahead of it. From as many different sessions
they show that it has moved on."""


class ClicksAhead:
    """Finds clicks that are too far ahead of the clicks before them, see `Sessionizer`.

    Parameters
    ----------
    max_ahead
        Seconds that a click may be ahead; ``math.inf`` for any number.

    Examples
    --------
    >>> ahead = ClicksAhead(max_ahead=60)
    >>> ahead.find(["anna", "bert", "carl", "anna", "bert"], [0.0, 1.0, 2.0, 999.0, 3.0])
    [3]

    """

    def __init__(self, max_ahead: float) -> None:
        self.max_ahead = max_ahead
        # The latest clicks, with those that were too far ahead.
        self._recent: deque[tuple[Id, float]] = deque(maxlen=RECENT)

    def find(self, keys: Sequence[Id], times: list[float]) -> list[int]:
        """Return the indices of the clicks that are too far ahead of the stream."""
        if not times or self.max_ahead == np.inf:
            return []
        earliest = min(min(times), min((time for _, time in self._recent), default=np.inf))
        if max(times) - earliest <= self.max_ahead:
            self._recent.extend(zip(keys[-RECENT:], times[-RECENT:], strict=True))
            return []
        found = []
        for at, (key, time) in enumerate(zip(keys, times, strict=True)):
            if len(self._recent) >= FIRST and self._is_ahead(time):
                found.append(at)
            self._recent.append((key, time))
        return found

    def state(self) -> list[Any]:
        """Return the latest clicks, in JSON's types."""
        return [[key, time] for key, time in self._recent]

    def restore(self, recent: list[Any]) -> None:
        """Go back to what `state` returned."""
        self._recent.clear()
        self._recent.extend((key, time) for key, time in recent)

    def _is_ahead(self, time: float) -> bool:
        """Whether a time is too far ahead of the latest clicks."""
        agreeing = [key for key, then in self._recent if time - then <= self.max_ahead]
        if len(agreeing) == len(self._recent):
            return False
        return 2 * len(agreeing) <= len(self._recent) or len(set(agreeing)) < FIRST
