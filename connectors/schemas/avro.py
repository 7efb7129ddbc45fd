"""Records of Avro, by fastavro."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import msgspec

from ..decoding.values import UnusableError
from .avro_check import needs_check, resolved, skip
from .avro_types import fastavro, readable
from .registry import Reference, Schema, SchemaRegistry

WRAPPER = "nextclick_record"
"""A record with one field, which Avro writes as that field alone: it makes any type a record."""


class AvroType:
    """A type of Avro: reads its records.

    Parameters
    ----------
    schema
        The schema, as JSON has it.
    named
        Types that it refers to; its own are added.

    Raises
    ------
    UnusableError
        It is no schema of Avro.

    Attributes
    ----------
    checked
        Whether a record has to be looked through before it is read.

    """

    def __init__(self, schema: Any, named: dict[str, Any]) -> None:
        self._wrapped = not (isinstance(schema, dict) and schema.get("type") == "record")
        if self._wrapped:
            fields = [{"name": "value", "type": schema}]
            schema = {"type": "record", "name": WRAPPER, "fields": fields}
        self._parsed = parse(schema, named)
        self._content = self._parsed["fields"][0]["type"] if self._wrapped else self._parsed
        self._named = named
        self.checked = needs_check(self._content, named)

    @property
    def fields(self) -> list[str]:
        """The fields of its records; none where these are no records of Avro."""
        schema, kind = resolved(self._content, self._named)
        return [one["name"] for one in schema["fields"]] if kind == "record" else []

    def end(self, data: bytes, start: int) -> int:
        """Return where the record that begins at a place ends.

        Raises
        ------
        UnusableError
            It ends too early, is nested too deeply, or has too long a list.

        """
        try:
            return skip(self._content, self._named, data, start)
        except IndexError as error:
            raise UnusableError("bad_avro", "it does not fit: it ends too early") from error

    def read(self, stream: io.BytesIO) -> Any:
        """Return the next record.

        Raises
        ------
        UnusableError
            It does not fit.

        """
        try:
            record: Any = fastavro.schemaless_reader(stream, self._parsed, None)
        except Exception as error:  # It raises whatever the bytes lead to.
            raise UnusableError("bad_avro", f"it does not fit: {_told(error)}") from error
        return record["value"] if self._wrapped else record


def avro_decoder(schema: Schema, registry: SchemaRegistry) -> Callable[[bytes], Any]:
    """Return what decodes records of a schema.

    Raises
    ------
    UnusableError
        It is no schema of Avro, or one that it is made with is missing.

    """
    named: dict[str, Any] = {}
    _add_references(schema, registry, named, set())
    content = AvroType(_json(schema.text), named)

    def decode(data: bytes) -> Any:
        if content.checked:
            content.end(data, 0)
        stream = io.BytesIO(data)
        record = content.read(stream)
        if stream.tell() != len(data):
            raise UnusableError(
                "bad_avro", f"it does not fit: {len(data) - stream.tell():,} bytes are left over"
            )
        return record

    return decode


def _add_references(
    schema: Schema, registry: SchemaRegistry, named: dict[str, Any], seen: set[Reference]
) -> None:
    for reference in schema.references:
        if reference in seen:
            continue
        seen.add(reference)
        found = registry.referenced(reference)
        _add_references(found, registry, named, seen)
        parse(_json(found.text), named)


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        if text.isidentifier():
            # Some registries have the name of a simple type without quotes.
            return text
        raise UnusableError("bad_schema", f"it is no schema of Avro: {error}") from error


def parse(schema: Any, named: dict[str, Any]) -> Any:
    """Parse a schema, as JSON has it.

    Raises
    ------
    UnusableError
        It is none.

    """
    try:
        return fastavro.parse_schema(readable(schema), named)
    except Exception as error:  # It raises whatever the schema leads to.
        raise UnusableError("bad_schema", f"it is no schema of Avro: {_told(error)}") from error


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error!s:.200}" if str(error) else type(error).__name__
