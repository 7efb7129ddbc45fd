"""Lines that hold a record each, whose fields are paths or that a condition chooses from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from ..clicks import Id
from ..source import SourceError
from .blocks import Decoded, Decoding, Entry
from .columns import Columns, find_click, find_column
from .delimited import DelimitedDecoder
from .json_lines import JsonLinesDecoder
from .line_decoder import LineDecoder
from .lines import Lines
from .log_format import LogFormat
from .paths import Scope, is_path, parse_path
from .record_columns import RecordColumns
from .record_reader import RecordReader, read_json, used_fields
from .time_unit import TimeScale
from .values import UnusableError, parse_time

GROUP = 500
"""Lines decoded at once; an odd one slows down only those of its group."""


class RecordLineDecoder(LineDecoder):
    """Decodes lines by two steps: to a record of any form, and from that to clicks.

    Parameters
    ----------
    name
        The file's name, for positions and messages.
    keep_raw
        Whether rejected records keep their bytes.
    reader
        Makes clicks of a record.
    parse
        Makes a record of a line.
    by_user
        Whether the clicks' sessions are users.
    count
        Returns the number of a record's columns; see `Split`.
    columns
        Makes clicks of many records at once; None where each is read by itself.

    """

    plain = False

    def __init__(
        self,
        name: str,
        keep_raw: bool,
        reader: RecordReader,
        parse: Callable[[bytes], Any],
        by_user: bool,
        count: Callable[[bytes], int] = lambda record: 1,
        columns: RecordColumns | None = None,
    ) -> None:
        super().__init__(name, keep_raw, reader.scale)
        self._columns = columns
        self._count = count
        self._read = reader.read
        self._parse = parse
        self.by_user = by_user

    def count_columns(self, record: bytes) -> int:
        """Return the number of a record's columns; see `Split`."""
        return self._count(record)

    def read_line(self, line: bytes) -> Sequence[Entry]:
        """Return what one line becomes."""
        return self._read(self._parse(line))

    def decode_line(self, line: bytes) -> tuple[Id, Id, float]:
        """Decode a line that is one click."""
        (entry,) = self.read_line(line)
        if isinstance(entry, UnusableError):
            raise entry
        return entry[:3]

    def decode_block(self, lines: Lines) -> Decoded | None:
        """Decode a block in groups: those with odd lines line by line."""
        if self._columns is None or not self._columns.fits:
            return None
        decoding = Decoding(self._keep_raw)
        texts = lines.split()
        for at in range(0, len(texts), GROUP):
            group = self._decode_group(texts[at : at + GROUP])
            if group is not None:
                decoding.block(group)
                continue
            self._add_lines(decoding, lines, texts, range(at, min(at + GROUP, len(texts))))
        return decoding.done()

    def _decode_group(self, texts: list[bytes]) -> Decoded | None:
        try:
            records = list(map(self._parse, texts))
        except UnusableError:
            return None
        assert self._columns is not None
        return self._columns.read(records, self.scale)


def is_plain(form: LogFormat) -> bool:
    """Whether a format names plain fields only, and all records count.

    Examples
    --------
    >>> is_plain(LogFormat()), is_plain(LogFormat(item="product.id"))
    (True, False)

    """
    names = (form.session or form.user, form.item, form.time)
    chosen = form.where is not None or form.event is not None
    return not chosen and not any(is_path(str(name)) for name in names)


def json_decoder(form: LogFormat, name: str) -> LineDecoder:
    """Return what decodes lines of JSON.

    Raises
    ------
    SourceError
        The format is one for delimited text only, or names fields that lines do not have.

    """
    if is_plain(form):
        return JsonLinesDecoder(form, name)
    check_json(form, name)
    reader = RecordReader(form, TimeScale(form.unit))
    columns = RecordColumns(form)
    by_user = form.session is None
    return RecordLineDecoder(name, form.keep_raw, reader, read_json, by_user, columns=columns)


