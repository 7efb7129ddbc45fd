from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from nextclick.connectors import SinkError
from nextclick.connectors.kafka import sink as sinks
from tests.brokers import Broker, admin_client, make_topic
from tests.connectors.kafka.sinks import exactly_once, numbers, open_sink, through_a_snapshot, write
from tests.topics import read_topic


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


def test_a_sink_that_was_silent_until_the_brokers_forgot_it_goes_on(
    make_broker: Callable[..., Broker], topic: str
) -> None:
    broker = make_broker(
        transactional_id_expiration_ms="1000",
        transaction_remove_expired_transaction_cleanup_interval_ms="500",
        producer_id_expiration_ms="1000",
        producer_id_expiration_check_interval_ms="500",
    )
    make_topic(broker.address, topic)
    sink = exactly_once(broker, topic)
    for number in (1, 2):
        write(sink, number)
        sink.commit(through_a_snapshot(sink.sync()))
        with closing(admin_client(broker.address)) as admin:
            deadline = time.monotonic() + 60
            while any(admin.list_transactions().values()):
                assert time.monotonic() < deadline, "the brokers do not forget it"
                time.sleep(0.2)
    write(sink, 3)
    sink.commit(through_a_snapshot(sink.sync()))
    sink.close()
    assert numbers(broker, topic) == [1, 2, 3]


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
