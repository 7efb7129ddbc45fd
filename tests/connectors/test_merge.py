from __future__ import annotations

from random import Random
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors.blocks import Decoding
from nextclick.connectors.decode import UnusableError
from nextclick.connectors.merge import Merge, Merged, Run


class One(NamedTuple):
    """A record as the tests write it; one without a time is rejected."""

    time: float | None
    sequence: int = -1


Log = list[One]


def run(partition: int, records: Log, first: int = 0) -> Run:
    decoding = Decoding()
    for offset, one in enumerate(records, first):
        if one.time is None:
            place = {"partition": partition, "offset": offset}
            decoding.reject(UnusableError("bad", "bad"), place, b"")
        else:
            decoding.click(f"{partition}", offset, one.time)
    decoded = decoding.done()
    sequences = [one.sequence for one in records if one.time is not None]
    offsets = np.arange(first, first + len(records))
    return Run(partition, decoded, offsets, decoded.times, np.array(sequences, dtype=np.int64))


def places(merged: Merged | None) -> list[tuple[int, int]]:
    """Give the partition and offset of each record, clicks and rejected in their order."""
    if merged is None:
        return []
    found = list(zip(merged.partitions.tolist(), merged.offsets.tolist(), strict=True))
    # The block's own records are the same ones, in the same order.
    decoded = merged.decoded
    refused: list[tuple[int, int]] = []
    clicks: list[tuple[int, int]] = []
    for place, is_click in zip(found, merged.is_click.tolist(), strict=True):
        (clicks if is_click else refused).append(place)
    columns = zip(decoded.sessions, decoded.items, strict=True)
    assert [(int(session), int(item)) for session, item in columns] == clicks
    given = [(one.position["partition"], one.position["offset"]) for one in decoded.rejected]
    assert given == refused
    before = np.cumsum(~merged.is_click)[merged.is_click]
    assert decoded.before.tolist() == before.tolist()
    return found


def expected(topic: list[Log]) -> list[tuple[int, int]]:
    """Merge record by record, as the words of `Merge` say."""
    following = [0] * len(topic)
    order: list[tuple[int, int]] = []
    while True:
        heads = []
        for number, log in enumerate(topic):
            if following[number] < len(log):
                time, sequence = log[following[number]]
                heads.append((-np.inf, -1, number) if time is None else (time, sequence, number))
        if not heads:
            return order
        number = min(heads)[2]
        order.append((number, following[number]))
        following[number] += 1


TIMES = st.one_of(st.none(), st.integers(0, 6).map(float))
RECORDS = st.builds(One, TIMES, st.integers(-1, 6))
TOPICS = st.lists(st.lists(RECORDS, max_size=12), min_size=1, max_size=4)


@given(TOPICS, st.randoms(use_true_random=False))
def test_the_order_depends_on_the_records_alone(topic: list[Log], chance: Random) -> None:
    merge = Merge()
    for number in range(len(topic)):
        merge.begin(number)
    following = [0] * len(topic)
    order: list[tuple[int, int]] = []
    while any(at < len(log) for at, log in zip(following, topic, strict=True)):
        number = chance.choice([n for n, log in enumerate(topic) if following[n] < len(log)])
        count = chance.randint(1, 5)
        at = following[number]
        merge.add(run(number, topic[number][at : at + count], at), 0.0)
        following[number] = min(at + count, len(topic[number]))
        order += places(merge.take())
    for number in range(len(topic)):
        merge.end(number)
    order += places(merge.take())
    assert merge.ended
    assert order == expected(topic)


@given(TOPICS, st.integers(0, 48))
def test_from_any_place_it_goes_on_as_if_never_stopped(topic: list[Log], stop: int) -> None:
    order = expected(topic)
    following = [sum(number == n for n, _ in order[:stop]) for number in range(len(topic))]
    merge = Merge()
    for number, log in enumerate(topic):
        merge.begin(number)
        merge.add(run(number, log[following[number] :], following[number]), 0.0)
        merge.end(number)
    assert places(merge.take()) == order[stop:]


LOGS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 99)).map(lambda pair: (float(pair[0]), pair[1])),
    max_size=60,
)


