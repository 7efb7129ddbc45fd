"""Messages of Protobuf as records: values as JSON has them, and moments."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def plain(message: Any) -> Any:
    """Return a message as a record.

    Fields have the names of the schema. One that is not set is null where the schema tells that
    apart, as of messages and optional fields; else it has its type's zero, as Protobuf has it.
    """
    known = _KNOWN.get(message.DESCRIPTOR.full_name)
    if known is not None:
        return known(message)
    record: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        name = field.name
        if field.is_repeated:
            record[name] = _repeated(field, getattr(message, name))
        elif field.has_presence and not message.HasField(name):
            record[name] = None
        else:
            record[name] = _single(field, getattr(message, name))
    return record


def _repeated(field: Any, values: Any) -> Any:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        of = kind.fields_by_name["value"]
        return {_key(key): _single(of, values[key]) for key in values}
    return [_single(field, value) for value in values]


def _key(key: Any) -> str:
    return str(key).lower() if type(key) is bool else str(key)


def _single(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return plain(value)
    if field.enum_type is not None:
        found = field.enum_type.values_by_number.get(value)
        return value if found is None else found.name
    return value


def _moment(message: Any) -> datetime.datetime:
    micros = message.seconds * 1_000_000 + message.nanos // 1000
    return _EPOCH + datetime.timedelta(microseconds=micros)


def _date(message: Any) -> datetime.date | None:
    """Return a date; one without a year, month or day is none."""
    if not (message.year and message.month and message.day):
        return None
    return datetime.date(message.year, message.month, message.day)


def _time_of_day(message: Any) -> str:
    parts = message.hours, message.minutes, message.seconds, message.nanos // 1000
    return str(datetime.time(*parts))


def _decimal(message: Any) -> decimal.Decimal:
    unscaled = int.from_bytes(message.value, "big", signed=True)
    return decimal.Decimal(f"{unscaled}E{-message.scale}")


def _seconds(message: Any) -> float:
    return float(message.seconds + message.nanos / 1e9)


def _value(message: Any) -> Any:
    kind = message.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    value = getattr(message, kind)
    return plain(value) if kind in ("struct_value", "list_value") else value


_KNOWN: dict[str, Callable[[Any], Any]] = {
    "google.protobuf.Timestamp": _moment,
    "google.protobuf.Duration": _seconds,
    "google.type.Date": _date,
    "google.type.TimeOfDay": _time_of_day,
    "confluent.type.Decimal": _decimal,
    "google.protobuf.Value": _value,
    "google.protobuf.Struct": lambda message: {
        name: _value(message.fields[name]) for name in message.fields
    },
    "google.protobuf.ListValue": lambda message: [_value(one) for one in message.values],
    **{
        f"google.protobuf.{kind}Value": lambda message: message.value
        for kind in (
            *("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"),
        )
    },
}
"""Types that Protobuf itself and registries bring, and what is made of them."""
