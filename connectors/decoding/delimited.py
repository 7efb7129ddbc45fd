"""Lines of delimited text (CSV, TSV) to clicks."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from ..clicks import Id
from ..source import SourceError
from .blocks import Decoded, Decoding
from .csv_records import OPEN, UNFIT
from .line_decoder import LineDecoder
from .lines import BYTE_ORDER_MARK, Lines
from .log_format import LogFormat, find_click, find_column
from .record_reader import used_fields
from .time_unit import TimeScale
from .values import (
    LONGEST_ID,
    UnusableError,
    check_id,
    check_time,
    dates_to_times,
    parse_time,
    usable_times,
)

UNIT = b"\x1f"
"""What stands for a delimiter of several characters while a block is read."""

MOST_COLUMNS = 4096
"""A line with more columns is left to the careful path."""


class Columns:
    """The columns of delimited text.

    Parameters
    ----------
    form
        The format.
    delimiter
        One ASCII character.
    header
        The file's first line; None where it is data.
    name
        The file's name, for messages.

    Attributes
    ----------
    names
        The columns' names; their numbers, as far as they are known, where there is no header.
    width
        The number of columns. Without a header nothing says how many there are.

    """

    def __init__(self, form: LogFormat, delimiter: str, header: bytes | None, name: str) -> None:
        self.delimiter = delimiter.encode()
        self._field = _field_pattern(self.delimiter)
        self.names = self._names(form, header, name)
        self.width = len(self.names) if header is not None else None

    def split(self, line: bytes) -> list[bytes]:
        """Return the fields of a line.

        Raises
        ------
        UnusableError
            Its quotes do not pair up.

        """
        if b'"' not in line:
            return line.split(self.delimiter)
        fields: list[bytes] = []
        start = 0
        while True:
            match = self._field.match(line, start)
            if match is None:
                column = len(fields) + 1
                raise UnusableError("bad_csv", f"the quotes in column {column} do not pair up")
            quoted, plain = match.groups()
            fields.append(plain if quoted is None else quoted.replace(b'""', b'"'))
            if match.end() == len(line):
                return fields
            start = match.end() + len(self.delimiter)

    def count(self, record: bytes, least: int) -> int:
        """Return the number of a record's columns, or what is wrong with it; see `Split`."""
        start = count = 0
        while True:
            match = self._field.match(record, start)
            if match is None:
                quotes = record.count(b'"', start)
                is_open = record.startswith(b'"', start) and quotes % 2
                return OPEN if is_open else -1
            count += 1
            if match.end() == len(record):
                break
            start = match.end() + len(self.delimiter)
        fits = count == self.width if self.width is not None else count >= least
        return count if fits else UNFIT

    def fields(self, line: bytes, least: int) -> list[bytes]:
        """Return the fields of a line, as many as there are columns, or at least so many.

        Raises
        ------
        UnusableError
            It is blank, its quotes do not pair up, or it has more or fewer.

        """
        if not line.strip():
            raise UnusableError("blank", "the line is blank")
        fields = self.split(line)
        width = self.width
        if len(fields) < (width or least):
            raise UnusableError(
                "too_few_columns", f"the line has {len(fields)} columns instead of {width or least}"
            )
        if width is not None and len(fields) > width:
            raise UnusableError(
                "too_many_columns", f"the line has {len(fields)} columns instead of {width}"
            )
        return fields

    def text(self, fields: list[bytes], index: int) -> str:
        """Return a field as text.

        Raises
        ------
        UnusableError
            It is not UTF-8.

        """
        try:
            return fields[index].decode()
        except UnicodeDecodeError as error:
            raise UnusableError(
                "not_utf8", f"'{self.called(index)}' is not UTF-8: {error.reason}"
            ) from error

    def called(self, index: int) -> str:
        """Return the name of a column."""
        return self.names[index] if index < len(self.names) else str(index + 1)

    def _names(self, form: LogFormat, header: bytes | None, name: str) -> list[str]:
        if header is None:
            if form.columns is not None:
                return list(form.columns)
            wanted = [each for each in (form.user, form.date, *used_fields(form)) if each]
            numbers = [int(each) for each in wanted if each.isdecimal()]
            if not numbers:
                raise SourceError(
                    f"{name}: without a header its columns have no names: give them in their "
                    "order, --columns session_id,item_id,timestamp, or give session, item and time "
                    "by number"
                )
            count = min(max(numbers, default=0), MOST_COLUMNS)
            return [str(number) for number in range(1, count + 1)]
        try:
            fields = self.split(header.removeprefix(BYTE_ORDER_MARK))
        except UnusableError as fault:
            raise SourceError(f"{name}, line 1, the header: {fault.detail}") from fault
        return [field.decode("utf-8", "replace").strip() for field in fields]


