"""Reading a table in memory: a data frame of pandas or Polars, or whatever else gives Arrow."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.interchange

from ..decoding.log_format import LogFormat
from ..files.parquet_reader import ROWS, ROWS_BYTES, ParquetReader
from ..files.storage.log_file import Bytes, LogFile
from ..source import SourceError

GIVE_ARROW = ("__arrow_c_stream__", "__arrow_c_array__", "__dataframe__")
"""By what a table is known, whatever library it is of: that library is not imported here."""


@runtime_checkable
class ArrowStream(Protocol):
    """A table by the Arrow PyCapsule interface: a data frame of pandas or Polars, for instance."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...  # noqa: D105


class InMemory(LogFile):
    """What stands for the file of clicks that are in none."""

    def __init__(self, name: str) -> None:
        super().__init__(name, name)

    def open(self) -> Bytes:
        """Return a file without content."""
        return io.BytesIO()

    def size(self) -> int | None:
        """Return that its bytes are not known."""
        return None


def is_table(given: Any) -> bool:
    """Whether something is a table: it gives Arrow, or is a dict of columns.

    Examples
    --------
    >>> is_table(pa.table({"item_id": [1]})), is_table({"item_id": [1]}), is_table([("a", 1, 0.0)])
    (True, True, False)

    """
    if isinstance(given, type):
        return False
    return isinstance(given, Mapping) or any(hasattr(given, method) for method in GIVE_ARROW)


def as_table(given: Any, name: str) -> Any:
    """Return a table as one of Arrow.

    Raises
    ------
    SourceError
        It cannot be one, as where a column holds values of several types.

    """
    try:
        if isinstance(given, Mapping):
            return pa.table(dict(given))
        if hasattr(given, "__arrow_c_stream__"):
            # Not pa.table, which imports pandas to see whether this is of it.
            return pa.RecordBatchReader.from_stream(given).read_all()
        if hasattr(given, "__arrow_c_array__"):
            return pa.Table.from_batches([pa.record_batch(given)])
        return pa.interchange.from_dataframe(given)
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
        why = "; ".join(map(str, error.args))
        raise SourceError(
            f"{name} cannot be read as a table: {why}. Give each column values of one type"
        ) from error


class TableReader(ParquetReader):
    """Reads a table in memory; see `ParquetReader`, whose checks and messages are these.

    Parameters
    ----------
    table
        The table, as Arrow has it.
    name
        What messages call it.
    form
        The format.

    """

    KIND = "a table"

    def __init__(self, table: Any, name: str, form: LogFormat) -> None:
        self._table = table
        super().__init__(InMemory(name), form)

    def _open(self, file: Any) -> tuple[Any, int]:
        fields = [field.with_type(_without_view(field.type)) for field in self._table.schema]
        return pa.schema(fields), self._table.num_rows

    def _from(self, row: int) -> tuple[int, Iterator[Any]]:
        return 0, self._pieces(row)

    def _pieces(self, row: int) -> Iterator[Any]:
        """Yield the rows from one on, of the columns needed."""
        if not self._total:
            return
        wanted = self._table.select(self._wanted)
        fields = [self._schema.field(name) for name in self._wanted]
        schema = pa.schema(fields)
        rows = max(1, min(ROWS, ROWS_BYTES * self._total // max(wanted.nbytes, 1)))
        for start in range(row, self._total, rows):
            piece = wanted.slice(start, rows)
            columns = [
                _cast(column, field.type)
                for column, field in zip(piece.columns, fields, strict=True)
            ]
            yield from pa.table(columns, schema=schema).combine_chunks().to_batches()

    @cached_property
    def _sum(self) -> tuple[int, int]:
        """The number of rows, and the CRC-32 of the columns needed."""
        crc = 0
        for piece in self._pieces(0):
            crc = zlib.crc32(piece.serialize(), crc)
        return self._total, crc


def _without_view(kind: Any) -> Any:
    """Return a type of texts that every operation knows: Polars gives views of them."""
    if pa.types.is_dictionary(kind) and kind.value_type == pa.string_view():
        return pa.large_string()
    return pa.large_string() if kind == pa.string_view() else kind


def _cast(column: Any, kind: Any) -> Any:
    """Return a column as one of another type, without its dictionary."""
    if column.type == kind:
        return column
    if pa.types.is_dictionary(column.type):
        parts = [part.dictionary.cast(kind).take(part.indices) for part in column.chunks]
        return pa.chunked_array(parts, kind)
    return column.cast(kind)
