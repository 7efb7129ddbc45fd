"""The columns of delimited text, and its lines as fields."""

from __future__ import annotations

import re

from ..source import SourceError
from .csv_records import OPEN, UNFIT
from .lines import BYTE_ORDER_MARK
from .log_format import LogFormat
from .record_reader import used_fields
from .values import UnusableError

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


def _field_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    """Match one field up to the delimiter or the line's end; group 1 is a quoted one's inside."""
    stop = re.escape(delimiter)
    # Without "+": Python before 3.11.5 goes wrong on possessive groups that look ahead.
    other = rb"[^" + stop + rb"]*+" if len(delimiter) == 1 else rb"(?:(?!" + stop + rb").)*"
    quoted, plain = rb'"([^"]*+(?:""[^"]*+)*+)"', rb'((?!")' + other + rb")"
    return re.compile(rb"(?:" + quoted + rb"|" + plain + rb")(?=" + stop + rb"|\Z)", re.DOTALL)
