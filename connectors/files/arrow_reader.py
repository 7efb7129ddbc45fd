"""Reading a log in Arrow's file format, which Feather is too, and resuming it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.ipc

from .parquet_reader import ROWS, ROWS_BYTES, ParquetReader

AS_BYTES = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
"""The types of text, and what its bytes are without being read as UTF-8."""


class ArrowReader(ParquetReader):
    """Reads a log in Arrow's IPC file format; see `ParquetReader`.

    The file does not say where its rows are: resuming goes through those before the position.
    """

    KIND = "Arrow"

    def _open(self, file: Any) -> tuple[Any, int]:
        arrow = pyarrow.ipc.open_file(file)
        if hasattr(arrow, "count_rows"):  # From version 21 on.
            return arrow.schema, arrow.count_rows()
        batches = map(arrow.get_batch, range(arrow.num_record_batches))
        return arrow.schema, sum(batch.num_rows for batch in batches)

    def _from(self, row: int) -> tuple[int, Iterator[Any]]:
        return row, self._pieces()

    def _pieces(self) -> Iterator[Any]:
        """Yield the rows, of the columns needed."""
        wanted = [self._schema.get_field_index(name) for name in self._wanted]
        options = pyarrow.ipc.IpcReadOptions(included_fields=wanted, use_threads=False)
        self._input.seek(0)
        arrow = pyarrow.ipc.open_file(self._input, options=options)
        for number in range(arrow.num_record_batches):
            batch = arrow.get_batch(number)
            for column in batch.columns:
                # The format has no checksums. What is not UTF-8 is a matter of its row alone.
                as_bytes = AS_BYTES.get(column.type)
                (column if as_bytes is None else column.view(as_bytes)).validate(full=True)
            rows = max(1, min(ROWS, ROWS_BYTES * len(batch) // max(batch.nbytes, 1)))
            for start in range(0, len(batch), rows):
                yield batch.slice(start, rows)
