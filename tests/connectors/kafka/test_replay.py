from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from nextclick.connectors import Click, Clicks, KafkaAddress, LogSource, Replay, SinkError
from nextclick.connectors import make_topic as make_the_topic
from nextclick.connectors.kafka import replay as module
from tests.brokers import Broker, admin_client, make_topic, send
from tests.topics import read_topic


class Given:
    """A source of given clicks."""

    gap = None

    def __init__(self, clicks: list[Click]) -> None:
        self.warnings: list[str] = []
        self._clicks = clicks
        self._given = 0

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        clicks = self._clicks[self._given : self._given + min(limit, 100)]
        self._given += len(clicks)
        return Clicks.of(clicks) if clicks else None

    def seek(self, position: dict[str, Any]) -> None: ...

    def commit(self, position: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


def shop(count: int, seed: int = 0) -> list[Click]:
    """Make clicks of some sessions, mostly in order of time."""
    random = np.random.default_rng(seed)
    times = 1_400_000_000.0 + np.cumsum(random.uniform(-0.1, 1.0, count))
    sessions = random.integers(0, 1 + count // 5, count)
    items = random.integers(0, 100, count)
    return [
        Click(f"s{session}", int(item), float(time))
        for session, item, time in zip(sessions, items, times, strict=True)
    ]


def replay(clicks: list[Click], broker: Broker, topic: str, speed: float | None = None) -> Replay:
    publishing = Replay(Given(clicks), KafkaAddress([broker.address], topic), {}, speed)
    try:
        publishing.run()
    finally:
        publishing.close()
    return publishing


def sequences(records: list[Any]) -> list[int]:
    return [int.from_bytes(dict(record.headers)["sequence"], "big") for record in records]


def without_doubles(records: list[Any]) -> list[Any]:
    """Leave out the records whose sequence does not rise within their partition."""
    highest: dict[int, int] = {}
    kept = []
    for number, record in zip(sequences(records), records, strict=True):
        if number > highest.get(record.partition, -1):
            highest[record.partition] = number
            kept.append(record)
    return kept


def published(records: list[Any]) -> list[Click]:
    """Return the clicks of a topic in the order of their sequence."""
    ordered = sorted(zip(sequences(records), records, strict=True), key=lambda pair: pair[0])
    assert [number for number, _ in ordered] == list(range(len(records)))
    values = [json.loads(record.value) for _, record in ordered]
    return [Click(v["session_id"], v["item_id"], v["timestamp"]) for v in values]


def test_a_click_becomes_a_record_with_its_own_time(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    clicks = [Click("anna", 7, 1396861869.2774999), Click(3, "socks", 1396861868.5)]
    assert replay(clicks, broker, topic).published == 2
    first, second = read_topic(broker.address, topic)
    assert json.loads(first.value) == {
        "session_id": "anna",
        "item_id": 7,
        "timestamp": 1396861869.2774999,
    }
    assert (first.key, first.timestamp) == (b"anna", 1396861869277)
    assert first.headers == [("sequence", b"\0\0\0\0\0\0\0\0")]
    assert (second.key, second.timestamp) == (b"3", 1396861868500)
    # It is older than the one before it, whose time is given along.
    clock = np.array([1396861869.2774999], dtype=">f8").tobytes()
    assert second.headers == [("sequence", b"\0\0\0\0\0\0\0\1"), ("clock", clock)]
    assert published([first, second]) == clicks


def test_a_time_before_1970_stands_in_the_value_only(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    clicks = [Click("anna", "shoes", -1.5)]
    replay(clicks, broker, topic)
    (record,) = read_topic(broker.address, topic)
    assert record.timestamp == 0
    assert published([record]) == clicks


def test_a_log_becomes_the_same_clicks_and_what_is_rejected_is_counted(
    broker: Broker, topic: str, tmp_path: Path
) -> None:
    make_topic(broker.address, topic, 3)
    path = tmp_path / "log.csv"
    path.write_text("session_id,item_id,timestamp\na,x,1.5\na,,2\nb,y,nan\nb,y,3\n")
    publishing = Replay(LogSource(path), KafkaAddress([broker.address], topic), {})
    publishing.run()
    publishing.close()
    assert publishing.rejected == {"no_item": 1, "time_not_finite": 1}
    assert published(read_topic(broker.address, topic)) == [
        Click("a", "x", 1.5),
        Click("b", "y", 3.0),
    ]


def test_sessions_go_where_every_kafka_client_sends_them(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 7)
    keys = [f"session {number}" for number in range(200)]
    replay([Click(key, "x", 1.0) for key in keys], broker, topic)
    ours = {record.key: record.partition for record in read_topic(broker.address, topic)}
    producer = KafkaProducer(bootstrap_servers=broker.address)
    theirs = {key: producer.send(topic, b"", key.encode()).get(30).partition for key in keys}
    producer.close()
    assert ours == {key.encode(): partition for key, partition in theirs.items()}


@pytest.mark.parametrize("partitions", [1, 4])
def test_an_interrupted_replay_goes_on_without_gaps_or_doubles(
    broker: Broker, topic: str, partitions: int
) -> None:
    make_topic(broker.address, topic, partitions)
    clicks = shop(3000)
    total = 0
    for stop in (500, 500, 1700, 1800, 2900):

        def interrupt(publishing: Replay, stop: int = stop) -> None:
            if publishing.read >= stop:
                raise KeyboardInterrupt

        publishing = Replay(Given(clicks), KafkaAddress([broker.address], topic), {})
        with pytest.raises(KeyboardInterrupt):
            publishing.run(interrupt)
        publishing.close()
        total += publishing.published
    last = replay(clicks, broker, topic)
    assert (last.read, total + last.published) == (3000, 3000)
    assert published(read_topic(broker.address, topic)) == clicks
    assert replay(clicks, broker, topic).published == 0
    records = read_topic(broker.address, topic)
    for partition in range(partitions):
        numbers = sequences([record for record in records if record.partition == partition])
        assert numbers == sorted(numbers)


KILLED = """
import sys
from nextclick.connectors import KafkaAddress, LogSource, Replay
address, topic, path = sys.argv[1:]
replay = Replay(LogSource(path), KafkaAddress([address], topic), {})
print("begun", flush=True)
replay.run()
replay.close()
"""


def test_a_killed_replay_goes_on_without_gaps_or_doubles(
    broker: Broker, topic: str, tmp_path: Path
) -> None:
    make_topic(broker.address, topic, 3)
    clicks = shop(20_000)
    path = tmp_path / "log.jsonl"
    with path.open("w") as log:
        for click in clicks:
            fields = {"session_id": click.session, "item_id": click.item, "timestamp": click.time}
            log.write(json.dumps(fields) + "\n")
    moments = random.Random(1)
    for _ in range(4):
        command = [sys.executable, "-c", KILLED, broker.address, topic, str(path)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        # Where it has ended before, there is nothing to kill.
        with suppress(subprocess.TimeoutExpired):
            child.wait(moments.uniform(0, 0.4))
        child.kill()
        child.wait()
        child.stdout.close()
    replay(clicks, broker, topic)
    assert published(read_topic(broker.address, topic)) == clicks


def test_a_broker_killed_meanwhile_loses_nothing(apache_broker: Broker, topic: str) -> None:
    broker = apache_broker
    make_topic(broker.address, topic, 3)
    clicks = shop(12_000)
    reached, go_on = threading.Event(), threading.Event()

    def hold(publishing: Replay) -> None:
        if publishing.read >= 5_000:
            reached.set()
            go_on.wait(60)

    publishing = Replay(Given(clicks), KafkaAddress([broker.address], topic), {})
    thread = threading.Thread(target=publishing.run, args=(hold,))
    thread.start()
    assert reached.wait(60)
    broker.kill()
    go_on.set()
    broker.start()
    thread.join(120)
    assert not thread.is_alive()
    publishing.close()
    assert publishing.published == len(clicks)
    records = read_topic(broker.address, topic)
    # A broker restarted forgets who wrote records with old times, and may take some twice.
    assert published(without_doubles(records)) == clicks
    assert len(records) - len(clicks) == publishing.doubles
    assert replay(clicks, broker, topic).doubles == publishing.doubles


def test_another_log_is_refused(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    replay(shop(100), broker, topic)
    with pytest.raises(SinkError, match=r"does not match this log: its last record is b'"):
        replay(shop(200, seed=1), broker, topic)
    with pytest.raises(SinkError, match="last record is number 99 and the log has 50"):
        replay(shop(100)[:50], broker, topic)
    assert published(read_topic(broker.address, topic)) == shop(100)


def test_a_gap_in_the_topic_is_an_error(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    clicks = shop(100)
    replay(clicks[:50], broker, topic)
    value = {
        "session_id": clicks[70].session,
        "item_id": clicks[70].item,
        "timestamp": clicks[70].time,
    }
    sequence = (70).to_bytes(8, "big")
    encoded = json.dumps(value, separators=(",", ":")).encode()
    send(broker.address, topic, [{"value": encoded, "headers": [("sequence", sequence)]}])
    with pytest.raises(SinkError, match="it holds 51 records, and the log has 71 for it"):
        replay(clicks, broker, topic)


def test_records_of_others_in_the_topic_are_an_error(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    publishing = Replay(Given(shop(10)), KafkaAddress([broker.address], topic), {})
    send(broker.address, topic, [{"value": b"{}"}])
    with pytest.raises(SinkError, match="it holds 11 records, and the log has 10 for it"):
        publishing.run()
    publishing.close()


def test_two_replays_at_once_leave_doubles_that_are_counted(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    both = [Replay(Given(shop(10)), KafkaAddress([broker.address], topic), {}) for _ in range(2)]
    for one in both:
        one.run()
        one.close()
    assert [one.doubles for one in both] == [0, 10]
    assert published(without_doubles(read_topic(broker.address, topic))) == shop(10)


def test_a_topic_with_records_of_others_is_refused(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 2)
    send(broker.address, topic, [{"value": b"{}", "partition": 1}])
    with pytest.raises(SinkError, match=r"partition 1: its last record was not written by a rep"):
        replay(shop(10), broker, topic)


def test_a_topic_that_is_not_there_is_named_with_the_remedy(broker: Broker, topic: str) -> None:
    with pytest.raises(SinkError, match=rf"/{topic}: there is no such topic: .* --make-topic"):
        replay(shop(10), broker, topic)


def test_a_topic_is_made_to_keep_its_records_for_good(broker: Broker, topic: str) -> None:
    address = KafkaAddress([broker.address], topic)
    assert make_the_topic(address, {}, 3)
    assert not make_the_topic(address, {}, 3)
    with pytest.raises(SinkError, match=r"--make-topic 4: .* exists already, with 3 partitions"):
        make_the_topic(address, {}, 4)
    admin = admin_client(broker.address)
    described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    admin.close()
    assert described["topic"][topic]["retention.ms"]["value"] == "-1"


def test_a_number_of_partitions_that_a_broker_refuses_is_named(
    own_kafka: Broker, topic: str
) -> None:
    # Not asked of other brokers: a small one dies of it.
    with pytest.raises(SinkError) as refused:
        make_the_topic(KafkaAddress([own_kafka.address], topic), {}, 99_999_999)
    assert str(refused.value).startswith(
        "--make-topic 99999999: the broker does not create the topic"
    )
    assert "Request" not in str(refused.value)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def test_the_pace_is_that_of_the_log_times_the_speed(
    broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topic(broker.address, topic)
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    times = [1000.0, 1060.0, 1030.0, 1600.0]
    clicks = [Click("anna", "shoes", time) for time in times]
    sent: list[float] = []
    publishing = Replay(Given(clicks), KafkaAddress([broker.address], topic), {}, 60.0)
    hand_over = publishing._publisher.send

    def send(*args: Any, **options: Any) -> None:
        sent.append(clock.now - 100)
        hand_over(*args, **options)

    publishing._publisher.send = send  # type: ignore[method-assign]
    publishing.run()
    publishing.close()
    assert sent == pytest.approx([0.0, 1.0, 1.0, 10.0])
    # Taken up again, it goes on at its pace from there, not from the log's start.
    clock.now, more = 100.0, [*clicks, Click("bert", "socks", 90_000.0)]
    assert replay([*more, Click("bert", "hats", 90_120.0)], broker, topic, 60.0).published == 2
    assert clock.now == pytest.approx(102.0)
