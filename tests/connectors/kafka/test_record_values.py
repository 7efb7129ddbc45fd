from __future__ import annotations

import random
from contextlib import closing

import pytest

from nextclick.connectors.clicks import Rejected
from tests.brokers import Broker, make_topic, send
from tests.connectors.kafka.sources import (
    QUICK,
    click,
    polls,
    read,
    record,
    source,
)


def test_session_from_the_key_and_time_from_the_record(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    keys = [b"anna", b"bert", None, b"", b"\xff", b"x" * 2000]
    send(
        broker.address,
        topic,
        [{"value": b'{"i":1}', "key": key, "timestamp_ms": 1500 + n} for n, key in enumerate(keys)],
    )
    options = {"session_from": "key", "time_from": "record"}
    with closing(source(broker.address, topic, **options)) as opened:
        batches = list(polls(opened))
    assert [s for clicks in batches for s in clicks.sessions] == ["anna", "bert"]
    assert [t for clicks in batches for t in clicks.times.tolist()] == [1.5, 1.501]
    refused = [(r.reason, r.position["offset"]) for clicks in batches for r in clicks.rejected]
    assert refused == [("no_session", 2), ("no_session", 3), ("not_utf8", 4), ("id_too_long", 5)]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_every_codec(broker: Broker, topic: str, codec: str) -> None:
    topic = f"{topic}-{codec}"
    make_topic(broker.address, topic)
    send(
        broker.address,
        topic,
        [record(number) for number in range(2000)],
        compression_type=codec,
        linger_ms=50,
    )
    assert read(broker.address, topic) == list(range(2000))


def test_tombstones_and_large_records(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, max_message_bytes=40_000_000)
    padding = b" " * 3_000_000
    values = [click(1), None, click(2) + padding, b"x" * (17 << 20), click(3)]
    send(
        broker.address,
        topic,
        [{"value": value, "key": b"k"} for value in values],
        max_request_size=40_000_000,
        batch_size=1,
    )
    small = {**QUICK, "max_partition_fetch_bytes": 10_000}
    with closing(source(broker.address, topic, settings=small)) as opened:
        batches = list(polls(opened))
    assert [item for clicks in batches for item in clicks.items] == [1, 2, 3]
    refused = [r for clicks in batches for r in clicks.rejected]
    assert [(r.reason, r.position["offset"], len(r.raw or b"")) for r in refused] == [
        ("tombstone", 1, 0),
        ("record_too_large", 3, 1 << 16),
    ]


def mutated(chance: random.Random) -> bytes:
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(chance.randrange(60))
    data = bytearray(click(chance.randrange(1000)))
    if kind == 1:
        data[chance.randrange(len(data))] = chance.randrange(256)
    elif kind == 2:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


@pytest.mark.parametrize(
    "count", [5_000, pytest.param(100_000, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_random_bytes_are_all_accounted_for(broker: Broker, topic: str, count: int) -> None:
    topic = f"{topic}-{count}"
    make_topic(broker.address, topic, 4)
    chance = random.Random(count)
    sent: list[list[bytes]] = [[] for _ in range(4)]
    for number in range(count):
        sent[number % 4].append(mutated(chance))
    send(
        broker.address,
        topic,
        [{"value": sent[n % 4][n // 4], "partition": n % 4} for n in range(count)],
    )
    seen: dict[tuple[int, int], bytes | None] = {}
    with closing(source(broker.address, topic)) as opened:
        for clicks in polls(opened, 1000):
            for place in clicks.places or []:
                assert (place["partition"], place["offset"]) not in seen
                seen[place["partition"], place["offset"]] = None
            for one in clicks.rejected:
                position = one.position
                assert position["topic"] == topic
                assert (position["partition"], position["offset"]) not in seen
                seen[position["partition"], position["offset"]] = one.raw
    assert len(seen) == count
    refused = {place: raw for place, raw in seen.items() if raw is not None}
    assert 0.3 * count < len(refused) < count
    for (partition, offset), raw in refused.items():
        assert raw == sent[partition][offset]


def test_a_record_that_is_refused_says_where_it_stands(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    send(broker.address, topic, [{"value": b""}, {"value": b"[1]"}, {"value": b'{"s":1,"i":2}'}])
    with closing(source(broker.address, topic)) as opened:
        refused = [one for clicks in polls(opened) for one in clicks.rejected]
    assert refused == [
        Rejected("blank", "the value is blank", {"topic": topic, "partition": 0, "offset": 0}, b""),
        Rejected(
            "wrong_type",
            "the value is not a JSON object",
            {"topic": topic, "partition": 0, "offset": 1},
            b"[1]",
        ),
        Rejected(
            "no_time",
            "there is no 't'",
            {"topic": topic, "partition": 0, "offset": 2},
            b'{"s":1,"i":2}',
        ),
    ]