class DelimitedDecoder(LineDecoder):
    """Decodes blocks of lines whose columns a delimiter parts.

    A whole block is read at once by Arrow where nothing about it is odd; else line by line,
    which decides what becomes of each. Both ways agree, so a line's fate does not depend on its
    neighbours.

    Parameters
    ----------
    form
        The format.
    delimiter
        One ASCII character, or several.
    header
        The file's first line; None where it is data.
    name
        The file's name, for positions and messages.

    Raises
    ------
    SourceError
        A column is missing; the message lists those that are there.

    """

    def __init__(self, form: LogFormat, delimiter: str, header: bytes | None, name: str) -> None:
        super().__init__(name, form.keep_raw, TimeScale(form.unit))
        self._form = form
        self._columns = Columns(form, delimiter, header, name)
        self._delimiter = self._columns.delimiter
        columns = self._columns.names
        found, self.by_user = find_click(columns, form, name)
        self._session, self._item, self._time = found
        self._date = self._only = None
        if form.date is not None:
            self._date = find_column(columns, form.date, "--format", name)
        if form.only is not None:
            self._only = find_column(columns, form.only[0], "--format", name)
        self._only_value = form.only[1].encode() if form.only is not None else b""
        needed = {self._session, self._item, self._time, self._date, self._only} - {None}
        self._needed = sorted(index for index in needed if index is not None)
        # Without a header nothing says how many columns there are: further ones are no matter.
        self._width = self._columns.width

    def decode_line(self, line: bytes) -> tuple[Id, Id, float]:
        """Decode one line to session, item and time.

        Raises
        ------
        UnusableError
            The line cannot be used.

        """
        fields = self._columns.fields(line, self._needed[-1] + 1)
        if self._only is not None and fields[self._only] != self._only_value:
            raise self._not_a_click(fields[self._only])
        session = self._read_id(fields, self._session, "no_session")
        item = self._read_id(fields, self._item, "no_item")
        return session, item, check_time(self._read_time(fields))

    def decode_block(self, lines: Lines) -> Decoded | None:
        """Decode a whole block at once; None where anything about it is odd."""
        data = lines.data
        if b'"' in data or data.startswith(BYTE_ORDER_MARK):
            return None
        mark = self._delimiter
        if len(mark) > 1:
            # Arrow takes one character only.
            if UNIT in data:
                return None
            data, mark = data.replace(mark, UNIT), UNIT
        first = data.partition(b"\n")[0].rstrip(b"\r\n").split(mark)
        width = self._width or len(first)
        if not self._needed[-1] < len(first) or width > MOST_COLUMNS:
            return None
        numbers = _is_number(first[self._time])
        table = self._read(data, width, numbers, mark)
        if table is None or len(table) != len(lines):
            return None
        sessions, items = table[str(self._session)], table[str(self._item)]
        if not (_usable_ids(sessions) and _usable_ids(items)):
            return None
        times = self._times(table, numbers)
        if times is None or not usable_times(times):
            return None
        if self._only is not None:
            return self._views(lines, table, times)
        return Decoded(_ids(sessions), _ids(items), times)

    def _read(self, data: bytes, width: int, numbers: bool, mark: bytes) -> Any:
        """Return the block's needed columns as an Arrow table; None where Arrow cannot."""
        types = {str(index): pa.string() for index in self._needed}
        if numbers:
            types[str(self._time)] = pa.float64()
        try:
            return pyarrow.csv.read_csv(
                pa.BufferReader(data),
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=False,
                    block_size=len(data) + 1,
                    column_names=[str(index) for index in range(width)],
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=mark.decode(), quote_char=False, ignore_empty_lines=False
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=types, include_columns=list(types), null_values=[""]
                ),
            ).combine_chunks()
        except pa.ArrowException:
            return None

    def _times(self, table: Any, numbers: bool) -> NDArray[np.float64] | None:
        column = table[str(self._time)].combine_chunks()
        if column.null_count:
            return None
        if numbers:
            times = self.scale.column(column.to_numpy())
        elif (times := dates_to_times(column)) is not None:
            self.scale.note_date()
        if times is None or self._date is None:
            return times
        days = dates_to_times(table[str(self._date)].combine_chunks())
        return None if days is None else days + times

    def _views(self, lines: Lines, table: Any, times: NDArray[np.float64]) -> Decoded:
        """Reject the rows that are no clicks."""
        values = table[str(self._only)].to_numpy()
        wanted = np.asarray(values == self._only_value.decode(), dtype=np.bool_)
        others = np.flatnonzero(~wanted)
        rejected = Decoding(self._keep_raw)
        for index in others.tolist():
            fault = self._not_a_click(values[index].encode())
            rejected.reject(fault, self._position(lines, index), *lines.raw(index))
        clicks = table.filter(pa.array(wanted))
        return Decoded(
            _ids(clicks[str(self._session)]),
            _ids(clicks[str(self._item)]),
            times[wanted],
            rejected.done().rejected,
            np.cumsum(~wanted, dtype=np.int64)[wanted],
        )

    def count_columns(self, record: bytes) -> int:
        """Return the number of a record's columns, or what is wrong with it; see `Split`."""
        return self._columns.count(record, self._needed[-1] + 1)

    def _read_id(self, fields: list[bytes], index: int, missing: str) -> Id:
        return check_id(self._columns.text(fields, index), self._columns.called(index), missing)

    def _read_time(self, fields: list[bytes]) -> float:
        text = self._columns.text(fields, self._time)
        if not text.strip(" \t"):
            raise UnusableError("no_time", f"'{self._columns.called(self._time)}' is empty")
        time = self.scale.read(text)
        if self._date is None:
            return time
        date = self._columns.text(fields, self._date)
        if not date.strip(" \t"):
            raise UnusableError("no_time", f"'{self._columns.called(self._date)}' is empty")
        return parse_time(date) + time

    def _not_a_click(self, value: bytes) -> UnusableError:
        column, wanted = self._form.only or ("", "")
        shown = value[:80].decode("utf-8", "replace")
        return UnusableError("not_a_click", f"'{column}' is {shown!r} and not {wanted!r}")


def _field_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    """Match one field up to the delimiter or the line's end; group 1 is a quoted one's inside."""
    stop = re.escape(delimiter)
    # Without "+": Python before 3.11.5 goes wrong on possessive groups that look ahead.
    other = rb"[^" + stop + rb"]*+" if len(delimiter) == 1 else rb"(?:(?!" + stop + rb").)*"
    quoted, plain = rb'"([^"]*+(?:""[^"]*+)*+)"', rb'((?!")' + other + rb")"
    return re.compile(rb"(?:" + quoted + rb"|" + plain + rb")(?=" + stop + rb"|\Z)", re.DOTALL)


def _is_number(field: bytes) -> bool:
    """Whether a block of such times is worth reading as numbers."""
    return b":" not in field and b"-" not in field[1:].lower().replace(b"e-", b"")


def _usable_ids(column: Any) -> bool:
    lengths = pc.min_max(pc.binary_length(column))
    return bool(
        column.null_count == 0
        and lengths["min"].as_py() > 0
        and lengths["max"].as_py() <= LONGEST_ID
    )


def _ids(column: Any) -> list[Id]:
    ids: list[Id] = column.to_numpy().tolist()
    return ids
