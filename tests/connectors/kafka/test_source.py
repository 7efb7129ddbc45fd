from __future__ import annotations

import json
import random
import time
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition

from nextclick.connectors.clicks import Position
from nextclick.connectors.kafka import read_ahead
from nextclick.connectors.source import SourceError
from tests.brokers import Broker, make_topic, send
from tests.connectors.kafka.sources import (
    click,
    polls,
    read,
    record,
    source,
    take,
    until,
)


def test_partitions_come_merged_with_their_places(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 4)
    send(broker.address, topic, [record(number, number % 4) for number in range(1000)])
    with closing(source(broker.address, topic)) as opened:
        batches = list(polls(opened))
    assert [item for clicks in batches for item in clicks.items] == list(range(1000))
    places = [place for clicks in batches for place in clicks.places or []]
    assert places == [{"partition": n % 4, "offset": n // 4} for n in range(1000)]
    ends = {str(number): 250 for number in range(4)}
    position = batches[-1].position
    assert position.pop("id", "none") != ""
    assert position == {"kind": "topic", "topic": topic, "partitions": ends}


def test_one_log_has_one_order_over_any_number_of_partitions(broker: Broker, topic: str) -> None:
    """Equal times are ordered by the header `sequence`, late clicks by the header `clock`."""
    chance = random.Random(5)
    log = [(chance.randrange(40), sorted_at // 4) for sorted_at in range(800)]
    for partitions in (1, 4, 16):
        name = f"{topic}-{partitions}"
        make_topic(broker.address, name, partitions)
        records = [
            {
                "value": click(number, f"user-{session}", moment),
                "partition": session % partitions,
                "headers": [("sequence", number.to_bytes(8, "big"))],
            }
            for number, (session, moment) in enumerate(log)
        ]
        send(broker.address, name, records)
        assert read(broker.address, name) == list(range(800))


def test_any_position_resumes_identically(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 3)
    chance = random.Random(1)
    records = [record(chance.randrange(500), chance.randrange(3)) for _ in range(600)]
    records[50]["value"] = records[300]["value"] = b"no click"
    send(broker.address, topic, records)
    items: list[Any] = []
    positions: list[tuple[int, Position]] = []
    with closing(source(broker.address, topic)) as opened:
        for clicks in polls(opened, limit=7):
            items += clicks.items
            positions.append((len(items), clicks.position))
    assert len(items) == 598
    for given, position in positions[:: len(positions) // 8]:
        with closing(source(broker.address, topic)) as resumed:
            resumed.seek(json.loads(json.dumps(position)))
            rest = [item for clicks in polls(resumed) for item in clicks.items]
        assert rest == items[given:]


def test_records_that_a_broker_took_twice_are_left_out(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    numbers = [0, 1, 2, 3, 2, 3, 4, 5, 6, 5, 6, 7]
    headers = [[("sequence", number.to_bytes(8, "big"))] for number in numbers]
    send(
        broker.address,
        topic,
        [record(n, headers=h) for n, h in zip(numbers, headers, strict=True)],
    )
    with closing(source(broker.address, topic)) as opened:
        batches = list(polls(opened, 1))
        assert [item for clicks in batches for item in clicks.items] == list(range(8))
        assert any("4 records were skipped" in warning for warning in opened.warnings)
    for given, clicks in enumerate(batches[:-1], 1):
        with closing(source(broker.address, topic)) as resumed:
            resumed.seek(clicks.position)
            assert [item for more in polls(resumed) for item in more.items] == [*range(given, 8)]


def test_until_end_is_the_end_at_the_start(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 2)
    send(broker.address, topic, [record(number, number % 2) for number in range(10)])
    with closing(source(broker.address, topic)) as opened:
        send(broker.address, topic, [record(number, number % 2) for number in range(10, 20)])
        batches = list(polls(opened))
    assert [item for clicks in batches for item in clicks.items] == list(range(10))
    assert batches[-1].position["partitions"] == {"0": 5, "1": 5}


def test_an_empty_topic_ends_at_once_and_a_live_one_goes_on(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 2)
    assert read(broker.address, topic) == []
    with closing(source(broker.address, topic, until_end=False, idle=0.2)) as opened:
        clicks = opened.poll(10, 0.0)
        assert clicks is not None
        assert len(clicks) == 0
        # Partition 1 stays silent, and holds the other back only so long.
        send(broker.address, topic, [record(1), record(2)])
        assert take(opened, 2) == [1, 2]
        until(
            lambda: (
                opened.poll(1, 0.1) is not None and not any(lag.records for lag in opened.lag())
            ),
            "lag",
        )
        assert [(lag.partition, lag.seconds) for lag in opened.lag()] == [(0, 0.0), (1, 0.0)]


def test_after_a_silence_of_all_the_first_records_come_in_order(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 3)
    with closing(source(broker.address, topic, until_end=False, idle=2.0)) as opened:
        for earlier, later in ((1, 2), (3, 4)):
            silence = time.monotonic() + 3.0
            while time.monotonic() < silence:
                assert opened.poll(1, 0.1) is not None
            send(broker.address, topic, [record(later, 0)])
            assert opened.poll(1, 0.5) is not None
            send(broker.address, topic, [record(earlier, 1)])
            assert take(opened, 2) == [earlier, later]


def test_lag_is_told_in_records_and_seconds(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    send(broker.address, topic, [record(number) for number in range(10)])
    with closing(source(broker.address, topic, until_end=False)) as opened:
        assert take(opened, 4) == [0, 1, 2, 3]
        until(lambda: bool(opened.lag()[0].seconds), "the lag in seconds")
        assert opened.lag()[0].records == 6


def test_only_some_partitions(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 3)
    send(broker.address, topic, [record(number, number % 3) for number in range(9)])
    assert read(broker.address, topic, partitions=[0, 2]) == [0, 2, 3, 5, 6, 8]
    with pytest.raises(SourceError, match="--partitions 1,7: the topic has 0, 1, 2"):
        source(broker.address, topic, partitions=[1, 7])
    with (
        closing(source(broker.address, topic, partitions=[0])) as opened,
        pytest.raises(SourceError, match="position in partition 1"),
    ):
        opened.seek({"topic": topic, "partitions": {"0": 1, "1": 1}})


def test_aborted_transactions_are_never_read(full_broker: Broker, topic: str) -> None:
    address = full_broker.address
    make_topic(address, topic, 2)
    producer = KafkaProducer(bootstrap_servers=address, transactional_id=topic)
    producer.init_transactions()
    for number in range(20):
        producer.begin_transaction()
        for partition in (0, 1):
            producer.send(topic, click(number), partition=partition)
        producer.flush()
        if number % 2:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    # The last records of the topic are aborted ones and a marker: the end is found all the same.
    committed = [number for number in range(0, 20, 2) for _ in (0, 1)]
    assert read(address, topic) == committed
    with closing(source(address, topic, until_end=False, idle=0.1)) as opened:
        assert take(opened, 20) == committed
        # Nothing more can be given: no lag is left, though offsets are.
        until(lambda: not any(lag.records for lag in opened.lag()), "a lag without records")
        producer.begin_transaction()
        producer.send(topic, click(50), partition=0).get(30)
        # An open transaction holds nothing back: records of the other partition go on.
        send(address, topic, [record(60, 1)])
        assert take(opened, 1) == [60]
        producer.commit_transaction()
        assert take(opened, 1) == [50]
    producer.close()


def test_a_partition_that_is_far_ahead_waits(broker: Broker, topic: str) -> None:
    """Back-pressure: it is paused while the other, which has the earlier clicks, is read."""
    make_topic(broker.address, topic, 2)
    late = [{"value": click(n, time=1e6 + n), "partition": 0} for n in range(40_000)]
    early = [{"value": click(n, time=float(n)), "partition": 1} for n in range(40_000)]
    send(broker.address, topic, late + early, linger_ms=20)
    assert read(broker.address, topic) == [*range(40_000), *range(40_000)]


def test_memory_is_bounded_while_nobody_polls(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    send(broker.address, topic, [record(number) for number in range(90_000)], linger_ms=20)
    with closing(source(broker.address, topic)) as opened:
        assert opened.poll(1, 5.0) is not None
        reader = opened._reader
        until(lambda: bool(reader._consumer.paused()), "the partition is paused")
        assert reader.ahead.merge.waiting(0) <= read_ahead.BUFFERED + 10_000
        assert take(opened, 89_999) == list(range(1, 90_000))


def test_offsets_are_committed_for_others_to_see(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 2)
    send(broker.address, topic, [record(number, number % 2) for number in range(8)])
    with closing(source(broker.address, topic, group=topic)) as opened:
        batches = list(polls(opened, 3))
        opened.commit(batches[0].position)
    with closing(KafkaConsumer(bootstrap_servers=broker.address, group_id=topic)) as other:
        committed = [other.committed(TopicPartition(topic, number)) for number in (0, 1)]
    assert committed == [2, 1]


def test_a_topic_that_is_not_there(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    with pytest.raises(SourceError, match=f"no such topic.*did you mean '{topic}'"):
        source(broker.address, topic[:-1] + "x")


def test_a_position_in_another_topic(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    with (
        closing(source(broker.address, topic)) as opened,
        pytest.raises(SourceError, match="taken on the topic 'other'"),
    ):
        opened.seek({"topic": "other", "partitions": {"0": 1}})
