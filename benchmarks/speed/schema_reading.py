"""The speed of records with schemas beside JSON: ``python -m benchmarks.speed.schema_reading``.

The CPU time of the process is measured, in turns, over records of a topic that are in RAM and over
files; the figures are medians, in thousands of records a second.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import msgspec

from nextclick.connectors import LogFormat, LogSource, SchemaRegistry
from nextclick.connectors.kafka.record_decoder import RecordDecoder
from nextclick.connectors.schemas.framing import SchemaDecoder
from nextclick.connectors.schemas.registry import Schema

RECORDS = 20_000
TURNS = 15
AVRO = {
    "type": "record",
    "name": "View",
    "fields": [
        {"name": "user", "type": {"type": "record", "name": "User", "fields": [
            {"name": "id", "type": "string"}]}},
        {"name": "item", "type": {"type": "record", "name": "Item", "fields": [
            {"name": "sku", "type": "string"}]}},
        {"name": "kind", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}  # fmt: skip
PROTO = """
syntax = "proto3";
import "google/protobuf/timestamp.proto";
message View {
  message User { string id = 1; }
  message Item { string sku = 1; }
  User user = 1;
  Item item = 2;
  string kind = 3;
  google.protobuf.Timestamp at = 4;
}
"""
SCHEMAS = {1: ("AVRO", msgspec.json.encode(AVRO).decode()), 2: ("PROTOBUF", PROTO), 3: ("JSON", "")}
NESTED = LogFormat(session="user.id", item="item.sku", time="at")


class Record(NamedTuple):
    """A record as a reader of topics passes it on."""

    offset: int
    value: bytes
    key: None = None
    timestamp: int = 0
    headers: tuple[Any, ...] = ()
    sequence: int = -1


class Known(SchemaRegistry):
    """A registry whose schemas are known without asking."""

    def schema(self, number: int) -> Schema:
        """Return a schema."""
        return Schema(*SCHEMAS[number], ())


def views() -> list[dict[str, Any]]:
    """Return what is read."""
    return [
        {
            "user": {"id": f"session-{at // 7}"},
            "item": {"sku": f"item-{at * 7919 % 20_000}"},
            "kind": "view",
            "at": 1_700_000_000_000 + at * 250,
        }
        for at in range(RECORDS)
    ]


def as_plain(view: dict[str, Any]) -> bytes:
    """Return a view in the fields that are read without options."""
    return msgspec.json.encode(
        {
            "session_id": view["user"]["id"],
            "item_id": view["item"]["sku"],
            "timestamp": view["at"],
        }
    )


def as_avro(view: dict[str, Any]) -> bytes:
    """Return a framed view in Avro."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(AVRO), _dated(view))
    return b"\0\0\0\0\1" + stream.getvalue()


def as_protobuf(view: dict[str, Any]) -> bytes:
    """Return a framed view in Protobuf, made by hand: the fields are few."""
    parts = [(1, _field(1, view["user"]["id"])), (2, _field(1, view["item"]["sku"]))]
    seconds, millis = divmod(view["at"], 1000)
    moment = b"\x08" + _varint(seconds) + b"\x10" + _varint(millis * 1_000_000)
    data = b"".join(_field(number, inner) for number, inner in parts) + _field(3, view["kind"])
    return b"\0\0\0\0\2\0" + data + _field(4, moment)


def _field(number: int, value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def _dated(view: dict[str, Any]) -> dict[str, Any]:
    return {**view, "at": datetime.fromtimestamp(view["at"] / 1000, UTC)}


def of_topic(form: LogFormat, values: list[bytes], schemas: bool) -> Callable[[], int]:
    """Return what decodes records of a topic."""
    records = [Record(at, value) for at, value in enumerate(values)]
    known = SchemaDecoder(Known("http://localhost")) if schemas else None
    decoder = RecordDecoder(form, "views", schemas=known)

    def read() -> int:
        return sum(
            len(decoder.decode(0, records[at : at + 500]).decoded.items)
            for at in range(0, RECORDS, 500)
        )

    return read


def of_file(path: Path, form: LogFormat) -> Callable[[], int]:
    """Return what reads a file."""

    def read() -> int:
        source, clicks = LogSource(path, form), 0
        while (polled := source.poll(4096)) is not None:
            clicks += len(polled)
        source.close()
        return clicks

    return read


def forms(folder: Path) -> dict[str, Callable[[], int]]:
    """Return what reads each form."""
    rows = views()
    plain, nested = [as_plain(row) for row in rows], [msgspec.json.encode(row) for row in rows]
    (folder / "plain.jsonl").write_bytes(b"\n".join(plain) + b"\n")
    (folder / "nested.jsonl").write_bytes(b"\n".join(nested) + b"\n")
    with (folder / "views.avro").open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(AVRO), map(_dated, rows), "deflate")
    return {
        "topic, plain JSON": of_topic(LogFormat(), plain, schemas=False),
        "topic, nested JSON": of_topic(NESTED, nested, schemas=False),
        "topic, JSON with a schema": of_topic(
            NESTED, [b"\0\0\0\0\3" + row for row in nested], schemas=True
        ),
        "topic, Avro": of_topic(NESTED, [as_avro(row) for row in rows], schemas=True),
        "topic, Protobuf": of_topic(NESTED, [as_protobuf(row) for row in rows], schemas=True),
        "file, plain JSON": of_file(folder / "plain.jsonl", LogFormat()),
        "file, nested JSON": of_file(folder / "nested.jsonl", NESTED),
        "file, Avro (deflate)": of_file(folder / "views.avro", NESTED),
    }


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        readers = forms(Path(folder))
        seconds: dict[str, list[float]] = {name: [] for name in readers}
        for turn in range(TURNS + 1):
            for name, read in readers.items():
                began = time.process_time()
                assert read() == RECORDS, name
                if turn:  # The first one also asks for the schemas.
                    seconds[name].append(time.process_time() - began)
    print("| | thousand records a second |\n| --- | --- |")
    for name, measured in seconds.items():
        print(f"| {name} | {RECORDS / statistics.median(measured) / 1000:.0f} |")


if __name__ == "__main__":
    main()
