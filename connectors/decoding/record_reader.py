"""Records of any form to clicks: the one place where fields become sessions, items and times."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ..clicks import Id
from ..source import SourceError
from .blocks import LEFT_OUT, Entry
from .log_format import LogFormat
from .paths import EACH, HEADER, KEY, Envelope, Paths, Scope, joined_fields, parse_path
from .time_unit import TimeScale
from .values import UnusableError, as_id, check_time, described, escaped

LONGEST_LIST = 100_000
"""Clicks in one record at most."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class RecordReader:
    """Makes clicks of records, whatever they were decoded from.

    A record is a value as JSON has it: objects are dicts with text keys, lists are lists. Dates
    and decimals, which other forms have, may be among them.

    Parameters
    ----------
    form
        Which fields the session, item, time and event are, and which records count.
    scale
        The unit of the times.
    key
        Returns the key of a topic's record as text or number; None where records are of a log.
    own_time
        Returns a record's time in epoch seconds, where it is not a field.

    Raises
    ------
    SourceError
        A field is for topics only, or the condition is none.

    Examples
    --------
    >>> form = LogFormat(session="user.id", item="items[].sku", time="at", where="kind = 'view'")
    >>> reader = RecordReader(form, TimeScale())
    >>> order = {"kind": "view", "user": {"id": 7.0}, "at": 5, "items": [{"sku": "hat"}, {}]}
    >>> click, fault = reader.read(order)
    >>> click, fault.reason, fault.detail
    ((7, 'hat', 5.0, None), 'no_item', "there is no 'items[1].sku'")

    """

    def __init__(
        self,
        form: LogFormat,
        scale: TimeScale,
        key: Callable[[Envelope], Any] | None = None,
        own_time: Callable[[Scope], float] | None = None,
    ) -> None:
        self.scale = scale
        self._paths = paths = Paths(key)
        self._own_time = own_time
        session = str(form.session if form.session is not None else form.user)
        for name in used_fields(form):
            if key is None and name.startswith((HEADER, KEY)):
                raise SourceError(
                    f"{name}: headers and keys are those of a topic's records, "
                    "kafka://host:port/topic"
                )
        self._session = self._id(session, "no_session")
        self._item = self._id(form.item, "no_item")
        self._time_name = form.time
        self._time = paths.getter(form.time)
        self._event = None if form.event is None else self._id(form.event, "no_event")
        own_events = form.event is not None and EACH in parse_path(form.event)
        self._numbered = form.event is not None and not own_events
        self._where = None
        if form.where is not None:
            # Imported here: the parser takes long to load.
            from .conditions import compile_condition, parse_condition

            self._where = compile_condition(parse_condition(form.where), paths)
        self._item_name, self._event_name = form.item, form.event
        self._scope = Scope(paths.depth)

    def read(self, value: Any, envelope: Envelope | None = None) -> list[Entry]:
        """Return what a record becomes: an entry, or one for each element of its lists.

        Parameters
        ----------
        value
            The record.
        envelope
            What a topic's record has besides.

        """
        scope = self._scope
        scope.value, scope.envelope = value, envelope
        if not self._paths.depth:
            return [self._entry(scope)]
        entries: list[Entry] = []
        for fault in self._paths.expand(scope):
            if len(entries) == LONGEST_LIST:
                detail = f"the record has more than {LONGEST_LIST:,} elements"
                return [UnusableError("list_too_long", detail)]
            entry = self._entry(scope) if fault is None else self._without_list(scope, fault)
            if self._numbered and type(entry) is tuple and entry[3] is not None and entries:
                # The elements of one event are known by their places in it.
                entry = (*entry[:3], f"{entry[3]}\0{len(entries)}")
            entries.append(entry)
        if entries:
            return entries
        empty = self._item_name if "[]" in self._item_name else self._time_name
        shown = empty.rpartition("[]")[0]
        fault = UnusableError("no_item", f"the list '{shown}' is empty")
        self._paths.clear(scope)
        return [self._without_list(scope, fault)]

    def _entry(self, scope: Scope) -> Entry:
        own = self._own_time
        try:
            if self._where is not None and self._where(scope) is not True:
                return LEFT_OUT
            session = self._session(scope)
            item = self._item(scope)
            time = check_time(self._read_time(scope) if own is None else own(scope))
            return session, item, time, self._event_of(scope)
        except UnusableError as fault:
            return fault

    def _without_list(self, scope: Scope, fault: UnusableError) -> UnusableError:
        """Return what becomes of a record without its list: a condition may leave it out."""
        try:
            if self._where is not None and self._where(scope) is not True:
                return LEFT_OUT
        except UnusableError as other:
            return other
        if fault.reason == "no_list":
            return UnusableError("no_item", fault.detail)
        return fault

    def _id(self, text: str, missing: str) -> Callable[[Scope], Id]:
        """Return what reads an id: one field, or several joined to a text."""
        paths = self._paths
        parts = joined_fields(text)
        if len(parts) > 1:
            return self._joined(text, [self._id(part, missing) for part in parts])
        get = paths.getter(text)

        def read(scope: Scope) -> Id:
            value = get(scope)
            kind = type(value)
            if (kind is str and 0 < len(value) <= 1024) or (kind is int and abs(value) < 1 << 63):
                return value  # type: ignore[no-any-return]
            if value is None:
                raise UnusableError(missing, paths.missing(scope, text))
            return as_id(value, paths.described(scope, text), missing)

        return read

    def _joined(self, text: str, readers: list[Callable[[Scope], Id]]) -> Callable[[Scope], Id]:
        named = self._paths.getter(f'"{text}"')

        def read(scope: Scope) -> Id:
            value = named(scope)
            if value is not None:
                return as_id(value, text, "no_item")
            parts = [str(reader(scope)) for reader in readers]
            # So that different parts never make the same id.
            return as_id("+".join(map(escaped, parts)), text, "no_item")

        return read

    def _event_of(self, scope: Scope) -> Id | None:
        if self._event is None:
            return None
        try:
            return self._event(scope)
        except UnusableError as fault:
            if fault.reason == "no_event":
                return None
            raise

    def _read_time(self, scope: Scope) -> float:
        value = self._time(scope)
        kind = type(value)
        if kind is float or kind is int or kind is decimal.Decimal:
            try:
                number = float(value)
            except OverflowError:
                number = float("inf")
            return self.scale.seconds(number)
        if kind is bytes:
            value = as_id(value, self._shown_time(scope), "no_time")
        if isinstance(value, str):
            if not value.strip(" \t"):
                raise UnusableError("no_time", f"'{self._shown_time(scope)}' is empty")
            return self.scale.read(value)
        if value is None:
            raise UnusableError("no_time", self._paths.missing(scope, self._time_name))
        if isinstance(value, datetime.date):
            self.scale.note_date()
            return seconds_of(value)
        raise UnusableError(
            "wrong_type",
            f"'{self._shown_time(scope)}' is {described(value)}: a time is a number or a date",
        )

    def _shown_time(self, scope: Scope) -> str:
        return self._paths.described(scope, self._time_name)


