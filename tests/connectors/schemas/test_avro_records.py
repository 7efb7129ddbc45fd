"""Records of Avro by their schemas, written by Apache's own implementation."""

from __future__ import annotations

import datetime
import decimal
import io
import json
import random
from collections.abc import Iterator
from typing import Any

import avro.io
import avro.schema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors.decoding.values import UnusableError
from nextclick.connectors.schemas.framing import SchemaDecoder
from tests.connectors.schemas.registry_server import RegistryServer, framed

USER: dict[str, Any] = {
    "type": "record",
    "name": "User",
    "namespace": "shop",
    "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]}],
}
VIEW: dict[str, Any] = {
    "type": "record",
    "name": "View",
    "namespace": "shop",
    "fields": [
        {"name": "user", "type": USER},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["view", "cart"]}},
        {"name": "items", "type": {"type": "array", "items": "string"}},
        {"name": "more", "type": {"type": "map", "values": ["null", "double", "string"]}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
RECORD = {
    "user": {"id": 7, "name": None},
    "kind": "cart",
    "items": ["hat", "shoes"],
    "more": {"price": 1.5, "colour": "red", "size": None},
    "at": datetime.datetime(2025, 6, 15, 15, 6, 40, 250000, datetime.UTC),
}
LINKED: dict[str, Any] = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "next", "type": ["null", "Node"]}],
}


def written(schema: Any, value: Any) -> bytes:
    stream = io.BytesIO()
    writer = avro.io.DatumWriter(avro.schema.parse(json.dumps(schema)))
    writer.write(value, avro.io.BinaryEncoder(stream))
    return stream.getvalue()


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as started:
        yield started


def decoded(server: RegistryServer, schema: Any, data: bytes) -> Any:
    return SchemaDecoder(server.registry()).decode(framed(server.add(schema), data))


def refused(server: RegistryServer, schema: Any, data: bytes) -> tuple[str, str]:
    with pytest.raises(UnusableError) as caught:
        decoded(server, schema, data)
    return caught.value.reason, caught.value.detail


def test_a_nested_record_is_read_as_it_was_written(server: RegistryServer) -> None:
    assert decoded(server, VIEW, written(VIEW, RECORD)) == RECORD


@pytest.mark.parametrize(
    ("schema", "value", "read"),
    [
        ("string", "anna", "anna"),
        ("long", -(2**62), -(2**62)),
        (["null", "string"], "x", "x"),
        ({"type": "bytes"}, b"ab", b"ab"),
        ({"type": "int", "logicalType": "date"}, datetime.date(2025, 6, 15), None),
        (
            {"type": "long", "logicalType": "timestamp-micros"},
            datetime.datetime(1969, 1, 1, 0, 0, 0, 1, datetime.UTC),
            None,
        ),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2},
            decimal.Decimal("12.50"),
            None,
        ),
    ],
)
def test_types_without_fields_and_logical_types(
    server: RegistryServer, schema: Any, value: Any, read: Any
) -> None:
    expected = value if read is None else read
    assert decoded(server, schema, written(schema, value)) == expected


def test_a_uuid_is_read_as_text(server: RegistryServer) -> None:
    text = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
    schema = {"type": "string", "logicalType": "uuid"}
    assert decoded(server, schema, written("string", text)) == text


def test_a_schema_is_asked_for_once_and_evolved_ones_are_read_by_their_writers(
    server: RegistryServer,
) -> None:
    fields = [*USER["fields"], {"name": "city", "type": "string", "default": ""}]
    old, new = server.add(USER), server.add({**USER, "fields": fields})
    decoder = SchemaDecoder(server.registry())
    for _ in range(3):
        before = written(USER, {"id": 1, "name": "anna"})
        assert decoder.decode(framed(old, before)) == {"id": 1, "name": "anna"}
        after = written({**USER, "fields": fields}, {"id": 1, "name": None, "city": "Bonn"})
        assert decoder.decode(framed(new, after)) == {"id": 1, "name": None, "city": "Bonn"}
    assert server.requests == [f"/schemas/ids/{old}", f"/schemas/ids/{new}"]


def test_references_are_asked_for(server: RegistryServer) -> None:
    server.add(USER, subject="shop/users")
    reference = {"name": "shop.User", "subject": "shop/users", "version": 1}
    referring = {**VIEW, "fields": [{"name": "user", "type": "shop.User"}, *VIEW["fields"][1:]]}
    number = server.add(referring, references=[reference])
    several = server.add(["shop.User"], subject="topic", references=[reference])
    decoder = SchemaDecoder(server.registry())
    assert decoder.decode(framed(number, written(VIEW, RECORD))) == RECORD
    user = written(["null", USER], RECORD["user"])[1:]
    assert decoder.decode(framed(several, b"\0" + user)) == RECORD["user"]


def test_a_reference_that_is_not_there_is_an_unknown_schema(server: RegistryServer) -> None:
    reference = {"name": "shop.User", "subject": "users", "version": 1}
    number = server.add(["shop.User"], references=[reference])
    with pytest.raises(UnusableError) as caught:
        SchemaDecoder(server.registry()).decode(framed(number, b"\0"))
    assert caught.value.reason == "unknown_schema"
    assert "'shop.User'" in caught.value.detail


def test_records_that_do_not_fit_have_a_reason(server: RegistryServer) -> None:
    good = written(VIEW, RECORD)
    assert refused(server, VIEW, good[:-3])[0] == "bad_avro"
    reason, detail = refused(server, VIEW, good + b"xy")
    assert reason == "bad_avro"
    assert detail == "the value, of schema 70001: it does not fit: 2 bytes are left over"
    assert refused(server, {"type": "what"}, b"")[0] == "bad_schema"


def test_a_record_nested_without_end_is_refused(server: RegistryServer) -> None:
    assert decoded(server, LINKED, b"\2\2\0") == {"next": {"next": {"next": None}}}
    assert refused(server, LINKED, b"\2" * 1_000_000 + b"\0")[0] == "bad_avro"


def test_a_list_of_nothing_is_not_made_as_long_as_it_says(server: RegistryServer) -> None:
    schema = {"type": "array", "items": "null"}
    assert decoded(server, schema, written(schema, [None, None])) == [None, None]
    assert refused(server, schema, b"\xfe\xff\xff\xff\xff\xff\xff\x7f\0")[0] == "bad_avro"


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_damaged_records_are_read_or_refused_for_a_reason(
    server: RegistryServer, count: int
) -> None:
    chance = random.Random(5)
    numbers = [server.add(VIEW), server.add(LINKED), server.add({"type": "array", "items": USER})]
    decoder = SchemaDecoder(server.registry())
    good = written(VIEW, RECORD)
    reasons = set()
    for _ in range(count):
        data = bytearray(framed(chance.choice(numbers), good))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(5 if chance.random() < 0.2 else 1, len(data))] = chance.randrange(
                256
            )
        data[1:3] = numbers[0].to_bytes(4, "big")[:2]
        try:
            decoder.decode(bytes(data[: chance.randrange(len(data) + 1)]))
        except UnusableError as fault:
            reasons.add(fault.reason)
    assert reasons <= {"not_framed", "unknown_schema", "bad_avro"}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "id": st.integers(-(2**63), 2**63 - 1),
                "name": st.none() | TEXTS,
            }
        ),
        max_size=5,
    )
)
def test_what_was_written_is_read(users: list[dict[str, Any]]) -> None:
    schema = {"type": "array", "items": USER}
    with RegistryServer() as server:
        assert decoded(server, schema, written(schema, users)) == users
