"""Many records to clicks at once, column by column, where nothing about any of them is odd."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, compress, repeat
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..clicks import Id
from .blocks import FILTERED_RECORD, Decoded
from .log_format import LogFormat
from .paths import EACH, Getter, Step, is_path, joined_fields, parse_path, walk
from .time_unit import TimeScale
from .values import UnusableError, as_id, escaped, too_long, usable_times

Values = list[Any]


class OddError(Exception):
    """Something about one of the records is odd: they are to be read one by one."""


class RecordColumns:
    """Reads many records as `RecordReader` reads each.

    Parameters
    ----------
    form
        Which fields the session, item, time and event are, and which records count.

    Attributes
    ----------
    fits
        Whether the fields can be read so: there is at most one level of lists.

    """

    def __init__(self, form: LogFormat) -> None:
        self._session = str(form.session if form.session is not None else form.user)
        self._item, self._time, self._event = form.item, form.time, form.event
        self._conditions: list[str] = []
        self._where: Callable[[Any], bool | None] | None = None
        if form.where is not None:
            # Imported here: the parser takes long to load.
            from .conditions import compile_condition, parse_condition

            self._where = compile_condition(parse_condition(form.where), self)
        ids = (self._session, self._item, *([self._event] if self._event is not None else []))
        names = [*(part for one in ids for part in joined_fields(one)), self._time]
        steps = [parse_path(name) for name in (*names, *self._conditions)]
        self._lists = sorted({one[: one.index(EACH)] for one in steps if EACH in one}, key=str)
        self.fits = not any(one.count(EACH) > 1 for one in steps)
        # Elements of a list that are one event are known by their places in it.
        own_events = self._event is not None and EACH in parse_path(self._event)
        self._numbered = bool(self._lists) and not own_events

    def getter(self, text: str) -> Getter:
        """Return what reads a field of a condition from a row of their values."""
        if text not in self._conditions:
            self._conditions.append(text)
        return cast("Getter", operator.itemgetter(self._conditions.index(text)))

    def read(self, records: Values, scale: TimeScale) -> Decoded | None:
        """Return what records become; None where anything is odd.

        Parameters
        ----------
        records
            Objects or lists as JSON has them.
        scale
            The unit of the times.

        """
        if not self.fits or not records:
            return None
        try:
            return _Records(records, self._lists).decoded(self, scale)
        except OddError:
            return None

    def clicks(self, table: _Records, scale: TimeScale) -> Decoded:
        """Return the clicks of records whose lists are known."""
        kept = None
        if self._where is not None:
            columns = [table.column(name) for name in self._conditions]
            kept = np.fromiter(_decide(self._where, columns, table.count), np.bool_, table.count)
        table.keep(kept)
        times = self._times(table.column(self._time), scale)
        sessions, items = self._ids(table, self._session), self._ids(table, self._item)
        events = None if self._event is None else self._events(table, self._event)
        clicks = Decoded(sessions, items, times, events=events, parts=table.parts)
        if kept is not None and not kept.all():
            clicks.rejected = [FILTERED_RECORD] * int((~kept).sum())
            clicks.before = np.cumsum(~kept, dtype=np.int64)[kept]
        return clicks

    def _ids(self, table: _Records, text: str) -> list[Id]:
        parts = joined_fields(text)
        if len(parts) == 1:
            return _checked(table.column(text))
        if table.has(text):
            raise OddError
        columns = [[escaped(str(one)) for one in _checked(table.column(part))] for part in parts]
        return _checked(list(map("+".join, zip(*columns, strict=True))))

    def _events(self, table: _Records, text: str) -> list[Id | None] | None:
        if len(joined_fields(text)) > 1:
            events: Values = [*self._ids(table, text)]
        else:
            events = [None if one == "" else one for one in table.column(text)]
            _checked([one for one in events if one is not None])
        if self._numbered and table.parts is not None:
            places = table.places().tolist()
            events = [
                one if one is None or not place else f"{one}\0{place}"
                for one, place in zip(events, places, strict=True)
            ]
        return None if events.count(None) == len(events) else events

    def _times(self, column: Values, scale: TimeScale) -> NDArray[np.float64]:
        kinds = set(map(type, column))
        times = None
        try:
            if not kinds:
                times = np.zeros(0)
            elif kinds <= {int, float}:
                times = scale.column(np.array(column, dtype=np.float64))
            elif kinds == {str}:
                times = scale.texts(pa.array(column, pa.string()))
        except (OverflowError, UnicodeEncodeError, pa.ArrowException):
            raise OddError from None
        if times is None or not usable_times(times):
            raise OddError
        return times


class _Records:
    """Records, and the elements of their lists, one row for each."""

    def __init__(self, records: Values, lists: Sequence[tuple[Step, ...]]) -> None:
        self._records = records
        self._kept: NDArray[np.bool_] | None = None
        self._elements: dict[tuple[Step, ...], Values] = {}
        self._counts: list[int] | None = None
        self.parts: NDArray[np.int64] | None = None
        self.count = len(records)
        for steps in lists:
            found = _walked(records, steps)
            if set(map(type, found)) != {list}:
                raise OddError
            counts = list(map(len, found))
            if not all(counts) or self._counts not in (None, counts):
                raise OddError
            self._counts, self.count = counts, sum(counts)
            self._elements[steps] = list(chain.from_iterable(found))
        if self._counts is not None and self.count > len(records):
            ends = np.cumsum(self._counts)
            starts = np.repeat(ends - self._counts, self._counts)
            self.parts = (np.arange(self.count) - starts).astype(np.int64)

    def decoded(self, columns: RecordColumns, scale: TimeScale) -> Decoded:
        """Return the clicks."""
        return columns.clicks(self, scale)

    def keep(self, kept: NDArray[np.bool_] | None) -> None:
        """Leave out rows of the columns that follow."""
        self._kept = kept if kept is None or not kept.all() else None

    def places(self) -> NDArray[np.int64]:
        """Return the places of the rows that are kept in their lists."""
        assert self.parts is not None
        return self.parts if self._kept is None else self.parts[self._kept]

    def has(self, name: str) -> bool:
        """Whether a record has a field of just this name."""
        return any(name in one for one in self._records if type(one) is dict)

    def column(self, text: str) -> Values:
        """Return the values of a field."""
        steps = parse_path(text)
        if is_path(text) and self.has(text):
            raise OddError
        if EACH in steps:
            cut = steps.index(EACH)
            found = _walked(self._elements[steps[:cut]], steps[cut + 1 :])
        else:
            if steps == (text,):
                found = [one.get(text) if type(one) is dict else None for one in self._records]
            else:
                found = _walked(self._records, steps)
            if self._counts is not None:
                found = list(chain.from_iterable(map(repeat, found, self._counts)))
        return found if self._kept is None else list(compress(found, self._kept.tolist()))


def _walked(values: Values, steps: tuple[Step, ...]) -> Values:
    """Return what the steps lead to from each value, see `walk`."""
    for step in steps:
        values = [one.get(step) if type(one) is dict else walk(one, (step,)) for one in values]
    return values


def _decide(
    where: Callable[[Any], bool | None], columns: Sequence[Values], count: int
) -> Iterable[bool]:
    """Return for each row of some columns whether it fulfils a condition."""
    if not columns:
        return repeat(where(()) is True, count)
    rows = list(zip(*columns, strict=True))
    if all(set(map(type, column)) <= {str, type(None)} for column in columns):
        # Alike texts are decided once. Numbers and truth values may be equal, and yet read apart.
        decided = {row: where(row) is True for row in set(rows)}
        return map(decided.__getitem__, rows)
    return (where(row) is True for row in rows)


def _checked(column: Values) -> list[Id]:
    """Return a column of ids; all are such as `as_id` takes."""
    kinds = set(map(type, column))
    if float in kinds:
        try:
            column = [as_id(one, "", "") if type(one) is float else one for one in column]
        except UnusableError:
            raise OddError from None
    if not kinds <= {str, int, float} or "" in column:
        raise OddError
    if kinds == {str}:
        longest = [max(column, key=len)]
    elif str not in kinds and column:
        longest = [min(column), max(column)]
    else:
        longest = column
    if any(map(too_long, longest)):
        raise OddError
    return column
