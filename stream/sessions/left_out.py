"""What a source gives and is not handed on: unusable and filtered records, and doubles."""

from __future__ import annotations

from collections import Counter, deque
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextclick.connectors import FILTERED, Clicks, Id, Rejected, Sink, dead_letter
from nextclick.models.argument_checks import at_least

EVENT_MEMORY = 100_000
"""Events that are remembered by default."""


class LeftOut:
    """Counts what is not handed on, and leaves out clicks whose event was read before.

    Parameters
    ----------
    event_memory
        Events that are remembered, the latest ones.

    Attributes
    ----------
    rejected
        Records that cannot be used, by reason.
    filtered
        Records that a condition has left out.
    duplicate
        Clicks that are events read before.

    Examples
    --------
    >>> left_out = LeftOut()
    >>> times = np.array([1.0, 1.0, 2.0])
    >>> clicks = Clicks(["anna"] * 3, ["hat", "hat", "bag"], times, events=["e1", "e1", None])
    >>> left_out.admit(clicks).items, left_out.duplicate
    (['hat', 'bag'], 1)

    """

    def __init__(self, event_memory: int = EVENT_MEMORY) -> None:
        self.rejected: Counter[str] = Counter()
        self.filtered = self.duplicate = 0
        self._most = at_least(event_memory, "event_memory", 1)
        self._order: deque[int] = deque()
        self._known: set[int] = set()

    @property
    def total(self) -> int:
        """The number of records and clicks that were not handed on."""
        return self.rejected.total() + self.filtered + self.duplicate

    def reject(self, rejected: list[Rejected], sink: Sink | None) -> None:
        """Count records that are no clicks, and write those that cannot be used to a sink."""
        for record in rejected:
            if record.reason == FILTERED:
                self.filtered += 1
                continue
            self.rejected[record.reason] += 1
            if sink is not None:
                sink.write(dead_letter(record))

    def admit(self, clicks: Clicks) -> Clicks:
        """Return clicks without those whose event was read before."""
        if not clicks.events or not len(clicks):
            return clicks
        kept = [at for at, event in enumerate(clicks.events) if self._is_new(event)]
        if len(kept) == len(clicks):
            return clicks
        self.duplicate += len(clicks) - len(kept)
        places = clicks.places
        return Clicks(
            [clicks.sessions[at] for at in kept],
            [clicks.items[at] for at in kept],
            clicks.times[kept],
            clicks.position,
            clicks.rejected,
            [places[at] for at in kept] if places else places,
        )

    def _is_new(self, event: Id | None) -> bool:
        """Whether an event was not read before; one without an id is always new."""
        if event is None:
            return True
        # 64 bits: among 100,000 events one in 10¹⁴ is taken for another.
        digest = blake2b(repr(event).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        key = int.from_bytes(digest, "big")
        if key in self._known:
            return False
        self._known.add(key)
        self._order.append(key)
        if len(self._order) > self._most:
            self._known.discard(self._order.popleft())
        return True

    def results(self) -> dict[str, int]:
        """Return the counts besides those of rejected records, where there are any."""
        counts = {"filtered": self.filtered, "duplicate": self.duplicate}
        return {name: count for name, count in counts.items() if count}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the events that are remembered, the oldest first, as a snapshot holds them."""
        if not self._order:
            return {}
        return {"events": np.fromiter(self._order, np.uint64, len(self._order)).view(np.int64)}

    def restore(self, values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Go back to a snapshot: to the counts in `results`, ``rejected``, and `arrays`."""
        self.rejected = Counter(values["rejected"])
        self.filtered, self.duplicate = values.get("filtered", 0), values.get("duplicate", 0)
        events = arrays.get("events", np.zeros(0, np.int64))
        self._order = deque(events.view(np.uint64).tolist()[-self._most :])
        self._known = set(self._order)
