from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors.kafka.merging.late_clicks import ClockNotes, Disorder

Clicks = list[tuple[float, int]]


def counted(clicks: Clicks, size: int = 1000) -> dict[int, int]:
    disorder = Disorder()
    for at in range(0, len(clicks), size):
        times, partitions = zip(*clicks[at : at + size], strict=True)
        disorder.note(np.array(times), np.array(partitions))
    return dict(disorder.counts)


def in_turns(count: int, behind: float) -> Clicks:
    """Write the clicks of two partitions in turns, those of the second one behind."""
    return [(number - behind * (number % 2), number % 2) for number in range(count)]


def test_what_comes_behind_later_clicks_is_too_late() -> None:
    for behind in (8.0, 4e7):
        counts = counted(in_turns(200, behind))
        assert counts.keys() == {1}
        assert counts[1] >= 98
    # Where they differ by less than two clicks lie apart, either may be the one.
    assert sum(counted(in_turns(200, behind=1.5)).values()) >= 98


def test_what_most_others_go_before_is_too_early() -> None:
    clicks = in_turns(100, behind=0.0)
    clicks[40] = (4e7, 0)
    clicks[61] = (100.0, 1)
    assert counted(clicks) == {0: 1, 1: 1}


def test_wrong_times_in_a_row_are_forgotten() -> None:
    clicks = in_turns(400, behind=0.0)
    clicks[40:43] = [(4e7, 0), (4e7 + 1, 1), (4e7 + 2, 0)]
    assert sum(counted(clicks).values()) < 12


def test_the_order_within_a_partition_is_the_topics_own() -> None:
    assert counted([(5.0, 0), (3.0, 0), (4.0, 0), (1.0, 0), (6.0, 1)]) == {}


CLICKS = st.lists(st.tuples(st.integers(0, 9).map(float), st.integers(0, 2)), min_size=1)


@given(CLICKS, st.integers(1, 7))
def test_it_does_not_depend_on_how_many_come_at_once(clicks: Clicks, size: int) -> None:
    assert counted(clicks, size) == counted(clicks, 1)


@given(CLICKS)
def test_a_stream_in_order_has_none(clicks: Clicks) -> None:
    assert counted(sorted(clicks)) == {}


def test_a_note_names_the_partitions_and_is_renewed_seldom() -> None:
    notes = ClockNotes("kafka://host:9092/clicks", 0.2)
    assert notes.notes(Counter(), []) == []
    (first,) = notes.notes(Counter({3: 1}), [])
    assert "kafka://host:9092/clicks: 1 click was learned" in first
    assert "1 of partition 3;" in first
    assert notes.notes(Counter({3: 90}), []) == [first]
    (second,) = notes.notes(Counter({3: 90, 1: 9, 0: 4, 2: 1}), [])
    assert "104 clicks were learned" in second
    assert "90 of partition 3, 9 of partition 1, 4 of partition 0, …" in second
    told = notes.notes(Counter({3: 90, 1: 9, 0: 4, 2: 1}), [2])
    assert told[0] == second
    assert "partition 2 does not deliver its records" in told[1]
