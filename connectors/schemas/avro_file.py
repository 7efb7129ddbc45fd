"""Avro's object files, by fastavro."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from ..decoding.paths import parse_path
from ..source import SourceError
from .avro import fastavro, plain_values
from .avro_check import needs_check, resolved, skip


class AvroFile:
    """The records of an object file, and its schema.

    Parameters
    ----------
    stream
        The file, at its start.
    name
        What it is called in messages.

    Raises
    ------
    SourceError
        It is no object file of Avro.

    Attributes
    ----------
    damage
        Why the records ended early; None where they did not.
    fields
        The fields of a record.

    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.damage: str | None = None
        try:
            self._blocks = fastavro.block_reader(stream)
            self._schema: Any = self._blocks.writer_schema
        except Exception as error:  # It raises whatever the bytes lead to.
            raise SourceError(f"{name} cannot be read as Avro: {error!r:.200}") from error
        named: dict[str, Any] = {}
        wrapper: Any = {
            "type": "record",
            "name": "nextclick_record",
            "fields": [{"name": "value", "type": self._schema}],
        }
        wrapped: Any = fastavro.parse_schema(wrapper, named)
        self._named = named
        self._content = wrapped["fields"][0]["type"]
        self._wrapped = wrapped
        self._checked = needs_check(self._content, named)
        self._simple = plain_values(str(self._schema))
        schema, kind = resolved(self._content, named)
        self.fields = [one["name"] for one in schema["fields"]] if kind == "record" else []

    def missing(self, fields: Iterable[str]) -> str | None:
        """Return the first of these fields that records cannot have; None where there is none."""
        if not self.fields:
            return None
        for field in fields:
            if field not in self.fields and parse_path(field)[0] not in (*self.fields, None):
                return field
        return None

    def records(self, first: int) -> Iterator[Any]:
        """Yield the records from one on; those of whole blocks before it are not decoded."""
        try:
            for block in self._blocks:
                count = block.num_records
                if first >= count:
                    first -= count
                    continue
                for record in self._of_block(block):
                    if first:
                        first -= 1
                    else:
                        yield record
        except Exception as error:  # It raises whatever the bytes lead to.
            self.damage = str(error) or type(error).__name__

    def _of_block(self, block: Any) -> Iterator[Any]:
        if self._checked:
            yield from self._checked_records(block.bytes_.getvalue(), block.num_records)
            return
        for record in block:
            yield record if self._simple is None else self._simple(record)

    def _checked_records(self, data: bytes, count: int) -> Iterator[Any]:
        stream = io.BytesIO(data)
        for _ in range(count):
            skip(self._content, self._named, data[stream.tell() :])
            record: Any = fastavro.schemaless_reader(stream, self._wrapped, None)
            value = record["value"]
            yield value if self._simple is None else self._simple(value)
