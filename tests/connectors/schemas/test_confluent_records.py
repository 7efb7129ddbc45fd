"""Records that Confluent's serializers have written, byte for byte.

They are those of confluent-kafka 2.16.1 for Python (`AvroSerializer`, `JSONSerializer` and
`ProtobufSerializer`), which registered the schemas below at the registry of these tests: it gave
them the ids 70001 (Avro), 70002 (the key), 70003 (JSON) and 70004 (Protobuf). The record of Avro is
of the user 1b4e28ba-2fa1-11d2-883f-0016d3cca427, who put a hat for 12.50 into the cart; the others
are of anna and of two items, at 2025-06-15T15:06:40.25Z.
"""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Iterator
from typing import Any

import pytest

from nextclick.connectors import LogFormat
from nextclick.connectors.decoding.record_reader import RecordReader
from nextclick.connectors.decoding.time_unit import TimeScale
from nextclick.connectors.schemas.framing import SchemaDecoder
from tests.connectors.schemas.registry_server import RegistryServer

AVRO = (
    "00000111714831623465323862612d326661312d313164322d383833662d3030313664336363613432370202"
    "066861740404e2f4f386c2ee65"
)
KEY = "000001117208616e6e61"
JSON = (
    "00000111737b2275736572223a22616e6e61222c226974656d73223a5b7b22736b75223a22686174227d2c7b"
    "22736b75223a2273686f6573227d5d2c226174223a22323032352d30362d31355431353a30363a34302e3235"
    "5a227d"
)
PROTOBUF = (
    "000001117402020a04616e6e61120e0a0368617411000000000000f83f12070a0573686f65731a0b0880c3bb"
    "c2061080e59a7720012a060a0161120162"
)
ITEM = "00000111740402000a0368617411000000000000f83f"
DESCRIPTOR = (
    "Cgp2aWV3LnByb3RvEgRzaG9wGh9nb29nbGUvcHJvdG9idWYvdGltZXN0YW1wLnByb3RvIhIKBU90aGVyEgkKAXgY"
    "ASABKAkimwIKBFZpZXcSDAoEdXNlchgBIAEoCRIeCgVpdGVtcxgCIAMoCzIPLnNob3AuVmlldy5JdGVtEiYKAmF0"
    "GAMgASgLMhouZ29vZ2xlLnByb3RvYnVmLlRpbWVzdGFtcBIdCgRraW5kGAQgASgOMg8uc2hvcC5WaWV3LktpbmQS"
    "IgoEbW9yZRgFIAMoCzIULnNob3AuVmlldy5Nb3JlRW50cnkaMQoESXRlbRILCgNza3UYASABKAkSEgoFcHJpY2UY"
    "AiABKAFIAIgBAUIICgZfcHJpY2UaKwoJTW9yZUVudHJ5EgsKA2tleRgBIAEoCRINCgV2YWx1ZRgCIAEoCToCOAEi"
    "GgoES2luZBIICgRWSUVXEAASCAoEQ0FSVBABYgZwcm90bzM="
)
VIEW: dict[str, Any] = {
    "type": "record",
    "name": "View",
    "namespace": "shop",
    "fields": [
        {"name": "user", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["view", "cart"]}},
        {
            "name": "item",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Item",
                    "fields": [
                        {"name": "sku", "type": "string"},
                        {
                            "name": "price",
                            "type": {
                                "type": "bytes",
                                "logicalType": "decimal",
                                "precision": 9,
                                "scale": 2,
                            },
                        },
                    ],
                },
            ],
        },
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
JSON_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "View",
    "type": "object",
    "properties": {
        "user": {"type": "string"},
        "items": {"type": "array", "items": {"type": "object"}},
        "at": {"type": "string"},
    },
}

AT = datetime.datetime(2025, 6, 15, 15, 6, 40, 250000, datetime.UTC)


@pytest.fixture
def decoder() -> Iterator[SchemaDecoder]:
    with RegistryServer() as server:
        server.add(VIEW, subject="clicks-value")
        server.add({"type": "string"}, subject="clicks-key")
        server.add(json.dumps(JSON_SCHEMA), "JSON", subject="json-value")
        server.add(DESCRIPTOR, "PROTOBUF", subject="proto-value")
        yield SchemaDecoder(server.registry())


def test_avro(decoder: SchemaDecoder) -> None:
    found = decoder.decode(bytes.fromhex(AVRO))
    assert found == {
        "user": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        "kind": "cart",
        "item": {"sku": "hat", "price": decimal.Decimal("12.50")},
        "at": AT,
    }
    form = LogFormat(
        session="user", item="item.sku", time="at", where="item.price > 12 and kind = 'cart'"
    )
    (click,) = RecordReader(form, TimeScale()).read(found)
    assert click == (found["user"], "hat", 1_750_000_000.25, None)
    assert decoder.decode(bytes.fromhex(KEY), "key") == "anna"


def test_json(decoder: SchemaDecoder) -> None:
    assert decoder.decode(bytes.fromhex(JSON)) == {
        "user": "anna",
        "items": [{"sku": "hat"}, {"sku": "shoes"}],
        "at": "2025-06-15T15:06:40.25Z",
    }


def test_protobuf(decoder: SchemaDecoder) -> None:
    found = decoder.decode(bytes.fromhex(PROTOBUF))
    assert found == {
        "user": "anna",
        "items": [{"sku": "hat", "price": 1.5}, {"sku": "shoes", "price": None}],
        "at": AT,
        "kind": "CART",
        "more": {"a": "b"},
    }
    assert decoder.decode(bytes.fromhex(ITEM)) == {"sku": "hat", "price": 1.5}
