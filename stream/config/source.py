"""The options of how a source is read, each declared once."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any, Literal, get_args

import msgspec

from nextclick.connectors import LogFormat, SourceError
from nextclick.connectors.clicks import LATEST_TIME
from nextclick.connectors.decoding.values import UnusableError, parse_time
from nextclick.connectors.kafka.offsets import Missing
from nextclick.connectors.kafka.span import Start

from .declaration import SOURCE, TOPIC, option
from .event_memory import EventSpan, parse_event_memory
from .options import ConfigError, Options, parse_duration, parse_name
from .registry import Registry, RegistryTable
from .values import shown

MOST_PARTITIONS = (1 << 31) - 1
"""Partitions that a topic of Kafka can have."""


def sorted_once(values: list[Any], typed: str = "") -> list[Any]:
    """Return each value once, in order."""
    return sorted(set(values))


def parse_where(text: str, typed: str = "--where") -> str:
    """Check a condition.

    Raises
    ------
    ConfigError
        It is none; the message names the place.

    Examples
    --------
    >>> parse_where("price > 0 and not bot")
    'price > 0 and not bot'

    """
    try:
        LogFormat(where=text)
    except SourceError as error:
        raise ConfigError(str(error).replace("--where", typed, 1)) from error
    return text


def parse_start(text: str, option: str) -> Start | timedelta:
    """Read where to begin in topics; a duration is how long ago.

    Raises
    ------
    ConfigError
        It is none of the words, no time and no duration.

    Examples
    --------
    >>> [parse_start(text, "--from") for text in ("latest", "1970-01-02T00:00+01:00", "2h")]
    ['latest', 82800.0, datetime.timedelta(seconds=7200)]

    """
    text = text.strip()
    for word in get_args(Missing):
        if text == word:
            found: Missing = word
            return found
    if re.fullmatch(r"\d+(\.\d+)?\s*[a-z]+", text):
        return timedelta(seconds=parse_duration(text, option))
    with suppress(UnusableError):
        moment = parse_time(text)
        # A number alone could be a time or a duration: it is neither.
        if re.search(r"\d[-:T]", text) and 0 <= moment < LATEST_TIME:
            return moment
    raise ConfigError(
        f"{option} {shown(text)}: write earliest, latest, a time since 1970 such as "
        '"2024-05-01T06:00Z", or how long ago with its unit, such as "2h"'
    )


class LogOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a log is read, and how the brokers of a topic are reached.

    A column is named, or in a log with columns given by its place, counted from 1. Where it is not
    given, what the format says, else ``session_id``, ``item_id`` and ``timestamp``.
    """

    format: Annotated[
        str | None,
        option(
            "Preset for a published data set, such as yoochoose, rees46, otto, mind or movielens; "
            "docs/guide/sources.md lists all.",
            SOURCE,
            fixed=True,
        ),
    ] = None
    session_column: Annotated[
        str | int | None,
        option(
            "Column of the session id, by name or number (1, 2, …), or a field by path, such as "
            "user.session or header:session.",
            SOURCE,
            fixed=True,
            basic=True,
            default="session_id",
            value="COLUMN",
            normalise=str,
        ),
    ] = None
    user_column: Annotated[
        str | int | None,
        option(
            "Column of the user id, by name or number; sessions are cut from each user's "
            "clicks by --gap.",
            SOURCE,
            fixed=True,
            value="COLUMN",
            normalise=str,
        ),
    ] = None
    item_column: Annotated[
        str | int | None,
        option(
            "Column of the item id, by name or number, or a field by path, such as "
            "payload.after.item_id, events[].id or brand+model.",
            SOURCE,
            fixed=True,
            basic=True,
            default="item_id",
            value="COLUMN",
            normalise=str,
        ),
    ] = None
    time_column: Annotated[
        str | int | None,
        option(
            "Column of the time, by name or number, or a field by path.",
            SOURCE,
            fixed=True,
            basic=True,
            default="timestamp",
            value="COLUMN",
            normalise=str,
        ),
    ] = None
    time_unit: Annotated[
        str | None,
        option(
            "Unit of times given as numbers: s, ms, us or ns; by default the size of the first "
            "tells it.",
            SOURCE,
            fixed=True,
        ),
    ] = None
    where: Annotated[
        str | None,
        option(
            "Condition on a record's fields, such as \"event_type in ('view', 'cart')\"; others "
            "are left out.",
            SOURCE,
            fixed=True,
            value="CONDITION",
            parse=parse_where,
        ),
    ] = None
    delimiter: Annotated[
        str | None,
        option(
            "Delimiter of the columns, such as ';', '::' or tab.",
            SOURCE,
            fixed=True,
            default="as in the first line",
            value="TEXT",
        ),
    ] = None
    no_header: Annotated[
        bool,
        option(
            "The first line is a click; name columns by number or --columns.", SOURCE, fixed=True
        ),
    ] = False
    columns: Annotated[
        list[str] | None,
        option(
            "Names of the columns of delimited text without a header, in their order, such as "
            "user_id,item_id,timestamp.",
            SOURCE,
            fixed=True,
            value="NAMES",
        ),
    ] = None
    sort: Annotated[
        bool | None, option("Read the whole log first and sort it by time.", SOURCE, fixed=True)
    ] = None
    kafka: Annotated[
        dict[str, Any],
        option(
            "Kafka connection settings, such as security.protocol; there is no flag.",
            TOPIC,
            flag=False,
        ),
    ] = msgspec.field(default_factory=dict)


