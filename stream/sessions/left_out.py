"""What a source gives and is not handed on: unusable and filtered records, and doubles."""

from __future__ import annotations

from collections import Counter
from typing import Any

from numpy.typing import NDArray

from nextclick.connectors import FILTERED, Clicks, Rejected, Sink, dead_letter
from nextclick.models.argument_checks import at_least

from .event_memory import MOST_TIMED, EventMemory

EVENT_MEMORY = 100_000
"""Events that are remembered by default."""


class LeftOut:
    """Counts what is not handed on, and leaves out clicks whose event was read before.

    Parameters
    ----------
    event_memory
        Events that are remembered, the latest ones. By default `EVENT_MEMORY`, or `MOST_TIMED`
        where `event_seconds` is given.
    event_seconds
        Seconds of the stream's time for which they are remembered; None: only their number counts.

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
    >>> import numpy as np
    >>> left_out = LeftOut()
    >>> times = np.array([1.0, 1.0, 2.0])
    >>> clicks = Clicks(["anna"] * 3, ["hat", "hat", "bag"], times, events=["e1", "e1", None])
    >>> left_out.admit(clicks).items, left_out.duplicate
    (['hat', 'bag'], 1)

    """

    def __init__(self, event_memory: int | None = None, event_seconds: float | None = None) -> None:
        self.rejected: Counter[str] = Counter()
        self.filtered = self.duplicate = 0
        if event_memory is None:
            event_memory = EVENT_MEMORY if event_seconds is None else MOST_TIMED
        self._events = EventMemory(at_least(event_memory, "event_memory", 1), event_seconds)

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
        memory, events = self._events, clicks.events
        if not len(clicks) or (events is None and memory.seconds is None):
            return clicks
        if events is None:
            events = [None] * len(clicks)
        kept = []
        times = [None] * len(events) if memory.seconds is None else clicks.times.tolist()
        for at, (event, time) in enumerate(zip(events, times, strict=True)):
            # One without an id is always new.
            if event is None or memory.is_new(event):
                kept.append(at)
            if time is not None:
                memory.pass_time(time)
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

    def results(self) -> dict[str, int]:
        """Return the counts besides those of rejected records, where there are any."""
        counts = {"filtered": self.filtered, "duplicate": self.duplicate}
        return {name: count for name, count in counts.items() if count}

    @property
    def notes(self) -> list[str]:
        """What a person should know of the events that are remembered."""
        if not self._events.forgot_early:
            return []
        most = f"the {self._events.most:,} that are remembered at most"
        note = f"more events came within the time of --event-memory than {most}"
        return [f"{note}: the oldest of them were forgotten earlier"]

    def values(self) -> dict[str, Any]:
        """Return the counts, and what else a snapshot holds besides `arrays`."""
        return {"rejected": dict(self.rejected), **self.results(), **self._events.values()}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the events that are remembered, as a snapshot holds them."""
        return self._events.arrays()

    def restore(self, values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Go back to a snapshot: to what `values` and `arrays` returned."""
        self.rejected = Counter(values["rejected"])
        self.filtered, self.duplicate = values.get("filtered", 0), values.get("duplicate", 0)
        self._events.restore(values, arrays)
