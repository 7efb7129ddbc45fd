"""Fields of a record's value, key and headers, and lists inside of a record."""

from __future__ import annotations

import json
import random
import struct
from contextlib import closing
from typing import Any

import pytest

from nextclick.connectors import (
    Clicks,
    KafkaSource,
    SourceError,
    log_format,
    parse_address,
    parse_subscription,
)
from nextclick.connectors.clicks import Position
from tests.brokers import Broker, make_topic, send
from tests.connectors.kafka.sources import QUICK, polls
from tests.connectors.kafka.test_remade_topic import make_anew


def opened(
    broker: Broker, topic: str, position: Position | None = None, **options: Any
) -> KafkaSource:
    address = parse_subscription(f"kafka://{broker.address}/{topic}")
    names = ("session_from", "time_from", "on_missing_offsets")
    own = {name: options.pop(name) for name in names if name in options}
    source = KafkaSource(address, log_format(**options), QUICK, until_end=True, **own)
    if position is not None:
        source.seek(json.loads(json.dumps(position)))
    return source


def read(broker: Broker, topic: str, limit: int = 64, **options: Any) -> list[Clicks]:
    with closing(opened(broker, topic, **options)) as source:
        return list(polls(source, limit))


def told(batches: list[Clicks]) -> tuple[list[Any], ...]:
    return (
        [session for clicks in batches for session in clicks.sessions],
        [item for clicks in batches for item in clicks.items],
        [time for clicks in batches for time in clicks.times.tolist()],
        [(one.reason, one.position.get("offset")) for clicks in batches for one in clicks.rejected],
    )


