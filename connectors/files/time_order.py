"""Whether the clicks of a log come in the order of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK = 1000
"""Clicks that are compared with each other."""

LEAST = 4
"""Steps back in time from which on they are no accident."""

SHARE = 0.06
"""Share of clicks far behind the one some places before them, from which on the log is in another
order: where the order is random, half of them are; where it is that of time, only those with a
wrong clock."""

PLACES = (4, 16, 64, 256)
"""How many places before, each looked at by itself."""

LONG, PARTS = 3600.0, 200
"""Seconds, or share of the log's time, from which on going back is far, in any log."""

SHORT, SHORT_PARTS = 600.0, 10
"""Seconds, or in a short log the share of its time, below which going back is not far."""

LEAST_SECONDS = 60.0
"""Going back by less is never much: by default such a click is not even late."""


class TimeOrder:
    """Finds out whether a log is in another order than that of time.

    A log that is grouped by session goes back in time by much again and again, and many of its
    clicks lie far behind those before them. A few clicks that are late, or have clocks that are
    far off, do not make a log so.

    Parameters
    ----------
    name
        The log's name, for the message.
    remedy
        What to do about it, for the message.

    Attributes
    ----------
    warning
        What a person should know; None where nothing is wrong.

    Examples
    --------
    >>> order = TimeOrder("clicks.csv", "sort it")
    >>> for session in range(20):
    ...     order.note(np.array([0.0, 1e6, 2e6]) + session)
    >>> order.finish()
    >>> order.warning.partition(":")[2].partition(",")[0]
    ' its clicks are not in time order'

    """

    def __init__(self, name: str, remedy: str) -> None:
        self.warning: str | None = None
        self._name = name
        self._remedy = remedy
        self._waiting: list[NDArray[np.float64]] = []
        self._count = 0
        self._low, self._high = np.inf, -np.inf
        self._much = self._back = self._forth = 0
        self._pairs, self._behind = np.zeros(len(PLACES)), np.zeros(len(PLACES))
        self._first: float | None = None

    def note(self, times: NDArray[np.float64]) -> None:
        """Take the times of the next clicks."""
        if self.warning is not None or not len(times):
            return
        self._waiting.append(times)
        self._count += len(times)
        if self._count >= CHUNK:
            joined = np.concatenate(self._waiting)
            whole = len(joined) // CHUNK * CHUNK
            self._waiting, self._count = [joined[whole:]], len(joined) - whole
            self._compare(joined[:whole].reshape(-1, CHUNK))

    def finish(self) -> None:
        """End: there are no more clicks."""
        if self.warning is None and self._count > 1:
            self._compare(np.concatenate(self._waiting)[None])
        self._waiting, self._count = [], 0

    def _compare(self, times: NDArray[np.float64]) -> None:
        """Compare the clicks of each row with those before them."""
        self._first = float(times[0, 0]) if self._first is None else self._first
        self._low, self._high = min(self._low, times.min()), max(self._high, times.max())
        for at, places in enumerate(PLACES):
            self._pairs[at] += times[:, places:].size
        flat = times.ravel()
        if (flat[1:] >= flat[:-1]).all():
            # As in most logs: nothing else is to be counted.
            self._forth += times.size
            return
        span = self._high - self._low
        least = max(LEAST_SECONDS, min(SHORT, span / SHORT_PARTS))
        much = float(np.clip(span / PARTS, least, LONG))
        steps = np.diff(times, axis=1)
        for at, places in enumerate(PLACES):
            self._behind[at] += (times[:, places:] < times[:, :-places] - much).sum()
        self._much += int((steps < -much).sum())
        self._back += int((steps < 0).sum())
        self._forth += int((steps > 0).sum())
        fallen = self._first - float(times[-1, -1])
        if self._back >= LEAST and self._back > 9 * self._forth and fallen > much:
            what = "they come newest first"
        elif self._much >= LEAST and (self._behind > SHARE * self._pairs).any():
            what = (
                f"they go back by more than {_shown(much)} again and again, as in a log that is "
                f"grouped by session or user"
            )
        else:
            return
        self.warning = (
            f"{self._name}: its clicks are not in time order, {what}; the model learns later "
            f"clicks before earlier ones, and its figures are worse or wrong: {self._remedy}"
        )


def _shown(seconds: float) -> str:
    return "an hour" if seconds >= LONG else f"{seconds:.0f} seconds"
