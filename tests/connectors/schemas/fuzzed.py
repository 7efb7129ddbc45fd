"""Records with schemas as they should be, but for some of them."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from typing import Any

import fastavro

from tests.connectors.schemas.registry_server import RegistryServer, framed
from tests.connectors.schemas.test_protobuf_records import field

CLICK: dict[str, Any] = {
    "type": "record",
    "name": "Click",
    "fields": [
        {"name": "u", "type": {"type": "record", "name": "User", "fields": [
            {"name": "id", "type": ["null", "string", "long", "double", "bytes"]}]}},
        {"name": "e", "type": {"type": "array", "items": {
            "type": "record", "name": "Seen", "fields": [
                {"name": "i", "type": ["null", "long", "string",
                    {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2},
                    {"type": "fixed", "name": "Uuid", "size": 16, "logicalType": "uuid"}]},
                {"name": "t", "type": ["null", "long", "string",
                    {"type": "long", "logicalType": "timestamp-micros"},
                    {"type": "int", "logicalType": "date"}]}]}}},
        {"name": "k", "type": {"type": "enum", "name": "Kind", "symbols": ["v", "c", "x"]}},
        {"name": "m", "type": {"type": "map", "values": ["null", "double", "Seen"]}},
    ],
}  # fmt: skip
"""Unions with branches that no writer should mix, so that what is read is of every type."""

FIELDS: dict[str, Any] = {"session_column": "u.id", "item_column": "e[].i", "time_column": "e[].t"}
WHERE = "k in ('v', 'c') and not (m.a > 5 or e[].t is null)"

PROTO = """
syntax = "proto3";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Click {
  message User { google.protobuf.StringValue id = 1; }
  message Seen { oneof is { int64 i = 1; string s = 3; } google.protobuf.Timestamp t = 2; }
  enum Kind { v = 0; c = 1; x = 2; }
  User u = 1;
  repeated Seen e = 2;
  Kind k = 3;
  map<string, double> m = 4;
}
"""


Make = Callable[[random.Random], bytes]
"""Writes a record."""

CLICK_REASONS = {
    *("no_session", "no_item", "no_time", "bad_time", "wrong_type", "not_utf8", "id_too_long"),
    *("time_out_of_range", "time_not_finite", "mixed_time_units", "filtered", "list_too_long"),
}
FRAMING = {"not_framed", "unknown_schema"}
REASONS = CLICK_REASONS | FRAMING | {"bad_avro", "bad_json", "bad_protobuf"}
"""Of any form: the id of a damaged record may be that of another schema."""


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Change some bytes of some records, leave some out, put some in, or cut them off."""
    kind = chance.randrange(12)
    made = bytearray(data)
    if kind <= 2:
        for _ in range(kind + 1):
            made[chance.randrange(len(made))] = chance.randrange(256)
    elif kind == 3:
        del made[chance.randrange(len(made)) :]
    elif kind == 4:
        at = chance.randrange(len(made))
        made[at:at] = chance.randbytes(chance.randrange(1, 9))
    elif kind == 5:
        del made[chance.randrange(len(made))]
    return bytes(made)


def avro(chance: random.Random) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, _PARSED, record(chance))
    return stream.getvalue()


def record(chance: random.Random) -> dict[str, Any]:
    number = chance.randrange(1000)
    ids = [None, f"s{number}", number, float(number), 1.5, b"bytes", b"\xff"]
    times = [None, 1_700_000_000 + number, "2025-06-15T15:06:40Z", "soon", 2**60, -(2**60)]
    items: list[Any] = [None, number, f"i{number}", "", ("fixed", bytes(range(16)))]
    weighed = chance.random() < 0.8
    return {
        "u": {"id": f"s{number // 9}" if weighed else chance.choice(ids)},
        "e": [
            {
                "i": number if weighed else _uuid(chance.choice(items)),
                "t": 1_700_000_000 + number if weighed else chance.choice(times),
            }
            for _ in range(chance.randrange(4))
        ],
        "k": chance.choice("vcx"),
        "m": {"a": number / 100, "b": None},
    }


def _uuid(value: Any) -> Any:
    return ("Uuid", value[1]) if isinstance(value, tuple) else value


def json_record(chance: random.Random) -> bytes:
    return json.dumps(record(chance), default=str).encode()


def protobuf(chance: random.Random) -> bytes:
    number = chance.randrange(1000)
    made = field(1, field(1, field(1, f"s{number // 9}".encode())))
    for _ in range(chance.randrange(4)):
        item = field(1, number) if chance.random() < 0.9 else field(3, b"hat")
        time = field(2, field(1, 1_700_000_000 + number)) if chance.random() < 0.9 else b""
        made += field(2, item + time)
    return b"\0" + made + field(3, chance.randrange(3)) + field(4, field(1, b"a") + field(2, 0.5))


def register(server: RegistryServer) -> dict[str, Make]:
    """Register the schemas; return what writes records of each form."""
    numbers = {
        "avro": server.add(CLICK),
        "json": server.add("{}", "JSON"),
        "protobuf": server.add(PROTO, "PROTOBUF"),
    }
    writers = {"avro": avro, "json": json_record, "protobuf": protobuf}

    def make(form: str) -> Make:
        return lambda chance: framed(numbers[form], writers[form](chance))

    return {form: make(form) for form in numbers}


_PARSED = fastavro.parse_schema(CLICK)
