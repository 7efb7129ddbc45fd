"""Conversion of what a custom source returns into the form that built-in sources return."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .clicks import Clicks, Id, Position, Rejected, time_fault
from .decoding.values import LONGEST_ID, usable_times
from .files.growing.followed_log import FollowedLog
from .files.growing.recorded_log import RecordedLog
from .files.log import LogSource
from .files.merged_logs import MergedLogs
from .files.pipe import PipeSource
from .kafka.source import KafkaSource
from .memory.open import MemorySource
from .simulator import SimulatedShop
from .source import Source, SourceError

BUILT_IN = (
    FollowedLog,
    KafkaSource,
    LogSource,
    MemorySource,
    MergedLogs,
    PipeSource,
    RecordedLog,
    SimulatedShop,
)
"""Sources that keep their contract; one derived from them is somebody's own again."""

SCALARS = frozenset({str, int, float, bool, type(None)})
"""The types of JSON's single values."""

LARGEST_NUMBER = 10**LONGEST_ID
"""An id that is a whole number has at most as many digits as one that is a text has characters."""


def check_polled(source: Source, polled: Any, limit: int, before: int = 0) -> Clicks | None:
    """Return what `Source.poll` gave, with ids that are `str` or `int` and times that are float64.

    Columns may be lists, tuples, arrays of numpy, columns of pandas or of Arrow. What built-in
    sources gave, and what is in its final form, is returned as it is.

    Parameters
    ----------
    source
        Who gave it, for the message.
    polled
        What it gave.
    limit
        What `poll` was called with.
    before
        Clicks that the source gave before, for the message.

    Raises
    ------
    SourceError
        The source breaks its contract; the message names its class, the field and the click.

    Examples
    --------
    >>> class Mine:
    ...     pass
    >>> given = Clicks(np.array([7, 8]), np.array(["hat", "shoes"]), [1, 2])
    >>> clicks = check_polled(Mine(), given, limit=64)
    >>> clicks.sessions, clicks.items, clicks.times
    ([7, 8], ['hat', 'shoes'], array([1., 2.]))

    """
    if polled is None or type(source) in BUILT_IN:
        done: Clicks | None = polled
        return done
    if isinstance(polled, Clicks) and _final(polled, limit):
        return polled
    return _Check(type(source).__name__, before).clicks(polled, limit)


def _final(polled: Clicks, limit: int) -> bool:
    """Whether nothing has to be changed, and nothing is wrong; this is asked at every poll."""
    sessions, items, times, places = polled.sessions, polled.items, polled.times, polled.places
    return (
        type(sessions) is type(items) is list
        and type(times) is np.ndarray
        and times.dtype == np.float64
        and times.shape == (len(sessions),)
        and len(sessions) == len(items) <= limit
        and _final_ids(sessions)
        and _final_ids(items)
        and usable_times(times)
        and type(polled.position) is dict
        and _final_json(polled.position)
        and (not places or (type(places) is list and _final_places(places, len(items))))
        and (not polled.rejected or _final_rejected(polled.rejected))
        and (polled.events is None or _final_events(polled.events, len(items)))
        and type(polled.arrived) in (float, type(None))
    )


def _final_ids(ids: list[Any]) -> bool:
    kinds = set(map(type, ids))
    if not kinds <= {str, int}:
        return False
    texts = ids if int not in kinds else [each for each in ids if type(each) is str]
    if int in kinds:
        numbers = ids if str not in kinds else [each for each in ids if type(each) is int]
        if max(numbers) >= LARGEST_NUMBER or min(numbers) <= -LARGEST_NUMBER:
            return False
    joined = "".join(texts)
    return (
        "" not in ids
        and (joined.isascii() or _is_unicode(joined))
        and (len(joined) <= LONGEST_ID or max(map(len, texts)) <= LONGEST_ID)
    )


def _is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _final_json(value: Any) -> bool:
    if type(value) is dict:
        return set(map(type, value)) <= {str} and (
            set(map(type, value.values())) <= SCALARS or all(map(_final_json, value.values()))
        )
    return type(value) in SCALARS or (type(value) is list and all(map(_final_json, value)))


