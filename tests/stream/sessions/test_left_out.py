from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors import FILTERED, Clicks, Id, Rejected
from nextclick.stream.sessions.left_out import LeftOut
from tests.stream.engines import Kept


def batch(events: list[Id | None] | None, first: int = 0) -> Clicks:
    count = 3 if events is None else len(events)
    items: list[Id] = list(range(first, first + count))
    places = [{"offset": item} for item in items]
    return Clicks(["s"] * count, items, np.arange(count, dtype=np.float64), {}, [], places, events)


def test_an_event_that_was_read_before_is_left_out() -> None:
    left_out = LeftOut()
    assert left_out.admit(batch(["a", "b", "a", None, None, 7, "7"])).items == [0, 1, 3, 4, 5, 6]
    kept = left_out.admit(batch(["b", "c", 7], first=10))
    assert (kept.items, kept.times.tolist(), kept.places) == ([11], [1.0], [{"offset": 11}])
    assert left_out.duplicate == 3


def test_clicks_without_events_are_all_new() -> None:
    left_out = LeftOut()
    clicks = batch(None)
    assert left_out.admit(clicks) is clicks
    assert left_out.results() == {}


EVENTS = st.lists(st.integers(0, 12), max_size=40)


@given(EVENTS, st.integers(1, 6), st.integers(0, 40))
def test_the_latest_events_are_remembered_and_a_snapshot_holds_them(
    events: list[int], most: int, cut: int
) -> None:
    expected: list[int] = []
    known: list[int] = []
    for at, event in enumerate(events):
        if event not in known:
            expected.append(at)
            known = [*known, event][-most:]
    first = LeftOut(most)
    items = first.admit(batch(list(events[:cut]))).items
    second = LeftOut(most)
    second.restore({"rejected": {}, **first.results()}, first.arrays())
    items = [*items, *second.admit(batch(list(events[cut:]), first=len(events[:cut]))).items]
    assert items == expected
    assert second.duplicate == len(events) - len(expected)


def test_filtered_records_are_counted_and_are_no_dead_letters() -> None:
    left_out, sink = LeftOut(), Kept()
    left_out.reject(
        [Rejected(FILTERED, "", {})] * 2 + [Rejected("bad_json", "", {"line": 1})], sink
    )
    assert left_out.results() == {"filtered": 2}
    assert left_out.rejected == {"bad_json": 1}
    assert [record["reason"] for record in sink.records] == ["bad_json"]


def test_a_memory_holds_one_event_at_least() -> None:
    with pytest.raises(ValueError, match="event_memory"):
        LeftOut(0)