class SourceOptions(LogOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a source is read: a log, a pipe, a topic or the simulated shop."""

    follow: Annotated[
        bool, option("Read on at the end of a log as it grows, until stopped.", SOURCE)
    ] = False
    until_end: Annotated[
        bool, option("Stop at the end that the topics have when the run starts.", TOPIC)
    ] = False
    from_: Annotated[
        str | None,
        option(
            "Where a run without a snapshot begins in the topics: earliest, latest, a time such as "
            "2024-05-01T06:00Z, or how long ago, such as 2h.",
            TOPIC,
            topic=True,
            default="earliest",
            value="earliest|latest|TIME",
            parse=parse_start,
        ),
    ] = None
    partitions: Annotated[
        list[int] | None,
        option(
            "Partitions to read of one topic, such as 0,2.",
            TOPIC,
            ge=0,
            le=MOST_PARTITIONS,
            fixed=True,
            topic=True,
            default="all",
            parse=sorted_once,
        ),
    ] = None
    session_from: Annotated[
        Literal["field", "key"],
        option(
            "Read the session id from a field of the record or from its key.",
            TOPIC,
            fixed=True,
            topic=True,
        ),
    ] = "field"
    time_from: Annotated[
        Literal["field", "record"],
        option(
            "Read the time from a field of the record or from its timestamp.",
            TOPIC,
            fixed=True,
            topic=True,
        ),
    ] = "field"
    key_type: Annotated[
        Literal["text", "int", "schema"],
        option(
            "What the records' keys are: text, integers of 4 or 8 bytes as Kafka's "
            "IntegerSerializer and LongSerializer write them, or written with a schema of the "
            "registry.",
            TOPIC,
            fixed=True,
            topic=True,
        ),
    ] = "text"
    schema_registry: Registry = None
    registry: RegistryTable = msgspec.field(default_factory=dict)
    event_id: Annotated[
        str | None,
        option(
            "Field with an event's id; an event that was read before is counted, not learned.",
            SOURCE,
            fixed=True,
            value="FIELD",
            parse=parse_name,
        ),
    ] = None
    event_memory: Annotated[
        str | int,
        option(
            "Number of the latest events whose ids are remembered, or for how long they are, "
            'such as "10m".',
            SOURCE,
            fixed=True,
            changeable=True,
            value="COUNT|DURATION",
            parse=parse_event_memory,
        ),
    ] = 100_000
    idle: Annotated[
        str | float,
        option(
            "Longest time that a click of a live topic waits for earlier clicks of other "
            "partitions.",
            TOPIC,
            value="DURATION",
            parse=parse_duration,
        ),
    ] = "200ms"
    on_missing_offsets: Annotated[
        Literal["earliest", "latest"] | None,
        option(
            "Where to continue if the records at the position are gone or damaged; by default "
            "the run ends with an error.",
            TOPIC,
            topic=True,
            default="stop",
        ),
    ] = None
    group: Annotated[
        str, option("Consumer group that offsets are committed to.", TOPIC, parse=parse_name)
    ] = "nextclick"

    @property
    def event_span(self) -> EventSpan:
        """How many events are remembered, or for how long."""
        return parse_event_memory(self.event_memory, "--event-memory")

    @property
    def start(self) -> Start | None:
        """Where a run without a snapshot begins, where that is given; a duration is from now."""
        start = None if self.from_ is None else parse_start(self.from_, "--from")
        return time.time() - start.total_seconds() if isinstance(start, timedelta) else start

    @property
    def idle_seconds(self) -> float:
        """How long a live click waits for earlier ones of other partitions, in seconds."""
        return parse_duration(self.idle, "--idle")
