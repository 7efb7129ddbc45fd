"""How far the records given of a topic are behind its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

REMEMBERED = 10_000
"""Ends of a partition that are remembered, each with the moment at which it was seen."""


class Lag(NamedTuple):
    """How far a partition's given records lie behind its end.

    Parameters
    ----------
    partition
        Which.
    records
        Offsets from the next record to be given to the end.
    seconds
        How long ago the partition went past the next record to be given, as seen from here: 0
        where all has been given.
    topic
        The partition's topic.

    """

    partition: int
    records: int
    seconds: float
    topic: str = ""


class Ends:
    """Where each partition ended, and when it was first seen to.

    Examples
    --------
    >>> ends = Ends()
    >>> ends.note({0: 10}, now=1.0)
    >>> ends.note({0: 15}, now=3.0)
    >>> ends.lag(0, given=8, now=4.0)
    Lag(partition=0, records=7, seconds=3.0, topic='')
    >>> ends.lag(0, given=12, now=4.0)
    Lag(partition=0, records=3, seconds=1.0, topic='')

    """

    def __init__(self) -> None:
        self._grew: dict[int, deque[tuple[float, int]]] = {}
        self._last: dict[int, int] = {}

    def note(self, ends: Mapping[int, int], now: float) -> None:
        """Note where partitions end."""
        self._last.update(ends)
        for number, end in ends.items():
            grew = self._grew.setdefault(number, deque(maxlen=REMEMBERED))
            if not grew or end > grew[-1][1]:
                grew.append((now, end))

    def forget(self, number: int) -> None:
        """Forget where a partition ended: it was deleted and made again."""
        self._grew.pop(number, None)

    def last(self, number: int) -> int:
        """Return where a partition ended when it was last seen."""
        return self._last.get(number, 0)

    def lag(self, number: int, given: int, now: float) -> Lag:
        """Return a partition's lag, where all before the offset `given` has been given."""
        grew = self._grew.get(number, deque())
        while grew and grew[0][1] <= given:
            grew.popleft()
        behind = max(0, self._last.get(number, given) - given)
        return Lag(number, behind, now - grew[0][0] if behind and grew else 0.0)
