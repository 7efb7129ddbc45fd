"""Events that were read, by which those that come again are known."""

from __future__ import annotations

import math
from collections import deque
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextclick.connectors import Id
from nextclick.models.recommender import State

from .event_clock import EventClock

MOST_TIMED = 10_000_000
"""Events that are remembered at most where a time bounds their number."""

_CLOCK = "event_clock_"
"""Begins the names of the clock's arrays in a snapshot."""


class EventMemory:
    """Remembers events: the latest ones, or those read within a time.

    The time is that of the stream, as far as it has come, so a wrong clock changes nothing. It is
    read off every 1,024 clicks: until then events are remembered for a while longer.

    Parameters
    ----------
    most
        Events that are remembered at most, the latest ones.
    seconds
        Seconds for which they are remembered; None: until there are `most` later ones.

    Examples
    --------
    >>> memory = EventMemory(most=2)
    >>> [memory.is_new(event) for event in ("a", "b", "a", "c", "a")]
    [True, True, False, True, True]

    """

    def __init__(self, most: int, seconds: float | None = None) -> None:
        self.most, self.seconds = most, seconds
        self.forgot_early = False
        self._order: deque[int] = deque()
        self._known: set[int] = set()
        # Blocks of clicks with the events read in each, the oldest first.
        self._blocks: deque[list[int]] = deque()
        self._clock = EventClock(math.inf if seconds is None else seconds, 86_400.0)

    def is_new(self, event: Id) -> bool:
        """Whether an event was not read before; remember it."""
        # 64 bits: among 100,000 events one in 10¹⁴ is taken for another.
        digest = blake2b(repr(event).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        key = int.from_bytes(digest, "big")
        if key in self._known:
            return False
        self._known.add(key)
        self._order.append(key)
        if self.seconds is not None:
            self._count()
        if len(self._order) > self.most:
            self._forget(1)
            self.forgot_early = self.seconds is not None
        return True

    def pass_time(self, time: float) -> None:
        """Take the time of the next click, with or without an event."""
        self._clock.times.append(time)
        if not self._clock.room:
            since = self._clock.end_block()
            while self._blocks and self._blocks[0][0] < since:
                self._forget(self._blocks[0][1])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the events that are remembered, the oldest first, as a snapshot holds them."""
        events = np.fromiter(self._order, np.uint64, len(self._order)).view(np.int64)
        if self.seconds is None:
            return {"events": events} if len(events) else {}
        blocks = np.array(list(self._blocks), np.int64).reshape(-1, 2)
        own = {"event_blocks": blocks[:, 0].copy(), "event_counts": blocks[:, 1].copy()}
        clock = {_CLOCK + name: array for name, array in self._clock.state().arrays.items()}
        return {"events": events, **own, **clock}

    def values(self) -> dict[str, Any]:
        """Return what a snapshot holds besides the arrays."""
        return {} if self.seconds is None else {"event_clock": self._clock.state().values}

    def restore(self, values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Go back to what `values` and `arrays` returned, perhaps of another memory."""
        events = arrays.get("events", np.zeros(0, np.int64)).view(np.uint64).tolist()
        self._order, self._blocks = deque(events), deque()
        self._known = set(events)
        if self.seconds is not None and "event_clock" in values:
            clock = {
                name.removeprefix(_CLOCK): array
                for name, array in arrays.items()
                if name.startswith(_CLOCK)
            }
            self._clock.restore(State(clock, values["event_clock"]))
            pairs = zip(arrays["event_blocks"], arrays["event_counts"], strict=True)
            self._blocks = deque([int(block), int(count)] for block, count in pairs)
        elif self.seconds is not None and events:
            # They were remembered by their number: take them for read now.
            self._blocks.append([self._clock.block, len(events)])
        self._forget(max(0, len(events) - self.most))

    def _count(self) -> None:
        """Note that the event read last is of the present block."""
        if not self._blocks or self._blocks[-1][0] != self._clock.block:
            self._blocks.append([self._clock.block, 0])
        self._blocks[-1][1] += 1

    def _forget(self, count: int) -> None:
        """Forget the oldest events."""
        for _ in range(count):
            self._known.discard(self._order.popleft())
        while self._blocks and count:
            part = min(count, self._blocks[0][1])
            self._blocks[0][1] -= part
            count -= part
            if not self._blocks[0][1]:
                self._blocks.popleft()
