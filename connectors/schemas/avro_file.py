"""Avro's object files, by fastavro."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ..decoding.paths import parse_path
from ..decoding.values import UnusableError
from ..source import SourceError
from .avro import AvroType
from .avro_types import fastavro

CODECS = ("null", "deflate", "snappy", "zstandard", "bzip2", "xz", "lz4")
"""How blocks may be compressed."""


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

    def __init__(self, stream: Any, name: str) -> None:
        self.damage: str | None = None
        self._name = name
        try:
            self._blocks: Any = fastavro.block_reader(stream)
            self._type = AvroType(msgspec.json.decode(self._blocks.metadata["avro.schema"]), {})
        except SourceError:
            raise
        except UnusableError as fault:
            raise SourceError(f"{name} cannot be read as Avro: {fault.detail}") from fault
        except Exception as error:  # It raises whatever the bytes lead to.
            raise SourceError(f"{name} cannot be read as Avro: {error!r:.200}") from error
        if self._blocks.codec not in CODECS:
            raise SourceError(
                f"{name}: its codec is {self._blocks.codec!r:.40}, and must be one of these: "
                f"{', '.join(CODECS)}"
            )
        self.fields = self._type.fields

    def missing(self, fields: Iterable[str]) -> str | None:
        """Return the first of these fields that records cannot have; None where there is none."""
        if not self.fields:
            return None
        for field in fields:
            if field not in self.fields and parse_path(field)[0] not in (*self.fields, None):
                return field
        return None

    def records(self, first: int) -> Iterator[Any]:
        """Yield the records from one on; those of whole blocks before it are not decoded.

        In the place of one that cannot be read stands the fault. Its block's later ones cannot be
        read either where its bytes do not show its end.
        """
        try:
            for block in self._blocks:
                count = block.num_records
                if first >= count:
                    first -= count
                    continue
                for record in self._of_block(block.bytes_.getvalue(), count):
                    if first:
                        first -= 1
                    else:
                        yield record
        except SourceError:
            raise
        except UnusableError as fault:
            self.damage = fault.detail
        except Exception as error:  # It raises whatever the bytes lead to.
            if "need to install" in str(error):
                raise SourceError(
                    f"{self._name} is compressed with {self._blocks.codec}, which needs another "
                    "package: pip install 'nextclick[avro]'"
                ) from error
            self.damage = str(error) or type(error).__name__

    def _of_block(self, data: bytes, count: int) -> Iterator[Any]:
        """Yield the records of a block; each that cannot be read is a fault in its place."""
        stream = io.BytesIO(data)
        for number in range(count):
            start = stream.tell()
            try:
                # Where its bytes show its end, those after it can be read.
                end = self._type.end(data, start) if self._type.checked else None
                try:
                    yield self._type.read(stream)
                except UnusableError as fault:
                    stream.seek(self._type.end(data, start) if end is None else end)
                    yield fault
            except UnusableError as fault:
                if count - number > max(1, len(data)):
                    raise
                yield fault
                for _ in range(number + 1, count):
                    yield UnusableError("bad_avro", "it follows one whose end cannot be told")
                return
