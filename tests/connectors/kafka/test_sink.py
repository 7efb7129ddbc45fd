from __future__ import annotations

import base64
import json
import random
import threading

import pytest

from nextclick.connectors import KafkaSink, SinkError
from nextclick.connectors.kafka import producer as publishing
from tests.brokers import Broker, admin_client, make_topic
from tests.connectors.kafka.sinks import exactly_once, numbers, open_sink, through_a_snapshot, write
from tests.topics import read_topic


def test_records_are_json_keyed_by_session(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    sink = open_sink(broker, topic)
    assert sink.name == f"kafka://{broker.address}/{topic}"
    sink.write({"session": 7, "items": ["schöne Schuhe"], "scores": [0.25]})
    sink.write({"session": "anna", "items": []})
    length = sink.sync()
    first, second = read_topic(broker.address, topic)
    assert (first.key, second.key) == (b"7", b"anna")
    assert json.loads(first.value) == {"session": 7, "items": ["schöne Schuhe"], "scores": [0.25]}
    sink.commit(through_a_snapshot(length))
    sink.close()
    open_sink(broker, topic, resume_at=through_a_snapshot(length)).close()
    assert len(read_topic(broker.address, topic)) == 2


def test_closing_writes_what_is_left_where_records_go_at_least_once(
    broker: Broker, topic: str
) -> None:
    make_topic(broker.address, topic)
    sink = open_sink(broker, topic)
    write(sink, *range(1000))
    sink.close()
    assert numbers(broker, topic) == list(range(1000))


def test_a_broker_killed_meanwhile_loses_and_doubles_nothing(
    apache_broker: Broker, topic: str
) -> None:
    broker = apache_broker
    topics = (f"{topic}-least", f"{topic}-exactly")
    for name in topics:
        make_topic(broker.address, name)
    opened = (open_sink(broker, topics[0]), exactly_once(broker, topics[1]))
    begun = threading.Barrier(3)

    def body(sink: KafkaSink) -> None:
        for number in range(10_000):
            write(sink, number)
            if number % 500 == 499:
                sink.commit(sink.sync())
            if number == 2_600:
                begun.wait(60)

    threads = [threading.Thread(target=body, args=(sink,)) for sink in opened]
    for thread in threads:
        thread.start()
    begun.wait(60)
    broker.kill()
    broker.start()
    for thread, sink, name in zip(threads, opened, topics, strict=True):
        thread.join(100)
        assert not thread.is_alive()
        sink.close()
        assert numbers(broker, name) == list(range(10_000))


def test_a_broker_killed_before_a_transaction_is_waited_for(
    apache_broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "WAITING_SECONDS", 1.0)
    broker = apache_broker
    make_topic(broker.address, topic)
    notes: list[str] = []
    waiting = threading.Event()

    def notify(note: str) -> None:
        notes.append(note)
        waiting.set()

    sink = open_sink(broker, topic, transactional_id=f"id-{topic}", notify=notify)
    for number in (1, 2):
        write(sink, number)
        sink.commit(sink.sync())
    write(sink, 3)
    length = sink.sync()
    broker.kill()
    thread = threading.Thread(target=sink.commit, args=(length,))
    thread.start()
    assert waiting.wait(60)
    broker.start()
    thread.join(100)
    assert not thread.is_alive()
    sink.close()
    assert numbers(broker, topic) == [1, 2, 3]
    first, last = notes
    assert "nothing listens there" in first
    assert "writing continues" in last


def test_what_is_not_acknowledged_is_bounded(
    apache_broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "UNACKNOWLEDGED", 10_000)
    monkeypatch.setattr(publishing, "WAITING_SECONDS", 0.5)
    broker = apache_broker
    make_topic(broker.address, topic)
    waited = threading.Semaphore(0)
    notes: list[str] = []

    def wait(publisher: publishing.Producer) -> None:
        waited.release()
        say(publisher)

    say = publishing.Producer._wait
    monkeypatch.setattr(publishing.Producer, "_wait", wait)
    monkeypatch.setattr(publishing.Producer, "_check_topic", lambda self: None)
    sink = open_sink(broker, topic, notify=notes.append)
    write(sink, 0)
    sink.sync()
    broker.pause()
    thread = threading.Thread(target=lambda: write(sink, *range(1, 2000)))
    thread.start()
    assert waited.acquire(timeout=60)
    assert waited.acquire(timeout=60)
    assert thread.is_alive()
    assert sink._publisher._bytes < 10_000 + 200
    broker.resume()
    thread.join(120)
    sink.close()
    assert numbers(broker, topic) == list(range(2000))
    # Each once, however long it took.
    assert [note.partition(topic)[2] for note in notes] == [
        ": waiting for the brokers, nothing can be written: they do not answer",
        ": the brokers answer again, writing continues",
    ]


def test_a_commit_that_waits_for_the_broker_says_so(
    apache_broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "WAITING_SECONDS", 0.2)
    broker = apache_broker
    make_topic(broker.address, topic)
    notes: list[str] = []
    at_last = publishing.Producer.flush

    def flush(publisher: publishing.Producer) -> bool:
        done = at_last(publisher)
        broker.pause()
        return done

    def notify(note: str) -> None:
        notes.append(note)
        broker.resume()

    monkeypatch.setattr(publishing.Producer, "flush", flush)
    sink = open_sink(broker, topic, transactional_id=f"id-{topic}", notify=notify)
    write(sink, 1, 2)
    sink.commit(sink.sync())
    sink.close()
    assert ["waiting" in note for note in notes] == [True, False]
    assert numbers(broker, topic) == [1, 2]


def test_a_record_too_large_is_an_error_with_the_remedy(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, max_message_bytes=20_000)
    sink = open_sink(broker, topic)
    # Larger than a request may be: refused at once.
    with pytest.raises(SinkError, match=r"cannot be written: .*raise max\.request\.size in \[kaf"):
        sink.write({"session": 1, "text": "x" * 2_000_000})
    with pytest.raises(SinkError, match=r"max\.request\.size"):
        write(sink, 1)
    sink.close()
    # Larger than the topic takes: told when the broker has refused it.
    sink = open_sink(broker, topic)
    noise = base64.b64encode(random.Random(0).randbytes(100_000)).decode()
    sink.write({"session": 1, "text": noise})
    with pytest.raises(SinkError, match=r"max\.message\.bytes of the topic"):
        sink.sync()
    sink.close()


def test_a_topic_that_is_not_there_is_named(broker: Broker, topic: str) -> None:
    with pytest.raises(SinkError, match=f"{topic}: there is no such topic"):
        open_sink(broker, topic)


def test_a_topic_deleted_meanwhile_is_named(
    broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "WAITING_SECONDS", 0.5)
    make_topic(broker.address, topic)
    sink = open_sink(broker, topic)
    write(sink, 1)
    sink.sync()
    admin = admin_client(broker.address)
    admin.delete_topics([topic])
    admin.close()
    write(sink, 2)
    with pytest.raises(SinkError, match="the topic is gone: create it again"):
        sink.sync()
    sink.close()
