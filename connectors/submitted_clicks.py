"""Clicks submitted as JSON, checked as the source will read them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from .clicks import Id
from .decoding.json_lines import JsonLinesDecoder
from .decoding.log_format import UNITS_PER_SECOND, LogFormat, TimeUnit
from .decoding.paths import is_path
from .decoding.values import UnusableError, too_long
from .source import SourceError

MOST_CLICKS = 10_000
"""Clicks that may be submitted at once."""

_CONTROL = re.compile(rb"[\x00-\x1f]")
_MISFIT = re.compile(r"Expected `(?P<wanted>.+)`, got `(?P<given>.+)` - at `\$\.(?P<field>.+)`")
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError)
_ABSENT = msgspec.Raw(b"")


class ClickError(Exception):
    """What was submitted is no click; the message says where and why."""


class SubmittedClick(NamedTuple):
    """A submitted click.

    Parameters
    ----------
    line
        Its JSON object in one line, with all its fields, and its time.
    session
        Its session (or user).
    time
        Its time, in epoch seconds.
    event
        Its ``event_id``, where it has one.

    """

    line: bytes
    session: Id
    time: float
    event: Id | None


class _Event(msgspec.Struct):
    event_id: str | int | None = None


class _List(msgspec.Struct):
    clicks: msgspec.Raw = _ABSENT


EventOnly = msgspec.json.Decoder(_Event)
"""Reads nothing of a click but its event's id."""

_LISTED = msgspec.json.Decoder(list[msgspec.Raw])
_NAMED = msgspec.json.Decoder(_List)


def path_in(form: LogFormat) -> str | None:
    """Return a field of a click that is named by a path, which no submitted click has."""
    session = form.session if form.session is not None else form.user
    fields = (str(session), form.item, form.time)
    # A field may be called key.
    return next((field for field in fields if is_path(field) and field != "key"), None)


