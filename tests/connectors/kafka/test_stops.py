from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from nextclick.connectors import (
    DeadLetterTopic,
    KafkaAddress,
    KafkaSink,
    KafkaSource,
    LogFormat,
    RemoteSink,
    SinkError,
)
from nextclick.connectors.kafka import producer as publishing
from tests.brokers import Broker, make_topic, send
from tests.connectors.kafka.sinks import numbers, through_a_snapshot, write
from tests.topics import read_topic

IMPATIENT = {"request_timeout_ms": 1000}


def open_sink(broker: Broker, topic: str, id_: str | None = None, **options: Any) -> KafkaSink:
    address = KafkaAddress([broker.address], topic)
    return KafkaSink(address, IMPATIENT, transactional_id=id_ and f"{id_}-{topic}", **options)


@pytest.mark.parametrize("id_", [None, "id"])
def test_a_broker_that_hangs_longer_than_its_requests_may_take_is_waited_for(
    apache_broker: Broker,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
    id_: str | None,
) -> None:
    monkeypatch.setattr(publishing, "WAITING_SECONDS", 1.0)
    broker = apache_broker
    make_topic(broker.address, topic)
    notes: list[str] = []
    sink = open_sink(broker, topic, id_, notify=notes.append)
    write(sink, 1)
    sink.commit(sink.sync())
    broker.pause()
    write(sink, 2, 3)
    thread = threading.Thread(target=lambda: sink.commit(sink.sync()))
    thread.start()
    # Longer than several requests may take, each of which fails.
    thread.join(5)
    assert thread.is_alive()
    broker.resume()
    thread.join(120)
    assert not thread.is_alive()
    write(sink, 4)
    sink.commit(sink.sync())
    sink.close()
    assert numbers(broker, topic) == [1, 2, 3, 4]
    assert ["waiting" in note for note in notes] == [True, False]


@pytest.mark.parametrize("id_", [None, "id"])
def test_what_a_hanging_broker_does_not_take_before_the_end_waits_in_the_snapshot(
    apache_broker: Broker, topic: str, id_: str | None
) -> None:
    broker = apache_broker
    make_topic(broker.address, topic)
    sink = open_sink(broker, topic, id_)
    assert isinstance(sink, RemoteSink)
    write(sink, 1)
    sink.commit(sink.sync())
    broker.pause()
    write(sink, 2, 3)
    threading.Timer(0.5, sink.end_within, [0.5]).start()
    length = through_a_snapshot(sink.sync())
    sink.end_within(0.5)
    sink.commit(length)
    assert sink.undelivered == 2
    sink.close()
    broker.resume()
    resumed = open_sink(broker, topic, id_, resume_at=length)
    resumed.commit(resumed.sync())
    assert resumed.undelivered == 0
    resumed.close()
    found = numbers(broker, topic)
    # Without transactions the broker may still take what it was sent before it hung.
    assert found == [1, 2, 3] if id_ else sorted(set(found)) == [1, 2, 3]


def test_what_is_left_over_at_least_once_is_written_by_a_run_that_is_exactly_once(
    broker: Broker, topic: str
) -> None:
    make_topic(broker.address, topic)
    left = {"number": None, "outbox": [[0, '{"session":"a","number":7}']]}
    sink = open_sink(broker, topic, "id", resume_at=left)
    assert numbers(broker, topic) == []
    sink.commit(sink.sync())
    sink.close()
    assert numbers(broker, topic) == [7]


def test_dead_letters_wait_in_the_snapshot_too(apache_broker: Broker, topic: str) -> None:
    broker = apache_broker
    make_topic(broker.address, topic)
    address = KafkaAddress([broker.address], topic)
    letter = {"reason": "bad_json", "detail": "no JSON", "offset": 3, "raw_base64": "/w=="}
    sink = DeadLetterTopic(address, IMPATIENT)
    assert isinstance(sink, RemoteSink)
    assert sink.sync() is None
    broker.pause()
    sink.write(letter)
    sink.end_within(0.5)
    length = json.loads(json.dumps(sink.sync()))
    assert length == {"outbox": [letter]}
    assert sink.undelivered == 1
    sink.close()
    broker.resume()
    resumed = DeadLetterTopic(address, IMPATIENT, resume_at=length)
    assert resumed.sync() is None
    resumed.close()
    records = read_topic(broker.address, topic)
    assert {(record.value, record.key) for record in records} == {(b"\xff", None)}
    assert dict(records[0].headers)["reason"] == b"bad_json"


