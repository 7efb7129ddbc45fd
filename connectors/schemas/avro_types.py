"""Schemas of Avro as nextclick reads them: by what was written, whatever value a time has."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any

from ..source import SourceError

try:
    import fastavro as fastavro
    from fastavro.read import LOGICAL_READERS
except ImportError as missing:
    raise SourceError(
        "records of Avro need the package fastavro: pip install 'nextclick[avro]'"
    ) from missing

OWN = "nextclick-"
"""Begins the names of the logical types that are read here: fastavro's own stay as they are."""

_EPOCH = datetime.datetime(1970, 1, 1)


def readable(schema: Any) -> Any:
    """Return a schema without what only a writer needs, its logical types read by functions here.

    Examples
    --------
    >>> readable({"type": "long", "logicalType": "timestamp-millis", "doc": "when"})
    {'type': 'long', 'logicalType': 'nextclick-timestamp-millis'}

    """
    if isinstance(schema, list):
        return [readable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: value for name, value in schema.items() if name not in ("doc", "aliases")}
    if isinstance(kept.get("fields"), list):
        # Older writers' defaults may not fit their types, and are not needed to read.
        kept["fields"] = [_field(field) for field in kept["fields"]]
    for name in ("items", "values", "type"):
        if name in kept:
            kept[name] = readable(kept[name])
    logical = kept.pop("logicalType", None)
    if isinstance(logical, str):
        kept["logicalType"] = OWN + logical
    return kept


def _field(field: Any) -> Any:
    if not isinstance(field, dict):
        return field
    return {name: readable(field[name]) for name in ("name", "type") if name in field}


def _lenient(name: str, read: Callable[..., Any]) -> Callable[..., Any]:
    """Return what reads values of a logical type; one that is none stays a text, or bytes."""

    def value_of(data: Any, writer: Any = None, reader: Any = None) -> Any:
        try:
            value = read(data, writer, reader)
        except Exception:  # Such as a moment after the year 9999.
            # No number: that could be taken for a time in another unit.
            return f"{name} {data}" if type(data) is int else data
        return str(value) if type(value) is datetime.time else value

    return value_of


def _nanos(data: int, writer: Any, reader: Any) -> datetime.datetime:
    return _local_nanos(data, writer, reader).replace(tzinfo=datetime.UTC)


def _local_nanos(data: int, writer: Any, reader: Any) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=data // 1000)


def _decimal(data: bytes, writer: Any, reader: Any) -> decimal.Decimal:
    """Return a number with all its digits, also those past its precision: it may be an id."""
    if type(writer["precision"]) is not int:
        raise ValueError("a decimal has a precision")
    return decimal.Decimal(f"{int.from_bytes(data, 'big', signed=True)}E-{writer.get('scale', 0)}")


def _uuid(data: bytes, writer: Any, reader: Any) -> str:
    return str(uuid.UUID(bytes=data))


def _text(data: str, writer: Any, reader: Any) -> str:
    return data


_READERS: dict[str, Callable[..., Any]] = {
    **LOGICAL_READERS,
    "long-timestamp-nanos": _nanos,
    "long-local-timestamp-nanos": _local_nanos,
    "bytes-decimal": _decimal,
    "fixed-decimal": _decimal,
    "fixed-uuid": _uuid,
    "string-uuid": _text,
}
for _name, _read in _READERS.items():
    _type, _, _logical = _name.partition("-")
    if not _logical.startswith(OWN):
        LOGICAL_READERS[f"{_type}-{OWN}{_logical}"] = _lenient(_logical, _read)
