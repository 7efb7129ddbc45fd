"""Reading a log in Parquet, and resuming it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from numpy.typing import NDArray

from ..clicks import Id, Position
from ..decoding.blocks import Decoded, Decoding
from ..decoding.columns import find_click
from ..decoding.log_format import UNITS_PER_SECOND, LogFormat
from ..decoding.record_lines import find_fields, is_by_columns, is_plain, with_session
from ..decoding.record_reader import RecordReader
from ..decoding.time_unit import TimeScale
from ..decoding.values import (
    LONGEST_ID,
    UnusableError,
    check_id,
    check_time,
    usable_times,
)
from ..source import SourceError
from .file_digest import digest_of
from .parquet_records import RowDecoder
from .reader import check_unchanged
from .storage.log_file import LogFile

ROWS = 1 << 16
"""Rows decoded at a time, at most."""

ROWS_BYTES = 32 << 20
"""Bytes of the rows decoded at a time, about."""


class ParquetReader:
    """Reads a log in Parquet.

    Ids are columns of strings or integers; times are timestamps, dates, numbers or ISO 8601
    strings. A position is ``{"row": rows before, "size": the file's bytes, "crc": their
    CRC-32}``: a Parquet file does not grow, so the whole file must be as it was. Of a remote file
    the CRC-32 is that of its last bytes.

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

    KIND = "Parquet"

    def __init__(self, path: LogFile, form: LogFormat) -> None:
        self._path = path
        self.warnings: list[str] = []
        if form.date is not None or form.only is not None or not form.header:
            raise SourceError(f"{path}: this --format is for delimited text, not for {self.KIND}")
        self._keep_raw = form.keep_raw
        self._scale = TimeScale(form.unit)
        self._part = 0
        self._input = path.open_anywhere()
        try:
            self._schema, self._total = self._open(self._input)
        except (OSError, pa.ArrowException) as error:
            self._input.close()
            raise SourceError(f"{path} cannot be read as {self.KIND}: {error}") from error
        try:
            self._find_columns(form)
        except SourceError:
            self._input.close()
            raise
        self._row = self._rows = self._skip = 0
        self._batches: Iterator[Any] = iter(())
        self._begin(0)

    def read(self) -> Decoded | None:
        """Return the next block; None at the end."""
        try:
            for batch in self._batches:
                skipped = min(self._skip, len(batch))
                self._skip -= skipped
                if len(batch) > skipped:
                    self._row += self._rows
                    self._rows = len(batch) - skipped
                    decoded = self._decode(batch.slice(skipped))
                    decoded.skip(self._part)
                    self._part = 0
                    return decoded
        except (OSError, pa.ArrowException) as error:
            self._batches = iter(())
            self.warnings.append(
                f"{self._path} ends at row {self._row + self._rows:,} of "
                f"{self._total:,}: its data are damaged ({error})"
            )
        return None

    @property
    def notes(self) -> list[str]:
        """What the rows have told, such as the unit of their times."""
        return self._scale.note(str(self._path))

    @property
    def share(self) -> float | None:
        """How much of the file has been read, from 0 to 1."""
        return (self._row + self._rows) / self._total if self._total else None

    def position(self, given: int, part: int = 0) -> Position:
        """Return the position after the first `given` rows of the block read last."""
        place = {"row": self._row + given, "size": self._sum[0], "crc": self._sum[1]}
        return place | ({"part": part} if part else {}) | self._scale.state

    def seek(self, position: Position) -> None:
        """Go on from a position, having made sure that the file is the same."""
        check_unchanged(self._path, position, "row", self._sum)
        self._begin(int(position["row"]))
        self._scale.restore(position.get("unit", "s") if self._row else None)
        self._part = int(position.get("part", 0))

    def rewind(self) -> None:
        """Go back to the start."""
        self._scale.restore(None)
        self._begin(0)

    def digest(self) -> int:
        """Return the CRC-32 of the whole file."""
        return self._sum[1]

    def close(self) -> None:
        """Close the file."""
        self._batches = iter(())
        self._input.close()

    @cached_property
    def _sum(self) -> tuple[int, int]:
        """The file's size and CRC-32."""
        return digest_of(self._path)

    def _open(self, file: Any) -> tuple[Any, int]:
        """Open a file; return its Arrow schema and its number of rows."""
        self._file = pyarrow.parquet.ParquetFile(file, page_checksum_verification=True)
        return self._file.schema_arrow, self._file.metadata.num_rows

    def _find_columns(self, form: LogFormat) -> None:
        columns: list[str] = self._schema.names
        self._records: RowDecoder | None = None
        as_records = not (is_plain(form) or is_by_columns(form, columns))
        if not as_records:
            found, self.by_user = find_click(columns, form, str(self._path))
            self._session, self._item, self._time = (columns[index] for index in found)
            self._wanted = [self._session, self._item, self._time]
            for name in (self._session, self._item):
                self._check_id_type(name)
                as_records = as_records or self._is_number(name)
            self._check_time_type()
        if as_records:
            self.by_user, places = find_fields(columns, form, str(self._path))
            fields = {field: columns[index] for field, index in places.items()}
            session = form.user if self.by_user else form.session
            reader = RecordReader(with_session(form, session), self._scale)
            self._records = RowDecoder(self._path, form.keep_raw, reader, fields)
            self._wanted = sorted(set(fields.values()))

    def _begin(self, row: int) -> None:
        """Go to a row."""
        self._row, self._rows = row, 0
        self._batches = iter(())
        self.warnings.clear()
        self._skip, self._batches = self._from(row)

    def _from(self, row: int) -> tuple[int, Iterator[Any]]:
        """Return the batches from the one with a row on, and the rows to skip in it."""
        metadata = self._file.metadata
        groups = range(metadata.num_row_groups)
        ends = np.cumsum([metadata.row_group(group).num_rows for group in groups], dtype=np.int64)
        first = int(np.searchsorted(ends, row, side="right"))
        if first == len(groups):
            return 0, iter(())
        batches = self._file.iter_batches(
            batch_size=self._rows_at_once(),
            row_groups=list(groups[first:]),
            columns=self._wanted,
            use_threads=False,
        )
        return row - int(ends[first - 1] if first else 0), batches

    def _rows_at_once(self) -> int:
        """Return the number of rows to decode at a time, fewer where they are wide."""
        metadata = self._file.metadata
        wanted = set(self._wanted)
        widest = 1
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            columns = [group.column(at) for at in range(group.num_columns)]
            size = sum(
                one.total_uncompressed_size
                for one in columns
                if one.path_in_schema in wanted or one.path_in_schema.partition(".")[0] in wanted
            )
            widest = max(widest, size // max(group.num_rows, 1))
        return max(1, min(ROWS, ROWS_BYTES // widest))

    def _decode(self, batch: Any) -> Decoded:
        if self._records is not None:
            return self._records.decode(batch, self._row)
        sessions = _plain(batch.column(self._session))
        items = _plain(batch.column(self._item))
        times = _numbers(_plain(batch.column(self._time)))
        if _usable_ids(sessions) and _usable_ids(items) and not times.null_count:
            numbers = self._seconds(times)
            if numbers is not None and usable_times(numbers):
                return Decoded(_values(sessions), _values(items), numbers)
        return self._decode_rows(sessions, items, times)

    def _seconds(self, times: Any) -> NDArray[np.float64] | None:
        """Return a column of times in epoch seconds; None where one may be unusable."""
        if pa.types.is_string(times.type):
            return self._scale.texts(times)
        numbers = times.to_numpy(zero_copy_only=False)
        return numbers if self._moments else self._scale.column(numbers)

    def _decode_rows(self, sessions: Any, items: Any, times: Any) -> Decoded:
        """Decode row by row; each becomes a click or is rejected."""
        decoding = Decoding(self._keep_raw)
        columns = (_careful(sessions), _careful(items), _careful(times))
        for index, (session, item, time) in enumerate(zip(*columns, strict=True)):
            try:
                decoding.click(
                    _read_id(session, self._session, "no_session"),
                    _read_id(item, self._item, "no_item"),
                    check_time(self._time_of(_text(time, self._time, "no_time"))),
                )
            except UnusableError as fault:
                position = {"file": str(self._path), "line": self._row + index + 1}
                raw = msgspec.json.encode([_shown(value) for value in (session, item, time)])
                decoding.reject(fault, position, raw)
        return decoding.done()

    def _time_of(self, value: Any) -> float:
        if isinstance(value, str):
            return self._scale.read(value)
        return float(value) if self._moments else self._scale.seconds(float(value))

    @property
    def _moments(self) -> bool:
        """Whether the times are moments, which have a unit of their own."""
        kind = _value_type(self._schema.field(self._time).type)
        return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))

    def _check_id_type(self, name: str) -> None:
        kind = _value_type(self._schema.field(name).type)
        if not (_is_text(kind) or pa.types.is_integer(kind) or self._is_number(name)):
            raise SourceError(
                f"{self._path}: column '{name}' holds {kind}; an id is a string or an integer: "
                "convert the column to one of these"
            )

    def _is_number(self, name: str) -> bool:
        """Whether a column holds numbers that may not be whole."""
        kind = _value_type(self._schema.field(name).type)
        return bool(pa.types.is_floating(kind) or pa.types.is_decimal(kind))

    def _check_time_type(self) -> None:
        kind = _value_type(self._schema.field(self._time).type)
        fits = (
            _is_text(kind)
            or pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_timestamp(kind)
            or pa.types.is_date(kind)
        )
        if not fits:
            raise SourceError(
                f"{self._path}: column '{self._time}' holds {kind}; a time is a timestamp, a date, "
                f"a number or a string: name another column with --time-column"
            )


def _numbers(column: Any) -> Any:
    """Return a column of times as numbers, moments in epoch seconds, and strings as they are."""
    kind = column.type
    if pa.types.is_string(kind):
        return column
    per_second = 1.0
    if pa.types.is_date(kind):
        column = pc.cast(column, pa.timestamp("s"))
    elif pa.types.is_timestamp(kind):
        per_second = UNITS_PER_SECOND[kind.unit]
    if pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.int64())
    return pc.divide(pc.cast(column, pa.float64(), safe=False), per_second)


def _value_type(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _plain(column: Any) -> Any:
    """Return a column without dictionary, its text as plain strings."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pc.cast(column, pa.string()) if pa.types.is_large_string(column.type) else column


def _usable_ids(column: Any) -> bool:
    if column.null_count:
        return False
    if not pa.types.is_string(column.type):
        return True
    lengths = pc.min_max(pc.binary_length(column))
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return bool(lengths["min"].as_py() > 0 and lengths["max"].as_py() <= LONGEST_ID)


def _values(column: Any) -> list[Id]:
    values: list[Id] = column.to_numpy(zero_copy_only=False).tolist()
    return values


def _careful(column: Any) -> list[Any]:
    """Return a column's values, text as bytes: it may not be UTF-8."""
    if pa.types.is_string(column.type):
        column = pc.cast(column, pa.binary())
    values: list[Any] = column.to_pylist()
    return values


def _read_id(value: Any, name: str, missing: str) -> Id:
    return check_id(_text(value, name, missing), name, missing)


def _text(value: Any, name: str, missing: str) -> Any:
    if value is None or value == b"":
        raise UnusableError(missing, f"'{name}' is empty")
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise UnusableError("not_utf8", f"'{name}' is not UTF-8: {error.reason}") from error


def _shown(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