def check_json(form: LogFormat, name: str, without: Collection[str] = ()) -> None:
    """Check that a format can be one of JSON.

    Raises
    ------
    SourceError
        It is one for delimited text only, or has one field for two parts of a click.

    """
    if form.date is not None or form.only is not None or not form.header:
        raise SourceError(f"{name}: this --format is for delimited text, not for JSON Lines")
    parts = {"session": form.session or form.user, "item": form.item, "time": form.time}
    names = [field for part, field in parts.items() if part not in without]
    if len(set(names)) < len(names):
        raise SourceError(f"{name}: session, item and time must be three different fields")


def delimited_decoder(
    form: LogFormat, delimiter: str, header: bytes | None, name: str
) -> LineDecoder:
    """Return what decodes lines of delimited text; see `DelimitedDecoder` for the parameters.

    Raises
    ------
    SourceError
        A column is missing; the message lists those that are there.

    """
    columns = Columns(form, delimiter, header, name)
    if is_plain(form) or is_by_columns(form, columns.names):
        return DelimitedDecoder(form, delimiter, header, name)
    by_user, places = find_fields(columns.names, form, name)
    session = form.user if by_user else form.session
    only = None
    if form.only is not None:
        only = find_column(columns.names, form.only[0], "--format", name), form.only
    date = None
    if form.date is not None:
        date = form.date
        places = {**places, date: find_column(columns.names, date, "--format", name)}
    least = max(*places.values(), only[0] if only else 0) + 1
    named = list(places.items())

    def parse(line: bytes) -> dict[str, str]:
        fields = columns.fields(line, least)
        if only is not None and fields[only[0]] != only[1][1].encode():
            shown = fields[only[0]][:80].decode("utf-8", "replace")
            column, wanted = only[1]
            raise UnusableError("not_a_click", f"'{column}' is {shown!r} and not {wanted!r}")
        return {field: columns.text(fields, index) for field, index in named}

    scale = TimeScale(form.unit)
    own_time = None if date is None else _dated(form.time, date, scale)
    reader = RecordReader(with_session(form, session), scale, own_time=own_time)

    def count(record: bytes) -> int:
        return columns.count(record, least)

    in_columns = RecordColumns(with_session(form, session)) if own_time is None else None
    return RecordLineDecoder(name, form.keep_raw, reader, parse, by_user, count, in_columns)


def find_fields(columns: list[str], form: LogFormat, where: str) -> tuple[bool, dict[str, int]]:
    """Return whether the session is the user, and the columns that a format's fields are in.

    A field is a column, or is inside of one whose name its path begins with.

    Raises
    ------
    SourceError
        The log lacks one of them.

    """
    by_user = form.session is None
    if form.session is not None and form.user is not None:
        try:
            find_fields(columns, msgspec.structs.replace(form, user=None), where)
        except SourceError:
            by_user = True
    session = form.user if by_user else form.session
    options = {
        str(session): "--user-column" if by_user else "--session-column",
        form.item: "--item-column",
        form.time: "--time-column",
        form.event: "--event-id",
    }
    places: dict[str, int] = {}
    for field in used_fields(with_session(form, session)):
        option = options.get(field, "--where" if form.where else "--item-column")
        places |= _find_field(columns, field, option, where)
    return by_user, places


def with_session(form: LogFormat, session: str | None) -> LogFormat:
    """Return a format whose session is this field."""
    return msgspec.structs.replace(form, session=session, user=None)


def _find_field(columns: list[str], field: str, option: str, where: str) -> dict[str, int]:
    first = parse_path(field)[0]
    if first != field and isinstance(first, str):
        try:
            return {field: find_column(columns, field, option, where)}
        except SourceError:
            return {first: find_column(columns, first, option, where)}
    return {field: find_column(columns, field, option, where)}


def is_by_columns(form: LogFormat, columns: list[str]) -> bool:
    """Whether the three fields are columns by just these names, and all records count."""
    if form.where is not None or form.event is not None:
        return False
    try:
        find_click(columns, form, "")
    except SourceError:
        return False
    return True


def _dated(time: str, date: str, scale: TimeScale) -> Callable[[Scope], float]:
    def read(scope: Scope) -> float:
        for name in (time, date):
            if not scope.value[name].strip(" \t"):
                raise UnusableError("no_time", f"'{name}' is empty")
        seconds = scale.read(scope.value[time])
        return parse_time(scope.value[date]) + seconds

    return read
