from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nextclick.connectors import KafkaAddress, KafkaSink, SinkError
from nextclick.connectors.kafka import producer as publishing
from nextclick.connectors.kafka import sink as sinks
from tests.brokers import Broker, admin_client, make_topic
from tests.topics import read_topic


def open_sink(broker: Broker, topic: str, **options: Any) -> KafkaSink:
    return KafkaSink(KafkaAddress([broker.address], topic), {}, **options)


def exactly_once(broker: Broker, topic: str, resume_at: Any = None) -> KafkaSink:
    return open_sink(broker, topic, transactional_id=f"id-{topic}", resume_at=resume_at)


def through_a_snapshot(length: Any) -> Any:
    return json.loads(json.dumps(length))


def write(sink: KafkaSink, *numbers: int) -> None:
    for number in numbers:
        sink.write({"session": f"s{number % 5}", "number": number})


def numbers(broker: Broker, topic: str) -> list[int]:
    return [json.loads(record.value)["number"] for record in read_topic(broker.address, topic)]


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


def test_records_are_held_back_until_their_snapshot_is_durable(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    sink = exactly_once(broker, topic)
    write(sink, 1, 2)
    first = through_a_snapshot(sink.sync())
    write(sink, 3)
    assert numbers(broker, topic) == []
    assert sink.held == 3
    sink.commit(first)
    assert numbers(broker, topic) == [1, 2]
    sink.commit(first)
    assert numbers(broker, topic) == [1, 2]
    second = sink.sync()
    write(sink, 4)
    third = sink.sync()
    # A snapshot that did not come about is covered by the next.
    assert second["number"] < third["number"]
    sink.commit(through_a_snapshot(third))
    write(sink, 5)
    assert sink.held == 1
    sink.close()
    assert numbers(broker, topic) == [1, 2, 3, 4]


def test_killed_before_the_commit_the_records_come_from_the_snapshot(
    broker: Broker, topic: str
) -> None:
    make_topic(broker.address, topic)
    sink = exactly_once(broker, topic)
    write(sink, 1, 2)
    length = through_a_snapshot(sink.sync())
    write(sink, 3)
    sink._publisher._producer.close()
    resumed = exactly_once(broker, topic, length)
    assert numbers(broker, topic) == [1, 2]
    write(resumed, 3)
    resumed.commit(resumed.sync())
    resumed.close()
    assert numbers(broker, topic) == [1, 2, 3]


def test_killed_after_the_commit_nothing_is_written_again(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    sink = exactly_once(broker, topic)
    write(sink, 1, 2)
    length = through_a_snapshot(sink.sync())
    sink.commit(length)
    for _ in range(2):
        exactly_once(broker, topic, length).close()
    assert numbers(broker, topic) == [1, 2]
    sink.close()


def test_killed_in_the_transaction_its_records_are_never_seen(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    sink = exactly_once(broker, topic)
    write(sink, 1, 2)
    length = through_a_snapshot(sink.sync())
    sink._publisher.begin()
    for number in (1, 2):
        record = {"session": "half", "number": number}
        sink._publisher.send(json.dumps(record).encode(), key=b"half")
    sink._publisher.flush()
    exactly_once(broker, topic, length).close()
    records = [json.loads(record.value) for record in read_topic(broker.address, topic)]
    assert [(record["session"], record["number"]) for record in records] == [("s1", 1), ("s2", 2)]
    with suppress(SinkError):
        sink.close()


def test_a_new_run_under_the_same_name_goes_on_counting(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    for number in (1, 2):
        sink = exactly_once(broker, topic)
        write(sink, number)
        sink.commit(sink.sync())
        sink.close()
    assert numbers(broker, topic) == [1, 2]


def test_an_older_snapshot_is_refused(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    sink = exactly_once(broker, topic)
    lengths = []
    for number in (1, 2):
        write(sink, number)
        lengths.append(through_a_snapshot(sink.sync()))
        sink.commit(lengths[-1])
    sink.close()
    with pytest.raises(SinkError, match=r"2 was the last one .* before it, at 1: .* --fresh"):
        exactly_once(broker, topic, lengths[0])
    exactly_once(broker, topic, lengths[1]).close()
    assert numbers(broker, topic) == [1, 2]


def test_a_broker_that_forgot_is_not_guessed_about(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    length = {"number": 9, "outbox": [[9, '{"session":1,"number":5}']]}
    with pytest.raises(SinkError, match=r"should know of transaction 8, and it knows none"):
        exactly_once(broker, topic, length)
    assert numbers(broker, topic) == []
    # The remedy that it names.
    open_sink(broker, topic, resume_at=length).close()
    assert numbers(broker, topic) == [5]
    # With nothing to write there is nothing to guess.
    exactly_once(broker, topic, {"number": 9, "outbox": [[9, ""]]}).close()


def test_the_process_before_is_shut_out(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    old = exactly_once(broker, topic)
    write(old, 1)
    length = old.sync()
    new = exactly_once(broker, topic)
    write(new, 2)
    new.commit(new.sync())
    with pytest.raises(SinkError, match=f"{topic} cannot be written: .*another process writes"):
        old.commit(length)
    old.close()
    new.close()
    assert numbers(broker, topic) == [2]


def test_a_large_outbox_asks_for_a_snapshot(
    broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topic(broker.address, topic)
    monkeypatch.setattr(sinks, "OUTBOX", 100)
    sink = exactly_once(broker, topic)
    full = []
    for more in ([1], [2, 3, 4]):
        write(sink, *more)
        full.append(sink.full)
    length = through_a_snapshot(sink.sync())
    full.append(sink.full)
    sink.commit(length)
    assert [*full, sink.full] == [False, True, True, False]
    sink.close()


EXACTLY_ONCE = """
import json, os, sys
from nextclick.connectors import KafkaAddress, KafkaSink
address, topic, path, total = sys.argv[1:]
snapshot = json.load(open(path)) if os.path.exists(path) else {"next": 0, "length": None}
sink = KafkaSink(
    KafkaAddress([address], topic), {}, transactional_id=f"id-{topic}",
    resume_at=snapshot["length"],
)
print("begun", flush=True)
number = snapshot["next"]
while number < int(total):
    for number in range(number, number + 50):
        sink.write({"session": number % 7, "number": number})
    number += 1
    length = sink.sync()
    with open(path + ".aside", "w") as file:
        json.dump({"next": number, "length": length}, file)
    os.rename(path + ".aside", path)
    sink.write({"session": 0, "number": -1})
    sink._held.pop()
    sink.commit(length)
sink.close()
"""


def test_each_record_is_seen_once_wherever_the_process_is_killed(
    broker: Broker, topic: str, tmp_path: Path
) -> None:
    make_topic(broker.address, topic, 2)
    arguments = [broker.address, topic, str(tmp_path / "snapshot"), "2000"]
    moments, runs, code = random.Random(2), 0, None
    while code != 0:
        child = subprocess.Popen(
            [sys.executable, "-c", EXACTLY_ONCE, *arguments], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        if moments.random() < 0.7:
            child.stdout.readline()
        # The last ones may end by themselves.
        with suppress(subprocess.TimeoutExpired):
            child.wait(moments.uniform(0, 0.6) if runs < 8 else 60)
        child.kill()
        code = child.wait()
        child.stdout.close()
        runs += 1
    assert sorted(numbers(broker, topic)) == list(range(2000))


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
