"""Reading a log in Parquet, and resuming it."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from numpy.typing import NDArray

from .clicks import Id, Position
from .decode import (
    LONGEST_ID,
    Decoded,
    Decoding,
    UnusableError,
    check_id,
    check_time,
    dates_to_times,
    parse_time,
    usable_times,
)
from .formats import UNITS_PER_SECOND, LogFormat, find_column, find_key
from .source import SourceError
from .text import changed

ROWS = 1 << 16
"""Rows decoded at a time."""


class ParquetReader:
    """Reads a log in Parquet.

    Ids are columns of strings or integers; times are timestamps, dates, numbers or ISO 8601
    strings. A position is ``{"row": rows before, "size": the file's bytes, "crc": their
    CRC-32}``: a Parquet file does not grow, so the whole file must be as it was.

    Parameters
    ----------
    path
        The file.
    form
        The format.

    Raises
    ------
    SourceError
        The file is not Parquet, lacks a column, or a column has no fitting type.

    """

    def __init__(self, path: Path, form: LogFormat) -> None:
        self._path = path
        self.warnings: list[str] = []
        if form.date is not None or form.only is not None or not form.header:
            raise SourceError(f"{path}: this --format is for delimited text, not for Parquet")
        self._per_second = UNITS_PER_SECOND[form.unit]
        try:
            self._size, self._crc = _sum(path)
            self._file = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
        except FileNotFoundError as error:
            raise SourceError(f"{path}: there is no such file") from error
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{path} cannot be read as Parquet: {error}") from error
        columns: list[str] = self._file.schema_arrow.names
        session, self.by_user = find_key(columns, form, str(path))
        item = find_column(columns, form.item, "--item-column", str(path))
        time = find_column(columns, form.time, "--time-column", str(path))
        self._session, self._item, self._time = columns[session], columns[item], columns[time]
        for name in (self._session, self._item):
            self._check_id_type(name)
        self._check_time_type()
        self._begin(0)

    def read(self) -> Decoded | None:
        """Give the next block; None at the end."""
        try:
            batch = next(self._batches, None)
            while batch is not None and not len(batch):
                batch = next(self._batches, None)
        except (OSError, pa.ArrowException) as error:
            self.warnings.append(
                f"{self._path} ends at row {self._row + self._rows} of "
                f"{self._file.metadata.num_rows}: its data are damaged ({error})"
            )
            self._batches = iter(())
            return None
        if batch is None:
            return None
        self._row += self._rows
        self._rows = len(batch)
        batch = batch.slice(self._skip)
        self._row, self._rows, self._skip = self._row + self._skip, len(batch), 0
        return self._decode(batch)

    def position(self, given: int) -> Position:
        """Give the position after so many rows of the block read last."""
        return {"row": self._row + given, "size": self._size, "crc": self._crc}

    def seek(self, position: Position) -> None:
        """Go on from a position, having made sure that the file is the same."""
        if position.keys() != {"row", "size", "crc"}:
            raise changed(self._path, "the snapshot was taken on another kind of source")
        if (position["size"], position["crc"]) != (self._size, self._crc):
            raise changed(self._path, "its bytes are not the same")
        self._begin(int(position["row"]))

    def digest(self) -> int:
        """Give the CRC-32 of the whole file."""
        return self._crc

    def close(self) -> None:
        """Close the file."""
        self._file.close()
