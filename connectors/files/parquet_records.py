"""Rows of Parquet, nested ones too, as records."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa

from ..clicks import Position
from ..decoding.blocks import Decoded, Decoding, Entry
from ..decoding.record_reader import RecordReader
from ..decoding.values import UnusableError
from .storage.log_file import LogFile


class RowDecoder:
    """Decodes rows one by one, each as a record whose fields are the columns.

    Parameters
    ----------
    path
        The file, for positions.
    keep_raw
        Whether rejected rows keep their values.
    reader
        Makes clicks of a record.
    columns
        The field that each column is read as.

    """

    def __init__(
        self, path: LogFile, keep_raw: bool, reader: RecordReader, columns: dict[str, str]
    ) -> None:
        self._path = str(path)
        self._keep_raw = keep_raw
        self._reader = reader
        self._columns = columns

    def decode(self, batch: Any, row: int) -> Decoded:
        """Decode rows that follow the first `row` ones of the file."""
        decoding = Decoding(self._keep_raw)
        for index, record in enumerate(self._records(batch)):
            entries: list[Entry]
            if isinstance(record, UnusableError):
                entries, record = [record], {}
            else:
                entries = self._reader.read(record)
            decoding.record(entries, partial(self._origin, record, row + index + 1))
        return decoding.done()

    def _records(self, batch: Any) -> Iterator[dict[str, Any] | UnusableError]:
        columns = {field: _plain(batch.column(name)) for field, name in self._columns.items()}
        try:
            values = [_values(column) for column in columns.values()]
        except UnicodeDecodeError:
            for at in range(len(batch)):
                try:
                    yield {name: _values(one.slice(at, 1))[0] for name, one in columns.items()}
                except UnicodeDecodeError as error:
                    yield UnusableError("not_utf8", f"the row is not UTF-8: {error.reason}")
            return
        for row in zip(*values, strict=True):
            yield dict(zip(columns, row, strict=True))

    def _origin(self, record: dict[str, Any], line: int) -> tuple[Position, bytes, int, None]:
        raw = msgspec.json.encode(record, enc_hook=str)
        return {"file": self._path, "line": line}, raw, len(raw), None


def _values(column: Any) -> list[Any]:
    values: list[Any] = column.to_pylist(maps_as_pydicts="lossy")
    return values


def _plain(column: Any) -> Any:
    """Return a column whose moments Python can hold: to the microsecond."""
    kind = _plain_type(column.type)
    return column if kind == column.type else column.cast(kind, safe=False)


def _plain_type(kind: Any) -> Any:
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain_type(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain_type(kind.value_type)))
    return kind
