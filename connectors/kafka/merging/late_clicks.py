"""Clicks that were given out of the order of time, by the partition whose clock is off."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

NOTED, SHOWN = 100, 3
"""Factor by which a count must grow before its note is renewed; partitions that it names."""

MANY = 8
"""Clicks in a row before the latest time, some of its own partition, after which this time counts
as the wrong one."""


class Disorder:
    """Counts the clicks of a merged stream that are out of the order of their times.

    Of two clicks in the wrong order one is wrong: the one given first if the click before it in its
    partition was earlier than the other, so that it was taken too early; else the other one, which
    came too late. The order within a partition is that of the topic, and is not counted.

    Attributes
    ----------
    counts
        The number of such clicks, by partition.

    Examples
    --------
    >>> disorder = Disorder()
    >>> disorder.note(np.array([1.0, 2.0, 3.0, 1.5]), np.array([0, 0, 0, 1]))
    >>> disorder.note(np.array([4.0, 99.0, 5.0]), np.array([2, 2, 0]))
    >>> dict(disorder.counts)
    {1: 1, 2: 1}

    """

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        # The latest time, its partition, and the time of that one's click before.
        self._latest, self._latest_of, self._before = -np.inf, -1, -np.inf
        self._last: dict[int, float] = {}
        self._behind: list[tuple[float, int]] = []
        # Such latest times that only their own partition has contradicted so far.
        self._doubtful: deque[tuple[float, int, float]] = deque(maxlen=MANY)

    def note(self, times: NDArray[np.float64], partitions: NDArray[np.int64]) -> None:
        """Take the times of the stream's next clicks, and the partitions that they are from."""
        if not len(times):
            return
        if self._doubtful or times[0] < self._latest or (times[1:] < times[:-1]).any():
            for time, partition in zip(times.tolist(), partitions.tolist(), strict=True):
                self._note(time, partition)
            return
        last, number = float(times[-1]), int(partitions[-1])
        rest = times[:-1], partitions[:-1]
        for other in np.unique(rest[1]).tolist():
            self._last[other] = float(rest[0][rest[1] == other][-1])
        self._set_latest(last, number)

    def _set_latest(self, time: float, partition: int) -> None:
        self._latest, self._latest_of = time, partition
        self._before = self._last.get(partition, -np.inf)
        self._last[partition] = time
        self._behind.clear()

    def _note(self, time: float, partition: int) -> None:
        self._judge(time, partition)
        if time >= self._latest:
            self._set_latest(time, partition)
        elif time >= self._before:
            # Only one click of its partition says that time has come so far.
            self._doubtful.append((self._latest, self._latest_of, self._before))
            if self._before > -np.inf:
                self._last[self._latest_of] = self._before
            self._judge(time, partition)
            self._set_latest(time, partition)
        else:
            self._note_late(time, partition)

    def _judge(self, time: float, partition: int) -> None:
        """Count the doubtful times that a click of another partition contradicts too."""
        for doubtful in list(self._doubtful):
            latest, number, before = doubtful
            if partition != number and time >= before:
                self._doubtful.remove(doubtful)
                # Of a first click nothing tells that it is the wrong one.
                if time < latest and before > -np.inf:
                    self.counts[number] += 1

    def _note_late(self, time: float, partition: int) -> None:
        self._last[partition] = time
        if partition != self._latest_of:
            self.counts[partition] += 1
        self._behind.append((time, partition))
        del self._behind[:-MANY]
        if len(self._behind) == MANY and any(of == self._latest_of for _, of in self._behind):
            self._set_latest(*max(self._behind))


class ClockNotes:
    """What a person should know of a topic's partitions and their clocks.

    Parameters
    ----------
    topic
        What the notes begin with.
    idle
        Seconds that a click waits for earlier ones.
    name
        Returns a partition as the notes name it.

    """

    def __init__(self, topic: str, idle: float, name: Callable[[int], str] = str) -> None:
        self._name = name
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
            named = ", ".join(
                f"{count:,} of partition {self._name(number)}" for number, count in most
            )
            more = ", …" if len(counts) > SHOWN else ""
            clicks = "1 click was" if total == 1 else f"{total:,} clicks were"
            self._disorder = (
                f"{self._topic}: {clicks} learned out of time order: {named}{more}; a clock "
                f"there is wrong, or a producer is later than --idle {self._idle:g}s allows: a "
                "longer --idle keeps the order, but delays recommendations"
            )
        for number in stalled:
            self._stalled.setdefault(
                number,
                f"{self._topic}: partition {self._name(number)} does not deliver its records; "
                "the others continue without it: check whether it has a leader",
            )
        return [*([self._disorder] if self._disorder else []), *self._stalled.values()]
