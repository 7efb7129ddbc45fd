"""Dates and times as ISO 8601 writes them, and as databases and Java do."""

from __future__ import annotations

import datetime
import re
import zoneinfo

_EPOCH = datetime.datetime(1970, 1, 1)

_MOMENT = re.compile(
    r"""
    (?P<year>[+-]\d{6}|\d{4})
    (?: -W(?P<week>\d\d)(?:-(?P<weekday>\d))? | W(?P<basic_week>\d\d)(?P<basic_weekday>\d)?
      | -?(?P<ordinal>\d{3})
      | -(?P<month>\d\d)(?:-(?P<day>\d\d))? | (?P<basic_month>\d\d)(?P<basic_day>\d\d)
    )?
    (?: (?:T|[ ]+)(?P<hour>\d\d)
        (?: :(?P<minute>\d\d)(?::(?P<second>\d\d))?
          | (?P<basic_minute>\d\d)(?P<basic_second>\d\d)? )?
        (?:[.,](?P<fraction>\d+))?
    )?
    [ ]?
    (?: (?P<utc>Z|UTC|GMT)
      | (?P<sign>[+\-\u2212])(?P<east_hours>\d\d)(?::?(?P<east_minutes>\d\d)
        (?::?(?P<east_seconds>\d\d))?)?
    )?
    (?: [ ]?\[!?(?P<zone>[A-Z_][\w+/-]*)\] | [ ](?P<bare_zone>[A-Z_]+(?:/[\w+-]+)+) )?
    (?: \[!?[\w-]+=[\w-]+\] )*
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
"""The extended and the basic form. Behind them a zone's name, and tags such as ``[u-ca=iso8601]``,
as RFC 9557 and Java write them."""


def parse_moment(text: str) -> float:
    """Read a date, or a date and time; one without a zone is in UTC.

    Parameters
    ----------
    text
        Calendar, week and ordinal dates, extended or basic; the lowest part of a time may have a
        fraction, behind a point or a comma. Then ``Z``, ``UTC``, ``GMT`` or an offset, and
        perhaps a zone's name in brackets, which counts where there is no offset. Digits past the
        microsecond are cut.

    Returns
    -------
    float
        Epoch seconds.

    Raises
    ------
    ValueError
        It is none of these; the message says what is wrong.

    Examples
    --------
    >>> parse_moment("20140407T105109,277Z"), parse_moment("2014-04-07 12:51:09.277+0200")
    (1396867869.277, 1396867869.277)
    >>> parse_moment("2014-W15-1"), parse_moment("2014-097"), parse_moment("2014-04-07 UTC")
    (1396828800.0, 1396828800.0, 1396828800.0)
    >>> parse_moment("2014-04-07T12:51:09.277[Europe/Berlin]")
    1396867869.277

    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("it is neither a number nor an ISO 8601 date")
    part = match.groupdict()
    moment = datetime.datetime.combine(_day(part), datetime.time()) + _time(part)
    return (moment - _EPOCH - _offset(part, moment)) / datetime.timedelta(microseconds=1) / 1e6


def _day(part: dict[str, str | None]) -> datetime.date:
    year = int(part["year"] or 0)
    if week := part["week"] or part["basic_week"]:
        weekday = int(part["weekday"] or part["basic_weekday"] or 1)
        return datetime.date.fromisocalendar(year, int(week), weekday)
    if part["ordinal"] is not None:
        day = datetime.date(year, 1, 1) + datetime.timedelta(days=int(part["ordinal"]) - 1)
        if day.year != year:
            raise ValueError("its day of the year is out of range")
        return day
    month, day_of_month = part["month"] or part["basic_month"], part["day"] or part["basic_day"]
    return datetime.date(year, int(month or 1), int(day_of_month or 1))


def _time(part: dict[str, str | None]) -> datetime.timedelta:
    """Return the time since midnight; 24:00 is the next one, and 23:59:60 a leap second."""
    texts = [
        part["hour"],
        part["minute"] or part["basic_minute"],
        part["second"] or part["basic_second"],
    ]
    hour, minute, second = (int(text or 0) for text in texts)
    digits = (part["fraction"] or "0")[:15]
    lowest = (3600, 60, 1)[sum(text is not None for text in texts) - 1]
    micro = int(digits) * lowest * 1_000_000 // 10 ** len(digits)
    if hour > 24 or (hour == 24 and (minute or second or micro)):
        raise ValueError("its hour is out of range")
    if minute > 59 or second > (60 if minute in (29, 59) else 59):
        raise ValueError("its minute or second is out of range")
    return datetime.timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micro)


def _offset(part: dict[str, str | None], moment: datetime.datetime) -> datetime.timedelta:
    """Return by how much the zone is east of UTC."""
    if part["sign"] is not None:
        names = ("east_hours", "east_minutes", "east_seconds")
        hours, minutes, seconds = (int(part[name] or 0) for name in names)
        if hours > 23 or minutes > 59 or seconds > 59:
            raise ValueError("its zone is out of range")
        east = datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return east if part["sign"] == "+" else -east
    name = part["zone"] or part["bare_zone"]
    if part["utc"] is not None or name is None:
        return datetime.timedelta()
    try:
        zone = zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"this machine knows no zone {name!r} (pip install tzdata adds the usual ones)"
        ) from error
    return moment.replace(tzinfo=zone).utcoffset() or datetime.timedelta()
