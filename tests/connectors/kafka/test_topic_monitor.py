from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError
from kafka.structs import TopicPartition

from nextclick.connectors import parse_subscription
from nextclick.connectors.kafka import topic_monitor as kafka_watch
from nextclick.connectors.kafka.client import KafkaLog
from nextclick.connectors.kafka.merging.numbering import Numbering
from nextclick.connectors.source import SourceError
from tests.brokers import Broker, admin_client, make_topic, send
from tests.connectors.kafka.sources import click, polls, record, source, take, until


def test_new_partitions_are_read_from_their_beginning(full_broker: Broker, topic: str) -> None:
    address = full_broker.address
    make_topic(address, topic)
    with closing(source(address, topic, until_end=False, idle=0.1)) as opened:
        send(address, topic, [record(1)])
        assert take(opened, 1) == [1]
        with closing(admin_client(address)) as admin:
            admin.create_partitions({topic: 2})
        send(address, topic, [record(2, 1), record(3, 1)])
        assert take(opened, 2) == [2, 3]
        assert any("gained partition 1" in warning for warning in opened.warnings)
        clicks = opened.poll(1)
        assert clicks is not None
        assert clicks.position["partitions"] == {"0": 1, "1": 2}


def test_a_deleted_topic_is_an_error(
    full_broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_watch, "GONE", 1.0)
    make_topic(full_broker.address, topic)
    with closing(source(full_broker.address, topic, until_end=False)) as opened:
        assert opened.poll(1) is not None
        with closing(admin_client(full_broker.address)) as admin:
            admin.delete_topics([topic])
        with pytest.raises(SourceError, match="has been deleted"):
            take(opened, 1)


def delete_before(address: str, topic: str, offset: int) -> None:
    with closing(admin_client(address)) as admin:
        admin.delete_records({TopicPartition(topic, 0): offset})


def test_a_position_that_was_aged_out(full_broker: Broker, topic: str) -> None:
    address = full_broker.address
    make_topic(address, topic)
    send(address, topic, [record(number) for number in range(10)])
    delete_before(address, topic, 6)
    position = {"topic": topic, "partitions": {"0": 3}}
    with (
        closing(source(address, topic)) as opened,
        pytest.raises(SourceError, match=r"offsets 6 to 10, and not 3.*--on-missing-offsets"),
    ):
        opened.seek(position)
    for policy, items in (("earliest", [6, 7, 8, 9]), ("latest", [])):
        with closing(source(address, topic, on_missing_offsets=policy)) as opened:
            opened.seek(position)
            assert [item for clicks in polls(opened) for item in clicks.items] == items
            assert any("not 3" in warning for warning in opened.warnings)
    # A topic that was recreated has fewer offsets than the position.
    with closing(source(address, topic, until_end=False)) as opened:
        opened.seek({"topic": topic, "partitions": {"0": 99}})
        with pytest.raises(SourceError, match=r"not 99.*recreated"):
            take(opened, 1)


def test_a_topic_made_anew_is_counted_from_its_own_beginning(
    full_broker: Broker, topic: str
) -> None:
    address = full_broker.address
    make_topic(address, topic)
    send(address, topic, [record(number) for number in range(20)])
    with closing(source(address, topic, until_end=False, on_missing_offsets="earliest")) as opened:
        assert take(opened, 20)
        with closing(admin_client(address)) as admin:
            admin.delete_topics([topic])
        time.sleep(
            1
        )  # Deleting goes on behind the answer; a new one of the name is refused so long.
        make_topic(address, topic)
        send(address, topic, [record(number) for number in range(5)])
        assert take(opened, 5)
        position: Any = {}
        for _ in range(100):
            clicks = opened.poll(1, 0.1)
            assert clicks is not None
            assert len(clicks) == 0
            position = clicks.position["partitions"]
            if position == {"0": 5}:
                break
        assert position == {"0": 5}


def test_no_broker_at_the_start(topic: str, broker: Broker) -> None:
    with pytest.raises(SourceError, match="nothing listens there: start the broker"):
        source("127.0.0.1:1", topic)


