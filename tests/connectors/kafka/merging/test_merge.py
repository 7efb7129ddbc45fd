from __future__ import annotations

import itertools
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors.decoding.blocks import Decoding
from nextclick.connectors.decoding.values import UnusableError
from nextclick.connectors.kafka.merging.merge import Merge, Merged
from nextclick.connectors.kafka.merging.partition_queue import AHEAD, FOLLOWERS, Run


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
    """Return the partition and offset of each record, clicks and rejected in their order."""
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


def believed(log: Log) -> Log:
    """Amend the times that are far ahead of most of what follows."""
    clicks = [one for one in log if one.time is not None]
    amended = []
    for at, one in enumerate(clicks):
        following = sorted(later.time or 0.0 for later in clicks[at + 1 : at + 1 + FOLLOWERS])
        middle = following[len(following) // 2] if following else np.inf
        assert one.time is not None
        if one.time > middle + AHEAD:
            one = one._replace(time=next(time for time in following if time >= middle - AHEAD))
        amended.append(one)
    return [amended.pop(0) if one.time is not None else one for one in log]


def expected(topic: list[Log]) -> list[tuple[int, int]]:
    """Merge record by record, as the docstring of `Merge` describes."""
    topic = [believed(log) for log in topic]
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


def of_clicks(topic: list[Log], order: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out the rejected records: when they are given depends on when they come."""
    return [(number, at) for number, at in order if topic[number][at].time is not None]


TIMES = st.one_of(
    st.none(), st.integers(0, 6).map(float), st.sampled_from([3605.0, 9000.0, 4e7, -4e7])
)
RECORDS = st.builds(One, TIMES, st.integers(-1, 6))
TOPICS = st.lists(st.lists(RECORDS, max_size=20), min_size=1, max_size=4)


@given(TOPICS, st.randoms(use_true_random=False))
def test_the_order_depends_on_the_records_alone(topic: list[Log], chance: Random) -> None:
    merge = merge_of(len(topic))
    following = [0] * len(topic)
    order: list[tuple[int, int]] = []
    while any(at < len(log) for at, log in zip(following, topic, strict=True)):
        number = chance.choice([n for n, log in enumerate(topic) if following[n] < len(log)])
        count = chance.randint(1, 5)
        at = following[number]
        merge.add(run(number, topic[number][at : at + count], at), 0.0)
        following[number] = min(at + count, len(topic[number]))
        order += places(merge.take(9.0))
    for number in range(len(topic)):
        merge.end(number)
    order += places(merge.take(9.0))
    assert merge.ended
    assert of_clicks(topic, order) == of_clicks(topic, expected(topic))
    assert_each_partition_is_whole(topic, order)


def assert_each_partition_is_whole(topic: list[Log], order: list[tuple[int, int]]) -> None:
    for number, log in enumerate(topic):
        assert [at for partition, at in order if partition == number] == list(range(len(log)))


@given(TOPICS, st.integers(0, 80))
def test_from_any_place_it_goes_on_as_if_never_stopped(topic: list[Log], stop: int) -> None:
    order = expected(topic)
    following = [sum(number == n for n, _ in order[:stop]) for number in range(len(topic))]
    merge = merge_of(len(topic))
    for number, log in enumerate(topic):
        merge.add(run(number, log[following[number] :], following[number]), 0.0)
        merge.end(number)
    assert of_clicks(topic, places(merge.take(0.0))) == of_clicks(topic, order[stop:])


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
        merge = merge_of(partitions)
        highest = 0.0
        parts: list[Log] = [[] for _ in range(partitions)]
        order: list[list[int]] = [[] for _ in range(partitions)]
        for number, (time, session) in enumerate(log):
            highest = max(highest, time)
            parts[session % partitions].append(One(highest, number))
            order[session % partitions].append(number)
        for number, records in enumerate(parts):
            merge.add(run(number, records), 0.0)
            merge.end(number)
        found = [order[number][offset] for number, offset in places(merge.take(0.0))]
        assert found == list(range(len(log)))


def merge_of(partitions: int, idle: float = 1.0, *, live: bool = False, stall: float = 30) -> Merge:
    merge = Merge(idle, stall)
    for number in range(partitions):
        merge.begin(number, 0.0, live=live)
    return merge


def steady(first: float, count: int, step: float = 1.0) -> Log:
    return [One(first + step * number) for number in range(count)]


def test_nothing_that_lay_there_is_given_before_its_place_is_certain() -> None:
    merge = merge_of(2)
    merge.add(run(0, steady(1.0, 20, 4.0)), 0.0)
    merge.live(0, 0.0)
    assert merge.take(9.0) is None
    merge.add(run(1, steady(2.0, 2 + FOLLOWERS)), 9.0)
    assert places(merge.take(9.0)) == [(0, 0), (1, 0), (1, 1)]
    assert (merge.waiting(0), merge.waiting(1)) == (19, 8)
    merge.live(1, 9.0)
    numbers = [place[0] for place in places(merge.take(9.0))]
    assert numbers == [1, 0, 1, 1, 1, 1, 0, 1, 1, 1]
    assert merge.waiting(0) == 17


def test_a_live_click_waits_for_other_partitions_only_so_long() -> None:
    merge = merge_of(3, idle=0.2, live=True)
    merge.add(run(0, [One(5.0)]), 9.0)
    assert merge.take(9.1) is None
    assert merge.due() == 9.2
    merge.add(run(1, [One(4.0), One(7.0)]), 9.1)
    assert merge.take(9.15) is None
    # What is earlier goes before it, though it has waited less; what is later waits on.
    assert places(merge.take(9.2)) == [(1, 0), (0, 0)]
    assert merge.due() == pytest.approx(9.3)
    merge.add(run(0, [One(8.0)], 1), 9.25)
    merge.add(run(2, [One(9.0)]), 9.25)
    assert places(merge.take(9.25)) == [(1, 1)]
    assert places(merge.take(9.45)) == [(0, 1), (2, 0)]
    assert merge.due() == np.inf
    assert not merge.out_of_order


def test_rejected_records_wait_for_nobody_and_hold_nobody_back() -> None:
    merge = merge_of(1)
    merge.add(run(0, [One(None), One(3.0), One(None)]), 0.0)
    merge.live(0, 0.0)
    assert places(merge.take(0.0)) == [(0, 0), (0, 1), (0, 2)]
    merge = merge_of(2, idle=0.2, live=True)
    found: list[tuple[int, int]] = []
    beats = 0
    for tenth in range(100):
        now = tenth / 10
        merge.add(run(0, [One(now)], tenth), now)
        if tenth % 4 == 0:
            merge.add(run(1, [One(None)], beats), now)
            beats += 1
        given = places(merge.take(now))
        assert sum(number == 1 for number, _ in given) == (tenth % 4 == 0)
        found += [place for place in given if place[0] == 0]
        assert tenth - len(found) < 3
    assert [at for _, at in found] == list(range(len(found)))


def live_stream(
    clocks: list[Callable[[float], float]], idle: float, seconds: float = 30.0
) -> tuple[list[list[float]], Merge]:
    """Return how long the clicks of each partition waited, ten a second in each, with their clocks.

    The clicks of one come a hair after those of the one before it.
    """
    merge = merge_of(len(clocks), idle, live=True)
    came: list[list[float]] = [[] for _ in clocks]
    waited: list[list[float]] = [[] for _ in clocks]
    for tick in range(int(seconds * 100)):
        now = tick / 100
        if tick % 10 < len(clocks):
            number = tick % 10
            merge.add(run(number, [One(clocks[number](now))], len(came[number])), now)
            came[number].append(now)
        for number, offset in places(merge.take(now)):
            waited[number].append(now - came[number][offset])
            assert offset == len(waited[number]) - 1
    return waited, merge


def every_tenth(ahead: float) -> Callable[[float], float]:
    count = itertools.count()
    return lambda now: now + ahead * (next(count) % 10 == 5)


@pytest.mark.parametrize("ahead", [10.0, 60.0, 86_400.0, 4e7])
def test_a_clock_that_runs_ahead_costs_only_its_own_clicks(ahead: float) -> None:
    clean, merge = live_stream([float, float], 0.2)
    assert not merge.out_of_order
    odd, merge = live_stream([every_tenth(ahead), float], 0.2)
    for number in (0, 1):
        assert max(odd[number]) < 0.22
        assert sorted(odd[number])[len(odd[number]) // 2] <= np.median(clean[number]) + 0.02
    # The last ones may still wait.
    assert len(odd[0]) + 3 > 300
    counts = merge.out_of_order
    assert counts[1] == 0
    assert 20 <= counts[0] <= 30


@pytest.mark.parametrize("behind", [8.0, 86_400.0, 4e7])
def test_a_producer_that_runs_behind_holds_each_click_only_so_long(behind: float) -> None:
    waited, merge = live_stream([float, lambda now: now - behind], 0.2)
    assert max(waited[0]) < 0.22
    assert max(waited[1]) < 0.02
    # Of the first two clicks nothing tells which one is wrong.
    assert merge.out_of_order[0] <= 1
    assert merge.out_of_order[1] > 280


def test_one_click_a_year_behind_holds_nobody_back() -> None:
    once = itertools.count()
    waited, merge = live_stream([lambda now: now - 3e7 * (next(once) == 50), float], 0.2)
    assert max(map(max, waited)) < 0.22
    assert merge.out_of_order.total() <= 1


def test_several_partitions_ahead_at_once_and_a_clock_that_stays_ahead() -> None:
    waited, _ = live_stream([every_tenth(3e7), every_tenth(4e7), float], 0.2)
    assert max(map(max, waited)) < 0.22
    waited, _ = live_stream([lambda now: now + 86_400.0, float], 0.2)
    assert max(map(max, waited)) < 0.22


def test_a_click_far_ahead_in_what_lay_there_has_its_turn_with_its_followers() -> None:
    odd = steady(0.0, 100)
    odd[30:32] = [One(86_430.0), One(3e7)]
    merge = merge_of(2)
    for number, log in enumerate([odd, steady(0.5, 100)]):
        merge.add(run(number, log), 0.0)
        merge.end(number)
    order = places(merge.take(0.0))
    # Each has its right neighbours, but for the few places of the odd ones.
    for at, (number, offset) in enumerate(order):
        assert abs(at - (2 * offset + number)) <= 2


def test_a_partition_that_gives_nothing_is_waited_for_only_so_long() -> None:
    merge = merge_of(2, idle=0.2, stall=30.0)
    merge.add(run(0, steady(0.0, 20)), 1.0)
    merge.live(0, 1.0)
    assert merge.take(29.9) is None
    assert merge.due() == 30.0
    assert merge.take(30.0) is None
    assert len(places(merge.take(30.2))) == 20
    assert merge.stalled == [1]
    # What comes later is waited for again, to its end.
    merge.add(run(1, steady(0.0, 20)), 31.0)
    assert merge.stalled == []
    merge.add(run(0, steady(20.0, 1), 20), 31.0)
    assert len(places(merge.take(40.0))) == 20 - FOLLOWERS
    merge.live(1, 40.0)
    assert len(places(merge.take(40.2))) == FOLLOWERS + 1


@given(TOPICS, st.floats(0.0, 3.0), st.data())
def test_however_live_records_come_none_waits_too_long_or_is_lost(
    topic: list[Log], idle: float, data: st.DataObject
) -> None:
    merge = merge_of(len(topic), idle)
    live = [data.draw(st.integers(0, len(log))) for log in topic]
    read = [0] * len(topic)
    came: dict[tuple[int, int], float] = {}
    now = 0.0
    began: dict[int, float] = {}
    order: list[tuple[int, int]] = []
    while read != [len(log) for log in topic] or len(order) < sum(read):
        now += data.draw(st.floats(0.01, 2.0))
        number = data.draw(st.integers(0, len(topic) - 1))
        end = min(read[number] + data.draw(st.integers(1, 3)), len(topic[number]))
        merge.add(run(number, topic[number][read[number] : end], read[number]), now)
        came.update({(number, at): now for at in range(read[number], end)})
        read[number] = end
        for one, at in enumerate(read):
            if at >= live[one] and one not in began:
                merge.live(one, now)
                began[one] = now
        due = merge.due()
        given = places(merge.take(now))
        assert given or due > now
        order += given
        if len(began) == len(topic):
            start = max(began.values())
            left = came.keys() - set(order)
            assert all(now < max(came[place], start) + idle for place in left)
    assert_each_partition_is_whole(topic, order)


@given(TOPICS)
def test_with_time_enough_a_live_topic_has_the_order_of_time(topic: list[Log]) -> None:
    """Records come in the order of the stream, whatever they wait for."""
    merge = merge_of(len(topic), idle=1000.0, live=True)
    order: list[tuple[int, int]] = []
    for tick, (number, at) in enumerate(expected(topic)):
        merge.add(run(number, topic[number][at : at + 1], at), float(tick))
        order += places(merge.take(float(tick)))
    order += places(merge.take(5000.0))
    assert_each_partition_is_whole(topic, order)


def test_where_a_partition_cannot_be_read_on_others_go_as_far_as_its_last_record() -> None:
    merge = Merge()
    merge.begin(0, now=0.0)
    merge.begin(1, now=0.0)
    merge.add(run(0, [One(1.0), One(2.0), One(5.0)]), now=0.0)
    merge.end(0)
    merge.add(run(1, [One(3.0)]), now=0.0)
    # Whether its click is far ahead would be told by what follows; that cannot be read.
    assert places(merge.take(now=9.0)) == []
    merge.stop(1)
    assert places(merge.take(now=9.0)) == [(0, 0), (0, 1), (1, 0)]
    assert places(merge.take(now=99.0)) == []
    assert not merge.ended
