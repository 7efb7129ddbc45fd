from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nextclick.connectors import SourceError, item_key, open_items
from nextclick.connectors.items.item_topic import ItemTopic
from tests.brokers import Broker, admin_client, make_topic, send

WAIT = 60.0


def record(item: Any, **fields: Any) -> dict[str, Any]:
    """A record as a shop would write it, with the item's id as its key."""
    return {"key": str(item).encode(), "value": json.dumps({"item_id": item, **fields}).encode()}


class Reader:
    """Keeps what a topic says, as who follows it does."""

    def __init__(self, broker: Broker, topic: str, most: int = 1000) -> None:
        source = open_items(f"kafka://{broker.address}/{topic}", most)
        assert isinstance(source, ItemTopic)
        self.source = source
        self.data: dict[str, Any] = {}
        self.wrong: list[str] = []
        self.wholes = 0

    def until(self, true: Callable[[], bool]) -> None:
        """Read until something holds."""
        deadline = time.monotonic() + WAIT
        while not true():
            assert time.monotonic() < deadline, (self.data, self.wrong, self.source.notes)
            changes = self.source.poll()
            if changes.whole:
                self.wholes += 1
                self.data = {}
            for one in changes.records:
                self.data[item_key(one.item)] = (one.available, json.loads(one.fields))
                if self.data[item_key(one.item)] == (True, {}):
                    del self.data[item_key(one.item)]
            self.wrong += [f"{wrong.place}: {wrong.why}" for wrong in changes.wrong]


@contextmanager
def reading(broker: Broker, topic: str, most: int = 1000) -> Iterator[Reader]:
    """Read a topic to its end, and go on."""
    reader = Reader(broker, topic, most)
    try:
        reader.until(lambda: reader.wholes == 1)
        yield reader
    finally:
        reader.source.close()


def test_a_topic_is_read_to_its_end_and_then_followed(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic, 3, cleanup_policy="compact")
    send(broker.address, topic, [record(at, x=at % 7) for at in range(300)])
    send(broker.address, topic, [record(1, x="new"), record(2, available=False)])
    with reading(broker, topic) as reader:
        expected: dict[str, Any] = {str(at): (True, {"x": at % 7}) for at in range(300)}
        expected |= {"1": (True, {"x": "new"}), "2": (False, {})}
        assert reader.data == expected
        assert (reader.source.progress, reader.source.away) == (1.0, None)
        send(broker.address, topic, [record(3, available=False), record("k", x=1)])
        expected |= {"3": (False, {}), "k": (True, {"x": 1})}
        reader.until(lambda: reader.data == expected)
        assert (reader.wholes, reader.wrong) == (1, [])


def test_an_empty_topic_is_read_at_once(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    with reading(broker, topic) as reader:
        assert reader.data == {}


def test_a_tombstone_removes_what_its_key_has_brought(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    keyed: list[dict[str, Any]] = [
        {"key": b"17", "value": b'{"x": 1}'},
        {"key": b"item-18", "value": b'{"item_id": 18, "x": 2}'},
        {"key": b"item-19", "value": b'{"item_id": 19, "x": 3}'},
        {"value": b'{"item_id": 20, "x": 4}'},
    ]
    send(broker.address, topic, keyed)
    with reading(broker, topic) as reader:
        assert {item: named["x"] for item, (_, named) in reader.data.items()} == {
            "17": 1,
            "18": 2,
            "19": 3,
            "20": 4,
        }
        send(broker.address, topic, [{"key": b"17"}, {"key": b"item-18"}, {"key": b"20"}])
        # The record of this key is another item's now.
        send(broker.address, topic, [{"key": b"item-19", "value": b'{"item_id": 21, "x": 5}'}])
        reader.until(lambda: list(reader.data) == ["21"])
        send(broker.address, topic, [{"key": b"item-19"}, {"key": b"unknown"}])
        reader.until(lambda: not reader.data)
        assert not reader.wrong


def test_records_that_cannot_be_used_are_passed_over_and_named(broker: Broker, topic: str) -> None:
    make_topic(broker.address, topic)
    values = [b"{", b'{"x": 1}', b'{"item_id": 1, "available": "no"}', b'{"item_id": 2, "x": 1}']
    send(broker.address, topic, [*({"value": one} for one in values), {"key": b""}])
    send(broker.address, topic, [record(3, x=1), record(4, x=1)])
    with reading(broker, topic, most=2) as reader:
        assert list(reader.data) == ["2", "3"]
        where = f"kafka://{broker.address}/{topic}, partition 0, offset"
        assert [wrong.partition(": ")[0] for wrong in reader.wrong] == [
            f"{where} {at}" for at in (0, 1, 2, 4, 6)
        ]
        assert "'key' is empty" in reader.wrong[3]
        assert "raise --max-items" in reader.wrong[4]


def test_partitions_that_are_added_are_read_too(full_broker: Broker, topic: str) -> None:
    make_topic(full_broker.address, topic)
    send(full_broker.address, topic, [record(1, x=1)])
    with reading(full_broker, topic) as reader:
        admin = admin_client(full_broker.address)
        admin.create_partitions({topic: 2})
        admin.close()
        send(full_broker.address, topic, [{**record(2, x=2), "partition": 1}])
        reader.until(lambda: len(reader.data) == 2)


def test_a_topic_that_is_made_again_is_read_anew(full_broker: Broker, topic: str) -> None:
    make_topic(full_broker.address, topic)
    send(full_broker.address, topic, [record(1, x=1), record(2, available=False)])
    with reading(full_broker, topic) as reader:
        admin = admin_client(full_broker.address)
        admin.delete_topics([topic])
        deadline = time.monotonic() + WAIT
        while topic in admin.list_topics():
            assert time.monotonic() < deadline
        admin.close()
        make_topic(full_broker.address, topic, 2)
        send(full_broker.address, topic, [record(3, x=3)])
        reader.until(lambda: reader.data == {"3": (True, {"x": 3})})
        # Once more where it is found between being made and being written to.
        assert reader.wholes >= 2


def test_brokers_that_are_away_are_waited_for(apache_broker: Broker, topic: str) -> None:
    make_topic(apache_broker.address, topic)
    send(apache_broker.address, topic, [record(1, available=False)])
    with reading(apache_broker, topic) as reader:
        apache_broker.stop()
        reader.until(lambda: reader.source.away is not None)
        assert "waiting for the brokers" in str(reader.source.away)
        assert reader.data == {"1": (False, {})}
        apache_broker.start()
        send(apache_broker.address, topic, [record(1)])
        reader.until(lambda: not reader.data)
        reader.until(lambda: reader.source.away is None)
        assert any("unavailable once" in note for note in reader.source.notes)


def test_a_topic_that_is_not_there_is_an_error(broker: Broker) -> None:
    with pytest.raises(SourceError, match="there is no such topic"):
        open_items(f"kafka://{broker.address}/nothing")