class Publishing(threading.Thread):
    """Sends clicks one after the other, not far ahead of who reads them."""

    def __init__(self, address: str, topic: str, count: int) -> None:
        super().__init__(daemon=True)
        self._producer = KafkaProducer(
            bootstrap_servers=address,
            delivery_timeout_ms=120_000,
            request_timeout_ms=5_000,
            reconnect_backoff_max_ms=500,
            linger_ms=5,
        )
        self._topic, self._count = topic, count
        self.read = 0

    def run(self) -> None:
        futures = []
        now = int(time.time() * 1000)
        for number in range(self._count):
            # Times of today: the broker forgets producers by the records' own times.
            moment = now + number
            futures.append(
                self._producer.send(
                    self._topic,
                    click(number, time=moment / 1000),
                    partition=number % 2,
                    timestamp_ms=moment,
                    headers=[("sequence", number.to_bytes(8, "big"))],
                )
            )
            while number > self.read + 1500:
                time.sleep(0.005)
        for future in futures:
            future.get(120)
        self._producer.close()


def test_a_broker_killed_and_frozen_loses_and_repeats_nothing(
    apache_broker: Broker, topic: str
) -> None:
    address, count = apache_broker.address, 12_000
    make_topic(address, topic, 2)
    publishing = Publishing(address, topic, count)
    with closing(source(address, topic, until_end=False, idle=300.0)) as opened:
        publishing.start()
        items: list[Any] = []
        deadline = time.monotonic() + 240
        killed = 0
        while len(items) < count - 1:
            assert time.monotonic() < deadline, f"{len(items)} of {count}"
            clicks = opened.poll(64, 0.1)
            assert clicks is not None
            assert clicks.rejected == []
            items += clicks.items
            publishing.read = len(items)
            if killed < 3 and len(items) > 2000 * (killed + 1):
                killed += 1
                apache_broker.kill()
                apache_broker.start()
            elif killed == 3 and len(items) > 8000:
                killed += 1
                apache_broker.pause()
                resuming = threading.Timer(4.0, apache_broker.resume)
                resuming.start()
        publishing.join()
        resuming.join()
        # The last click waits for the other partition, which has nothing more.
        assert items == list(range(count - 1))
        assert killed == 4
        assert any("brokers were unavailable" in warning for warning in opened.warnings)


class Ends:
    """A consumer whose brokers report where partitions end, or do not answer."""

    away = False

    def end_offsets(self, places: list[TopicPartition], timeout_ms: int) -> dict[Any, int]:
        if self.away:
            raise KafkaTimeoutError("no answer")
        return dict.fromkeys(places, 7)


def test_brokers_whose_records_come_before_the_next_look_are_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka_watch, "AWAY", 0.05)
    monkeypatch.setattr(kafka_watch, "LOOK", 0.0)
    consumer = Ends()
    numbering = Numbering(parse_subscription("kafka://host:1/clicks"))
    watch = kafka_watch.TopicMonitor(consumer, numbering, KafkaLog())
    assert watch.look([0]) is not None
    assert watch.notes == []
    consumer.away = True
    deadline = time.monotonic() + 10
    while not watch.notes and time.monotonic() < deadline:
        assert watch.look([0]) is None
        time.sleep(0.01)
    (note,) = watch.notes
    assert "waiting for the brokers" in note
    assert watch.away == note
    consumer.away = False
    watch.note_answer()
    assert watch.look([0]) is not None
    (note,) = watch.notes
    assert "were unavailable once" in note
    assert watch.away is None


def test_brokers_that_nobody_asked_were_not_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_watch, "AWAY", 0.05)
    monkeypatch.setattr(kafka_watch, "LOOK", 0.0)
    numbering = Numbering(parse_subscription("kafka://host:1/clicks"))
    consumer = Ends()
    watch = kafka_watch.TopicMonitor(consumer, numbering, KafkaLog())
    for _ in range(3):
        # A run compiles its loops, or writes a snapshot to a slow disk.
        time.sleep(0.1)
        assert watch.look([0]) is not None
        assert watch.notes == []
    time.sleep(0.1)
    consumer.away = True
    assert watch.look([0]) is None
    assert watch.notes == []


def test_waiting_for_a_broker_is_said_once(
    apache_broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_watch, "AWAY", 0.5)
    make_topic(apache_broker.address, topic)
    send(apache_broker.address, topic, [record(1)])
    with closing(source(apache_broker.address, topic, until_end=False)) as opened:
        assert take(opened, 1) == [1]
        apache_broker.kill()
        until(lambda: any("waiting for the brokers" in w for w in opened.warnings), "a warning")
        assert opened.poll(1) is not None
        (waiting,) = opened.warnings
        assert "nothing listens there" in waiting
        apache_broker.start()
        send(apache_broker.address, topic, [record(2)])
        assert take(opened, 1) == [2]
        # On a busy machine an answer that comes late may count as another time away.
        until(lambda: any("were unavailable" in w for w in opened.warnings), "a note")
        assert len(opened.warnings) == 1