def test_a_source_whose_broker_hangs_can_be_closed(apache_broker: Broker, topic: str) -> None:
    broker = apache_broker
    make_topic(broker.address, topic)
    click = b'{"session_id": 1, "item_id": 2, "timestamp": 3}'
    send(broker.address, topic, [{"value": click}])
    source = KafkaSource(KafkaAddress([broker.address], topic), LogFormat(), group=topic)
    clicks = source.poll(1, 60)
    assert clicks is not None
    broker.pause()
    source.commit(clicks.position)
    began = time.monotonic()
    source.close()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("place", ["nosuch.invalid:9092", "127.0.0.1:1"])
def test_an_advertised_address_that_cannot_be_reached_is_named_with_its_setting(
    make_broker: Callable[..., Broker], topic: str, place: str
) -> None:
    broker = make_broker(advertised_listeners=f"PLAINTEXT://{place}")
    address = KafkaAddress([broker.address], topic)
    for opened, kind in ((KafkaSource, Exception), (KafkaSink, Exception)):
        with pytest.raises(kind) as raised:
            opened(address, LogFormat() if opened is KafkaSource else {})  # type: ignore[arg-type]
        sentence = str(raised.value)
        assert place in sentence
        assert "advertised.listeners" in sentence


def test_an_address_given_that_cannot_be_reached_is_no_matter_of_that_setting() -> None:
    with pytest.raises(Exception, match="nothing listens there") as raised:
        KafkaSink(KafkaAddress(["127.0.0.1:1"], "clicks"), {"bootstrap_timeout_ms": 1000})
    assert not isinstance(raised.value, SinkError)
    assert "advertised" not in str(raised.value)


def pause_after_flushes(
    monkeypatch: pytest.MonkeyPatch, broker: Broker, seconds: list[float | None]
) -> None:
    """Pause the broker after the next flushes of a sink, each for some seconds or for good."""
    flush = publishing.Producer.flush

    def flush_and_pause(publisher: publishing.Producer) -> bool:
        done = flush(publisher)
        if seconds:
            broker.pause()
            if length := seconds.pop(0):
                threading.Timer(length, broker.resume).start()
        return done

    monkeypatch.setattr(publishing, "WAITING_SECONDS", 0.5)
    monkeypatch.setattr(publishing.Producer, "flush", flush_and_pause)


SHORT = {**IMPATIENT, "transaction_timeout_ms": 1000}


def test_a_broker_that_hangs_longer_than_a_transaction_may_be_open_is_waited_for(
    apache_broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = apache_broker
    make_topic(broker.address, topic)
    sink = KafkaSink(KafkaAddress([broker.address], topic), SHORT, transactional_id=f"id-{topic}")
    pauses: list[float | None] = []
    pause_after_flushes(monkeypatch, broker, pauses)
    for number in range(1, 6):
        pauses += [4.0] if number in (2, 4) else []
        write(sink, number)
        sink.commit(sink.sync())
    sink.close()
    assert numbers(broker, topic) == [1, 2, 3, 4, 5]


def test_an_end_that_was_asked_for_holds_for_a_transaction_that_is_begun_again(
    apache_broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = apache_broker
    make_topic(broker.address, topic)
    sink = KafkaSink(KafkaAddress([broker.address], topic), SHORT, transactional_id=f"id-{topic}")
    write(sink, 1)
    sink.commit(sink.sync())
    write(sink, 2)
    pauses: list[float | None] = [4.0, None]
    pause_after_flushes(monkeypatch, broker, pauses)
    sink.end_within(15)
    began = time.monotonic()
    length = sink.sync()
    sink.commit(length)
    assert time.monotonic() - began < 40
    assert (sink.undelivered, pauses) == (1, [])
    sink.close()
    broker.resume()
    open_sink(broker, topic, "id", resume_at=through_a_snapshot(length)).close()
    assert numbers(broker, topic) == [1, 2]
