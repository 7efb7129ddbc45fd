"""Item data in topics whose records were written with schemas of a registry."""

from __future__ import annotations

import decimal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

from nextclick.connectors import open_items
from nextclick.connectors.items.item_topic import ItemTopic
from tests.brokers import Broker, make_topic, send
from tests.connectors.items.test_item_topic import Reader
from tests.connectors.schemas.registry_server import RegistryServer, framed
from tests.connectors.schemas.test_avro_values import written

ITEM: dict[str, Any] = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "item_id", "type": ["null", "long"], "default": None},
        {"name": "available", "type": "boolean"},
        {"name": "price", "type": ["null", {
            "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]},
        {"name": "since", "type": {"type": "int", "logicalType": "date"}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ],
}  # fmt: skip
HAT = {
    "item_id": 17,
    "available": True,
    "price": decimal.Decimal("12.50"),
    "since": date(2025, 6, 15),
    "tags": ["red"],
}
KEY: dict[str, Any] = {
    "type": "record",
    "name": "Key",
    "fields": [{"name": "id", "type": "long"}],
}
SHOWN = {"price": 12.5, "since": "2025-06-15", "tags": ["red"]}


class SchemaReader(Reader):
    """Keeps what a topic says whose schemas are in a registry."""

    def __init__(self, broker: Broker, topic: str, server: RegistryServer) -> None:
        super().__init__(broker, topic)
        self.source.close()
        address = f"kafka://{broker.address}/{topic}"
        source = open_items(address, 1000, registry=server.registry())
        assert isinstance(source, ItemTopic)
        self.source = source


@contextmanager
def reading(broker: Broker, topic: str, server: RegistryServer) -> Iterator[SchemaReader]:
    reader = SchemaReader(broker, topic, server)
    try:
        yield reader
    finally:
        reader.source.close()


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as started:
        yield started


def test_records_of_avro_beside_those_of_json(
    broker: Broker, topic: str, server: RegistryServer
) -> None:
    make_topic(broker.address, topic)
    number, key = server.add(ITEM), framed(server.add(KEY), written(KEY, {"id": 17}))
    other = framed(server.add("string"), b"\x06hat")
    values = [
        {"key": key, "value": framed(number, written(ITEM, HAT))},
        {"key": other, "value": framed(number, written(ITEM, {**HAT, "item_id": None}))},
        {"key": b"19", "value": b'{"available": false}'},
        {"value": framed(number, b"\2")},
        {"value": framed(number + 9, b"\2")},
        {"key": framed(number, b"\2"), "value": b'{"item_id": 3}'},
    ]
    send(broker.address, topic, values)
    with reading(broker, topic, server) as reader:
        reader.until(lambda: reader.wholes == 1)
        assert reader.data == {"17": (True, SHOWN), "hat": (True, SHOWN), "19": (False, {})}
        assert [wrong.rpartition("offset ")[2][0] for wrong in reader.wrong] == ["3", "4", "5"]
        send(broker.address, topic, [{"key": key}, {"key": other}])
        reader.until(lambda: list(reader.data) == ["19"])


@pytest.mark.parametrize("status", [401, 500])
def test_no_record_is_lost_while_the_registry_does_not_answer(
    broker: Broker,
    topic: str,
    server: RegistryServer,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    monkeypatch.setattr("nextclick.connectors.schemas.registry.AWAY", 0.1)
    make_topic(broker.address, topic)
    number = server.add(ITEM)
    rows = [{"value": framed(number, written(ITEM, {**HAT, "item_id": at}))} for at in range(20)]
    with reading(broker, topic, server) as reader:
        reader.until(lambda: reader.wholes == 1)
        server.status = status
        send(broker.address, topic, rows)
        away: list[str] = []

        def tell() -> None:
            while not away:
                if reader.source.away is not None:
                    away.append(reader.source.away)
                    server.status = None

        thread = threading.Thread(target=tell)
        thread.start()
        reader.until(lambda: len(reader.data) == 20)
        thread.join()
        assert "schema registry" in away[0]
        assert reader.wrong == []
        reader.until(lambda: reader.source.away is None)
