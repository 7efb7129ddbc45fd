"""Records of Avro, by fastavro."""

from __future__ import annotations

import datetime
import io
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from ..decoding.values import UnusableError
from ..source import SourceError
from .avro_check import needs_check, skip
from .registry import Reference, Schema, SchemaRegistry

try:
    import fastavro as fastavro
except ImportError as missing:
    raise SourceError(
        "records of Avro need the package fastavro: pip install 'nextclick[avro]'"
    ) from missing

WRAPPER = "nextclick_record"
"""A record with one field, which Avro writes as that field alone: so any schema is a record."""


def avro_decoder(schema: Schema, registry: SchemaRegistry) -> Callable[[bytes], Any]:
    """Return what decodes records of a schema.

    Raises
    ------
    UnusableError
        It is no schema of Avro, or one that it is made with is missing.

    """
    named: dict[str, Any] = {}
    _add_references(schema, registry, named, set())
    parsed = _parse({"type": "record", "name": WRAPPER, "fields": [_field(schema.text)]}, named)
    content = parsed["fields"][0]["type"]
    checked = needs_check(content, named)
    simple = plain_values(schema.text + "".join(map(str, named.values())))

    def decode(data: bytes) -> Any:
        record: Any
        stream = io.BytesIO(data)
        try:
            if checked:
                skip(content, named, data)
            record = fastavro.schemaless_reader(stream, parsed, None)
        except UnusableError:
            raise
        except Exception as error:  # It raises whatever the bytes lead to.
            raise UnusableError("bad_avro", f"it does not fit: {_told(error)}") from error
        if stream.tell() != len(data):
            raise UnusableError(
                "bad_avro", f"it does not fit: {len(data) - stream.tell():,} bytes are left over"
            )
        return record["value"] if simple is None else simple(record["value"])

    return decode


def plain_values(text: str) -> Callable[[Any], Any] | None:
    """Return what makes texts of UUIDs and times of day; None where a schema has none of them."""
    return _plain if "uuid" in text or "time-m" in text else None


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {name: _plain(one) for name, one in value.items()}
    if kind is list:
        return [_plain(one) for one in value]
    return str(value) if kind is uuid.UUID or kind is datetime.time else value


def _add_references(
    schema: Schema, registry: SchemaRegistry, named: dict[str, Any], seen: set[Reference]
) -> None:
    for reference in schema.references:
        if reference in seen:
            continue
        seen.add(reference)
        try:
            found = registry.referenced(reference)
        except UnusableError as fault:
            detail = f"'{reference.name}', which it refers to, is not there"
            raise UnusableError(fault.reason, detail) from fault
        _add_references(found, registry, named, seen)
        _parse(_json(found.text), named)


def _field(text: str) -> dict[str, Any]:
    return {"name": "value", "type": _json(text)}


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        if text.isidentifier():
            # Some registries have the name of a simple type without quotes.
            return text
        raise UnusableError("bad_schema", f"it is no schema of Avro: {error}") from error


def _parse(schema: Any, named: dict[str, Any]) -> Any:
    try:
        return fastavro.parse_schema(schema, named)
    except Exception as error:  # It raises whatever the schema leads to.
        raise UnusableError("bad_schema", f"it is no schema of Avro: {_told(error)}") from error


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error!s:.200}" if str(error) else type(error).__name__
