"""How a log names its columns, and presets for the public data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ..option_checks import check_fields, check_least
from ..source import SourceError
from ..spelling import nearest

TimeUnit = Literal["s", "ms", "us", "ns"]

KeyType = Literal["text", "int", "schema"]

UNITS_PER_SECOND: dict[str, float] = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


TAB = ("\\t", "tab")
"""Names of a tab, which is hard to type."""


def _parts_columns(delimiter: str) -> bool:
    """Whether a text can be the delimiter of columns."""
    return bool(delimiter) and delimiter.isascii() and not set(delimiter) & set('"\r\n\0')


class LogFormat(msgspec.Struct, frozen=True, kw_only=True):
    """Where a log keeps what a click is made of.

    Parameters
    ----------
    session
        The column with the session's id; None where the log knows only users.
    user
        The column with the user's id. It is taken where `session` is None or is not among the
        log's columns; sessions are then cut by `gap`.
    item
        The column with the item's id.
    time
        The column with the time: a number in `unit` since 1970, or an ISO 8601 date and time.
    unit
        What a time given as a number counts: ``s``, ``ms``, ``us`` or ``ns``. None: the size of
        the first time tells it.
    date
        A column with the date, where `time` counts only from that day's start (delimited text).
    only
        A column and the one value that makes a row a click (delimited text).
    where
        A condition on a record's fields: those that do not fulfil it are left out.
    event
        The field with an event's id, by which doubles are known.
    key_type
        What the keys of a topic's records are: ``text``; ``int``, as Kafka's serializers write
        integers and longs; or ``schema``, as a schema registry's serializers write them.
    delimiter
        The delimiter of the columns, one character or several; None: the one of the header.
    header
        False where the first line is data; the columns are then named "1", "2", "3" and so on.
        If all columns are given by such numbers, the first line shows it.
    columns
        The names of the columns, in their order, where no header has them.
    gap
        Seconds without a click after which a user's session has ended.
    sort
        Whether the file is not in time order: read all of it, sort it by time, then serve it.
        None, where nobody has said it, is as False but for RecBole's files.
    keep_raw
        Whether rejected records keep their bytes, as for dead letters.
    files
        Patterns of the names of the files that are read of a folder or an archive, if it has such
        files; presets set them.
    published
        The published form whose lines are first translated to one click each: ``mind`` or
        ``30music``; presets set it.

    """

    session: str | None = "session_id"
    user: str | None = None
    item: str = "item_id"
    time: str = "timestamp"
    unit: TimeUnit | None = None
    date: str | None = None
    only: tuple[str, str] | None = None
    where: str | None = None
    event: str | None = None
    key_type: KeyType = "text"
    delimiter: str | None = None
    header: bool = True
    columns: tuple[str, ...] | None = None
    gap: float | None = None
    sort: bool | None = None
    keep_raw: bool = True
    files: tuple[str, ...] = ()
    published: Literal["mind", "30music"] | None = None

    def __post_init__(self) -> None:
        """Check types and values."""
        check_fields(self)
        check_least("LogFormat", "gap", self.gap, 0)
        if self.session is None and self.user is None:
            raise SourceError(
                "a log needs a session column or a user column: give --session-column"
            )
        if self.where is not None:
            # Imported here: the parser takes long to load.
            from .conditions import parse_condition

            try:
                parse_condition(self.where)
            except SourceError as error:
                raise SourceError(f"--where {self.where!r:.200}: {error}") from None
        if self.delimiter is not None and not _parts_columns(self.delimiter):
            raise SourceError(
                f"--delimiter {self.delimiter!r}: it is one ASCII character or several, without "
                "quotes and line breaks"
            )


_TRANSLATED = ("session", "item", "time", "kind")
"""The columns that a published log is translated to."""

PRESETS: dict[str, LogFormat] = {
    # RecSys Challenge 2015, yoochoose-clicks.dat: session, ISO time, item, category.
    "yoochoose": LogFormat(
        session="1",
        time="2",
        item="3",
        unit="s",
        delimiter=",",
        header=False,
        sort=True,
        files=("*clicks*",),
    ),
    # CIKM Cup 2016, train-item-views.csv: milliseconds since the session's start, and the day.
    "diginetica": LogFormat(
        session="sessionId",
        item="itemId",
        time="timeframe",
        unit="ms",
        date="eventdate",
        delimiter=";",
        sort=True,
        files=("train-item-views*",),
    ),
    # events.csv: views, additions to the cart and purchases of visitors; the views are the clicks.
    "retailrocket": LogFormat(
        session=None,
        user="visitorid",
        item="itemid",
        time="timestamp",
        unit="ms",
        only=("event", "view"),
        delimiter=",",
        gap=1800.0,
        sort=True,
        files=("events*",),
    ),
    # Atomic files of RecBole: a header of name:type, tabs, sessions or users, in any order.
    "recbole": LogFormat(user="user_id", delimiter="\t", gap=1800.0, sort=True),
    # 2019-Oct.csv and so on of a multi-category store; the views are the clicks. In time order.
    "rees46": LogFormat(
        session="user_session",
        item="product_id",
        time="event_time",
        only=("event_type", "view"),
        delimiter=",",
    ),
    # train.jsonl: a session a line, with events of aid, ts and type.
    "otto": LogFormat(
        session="session",
        item="events[].aid",
        time="events[].ts",
        unit="ms",
        sort=True,
        files=("*train*",),
    ),
    # behaviors.tsv: news shown to a user at a time, those clicked marked by -1.
    "mind": LogFormat(
        session=None,
        user="session",
        item="item",
        time="time",
        delimiter="\t",
        header=False,
        columns=_TRANSLATED,
        gap=1800.0,
        sort=True,
        published="mind",
        files=("behaviors*",),
    ),
    # relations/sessions.idomaar: a session a line, with its tracks in JSON.
    "30music": LogFormat(
        session="session",
        item="item",
        time="time",
        delimiter="\t",
        header=False,
        columns=_TRANSLATED,
        sort=True,
        published="30music",
        files=("sessions*",),
    ),
    # ratings.csv from 20M on; ratings.dat of 1M and 10M; u.data of 100K. Grouped by user.
    "movielens": LogFormat(
        session=None,
        user="userId",
        item="movieId",
        delimiter=",",
        gap=1800.0,
        sort=True,
        files=("ratings*",),
    ),
    "movielens-1m": LogFormat(
        session=None,
        user="1",
        item="2",
        time="4",
        delimiter="::",
        header=False,
        gap=1800.0,
        sort=True,
        files=("ratings*",),
    ),
    "movielens-100k": LogFormat(
        session=None,
        user="1",
        item="2",
        time="4",
        delimiter="\t",
        header=False,
        gap=1800.0,
        sort=True,
        files=("u.data*",),
    ),
    # Reviews of 2014 and 2018 in JSON Lines; those of 2023, in JSON Lines or CSV; and the ratings
    # of 2018 alone, in CSV without a header. Times of the first are whole days.
    "amazon": LogFormat(
        session=None,
        user="reviewerID",
        item="asin",
        time="unixReviewTime",
        gap=30 * 86_400.0,
        sort=True,
    ),
    "amazon-2023": LogFormat(
        session=None, user="user_id", item="parent_asin", unit="ms", gap=30 * 86_400.0, sort=True
    ),
    "amazon-ratings": LogFormat(
        session=None,
        user="2",
        item="1",
        time="4",
        delimiter=",",
        header=False,
        gap=30 * 86_400.0,
        sort=True,
    ),
    # clicks/clicks_hour_*.csv of Globo.com: an hour a file, grouped by session.
    "globo": LogFormat(
        item="click_article_id",
        time="click_timestamp",
        unit="ms",
        delimiter=",",
        sort=True,
        files=("clicks_hour_*",),
    ),
    # The daily files of Adressa, JSON Lines: events of users; a front page has no id.
    "adressa": LogFormat(
        session=None, user="userId", item="id", time="time", gap=1800.0, sort=True
    ),
    # What session-rec prepares: SessionId, ItemId and Time, parted by tabs, grouped by session.
    "session-rec": LogFormat(
        session="SessionId", item="ItemId", time="Time", delimiter="\t", sort=True
    ),
}
"""The published files of public data sets, as they come."""

PRESET_CONDITIONS = {"otto": "events[].type = 'clicks'"}
"""Which of their records count. Apart from the formats, which check theirs when they are made: the
parser takes long to load."""


def log_format(
    preset: str | None = None,
    *,
    session_column: str | int | None = None,
    user_column: str | int | None = None,
    item_column: str | int | None = None,
    time_column: str | int | None = None,
    time_unit: str | None = None,
    where: str | None = None,
    event_id: str | None = None,
    key_type: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    columns: Sequence[str] | None = None,
    gap: float | None = None,
    sort: bool | None = None,
    keep_raw: bool | None = None,
) -> LogFormat:
    """Make a format of a preset and of options that override it; None overrides nothing.

    A user column without a session column means that sessions are cut by inactivity. A column is
    a name, or its place, counted from 1. Where `columns` names them there is no header.

    Raises
    ------
    SourceError
        An option has no sense; the message names it.

    Examples
    --------
    >>> log_format(item_column="sku").item
    'sku'
    >>> log_format(user_column="visitor", gap=1800.0).session is None
    True

    """
    if preset is not None and preset not in list(PRESETS):
        raise SourceError(
            f"--format {preset}: there is no such format{nearest(str(preset), PRESETS)}; "
            f"there are {', '.join(sorted(PRESETS))}"
        )
    base = LogFormat() if preset is None else PRESETS[preset]
    session = (
        base.session if session_column is None else _column("--session-column", session_column)
    )
    if user_column is not None and session_column is None:
        session = None
    if time_unit is not None and time_unit not in list(UNITS_PER_SECOND):
        raise SourceError(f"--time-unit {time_unit}: it is one of {', '.join(UNITS_PER_SECOND)}")
    changes = {
        "user": _column("--user-column", user_column),
        "item": _column("--item-column", item_column),
        "time": _column("--time-column", time_column),
        "unit": time_unit,
        "where": PRESET_CONDITIONS.get(str(preset)) if where is None else where,
        "event": _column("--event-id", event_id),
        "key_type": key_type,
        "delimiter": "\t" if delimiter in TAB else delimiter,
        "header": False if header is None and columns else header,
        "columns": tuple(columns) if columns else None,
        "gap": gap,
        "sort": sort,
        "keep_raw": keep_raw,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    return msgspec.structs.replace(base, session=session, **given)


def _column(option: str, given: object) -> str | None:
    """Return a column in the one form that it has inside: a place as its digits."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int) or given == "":
        raise SourceError(f"{option} {given!r}: a column is a name or a number, counted from 1")
    return str(given)