@given(LOGS)
def test_a_log_comes_out_in_its_order_over_any_number_of_partitions(
    log: list[tuple[float, int]],
) -> None:
    """Records as `replay` publishes them: late ones are ordered by the highest time so far."""
    for partitions in (1, 4, 16):
        merge = Merge()
        highest = 0.0
        parts: list[Log] = [[] for _ in range(partitions)]
        order: list[list[int]] = [[] for _ in range(partitions)]
        for number, (time, session) in enumerate(log):
            highest = max(highest, time)
            parts[session % partitions].append(One(highest, number))
            order[session % partitions].append(number)
        for number, records in enumerate(parts):
            merge.begin(number)
            merge.add(run(number, records), 0.0)
            merge.end(number)
        found = [order[number][offset] for number, offset in places(merge.take())]
        assert found == list(range(len(log)))


def merge_of(partitions: int, idle: float = 1.0) -> Merge:
    merge = Merge(idle)
    for number in range(partitions):
        merge.begin(number)
    return merge


def test_nothing_is_given_before_its_place_is_certain() -> None:
    merge = merge_of(2)
    merge.add(run(0, [One(1.0), One(5.0)]), 0.0)
    assert merge.take() is None
    assert merge.asking
    merge.add(run(1, [One(2.0)]), 0.0)
    assert places(merge.take()) == [(0, 0), (1, 0)]
    assert (merge.waiting(0), merge.waiting(1)) == (1, 0)


def test_a_silent_partition_holds_the_others_back_only_so_long() -> None:
    merge = merge_of(2, idle=1.0)
    merge.add(run(0, [One(1.0)]), 9.0)
    merge.silent(1, asked=10.0)
    merge.silent(1, asked=10.9)  # Since when it is silent does not move.
    assert merge.take() is None
    merge.silent(1, asked=11.0)
    assert places(merge.take()) == [(0, 0)]
    # Once it has a record again, it is waited for again.
    merge.add(run(1, [One(0.5)]), 11.0)
    merge.add(run(0, [One(2.0)], 1), 11.0)
    assert places(merge.take()) == [(1, 0)]
    assert merge.take() is None


def test_a_silent_partition_is_asked_after_a_record_came() -> None:
    """It may have got an earlier one since it was asked last."""
    merge = merge_of(3, idle=1.0)
    merge.add(run(0, [One(1.0)]), 9.0)
    for asked in (10.0, 11.0):
        merge.silent(1, asked)
        merge.silent(2, asked)
    assert places(merge.take()) == [(0, 0)]
    merge.add(run(0, [One(4.0)], 1), 11.5)
    assert merge.take() is None
    assert merge.asking
    merge.add(run(1, [One(3.0)]), 11.6)
    merge.silent(2, asked=11.7)
    assert places(merge.take()) == [(1, 0)]
    merge.silent(0, asked=11.7)
    merge.silent(1, asked=11.7)
    merge.silent(1, asked=12.7)
    merge.silent(2, asked=12.7)
    assert places(merge.take()) == [(0, 1)]
    assert not merge.asking


def test_when_all_were_silent_the_first_record_waits_for_the_others() -> None:
    merge = merge_of(3, idle=1.0)
    for asked in (0.0, 5.0):
        for number in range(3):
            merge.silent(number, asked)
    merge.add(run(0, [One(7.0)]), 5.1)
    merge.silent(1, asked=5.2)
    merge.silent(2, asked=5.2)
    assert merge.take() is None
    merge.add(run(1, [One(6.0)]), 5.3)
    merge.silent(2, asked=6.1)
    assert merge.take() is None
    merge.silent(2, asked=6.2)
    assert places(merge.take()) == [(1, 0)]


@given(TOPICS, st.floats(0.0, 3.0), st.data())
def test_what_was_there_when_a_record_came_never_comes_after_it(
    topic: list[Log], idle: float, data: st.DataObject
) -> None:
    """Records get into the topic in the order of the stream; whoever asks sees what is there."""
    merge = merge_of(len(topic), idle)
    order = expected(topic)
    there = 0
    read = [0] * len(topic)
    now = 0.0
    found: list[tuple[int, int]] = []
    while len(found) < len(order):
        now += data.draw(st.floats(0.01, 2.0))
        there = min(there + data.draw(st.integers(0, 3)), len(order))
        number = data.draw(st.integers(0, len(topic) - 1))
        end = sum(partition == number for partition, _ in order[:there])
        if data.draw(st.booleans()):
            merge.add(run(number, topic[number][read[number] : end], read[number]), now)
            read[number] = end
        if read[number] == end:
            merge.silent(number, now)
        found += places(merge.take())
    assert found == order


def test_rejected_records_pass_in_their_place() -> None:
    merge = merge_of(1)
    merge.add(run(0, [One(None), One(3.0), One(None)]), 0.0)
    assert places(merge.take()) == [(0, 0), (0, 1), (0, 2)]