class ClickForm:
    """The form of a submitted click: what the source needs, and any further fields.

    Parameters
    ----------
    form
        The fields' names and the unit of times, as the source has them.

    Attributes
    ----------
    session, item, time
        The fields' names.

    Raises
    ------
    SourceError
        One of the fields is named by a path.

    Examples
    --------
    >>> form = ClickForm(LogFormat())
    >>> click, = form.read(b'{"session_id": "anna", "item_id": 17, "page": "/"}', now=1.5)
    >>> click.line
    b'{"session_id": "anna", "item_id": 17, "page": "/","timestamp":1.500}'

    """

    def __init__(self, form: LogFormat) -> None:
        if (path := path_in(form)) is not None:
            raise SourceError(
                f"{path}: clicks that are sent over HTTP have plain fields: name these, without "
                "paths"
            )
        self._unit: TimeUnit = form.unit or "s"
        # Fixed: no submitted click decides the unit of the others.
        form = msgspec.structs.replace(form, unit=self._unit)
        self._decoder = JsonLinesDecoder(form, "the clicks")
        self.session = str(form.session if form.session is not None else form.user)
        self.item, self.time = form.item, form.time
        there = msgspec.defstruct(
            "Time", [("time", msgspec.Raw, _ABSENT)], rename={"time": self.time}
        )
        self._times: msgspec.json.Decoder[Any] = msgspec.json.Decoder(there)
        item = msgspec.defstruct(
            "Item", [("item", msgspec.Raw, _ABSENT)], rename={"item": self.item}
        )
        self._items: msgspec.json.Decoder[Any] = msgspec.json.Decoder(item)

    def read(self, body: bytes, now: float) -> list[SubmittedClick]:
        """Read one click, a list of them, or ``{"clicks": [...]}``.

        Parameters
        ----------
        body
            JSON.
        now
            The time in epoch seconds, for clicks that have none.

        Raises
        ------
        ClickError
            It is none of these, or one of the clicks cannot be used.

        """
        try:
            lines, many = self._split(_on_one_line(body))
        except _NO_JSON as error:
            raise ClickError(f"the body is not valid JSON: {error}") from error
        if not lines:
            raise ClickError("the list of clicks is empty: send at least one")
        if len(lines) > MOST_CLICKS:
            raise ClickError(
                f"there are {len(lines):,} clicks; {MOST_CLICKS:,} are allowed at once: send them "
                "in several requests"
            )
        found = self._read_together(lines, now)
        if found is not None:
            return found
        return [
            self._read_one(line, now, f"clicks[{at}]: " if many else "")
            for at, line in enumerate(lines)
        ]

    def _split(self, body: bytes) -> tuple[list[bytes], bool]:
        """Return the objects of the clicks, and whether they are a list."""
        if body.lstrip()[:1] == b"[":
            return [bytes(raw).strip() for raw in _LISTED.decode(body)], True
        try:
            listed, item = _NAMED.decode(body).clicks, self._items.decode(body).item
        except msgspec.ValidationError:
            raise ClickError("the body is neither a click (an object) nor a list") from None
        if not bytes(listed) or bytes(item):
            return [body.strip()], False
        try:
            return [bytes(raw).strip() for raw in _LISTED.decode(listed)], True
        except msgspec.ValidationError:
            raise ClickError("clicks must be a list") from None

    def _read_together(self, lines: list[bytes], now: float) -> list[SubmittedClick] | None:
        """Read all at once; None where anything about one is odd."""
        lines = [self._with_time(line, now) for line in lines]
        decoded = self._decoder.decode_values(lines, max(map(len, lines)))
        if decoded is None or not all(map(_is_text, [*decoded.sessions, *decoded.items])):
            return None
        try:
            events = [_event_of(line) for line in lines]
        except ClickError:
            return None
        times = decoded.times.tolist()
        return list(map(SubmittedClick, lines, decoded.sessions, times, events))

    def _read_one(self, line: bytes, now: float, where: str) -> SubmittedClick:
        line = self._with_time(line, now)
        try:
            session, item, time = self._decoder.decode_line(line)
            event = _event_of(line)
        except UnusableError as fault:
            raise ClickError(f"{where}{self._sentence(fault)}") from fault
        except ClickError as fault:
            raise ClickError(f"{where}{fault}") from fault
        for each in (session, item):
            if not _is_text(each):
                raise ClickError(f"{where}an id contains an unpaired surrogate: {each!r:.80}")
        return SubmittedClick(line, session, time, event)

    def _sentence(self, fault: UnusableError) -> str:
        """Return what is wrong with a click, in words for who sent it."""
        if fault.reason == "no_time":
            return f"{fault.detail}: leave the field out for the time of the server"
        if misfit := _MISFIT.fullmatch(fault.detail):
            return f"'{misfit['field']}' must be {misfit['wanted']}, not {misfit['given']}"
        return fault.detail.replace("the line", "the click")

    def _with_time(self, line: bytes, now: float) -> bytes:
        """Return a click with a time, the given one where it has none."""
        try:
            if bytes(self._times.decode(line).time):
                return line
        except _NO_JSON:
            return line  # What is wrong is said by the decoder.
        if not line.endswith(b"}") or line[1:-1].strip() == b"":
            return line
        seconds = self._unit == "s"
        written = f"{now:.3f}" if seconds else f"{now * UNITS_PER_SECOND[self._unit]:.0f}"
        return line[:-1] + b"," + msgspec.json.encode(self.time) + b":" + written.encode() + b"}"


def _on_one_line(body: bytes) -> bytes:
    """Return JSON without line breaks.

    Raises
    ------
    ClickError
        There is a control character within a text, or it is not UTF-8.

    """
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise ClickError(f"the body is not valid UTF-8: {error.reason}") from error
    if not _CONTROL.search(body):
        return body
    body = msgspec.json.format(body, indent=-1)
    if _CONTROL.search(body):
        raise ClickError("the body is not valid JSON: a text contains a control character")
    return body


def _event_of(line: bytes) -> Id | None:
    if b'"event_id"' not in line:
        return None
    try:
        event = EventOnly.decode(line).event_id
    except msgspec.ValidationError:
        raise ClickError("event_id must be a text or a whole number") from None
    if event is not None and too_long(event):
        raise ClickError("event_id is too long")
    return event


def _is_text(value: Id) -> bool:
    """Whether an id can be written as UTF-8."""
    if isinstance(value, int) or value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
