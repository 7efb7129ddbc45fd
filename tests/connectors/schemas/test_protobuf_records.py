"""Records of Protobuf, made by hand from the specification's bytes."""

from __future__ import annotations

import base64
import datetime
import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, timestamp_pb2

from nextclick.connectors import LogFormat
from nextclick.connectors.decoding.record_reader import RecordReader
from nextclick.connectors.decoding.time_unit import TimeScale
from nextclick.connectors.decoding.values import UnusableError
from nextclick.connectors.schemas.framing import SchemaDecoder
from tests.connectors.schemas.registry_server import RegistryServer, framed

VIEW = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Other { string x = 1; }
message View {
  message Item { string id = 1; optional double price = 2; }
  enum Kind { VIEW = 0; CART = 1; }
  int64 user = 1;
  repeated Item items = 2;
  google.protobuf.Timestamp at = 3;
  Kind kind = 4;
  map<string, int32> more = 5;
  google.protobuf.StringValue city = 6;
  oneof what { string word = 7; sint32 number = 8; }
}
"""


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes | float) -> bytes:
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


RECORD = (
    field(1, 7)
    + field(2, field(1, b"hat") + field(2, 1.5))
    + field(2, field(1, b"shoes"))
    + field(3, field(1, 1_700_000_000) + field(2, 250_000_000))
    + field(4, 1)
    + field(5, field(1, b"a") + field(2, 3))
    + field(6, field(1, b"Bonn"))
)
SECOND = b"\2\2"
"""The indexes of the second type of a schema."""

VALUE = {
    "user": 7,
    "items": [{"id": "hat", "price": 1.5}, {"id": "shoes", "price": None}],
    "at": datetime.datetime(2023, 11, 14, 22, 13, 20, 250000, datetime.UTC),
    "kind": "CART",
    "more": {"a": 3},
    "city": "Bonn",
    "word": None,
    "number": None,
}


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as started:
        yield started


def refused(decoder: SchemaDecoder, data: bytes) -> str:
    with pytest.raises(UnusableError) as caught:
        decoder.decode(data)
    return caught.value.reason


def test_a_message_is_read_as_a_record_and_becomes_clicks(server: RegistryServer) -> None:
    number = server.add(VIEW, "PROTOBUF")
    decoder = SchemaDecoder(server.registry())
    value = decoder.decode(framed(number, RECORD, SECOND))
    assert value == VALUE
    assert decoder.decode(framed(number, RECORD, SECOND)) == VALUE
    assert len(server.requests) == 1
    form = LogFormat(session="user", item="items[].id", time="at", where="kind = 'CART'")
    entries = RecordReader(form, TimeScale()).read(value)
    assert entries == [(7, "hat", 1_700_000_000.25, None), (7, "shoes", 1_700_000_000.25, None)]


def test_the_indexes_tell_the_type(server: RegistryServer) -> None:
    number = server.add(VIEW, "PROTOBUF")
    decoder = SchemaDecoder(server.registry())
    name = field(1, b"hat")
    assert decoder.decode(framed(number, name, b"\0")) == {"x": "hat"}
    assert decoder.decode(framed(number, name, b"\2\0")) == {"x": "hat"}
    assert decoder.decode(framed(number, name, b"\4\2\0")) == {"id": "hat", "price": None}
    for indexes in (b"", b"\2", b"\2\x0c", b"\4\2\x0c", b"\1", b"\xfe\xff\x03", b"\xff" * 20):
        assert refused(decoder, framed(number, b"", indexes)) == "bad_protobuf"


def test_what_does_not_fit_has_a_reason(server: RegistryServer) -> None:
    number = server.add(VIEW, "PROTOBUF")
    decoder = SchemaDecoder(server.registry())
    assert refused(decoder, framed(number, RECORD[:-2], SECOND)) == "bad_protobuf"
    far = field(3, field(1, 2**62))
    assert refused(decoder, framed(number, far, SECOND)) == "bad_protobuf"
    wrong = server.add("syntax = 'proto3'; message {", "PROTOBUF")
    assert refused(decoder, framed(wrong, b"", b"\0")) == "bad_schema"
    deep = server.add("syntax = 'proto3'; message N { N n = 1; }", "PROTOBUF")
    data = b""
    for _ in range(2000):
        data = field(1, data)
    assert refused(decoder, framed(deep, data, b"\0")) == "bad_protobuf"


def test_imports_are_asked_for(server: RegistryServer) -> None:
    shared = 'syntax = "proto3"; package shop; message User { string id = 1; }'
    server.add(shared, "PROTOBUF", subject="users")
    text = (
        'syntax = "proto3"; import "common/user.proto"; message View { shop.User user = 1; '
        "string item = 2; }"
    )
    reference = {"name": "common/user.proto", "subject": "users", "version": 1}
    number = server.add(text, "PROTOBUF", references=[reference])
    decoder = SchemaDecoder(server.registry())
    data = field(1, field(1, b"anna")) + field(2, b"hat")
    assert decoder.decode(framed(number, data, b"\0")) == {"user": {"id": "anna"}, "item": "hat"}
    missing = server.add(text, "PROTOBUF", references=[{**reference, "version": 2}])
    assert refused(decoder, framed(missing, data, b"\0")) == "unknown_schema"
    outside = {**reference, "name": "../../outside.proto"}
    assert refused(decoder, framed(server.add(text, "PROTOBUF", references=[outside]), b"")) == (
        "bad_schema"
    )


def test_a_schema_may_be_a_descriptor(server: RegistryServer) -> None:
    file = descriptor_pb2.FileDescriptorProto(name="view.proto", syntax="proto3")
    file.dependency.append(timestamp_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="View")
    message.field.add(name="item", number=1, type=9, label=1)
    message.field.add(name="at", number=2, type=11, label=1, type_name=".google.protobuf.Timestamp")
    text = base64.b64encode(file.SerializeToString()).decode()
    number = server.add(text, "PROTOBUF")
    found = SchemaDecoder(server.registry()).decode(
        framed(number, field(1, b"hat") + field(2, field(1, 5)), b"\0")
    )
    moment = datetime.datetime(1970, 1, 1, 0, 0, 5, tzinfo=datetime.UTC)
    assert found == {"item": "hat", "at": moment}


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_damaged_records_are_read_or_refused_for_a_reason(
    server: RegistryServer, count: int
) -> None:
    chance = random.Random(5)
    number = server.add(VIEW, "PROTOBUF")
    decoder = SchemaDecoder(server.registry())
    reasons: set[Any] = set()
    for _ in range(count):
        data = bytearray(SECOND + RECORD)
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            decoder.decode(framed(number, bytes(data[: chance.randrange(len(data) + 1)])))
        except UnusableError as fault:
            reasons.add(fault.reason)
    assert reasons <= {"bad_protobuf"}


AS_JAVA_REGISTERS_IT = """
syntax = "proto3";
package shop;
import "confluent/meta.proto";
import "confluent/type/decimal.proto";
import "google/type/date.proto";
option java_package = "shop";
message View {
  repeated .shop.View.ColoursEntry colours = 1;
  .confluent.type.Decimal price = 2 [(confluent.field_meta) = {
    params: [ { key: "scale", value: "2" } ]
  }];
  .google.type.Date on = 3;
  message ColoursEntry {
    option map_entry = true;
    string key = 1;
    string value = 2;
  }
  message Seen { string id = 1; }
}
"""


def test_a_schema_that_java_serializers_have_registered_is_read(server: RegistryServer) -> None:
    """They write out the entries of maps, and leave out references to files that all of them have.

    The indexes of a type count the entries where the schema has them, and else do not.
    """
    decoder = SchemaDecoder(server.registry())
    number = server.add(AS_JAVA_REGISTERS_IT, "PROTOBUF")
    data = (
        field(1, field(1, b"a") + field(2, b"red"))
        + field(2, field(1, b"\x04\xe2") + field(2, 4) + field(3, 2))
        + field(3, field(1, 2025) + field(2, 6) + field(3, 15))
    )
    found = decoder.decode(framed(number, data, b"\0"))
    assert found["colours"] == {"a": "red"}
    assert str(found["price"]) == "12.50"
    assert found["on"] == datetime.date(2025, 6, 15)
    name = field(1, b"hat")
    assert decoder.decode(framed(number, name, b"\4\0\2")) == {"id": "hat"}
    plain = (
        'syntax = "proto3"; message V { map<string, string> m = 1; message S { string id = 1; } }'
    )
    other = server.add(plain, "PROTOBUF")
    assert decoder.decode(framed(other, name, b"\4\0\0")) == {"id": "hat"}
