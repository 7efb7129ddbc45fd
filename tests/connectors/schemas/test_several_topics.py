"""Several topics in different forms, with the schemas of one registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from nextclick.connectors import KafkaSource, log_format, open_source
from tests.brokers import Broker, make_topic, send
from tests.connectors.kafka.sources import QUICK, polls, take
from tests.connectors.schemas.registry_server import RegistryServer, framed
from tests.connectors.schemas.test_avro_records import written
from tests.connectors.schemas.test_protobuf_records import field

CLICK: dict[str, Any] = {
    "type": "record",
    "name": "Click",
    "fields": [
        {"name": "user", "type": "string"},
        {"name": "item", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "event", "type": ["null", "string"]},
    ],
}
PROTO = """
syntax = "proto3";
import "google/protobuf/timestamp.proto";
message Click { string user = 1; int64 item = 2; google.protobuf.Timestamp at = 3; }
"""
NAMES: dict[str, Any] = {"session_column": "user", "item_column": "item", "time_column": "at"}


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as started:
        yield started


class Shop:
    """Three topics of clicks in Avro, Protobuf and JSON with a schema."""

    def __init__(self, broker: Broker, topic: str, server: RegistryServer) -> None:
        self.broker, self.server = broker, server
        self.topics = [f"{topic}-{name}" for name in ("avro", "json", "protobuf")]
        self.pattern = f"^{topic}-.*"
        self._avro = server.add(CLICK, subject="avro")
        self._json = server.add("{}", "JSON", subject="json")
        self._protobuf = server.add(PROTO, "PROTOBUF", subject="protobuf")
        for name in self.topics:
            make_topic(broker.address, name)

    def send(self, numbers: range, **more: Any) -> None:
        """Send clicks, each to the next topic."""
        for kind, name in enumerate(self.topics):
            values = [self.value(at, kind, **more) for at in numbers if at % 3 == kind]
            send(self.broker.address, name, [{"value": value} for value in values])

    def value(self, number: int, kind: int, event: str | None = None) -> bytes:
        second = 1_700_000_000 + number
        if kind == 0:
            moment = datetime.fromtimestamp(second, UTC)
            click = {"user": "anna", "item": number, "at": moment, "event": event}
            return framed(self._avro, written(CLICK, click))
        if kind == 1:
            plain = {"user": "anna", "item": number, "at": second, "event": event}
            return framed(self._json, json.dumps(plain).encode())
        click_of = field(1, b"anna") + field(2, number) + field(3, field(1, second))
        return framed(self._protobuf, click_of, b"\0")

    def source(self, which: str, **options: Any) -> KafkaSource:
        options = {"until_end": True, **options}
        form = log_format(**NAMES, event_id=options.pop("event_id", None))
        spec = f"kafka://{self.broker.address}/{which}"
        registry = self.server.registry()
        source = open_source(spec, form, settings=QUICK, registry=registry, **options)
        assert isinstance(source, KafkaSource)
        return source


def test_topics_and_a_pattern_are_one_stream_in_the_order_of_time(
    broker: Broker, topic: str, server: RegistryServer
) -> None:
    shop = Shop(broker, topic, server)
    shop.send(range(60))
    for which in (",".join(shop.topics), shop.pattern):
        server.requests.clear()
        with closing(shop.source(which)) as source:
            items = [item for clicks in polls(source) for item in clicks.items]
        assert items == list(range(60))
        assert len(server.requests) == 3


def test_a_run_goes_on_where_the_one_before_stopped(
    broker: Broker, topic: str, server: RegistryServer
) -> None:
    shop = Shop(broker, topic, server)
    shop.send(range(60))
    items: list[Any] = []
    position = None
    while True:
        with closing(shop.source(shop.pattern)) as source:
            if position is not None:
                source.seek(json.loads(json.dumps(position)))
            clicks = next(polls(source, 7), None)
            if clicks is None:
                break
            items += clicks.items
            position = clicks.position
    assert items == list(range(60))


def test_a_live_run_begins_at_the_end_and_reads_records_of_a_new_version(
    broker: Broker, topic: str, server: RegistryServer
) -> None:
    shop = Shop(broker, topic, server)
    shop.send(range(30))
    # Rows longer than those before, with a field more in between.
    fields = [CLICK["fields"][0], {"name": "city", "type": "string"}, *CLICK["fields"][1:]]
    newer = {**CLICK, "fields": fields}
    number = server.add(newer, subject="avro")
    with closing(shop.source(shop.pattern, until_end=False, start="latest", idle=0.0)) as source:
        assert source.poll(1) is not None
        moment = datetime.fromtimestamp(1_700_000_100, UTC)
        row = {"user": "bert", "city": "Bonn", "item": 100, "at": moment, "event": None}
        send(broker.address, shop.topics[0], [{"value": framed(number, written(newer, row))}])
        assert take(source, 1) == [100]
        shop.send(range(102, 103))
        assert take(source, 1) == [102]


def test_events_are_known_by_their_ids(broker: Broker, topic: str, server: RegistryServer) -> None:
    shop = Shop(broker, topic, server)
    shop.send(range(9), event="e")
    with closing(shop.source(shop.pattern, event_id="event")) as source:
        batches = list(polls(source))
    events = [event for clicks in batches for event in clicks.events or [None] * len(clicks)]
    # The messages of Protobuf have no such field.
    assert events == ["e", "e", None] * 3
