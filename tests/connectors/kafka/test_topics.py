"""Several topics read as one stream: named ones, and those that match a pattern."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from nextclick.connectors import Subscription, open_source, parse_subscription
from nextclick.connectors.clicks import Position
from nextclick.connectors.kafka import topic_monitor
from nextclick.connectors.kafka.source import KafkaSource
from nextclick.connectors.source import SourceError
from tests.brokers import Broker, admin_client, make_topic, send
from tests.connectors.kafka.sources import FORM, QUICK, click, polls, record, source, take, until
from tests.connectors.kafka.test_remade_topic import make_anew, settled


def fill(address: str, topic: str, count: int = 40, partitions: int = 2) -> list[str]:
    """Make two topics whose clicks take turns in time; return their names."""
    names = [f"{topic}-views", f"{topic}-clicks"]
    for at, name in enumerate(names):
        make_topic(address, name, partitions)
        send(address, name, [record(n, n // 2 % partitions) for n in range(at, count, 2)])
    return names


@pytest.fixture(autouse=True)
def list_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_monitor, "LISTED", 0.2)


def position_after(opened: KafkaSource, count: int) -> Position:
    """Take clicks one by one; return the position after them."""
    position: Position = {}
    for number in range(count):
        clicks = opened.poll(1, 60)
        assert clicks is not None
        assert clicks.items == [number]
        position = json.loads(json.dumps(clicks.position))
    return position


def items(opened: KafkaSource) -> list[Any]:
    return [item for clicks in polls(opened) for item in clicks.items]


def test_named_topics_are_merged_in_order_of_time(broker: Broker, topic: str) -> None:
    names = fill(broker.address, topic)
    with closing(source(broker.address, ",".join(names))) as opened:
        batches = list(polls(opened))
    assert [item for clicks in batches for item in clicks.items] == list(range(40))
    places = [place for clicks in batches for place in clicks.places or []]
    assert places == [
        {"topic": names[n % 2], "partition": n // 2 % 2, "offset": n // 4} for n in range(40)
    ]
    topics = batches[-1].position["topics"]
    # In the order of their names, however they were typed.
    assert list(topics) == sorted(names)
    assert [one["partitions"] for one in topics.values()] == [{"0": 10, "1": 10}] * 2


def test_a_pattern_takes_the_topics_that_it_matches_from_the_beginning(
    broker: Broker, topic: str
) -> None:
    fill(broker.address, topic)
    make_topic(broker.address, f"other-{topic}-views")
    send(broker.address, f"other-{topic}-views", [record(999)])
    for pattern, expected in [("(views|clicks)$", range(40)), ("v", range(0, 40, 2))]:
        with closing(source(broker.address, f"^{topic}-{pattern}")) as opened:
            assert items(opened) == list(expected)
    with pytest.raises(SourceError, match=r"no topic matches the pattern: there are "):
        source(broker.address, f"^{topic}-x")


@pytest.mark.parametrize("cut", [1, 7, 23, 39])
def test_a_position_in_several_topics_is_gone_on_from(broker: Broker, topic: str, cut: int) -> None:
    names = fill(broker.address, topic)
    with closing(source(broker.address, ",".join(names))) as opened:
        position = position_after(opened, cut)
    with closing(source(broker.address, ",".join(reversed(names)))) as opened:
        opened.seek(position)
        assert items(opened) == list(range(cut, 40))
    with (
        closing(source(broker.address, names[0])) as opened,
        pytest.raises(SourceError, match=r"taken on the topics .*, and not on the topic '"),
    ):
        opened.seek(position)


def test_a_run_of_one_topic_goes_on_with_more_and_reads_them_from_the_beginning(
    broker: Broker, topic: str
) -> None:
    names = fill(broker.address, topic)
    with closing(source(broker.address, names[1])) as opened:
        position = list(polls(opened))[-1].position
    assert position["topic"] == names[1]
    send(broker.address, names[1], [record(50)])
    with closing(source(broker.address, ",".join(names), start="latest")) as opened:
        opened.seek(position)
        assert items(opened) == [*range(0, 40, 2), 50]
        assert any("--from is not used" in note for note in opened.warnings)


def test_clicks_of_the_same_time_have_one_order_also_after_a_new_topic_came(
    broker: Broker, topic: str
) -> None:
    # The later topic has the earlier name: its number is not that of its place in the alphabet.
    address = broker.address
    for name in (f"{topic}-b", f"{topic}-c"):
        make_topic(address, name)
    live = {"until_end": False, "idle": 0.2}
    with closing(source(address, f"^{topic}-", **live)) as opened:
        assert opened.poll(1, 0.1) is not None
        make_topic(address, f"{topic}-a")
        until(lambda: any(f"{topic}-a: the topic is new" in w for w in opened.warnings), "no topic")
        clicks = opened.poll(1, 0.1)
        assert clicks is not None
        position = clicks.position
    assert list(position["topics"]) == [f"{topic}-{name}" for name in "bca"]
    for number, name in enumerate("abc"):
        send(address, f"{topic}-{name}", [{"value": click(number, time=7.0)}])
    with closing(source(address, f"^{topic}-")) as opened:
        opened.seek(json.loads(json.dumps(position)))
        assert items(opened) == [1, 2, 0]


def test_a_topic_that_comes_to_match_is_read_from_its_beginning(broker: Broker, topic: str) -> None:
    address = broker.address
    make_topic(address, f"{topic}-1")
    send(address, f"{topic}-1", [record(1)])
    options: dict[str, Any] = {"until_end": False, "idle": 0.1, "start": "latest"}
    with closing(source(address, f"^{topic}-.*", **options)) as opened:
        assert opened.poll(1, 0.5) is not None
        make_topic(address, f"{topic}-2", 2)
        make_topic(address, f"another-{topic}")
        send(address, f"{topic}-2", [record(2, 1), record(3, 1)])
        assert take(opened, 2) == [2, 3]
        position = settled(opened)
        assert [list(one["partitions"].values()) for one in position["topics"].values()] == [
            [1],
            [0, 2],
        ]
        lags = opened.lag()
        assert [(lag.topic, lag.partition) for lag in lags] == [
            (f"{topic}-1", 0),
            (f"{topic}-2", 0),
            (f"{topic}-2", 1),
        ]
        assert opened.out_of_order() == {(f"{topic}-1", 0): 0} | {
            (f"{topic}-2", number): 0 for number in range(2)
        }


def committed(address: str, group: str, topic: str) -> int | None:
    consumer = KafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False)
    with closing(consumer):
        offset: int | None = consumer.committed(TopicPartition(topic, 0))
        return offset


def test_offsets_are_committed_by_topic(broker: Broker, topic: str) -> None:
    names = fill(broker.address, topic, partitions=1)
    with closing(source(broker.address, ",".join(names), group=topic)) as opened:
        opened.commit(position_after(opened, 11))
        until(lambda: committed(broker.address, topic, names[0]) == 6, "no commit")
        assert committed(broker.address, topic, names[1]) == 5


def test_unusable_records_name_their_topic(broker: Broker, topic: str) -> None:
    names = fill(broker.address, topic)
    send(broker.address, names[0], [{"value": b"{", "partition": 1}])
    with closing(source(broker.address, ",".join(names))) as opened:
        (one,) = [rejected for clicks in polls(opened) for rejected in clicks.rejected]
    assert one.position == {"topic": names[0], "partition": 1, "offset": 10}


def test_one_topic_made_anew_loses_nothing_of_the_others(full_broker: Broker, topic: str) -> None:
    address = full_broker.address
    names = fill(address, topic)
    options: dict[str, Any] = {
        "until_end": False,
        "idle": 0.1,
        "on_missing_offsets": "earliest",
    }
    with closing(source(address, ",".join(names), **options)) as opened:
        assert take(opened, 30) == list(range(30))
        make_anew(address, names[0], partitions=3)
        send(address, names[1], [record(40 + n, n % 2) for n in range(20)])
        found = sorted(take(opened, 10 + 60 + 20))
        assert found == sorted([*range(30, 60), *range(100, 160)])
        position = settled(opened)
    assert position["topics"][names[0]]["partitions"] == {"0": 20, "1": 20, "2": 20}
    assert position["topics"][names[1]]["partitions"] == {"0": 20, "1": 20}


def delete(address: str, topic: str) -> None:
    with closing(admin_client(address)) as admin:
        admin.delete_topics([topic])


def test_a_deleted_topic_of_a_pattern_is_left_out_once_it_was_read(
    full_broker: Broker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_monitor, "GONE", 1.0)
    address = full_broker.address
    names = fill(address, topic)
    with closing(source(address, f"^{topic}-", until_end=False, idle=0.1)) as opened:
        assert take(opened, 40) == list(range(40))
        delete(address, names[0])
        until(lambda: list(settled(opened)["topics"]) == [names[1]], "the topic is not left out")
        send(address, names[1], [record(50, 1)])
        assert take(opened, 1) == [50]
        assert any("has been deleted; the others are read on" in w for w in opened.warnings)
        assert opened.away is None
        delete(address, names[1])
        with pytest.raises(SourceError, match=r"has been deleted.*--begin-from"):
            take(opened, 1)


def test_a_deleted_topic_that_was_not_read_whole_needs_a_policy(
    full_broker: Broker, topic: str
) -> None:
    address = full_broker.address
    names = fill(address, topic)
    with closing(source(address, f"^{topic}-")) as opened:
        position = position_after(opened, 11)
    delete(address, names[0])
    time.sleep(0.5)
    with (
        closing(source(address, f"^{topic}-")) as opened,
        pytest.raises(
            SourceError, match=r"not all its records are known to be read.*--on-missing-offsets"
        ),
    ):
        opened.seek(position)
    with closing(source(address, f"^{topic}-", on_missing_offsets="earliest")) as opened:
        opened.seek(position)
        assert items(opened) == list(range(11, 40, 2))


def starts(address: str, topic: str) -> Iterator[tuple[Any, list[Any]]]:
    """Fill a topic with records of old timestamps, and yield what is read from each start."""
    make_topic(address, topic, 2)
    send(
        address,
        topic,
        [record(n, n % 2, timestamp_ms=1_000_000 + 1000 * n) for n in range(10)],
    )
    for start in (None, "earliest", "latest", 1_004.0, 1_004.5, 0.0, 5e9):
        with closing(source(address, topic, start=start)) as opened:
            yield start, items(opened)


def test_a_start_chooses_the_first_records_by_their_timestamps(broker: Broker, topic: str) -> None:
    expected: dict[Any, range] = {
        **dict.fromkeys([None, "earliest", 0.0], range(10)),
        **dict.fromkeys(["latest", 5e9], range(0)),
        1_004.0: range(4, 10),
        1_004.5: range(5, 10),
    }
    for start, found in starts(broker.address, topic):
        assert found == list(expected[start]), start


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("kafka://h/a,a", "the topic 'a' is named twice"),
        ("kafka://h/a,", "'' is no name of a topic"),
        ("kafka://h/a,b c", "'b c' is no name of a topic"),
        ("kafka://h/a,^b", r"write one pattern, such as \^\(clicks"),
        ("kafka://h/^a(", "is not a regular expression: missing"),
        ("kafka://h:x/^a", "kafka://host:port/topic"),
    ],
)
def test_what_names_no_topics_is_an_error(spec: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_subscription(spec)


def test_a_pattern_may_have_commas_and_slashes() -> None:
    assert parse_subscription("kafka://h/^a{1,2}/?").pattern == "^a{1,2}/?"


def test_partitions_are_for_one_topic() -> None:
    with pytest.raises(SourceError, match="--partitions is for one topic"):
        KafkaSource(Subscription(["h:1"], ["a", "b"]), partitions=[0])


def test_a_source_by_its_name_reads_several(broker: Broker, topic: str) -> None:
    names = fill(broker.address, topic)
    spec = f"kafka://{broker.address}/{','.join(names)}"
    with closing(open_source(spec, FORM, until_end=True, settings=QUICK)) as opened:
        assert isinstance(opened, KafkaSource)
        assert items(opened) == list(range(40))