def read_json(line: bytes) -> Any:
    """Return the JSON object or list that a line holds.

    Raises
    ------
    UnusableError
        It holds none.

    """
    if not line.strip():
        raise UnusableError("blank", "the line is blank")
    try:
        value = msgspec.json.decode(line)
    except UnicodeDecodeError as error:
        raise UnusableError("not_utf8", f"the line is not UTF-8: {error.reason}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnusableError("bad_json", str(error)) from error
    if type(value) is not dict and type(value) is not list:
        raise UnusableError("wrong_type", "the line is not a JSON object")
    return value


def used_fields(form: LogFormat) -> Iterator[str]:
    """Yield every field that a format needs, joined ones one by one.

    Examples
    --------
    >>> list(used_fields(LogFormat(item="brand+model", where="kind = 'view'")))
    ['session_id', 'brand', 'model', 'timestamp', 'kind']

    """
    session = form.session if form.session is not None else form.user
    for text in (str(session), form.item):
        yield from joined_fields(text)
    yield form.time
    if form.event is not None:
        yield from joined_fields(form.event)
    if form.where is not None:
        # Imported here: the parser takes long to load.
        from .conditions import fields_in, parse_condition

        yield from fields_in(parse_condition(form.where))


def seconds_of(moment: datetime.date) -> float:
    """Return a date, or a date and time, in epoch seconds; one without a zone is in UTC."""
    if not isinstance(moment, datetime.datetime):
        moment = datetime.datetime(moment.year, moment.month, moment.day, tzinfo=datetime.UTC)
    elif moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return (moment - _EPOCH) / datetime.timedelta(microseconds=1) / 1e6
