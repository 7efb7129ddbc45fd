"""Values of Avro's logical types, and what becomes of those that are none."""

from __future__ import annotations

import datetime
import decimal
import io
from typing import Any

import fastavro
import pytest

from nextclick.connectors import LogFormat
from nextclick.connectors.clicks import Id
from nextclick.connectors.decoding.blocks import Entry
from nextclick.connectors.decoding.record_reader import RecordReader
from nextclick.connectors.decoding.time_unit import TimeScale
from nextclick.connectors.decoding.values import UnusableError
from nextclick.connectors.schemas.avro import AvroType

MOMENT = 1_750_000_000_250
SPRING = datetime.datetime(2025, 6, 15, 15, 6, 40, 250000)


def logical(kind: str, logical_type: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": logical_type, **more}


def written(schema: Any, value: Any) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), value)
    return stream.getvalue()


def read(schema: Any, data: bytes) -> Any:
    return AvroType(schema, {}).read(io.BytesIO(data))


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (logical("long", "timestamp-millis"), MOMENT, SPRING.replace(tzinfo=datetime.UTC)),
        (logical("long", "timestamp-micros"), MOMENT * 1000, SPRING.replace(tzinfo=datetime.UTC)),
        (logical("long", "timestamp-nanos"), MOMENT * 10**6, SPRING.replace(tzinfo=datetime.UTC)),
        (logical("long", "local-timestamp-millis"), MOMENT, SPRING),
        (logical("long", "local-timestamp-nanos"), MOMENT * 10**6, SPRING),
        (logical("int", "date"), 20_254, datetime.date(2025, 6, 15)),
        (logical("int", "time-millis"), 3_600_500, "01:00:00.500000"),
        (logical("long", "a-type-of-their-own"), 5, 5),
        (logical("string", "uuid"), "no uuid", "no uuid"),
        (logical("bytes", "decimal"), b"ab", b"ab"),
        # What is past the years that there are is no number that could be another time.
        (logical("long", "timestamp-millis"), 2**63 - 1, f"timestamp-millis {2**63 - 1}"),
        (logical("int", "date"), 2**31 - 1, f"date {2**31 - 1}"),
    ],
)
def test_logical_types(schema: dict[str, Any], value: Any, expected: Any) -> None:
    assert read(schema, written(schema["type"], value)) == expected


def test_fixed_uuids_are_text() -> None:
    schema = logical("fixed", "uuid", name="Uuid", size=16)
    assert read(schema, bytes(range(16))) == "00010203-0405-0607-0809-0a0b0c0d0e0f"


def test_a_decimal_keeps_all_its_digits_and_is_an_id() -> None:
    number = 12_345_678_901_234_567_890_123_456_789_012_345_678
    schema = logical("bytes", "decimal", precision=10, scale=0)
    found = read(schema, written("bytes", number.to_bytes(17, "big", signed=True)))
    assert click({"session_id": found, "item_id": decimal.Decimal("17.00"), "timestamp": 5}) == (
        number,
        17,
    )


def test_defaults_that_do_not_fit_and_that_no_reader_needs() -> None:
    field = {"name": "price", "type": "int", "default": ""}
    assert read({"type": "record", "name": "A", "fields": [field]}, b"\2") == {"price": 1}


def test_fastavro_reads_as_before_for_others() -> None:
    schema = fastavro.parse_schema(logical("long", "timestamp-millis"))
    with pytest.raises(OverflowError):
        fastavro.schemaless_reader(io.BytesIO(written("long", 2**63 - 1)), schema, None)


def entry(record: dict[str, Any]) -> Entry:
    (found,) = RecordReader(LogFormat(), TimeScale()).read(record)
    return found


def click(record: dict[str, Any]) -> tuple[Id, Id]:
    found = entry(record)
    assert isinstance(found, tuple)
    return found[:2]


def test_only_a_time_that_is_read_has_to_be_one() -> None:
    schema = {
        "type": "record",
        "name": "Click",
        "fields": [
            {"name": "session_id", "type": "string"},
            {"name": "item_id", "type": "long"},
            {"name": "timestamp", "type": logical("long", "timestamp-millis")},
            {"name": "expires", "type": logical("long", "timestamp-millis")},
        ],
    }
    plain = {**schema, "fields": [
        *schema["fields"][:2], {"name": "timestamp", "type": "long"},
        {"name": "expires", "type": "long"}]}  # fmt: skip
    good = {"session_id": "anna", "item_id": 7, "timestamp": MOMENT, "expires": 2**63 - 1}
    assert click(read(schema, written(plain, good))) == ("anna", 7)
    fault = entry(read(schema, written(plain, {**good, "timestamp": 2**63 - 1})))
    assert isinstance(fault, UnusableError)
    assert fault.reason == "bad_time"


DEBEZIUM: dict[str, Any] = {
    "type": "record",
    "name": "Envelope",
    "namespace": "shop.public.clicks",
    "fields": [
        {"name": "before", "type": ["null", {"type": "record", "name": "Value", "fields": [
            {"name": "user_id", "type": "long"},
            {"name": "item_id", "type": ["null", {"type": "bytes", "logicalType": "decimal",
                                                  "precision": 38, "scale": 0}]},
            {"name": "at", "type": {"type": "long", "connect.version": 1,
                                    "connect.name": "io.debezium.time.MicroTimestamp"}},
        ]}]},
        {"name": "after", "type": ["null", "Value"]},
        {"name": "op", "type": "string"},
        {"name": "ts_ms", "type": ["null", "long"]},
    ],
}  # fmt: skip


def test_an_envelope_of_debezium() -> None:
    after = {"user_id": 3, "item_id": decimal.Decimal(17), "at": MOMENT * 1000}
    rows = [
        {"before": None, "after": after, "op": "c", "ts_ms": MOMENT},
        {"before": after, "after": None, "op": "d", "ts_ms": MOMENT},
        {"before": after, "after": {**after, "item_id": None}, "op": "u", "ts_ms": None},
    ]
    form = LogFormat(
        session="after.user_id", item="after.item_id", time="after.at", where="op in ('c', 'u')"
    )
    reader = RecordReader(form, TimeScale())
    kind = AvroType(DEBEZIUM, {})
    found = [reader.read(kind.read(io.BytesIO(written(DEBEZIUM, row))))[0] for row in rows]
    assert found[0] == (3, 17, MOMENT / 1000, None)
    reasons = [one.reason for one in found[1:] if isinstance(one, UnusableError)]
    assert reasons == ["filtered", "no_item"]
