"""Clicks that were given out of the order of time, by the partition whose clock is off."""

from __future__ import annotations

from collections import Counter, deque

import numpy as np
from numpy.typing import NDArray

NOTED, SHOWN = 100, 3
"""A note is renewed when there are so many times as many; so many partitions are named."""

MANY = 8
"""After so many clicks in a row before the latest time, this time counts as the wrong one, if some
are of its own partition."""


class Disorder:
    """Counts the clicks of a merged stream that have not the place that their time asks for.

    Of two clicks in the wrong order one is wrong, and which one the others tell: a click that most
    go before has been taken too early, a click that comes behind several later ones too late. The
    order within a partition is that of the topic, and is not counted.

    Attributes
    ----------
    counts
        The number of such clicks, by partition.

    Examples
    --------
    >>> disorder = Disorder()
    >>> disorder.note(np.array([1.0, 2.0, 3.0, 1.5]), np.array([0, 0, 0, 1]))
    >>> disorder.note(np.array([99.0, 4.0]), np.array([2, 0]))
    >>> dict(disorder.counts)
    {1: 1, 2: 1}

    """

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self._latest, self._latest_of = -np.inf, -1
        self._before = -np.inf
        self._behind: list[tuple[float, int]] = []
        # Times that only their own partition has contradicted so far.
        self._doubtful: deque[tuple[float, float, int]] = deque(maxlen=MANY)

    def note(self, times: NDArray[np.float64], partitions: NDArray[np.int64]) -> None:
        """Take the times of the stream's next clicks, and the partitions that they are from."""
        if not len(times):
            return
        if not self._doubtful and times[0] >= self._latest and (times[1:] >= times[:-1]).all():
            self._before = float(times[-2]) if len(times) > 1 else self._latest
            self._latest, self._latest_of = float(times[-1]), int(partitions[-1])
            self._behind.clear()
            return
        for time, partition in zip(times.tolist(), partitions.tolist(), strict=True):
            self._note(time, partition)

    def _note(self, time: float, partition: int) -> None:
        self._judge(time, partition)
        if time < self._latest:
            if time < self._before:
                self._note_late(time, partition)
                return
            # Only one click says that time has come so far.
            self._doubtful.append((self._latest, self._before, self._latest_of))
            self._judge(time, partition)
        else:
            self._before = self._latest
        self._latest, self._latest_of = time, partition
        self._behind.clear()

    def _judge(self, time: float, partition: int) -> None:
        """Count the doubtful times that a click of another partition contradicts too."""
        for doubtful in list(self._doubtful):
            latest, before, number = doubtful
            if partition != number and time >= before:
                self._doubtful.remove(doubtful)
                self.counts[number] += time < latest

    def _note_late(self, time: float, partition: int) -> None:
        if partition != self._latest_of:
            self.counts[partition] += 1
        self._behind.append((time, partition))
        del self._behind[:-MANY]
        if len(self._behind) == MANY and any(of == self._latest_of for _, of in self._behind):
            self._latest, self._latest_of = max(self._behind)
            self._before = self._latest
            self._behind.clear()


class ClockNotes:
    """What a person should know of a topic's partitions and their clocks.

    Parameters
    ----------
    topic
        What the notes begin with.
    idle
        Seconds that a click waits for earlier ones.

    """

    def __init__(self, topic: str, idle: float) -> None:
        self._topic = topic
        self._idle = idle
        self._noted = 1
        self._disorder: str | None = None
        self._stalled: dict[int, str] = {}

    def notes(self, counts: Counter[int], stalled: list[int]) -> list[str]:
        """Return the notes: on the first click out of order, the 100th, the 10,000th and so on."""
        total = counts.total()
        if total >= self._noted:
            while total >= self._noted:
                self._noted *= NOTED
            most = counts.most_common(SHOWN)
            named = ", ".join(f"{count:,} of partition {number}" for number, count in most)
            more = ", …" if len(counts) > SHOWN else ""
            clicks = "1 click was" if total == 1 else f"{total:,} clicks were"
            self._disorder = (
                f"{self._topic}: {clicks} taken out of the order of time: {named}{more}; a clock "
                f"there is off, or a producer writes later than --idle {self._idle:g}s allows: a "
                f"longer --idle keeps the order, and answers later"
            )
        for number in stalled:
            self._stalled.setdefault(
                number,
                f"{self._topic}: partition {number} does not give what lies in it; the others go "
                f"on without it: see whether its leader is there",
            )
        return [*([self._disorder] if self._disorder else []), *self._stalled.values()]