def _final_places(places: list[Any], clicks: int) -> bool:
    return (
        len(places) == clicks
        and set(map(type, places)) == {dict}
        and set(map(type, chain.from_iterable(places))) <= {str}
        and set(map(type, chain.from_iterable(map(dict.values, places)))) <= SCALARS
    )


def _final_events(events: Any, clicks: int) -> bool:
    return (
        type(events) is list
        and len(events) == clicks
        and _final_ids([event for event in events if event is not None])
    )


def _final_rejected(rejected: Any) -> bool:
    return type(rejected) is list and all(
        type(each) is Rejected
        and type(each.reason) is type(each.detail) is str
        and type(each.raw) in (bytes, type(None))
        and type(each.key) in (bytes, type(None))
        and type(each.position) is dict
        and _final_json(each.position)
        for each in rejected
    )


class _Check:
    """Converts one poll of a source into its final form, or reports what is wrong with it."""

    def __init__(self, source: str, before: int) -> None:
        self._source = source
        self._before = before

    def clicks(self, polled: Any, limit: int) -> Clicks:
        if not isinstance(polled, Clicks):
            self._fail(
                f"it returned {_kind(polled)}; it must return Clicks, or None at the end "
                "of the stream"
            )
        sessions = self._column("sessions", polled.sessions)
        items = self._column("items", polled.items)
        times = self._times(polled.times)
        if not len(sessions) == len(items) == len(times):
            self._fail(
                "its columns differ in length: "
                f"{len(sessions):,} sessions, {len(items):,} items, {len(times):,} times"
            )
        if len(items) > limit:
            self._fail(
                f"it returned {len(items):,} clicks where {limit:,} were requested: return at "
                "most `limit` of them, and keep the others for the next poll"
            )
        position: Any = polled.position
        return Clicks(
            self._ids("sessions", sessions),
            self._ids("items", items),
            self._usable(times),
            self._position("position", {} if position is None else position),
            self._rejected(polled.rejected),
            self._places(polled.places, len(items)),
            self._events(polled.events, len(items)),
            self._arrived(polled.arrived),
        )

    def _arrived(self, arrived: Any) -> float | None:
        if arrived is not None and (type(arrived) not in (int, float) or arrived != arrived):
            self._fail(f"arrived is {_kind(arrived)}; give None, or seconds by time.monotonic")
        return None if arrived is None else float(arrived)

    def _column(self, field: str, column: Any) -> list[Any]:
        """Return a column as a list of single values."""
        if type(column) is list:
            return column
        if isinstance(column, str | bytes | dict | set | frozenset):
            self._fail(f"{field} is {_kind(column)}; give a list of ids, in the clicks' order")
        for method in ("to_pylist", "tolist", "to_list"):  # Arrow's; numpy's and pandas'; polars'.
            if hasattr(column, method):
                column = getattr(column, method)()
                break
        if not isinstance(column, Iterable):
            self._fail(f"{field} is {_kind(column)}; give a list of ids, in the clicks' order")
        return list(column)

    def _ids(self, field: str, ids: list[Any]) -> list[Id]:
        return [self._id(field, at, value) for at, value in enumerate(ids)]

    def _id(self, field: str, at: int, value: Any) -> Id:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, str | int):
            # None, and how numpy and pandas write that there is none.
            missing = str(value) in ("None", "nan", "NaT", "<NA>")
            remedy = (
                "every click needs one: leave the click out, or return it in `rejected`"
                if missing
                else f"an id is a string or an integer, not {_kind(value)}: convert it first"
            )
            self._fail_at(field, at, value, remedy)
        if isinstance(value, int):
            if abs(value) >= LARGEST_NUMBER:
                self._fail_at(field, at, int, f"it has more than {LONGEST_ID:,} digits")
            return int(value)
        text = str.__str__(value)
        if not text:
            self._fail_at(
                field, at, text, "it is empty: leave the click out, or return it in `rejected`"
            )
        if len(text) > LONGEST_ID:
            self._fail_at(
                field,
                at,
                text[:20] + "...",
                f"it has {len(text):,} characters; {LONGEST_ID:,} are allowed",
            )
        if not _is_unicode(text):
            self._fail_at(
                field, at, text, "it contains an unpaired surrogate, which cannot be encoded"
            )
        return text

    def _times(self, column: Any) -> NDArray[np.float64]:
        """Return the times as float64: numbers as they are, moments as seconds since 1970."""
        wish = "give epoch seconds: float64 or integers"
        try:
            if hasattr(column, "to_numpy"):
                column = column.to_numpy()
            times = np.asarray(column)
            if times.dtype.kind == "O":
                kinds = {type(each) for each in times.ravel().tolist()}
                if any(issubclass(kind, str | bytes | bool) for kind in kinds):
                    self._fail(f"times contains a value that is not a number; {wish}")
                times = times.astype(np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise SourceError(
                f"{self._source}.poll: times cannot be read ({error}); {wish}"
            ) from error
        if times.dtype.kind == "M":
            moments = times.astype("datetime64[us]")
            times = np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)
        if times.ndim != 1 or (times.size and times.dtype.kind not in "iuf"):
            self._fail(f"times is of {times.dtype} in {times.ndim} dimensions; {wish}")
        return times.astype(np.float64)

    def _usable(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        for at, time in enumerate(times.tolist()):
            if fault := time_fault(time):
                self._fail_at("times", at, time, fault)
        return times

    def _position(self, field: str, position: Any) -> Position:
        if not isinstance(position, dict):
            self._fail(f"{field} is {_kind(position)}; it is a dict of JSON's types")
        plain: Position = self._json(field, position)
        return plain

    def _json(self, field: str, value: Any) -> Any:
        if isinstance(value, np.generic | np.ndarray):
            value = value.tolist()
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    self._fail(f"{field} has the key {key!r}; JSON keys are strings")
            return {key: self._json(f"{field}[{key!r}]", each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._json(f"{field}[{at}]", each) for at, each in enumerate(value)]
        if type(value) not in SCALARS:
            self._fail(
                f"{field} is {_kind(value)}, which JSON does not have; a snapshot keeps the "
                "position as JSON"
            )
        return value

    def _places(self, places: Any, clicks: int) -> list[Position] | None:
        if places is None:
            return None
        listed = self._column("places", places)
        if listed and len(listed) != clicks:
            self._fail(f"it returned {clicks:,} clicks and {len(listed):,} places")
        return [self._position(f"places[{at}]", place) for at, place in enumerate(listed)]

    def _events(self, events: Any, clicks: int) -> list[Id | None] | None:
        if events is None:
            return None
        listed = self._column("events", events)
        if len(listed) != clicks:
            self._fail(f"it returned {clicks:,} clicks and {len(listed):,} events")
        return [
            None if event is None else self._id("events", at, event)
            for at, event in enumerate(listed)
        ]

    def _rejected(self, rejected: Any) -> list[Rejected]:
        if rejected is None:
            return []
        records = self._column("rejected", rejected)
        return [self._record(f"rejected[{at}]", record) for at, record in enumerate(records)]

    def _record(self, field: str, record: Any) -> Rejected:
        if not isinstance(record, Rejected):
            self._fail(f"{field} is {_kind(record)}; it is a Rejected")
        for name, kind in (("reason", str), ("detail", str), ("raw", bytes), ("key", bytes)):
            value = getattr(record, name)
            if not isinstance(value, kind) and not (kind is bytes and value is None):
                self._fail(f"{field}.{name} is {_kind(value)}; it is {kind.__name__}")
        position = self._position(f"{field}.position", record.position)
        return Rejected(
            record.reason, record.detail, position, record.raw, record.key, record.cut_from
        )

    def _fail_at(self, field: str, at: int, value: Any, fault: str) -> NoReturn:
        click = self._before + at + 1
        self._fail(f"{field}[{at}] is {value!r} (click {click:,} of the stream): {fault}")

    def _fail(self, fault: str) -> NoReturn:
        raise SourceError(f"{self._source}.poll: {fault}")


def _kind(value: Any) -> str:
    """Return what a value is, for a message."""
    return "None" if value is None else f"of the type {type(value).__name__}"
