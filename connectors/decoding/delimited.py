"""Lines of delimited text (CSV, TSV) to clicks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from ..clicks import Id
from .blocks import Decoded, Decoding
from .columns import MOST_COLUMNS, Columns, find_click, find_column
from .line_decoder import LineDecoder
from .lines import BYTE_ORDER_MARK, Lines
from .log_format import LogFormat
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
        if data.startswith(BYTE_ORDER_MARK):
            return None
        try:
            first = self._columns.split(data[: int(lines.ends[0])].rstrip(b"\r\n"))
        except UnusableError:
            return None
        width = self._width or len(first)
        if not self._needed[-1] < len(first) or width > MOST_COLUMNS:
            return None
        mark = self._delimiter
        if len(mark) > 1:
            # Arrow takes one character only.
            if UNIT in data:
                return None
            data, mark = data.replace(mark, UNIT), UNIT
        quoted = b'"' in data
        if quoted and not _quotes_well(data, mark):
            return None
        numbers = _is_number(first[self._time])
        table = self._read(data, width, numbers, mark, quoted)
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

    def _read(self, data: bytes, width: int, numbers: bool, mark: bytes, quoted: bool) -> Any:
        """Return the block's needed columns as an Arrow table; None where Arrow cannot."""
        types = {str(index): pa.string() for index in self._needed}
        if numbers:
            types[str(self._time)] = pa.float64()
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(data),
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=False,
                    block_size=len(data) + 1,
                    column_names=[str(index) for index in range(width)],
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=mark.decode(),
                    quote_char='"' if quoted else False,
                    newlines_in_values=quoted,
                    ignore_empty_lines=False,
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=types, include_columns=list(types), null_values=[""]
                ),
            ).combine_chunks()
        except pa.ArrowException:
            return None
        if quoted and mark != self._delimiter:
            # What stands for the delimiter may be inside of quotes.
            own = self._delimiter.decode()
            for at, (name, kind) in enumerate(types.items()):
                if kind == pa.string():
                    texts = pc.replace_substring(table[name], mark.decode(), own)
                    table = table.set_column(at, name, texts)
        return table

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


def _quotes_well(data: bytes, delimiter: bytes) -> bool:
    r"""Whether each quote begins or ends a whole field, or is one of two inside of quotes.

    What is between quotes then is the same for all who read it.

    Examples
    --------
    >>> [_quotes_well(data, b",") for data in (b'"a","b""c"\n', b'a,"b"c\n', b'a,"b\n')]
    [True, False, False]

    """
    codes = np.frombuffer(data, dtype=np.uint8)
    quotes = np.flatnonzero(codes == ord('"'))
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    before, after = np.zeros((2, 256), dtype=np.bool_)
    before[[*b'\n"', *delimiter]] = True
    after[[*b'\r\n"', *delimiter]] = True
    if opening[0] == 0:
        opening = opening[1:]
    if closing[-1] == len(codes) - 1:
        closing = closing[:-1]
    return bool(before[codes[opening - 1]].all() and after[codes[closing + 1]].all())


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
