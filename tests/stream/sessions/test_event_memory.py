"""Events that are remembered for a time of the stream."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors import Clicks, Id
from nextclick.stream.sessions.event_clock import BLOCK
from nextclick.stream.sessions.event_memory import EventMemory
from nextclick.stream.sessions.left_out import LeftOut

HOUR = 3600.0


def passing(memory: EventMemory, start: float, seconds: float, clicks: int) -> None:
    """Make time pass in clicks without events."""
    for time in np.linspace(start, start + seconds, clicks).tolist():
        memory.pass_time(time)


def test_an_event_is_known_for_its_time_and_then_new_again() -> None:
    memory = EventMemory(most=1000, seconds=HOUR)
    passing(memory, 0.0, HOUR, 2 * BLOCK)
    assert memory.is_new("early")
    passing(memory, HOUR, HOUR / 2, 2 * BLOCK)
    assert memory.is_new("late")
    assert not memory.is_new("early")
    passing(memory, 1.5 * HOUR, HOUR, 4 * BLOCK)
    assert not memory.is_new("late")
    assert memory.is_new("early")


def test_clicks_with_wrong_clocks_let_nothing_be_forgotten() -> None:
    memory = EventMemory(most=1000, seconds=HOUR)
    passing(memory, 0.0, 60.0, BLOCK)
    assert memory.is_new("a")
    for number in range(3 * BLOCK):
        # Every third clock is a year ahead, and then all are for a while.
        ahead = number % 3 == 0 or number > 2 * BLOCK
        memory.pass_time(60.0 + number / 100 + (365 * 86_400.0 if ahead else 0.0))
    assert not memory.is_new("a")


def test_where_too_many_events_come_the_oldest_are_forgotten_and_a_note_says_so() -> None:
    left_out = LeftOut(50, HOUR)
    events: list[Id | None] = [*range(50), 0]
    assert len(left_out.admit(clicks_of(events))) == 50
    assert left_out.notes == []
    assert len(left_out.admit(clicks_of([50, 0]))) == 2
    (note,) = left_out.notes
    assert "--event-memory" in note


def test_a_count_that_goes_on_as_a_time_knows_the_events_so_far() -> None:
    counted, timed = LeftOut(50), LeftOut(event_seconds=HOUR)
    counted.admit(clicks_of(["a", "b"]))
    timed.restore(counted.values(), counted.arrays())
    assert timed.admit(clicks_of(["a", "b", "c"])).items == [2]
    counted.restore(timed.values(), timed.arrays())
    assert counted.admit(clicks_of(["c", "d"])).items == [1]


def clicks_of(events: list[Id | None], start: int = 0) -> Clicks:
    items: list[Id] = list(range(len(events)))
    times = np.arange(start, start + len(events), dtype=np.float64)
    return Clicks(["s"] * len(events), items, times, events=events)


def told(left_out: LeftOut, batches: list[Clicks]) -> list[Any]:
    return [left_out.admit(batch).items for batch in batches]


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(0, 8), st.integers(20, 900))
def test_a_snapshot_holds_what_is_remembered_however_the_stream_is_cut(
    seed: int, cut: int, size: int
) -> None:
    chance = np.random.default_rng(seed)
    drawn = chance.integers(0, 900, 6 * BLOCK).tolist()
    events: list[Id | None] = [event if event < 600 else None for event in drawn]
    whole = clicks_of(events)
    expected = LeftOut(400, 2 * BLOCK).admit(whole).items
    first, second = LeftOut(400, 2 * BLOCK), LeftOut(400, 2 * BLOCK)
    batches = [clicks_of(events[at : at + size], at) for at in range(0, len(events), size)]
    at = cut * len(batches) // 8
    kept = told(first, batches[:at])
    second.restore(first.values(), {name: array.copy() for name, array in first.arrays().items()})
    kept += told(second, batches[at:])
    assert [number * size + item for number, one in enumerate(kept) for item in one] == expected
    assert second.duplicate == len(events) - len(expected)