def test_an_envelope_of_debezium_with_the_session_in_a_header(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    after = [{"item_id": 7, "at": 1700000000000}, None, {"at": 1700000001000}, {"item_id": 8.0}]
    headers = [
        [("session", b"anna")],
        [("session", b"bert")],
        [("session", b"bert")],
        [("other", b"x"), ("session", b"old"), ("session", b"new")],
    ]
    send(
        broker.address,
        topic,
        [
            {
                "value": json.dumps({"payload": {"op": "c", "after": one}}).encode(),
                "headers": own,
                "timestamp_ms": 5000,
            }
            for one, own in zip(after, headers, strict=True)
        ],
    )
    options: dict[str, Any] = {
        "session_column": "header:session",
        "item_column": "payload.after.item_id",
        "time_from": "record",
    }
    batches = read(broker, topic, **options)
    assert told(batches) == (["anna", "new"], [7, 8], [5.0, 5.0], [("no_item", 1), ("no_item", 2)])
    details = [one.detail for clicks in batches for one in clicks.rejected]
    assert details == [
        "there is no 'payload.after.item_id': 'payload.after' is null or missing",
        "there is no 'payload.after.item_id'",
    ]
    chosen = read(
        broker, topic, where="payload.after is not null and header:other = 'x'", **options
    )
    assert told(chosen)[1] == [8]


def test_the_key_and_its_fields(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    keys = [b'{"user": {"id": "anna"}}', b"bert", None, b"\xff"]
    send(
        broker.address,
        topic,
        [{"value": b'{"item_id":1,"timestamp":2}', "key": key} for key in keys],
    )
    found = read(broker, topic, session_column="key:user.id")
    refused = [("no_session", 1), ("no_session", 2), ("not_utf8", 3)]
    assert told(found) == (["anna"], [1], [2.0], refused)
    whole = read(broker, topic, session_column="key")
    assert told(whole)[0] == ['{"user": {"id": "anna"}}', "bert"]
    assert told(whole) == told(read(broker, topic, session_from="key"))


def test_a_field_called_key_goes_before_the_key(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    value = b'{"key":"field","item_id":1,"timestamp":2}'
    send(broker.address, topic, [{"value": value, "key": b"record"}])
    assert told(read(broker, topic, session_column="key"))[0] == ["field"]
    assert told(read(broker, topic, session_from="key"))[0] == ["record"]


def test_keys_of_the_integer_and_long_serializers(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    keys = [struct.pack(">i", 17), struct.pack(">q", -(2**40)), b"abc", None]
    send(
        broker.address,
        topic,
        [{"value": b'{"item_id":1,"timestamp":2}', "key": key} for key in keys],
    )
    found = read(broker, topic, session_from="key", key_type="int")
    assert told(found)[0] == [17, -(2**40)]
    assert told(found)[3] == [("wrong_type", 2), ("no_session", 3)]
    assert told(read(broker, topic, session_column="key", key_type="int")) == told(found)


def test_a_key_that_looks_like_a_number_is_told(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    value = b'{"item_id":1,"timestamp":2}'
    send(broker.address, topic, [{"value": value, "key": struct.pack(">q", 17)}])
    with closing(opened(broker, topic, session_from="key")) as source:
        list(polls(source))
        assert any("--key-type int" in note for note in source.warnings)


def orders(count: int) -> list[list[dict[str, Any]]]:
    """Return records for each of two partitions, most with several clicks, some with none."""
    chance = random.Random(7)
    records: list[list[dict[str, Any]]] = [[], []]
    for number in range(count):
        items = [
            {"id": f"{number}-{place}", "at": number + place / 4} if chance.random() < 0.9 else {}
            for place in range(chance.randrange(4))
        ]
        records[number % 2].append({"s": number % 5, "items": items})
    return records


LISTS: dict[str, Any] = {
    "session_column": "s",
    "item_column": "items[].id",
    "time_column": "items[].at",
}


def test_a_topic_is_resumed_inside_a_record(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 2)
    send(
        broker.address,
        topic,
        [
            {"value": json.dumps(record).encode(), "partition": partition}
            for partition, records in enumerate(orders(30))
            for record in records
        ],
    )
    whole = read(broker, topic, limit=4, **LISTS)
    expected = [item["id"] for own in orders(30) for one in own for item in one["items"] if item]
    assert sorted(told(whole)[1]) == sorted(expected)
    assert any("parts" in clicks.position for clicks in whole)
    for number, clicks in enumerate(whole):
        with closing(opened(broker, topic, clicks.position, **LISTS)) as source:
            rest = list(polls(source, 4))
        assert sorted(told(rest)[1]) == sorted(told(whole[number + 1 :])[1]), clicks.position
        assert told(rest)[3] == told(whole[number + 1 :])[3]
        assert told(rest)[1] == told(whole[number + 1 :])[1]


def send_orders(broker: Broker, topics: list[str], count: int) -> None:
    """Make topics of two partitions whose records hold lists, in turns of time."""
    for place, topic in enumerate(topics):
        make_topic(broker.address, topic, 2)
        send(
            broker.address,
            topic,
            [
                {"value": json.dumps(record).encode(), "partition": partition}
                for partition, records in enumerate(orders(count))
                for record in records[place :: len(topics)]
            ],
        )


def test_several_topics_are_resumed_inside_a_record(broker: Broker, topic: str) -> None:
    names = [f"{topic}-b", f"{topic}-a"]
    send_orders(broker, names, 24)
    whole = read(broker, ",".join(names), limit=3, **LISTS)
    expected = [item["id"] for own in orders(24) for one in own for item in one["items"] if item]
    assert sorted(told(whole)[1]) == sorted(expected)
    inside = {
        name: [c for c in whole if "parts" in c.position["topics"][name]] for name in sorted(names)
    }
    assert all(inside.values()), "no position is inside of a record of each topic"
    for number, clicks in enumerate(whole):
        pattern = f"^{topic}-"
        with closing(opened(broker, pattern, clicks.position, **LISTS)) as source:
            rest = list(polls(source, 3))
        assert told(rest) == told(whole[number + 1 :]), clicks.position


def test_a_topic_that_was_made_anew_is_read_from_its_first_entry(
    full_broker: Broker, topic: str
) -> None:
    names = [f"{topic}-a", f"{topic}-b"]
    values = [
        {"s": 1, "items": [{"id": f"{n}", "at": n + place} for n in range(3)]} for place in (0, 9)
    ]
    for name, value in zip(names, values, strict=True):
        make_topic(full_broker.address, name)
        send(full_broker.address, name, [{"value": json.dumps(value).encode()}])
    with closing(opened(full_broker, ",".join(names), **LISTS)) as source:
        clicks = source.poll(2, 60)
        assert clicks is not None
    assert clicks.position["topics"][names[0]]["parts"] == {"0": 2}
    make_anew(full_broker.address, names[0], count=0)
    send(full_broker.address, names[0], [{"value": json.dumps(values[0]).encode()}])
    options: dict[str, Any] = {"on_missing_offsets": "earliest", **LISTS}
    with closing(opened(full_broker, ",".join(names), clicks.position, **options)) as source:
        first = source.poll(1, 60)
        assert first is not None
        assert first.position["topics"][names[0]]["parts"] == {"0": 1}
        rest = [first, *polls(source)]
    assert told(rest)[1] == ["0", "1", "2", "0", "1", "2"]


def test_every_partition_tells_the_unit_of_its_own_times(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 3)
    times = [(0, 1.7e9), (1, 1.7e12), (1, 1.7e9), (1, 1.7e12 + 1000)]
    send(
        broker.address,
        topic,
        [
            {
                "value": json.dumps({"session_id": 1, "item_id": n, "timestamp": time}).encode(),
                "partition": partition,
            }
            for n, (partition, time) in enumerate(times)
        ],
    )
    batches = read(broker, topic, limit=1)
    assert told(batches)[1:3] == ([0, 1, 3], [1.7e9, 1.7e9, 1.7e9 + 1])
    assert [reason for reason, _ in told(batches)[3]] == ["mixed_time_units"]
    position = batches[-1].position
    assert position["units"] == {"1": "ms", "2": None}
    send(
        broker.address,
        topic,
        [
            {"value": b'{"session_id":1,"item_id":9,"timestamp":1.7e9}', "partition": 1},
            {"value": b'{"session_id":1,"item_id":8,"timestamp":1.7e15}', "partition": 2},
        ],
    )
    with closing(opened(broker, topic, position)) as source:
        rest = list(polls(source))
    assert told(rest)[1:3] == ([8], [1.7e9])
    assert [reason for reason, _ in told(rest)[3]] == ["mixed_time_units"]


def test_headers_are_refused_on_a_log_and_fields_of_a_key_that_is_a_number() -> None:
    address = parse_address("kafka://localhost:1/none")
    with pytest.raises(SourceError, match="--key-type"):
        KafkaSource(address, log_format(session_column="key:user.id", key_type="int"))
