"""The columns of delimited text, and its lines as fields."""

from __future__ import annotations

import re

from ..source import SourceError
from ..spelling import nearest
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


def find_column(columns: list[str], name: str, option: str, where: str) -> int:
    """Return the index of a column, given by its name or by its place, counted from 1.

    A header such as ``item_id:token`` is known as ``item_id``. A name goes before a place.

    Raises
    ------
    SourceError
        The log has no such column, or two; the message lists those that it has.

    """
    found = [at for at, column in enumerate(columns) if column == name]
    found = found or [at for at, column in enumerate(columns) if column.partition(":")[0] == name]
    if len(found) > 1:
        places = " and ".join(str(at + 1) for at in found[:3])
        raise SourceError(
            f"{where}: there are {len(found)} columns '{name}', at {places}: give the number of "
            f"the right one with {option}, or rename the other"
        )
    if found:
        return found[0]
    if name.isdecimal() and 0 < int(name) <= len(columns):
        return int(name) - 1
    if len(columns) == 1 and any(columns):
        raise SourceError(
            f"{where}: its first line is one column: {columns[0][:80]!r}. Give the delimiter with "
            f"--delimiter, or leave that out; or name the right column with {option}"
        )
    listed = ", ".join(repr(column[:40])[1:-1] for column in columns[:30])
    more = f" and {len(columns) - 30} more" if len(columns) > 30 else ""
    known = f"the columns are: {listed}{more}" if any(columns) else "its first line is blank"
    raise SourceError(
        f"{where}: there is no column '{name}'{nearest(name, columns)}; {known}. Name the right "
        f"one with {option}, or give its number (from 1; for all three columns if the file has "
        "no header), or choose a --format"
    )


def find_click(
    columns: list[str], form: LogFormat, where: str
) -> tuple[tuple[int, int, int], bool]:
    """Return the indices of session, item and time, and whether the session is the user.

    Raises
    ------
    SourceError
        The log lacks one of them, one column is used for two of them, or two have its name.

    """
    by_user = form.session is None or (form.user is not None and not _has(columns, form.session))
    if by_user:
        key = find_column(columns, str(form.user), "--user-column", where)
    else:
        key = find_column(columns, str(form.session), "--session-column", where)
    item = find_column(columns, form.item, "--item-column", where)
    time = find_column(columns, form.time, "--time-column", where)
    if len({key, item, time}) < 3:
        raise SourceError(f"{where}: session, item and time must be three different columns")
    return (key, item, time), by_user


def _has(columns: list[str], name: str) -> bool:
    return any(name in (column, column.partition(":")[0]) for column in columns)
