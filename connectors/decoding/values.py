"""What makes an id and a time."""

from __future__ import annotations

import datetime
import decimal
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..clicks import LATEST_TIME, Id, time_fault
from .iso_times import parse_moment

LONGEST_ID = 1024
"""Characters, or digits, of an id at most."""

_PAST_LONGEST: int = 10**LONGEST_ID

EARLIEST_DATE = -62_135_596_800.0
"""The first day of the year 1, in epoch seconds: no date lies before it."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?)?"
    r"(?:Z|([+-])(\d\d)(?::?(\d\d))?)?",
    re.ASCII,
)
_EPOCH = datetime.datetime(1970, 1, 1)


class UnusableError(Exception):
    """A record cannot be used.

    Parameters
    ----------
    reason
        A short stable name to count by.
    detail
        One sentence for a person.

    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def check_id(value: Id, field_name: str, missing: str) -> Id:
    """Return an id unchanged if it is neither empty nor too long.

    Raises
    ------
    UnusableError
        It is; `missing` is the reason's name where it is empty.

    """
    if value == "":
        raise UnusableError(missing, f"'{field_name}' is empty")
    if isinstance(value, str) and len(value) > LONGEST_ID:
        raise UnusableError(
            "id_too_long",
            f"'{field_name}' has {len(value):,} characters; {LONGEST_ID:,} are allowed",
        )
    if isinstance(value, int) and too_long(value):
        raise UnusableError("id_too_long", f"'{field_name}' has more than {LONGEST_ID:,} digits")
    return value


LARGEST_EXACT = 2.0**53
"""Whole floats from here on may have lost digits."""


def as_id(value: Any, field_name: str, missing: str) -> Id:
    """Return the id that a field holds: a text or a whole number, ``17.0`` as 17.

    Raises
    ------
    UnusableError
        It is something else, or too long; or it is empty, with the reason `missing`.

    Examples
    --------
    >>> as_id(17.0, "item_id", "no_item"), as_id("17.0", "item_id", "no_item")
    (17, '17.0')

    """
    kind = type(value)
    if kind is str or kind is int:
        return check_id(value, field_name, missing)
    if value is None:
        raise UnusableError(missing, f"there is no '{field_name}'")
    if kind is bytes:
        try:
            return check_id(value.decode(), field_name, missing)
        except UnicodeDecodeError as error:
            raise UnusableError(
                "not_utf8", f"'{field_name}' is not UTF-8: {error.reason}"
            ) from error
    if kind is float or kind is decimal.Decimal:
        if value != value:  # NaN.
            raise UnusableError(missing, f"'{field_name}' is not a number (NaN)")
        # A decimal has all its digits.
        limit = LARGEST_EXACT if kind is float else _PAST_LONGEST
        if abs(value) < limit and value == int(value):
            return int(value)
        raise UnusableError(
            "wrong_type",
            f"'{field_name}' is {value!s:.40}: an id is a text or a whole number below 2⁵³",
        )
    raise UnusableError(
        "wrong_type", f"'{field_name}' is {described(value)}: an id is a text or a whole number"
    )


def escaped(part: str) -> str:
    """Return a part of a joined id, so that different parts never make the same id."""
    return part.replace("\\", "\\\\").replace("+", "\\+")


def described(value: Any) -> str:
    """Return what a value of a record is, for a message.

    Examples
    --------
    >>> described([1]), described({}), described(True)
    ('a list', 'an object', 'true')

    """
    if type(value) is bool:
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return f"of the type {type(value).__name__}"


def too_long(value: Id) -> bool:
    """Whether an id has more characters or digits than it may."""
    if isinstance(value, str):
        return len(value) > LONGEST_ID
    return abs(value) >= _PAST_LONGEST


def check_time(time: float) -> float:
    """Return a time in epoch seconds unchanged if it is finite and before the year 10000.

    Raises
    ------
    UnusableError
        It does not.

    """
    fault = time_fault(time)
    if fault is None:
        return time
    finite = abs(time) < float("inf")
    raise UnusableError("time_out_of_range" if finite else "time_not_finite", fault)


def parse_time(text: str, per_second: float = 1.0) -> float:
    """Read a number, or an ISO 8601 date and time; one without a zone is in UTC.

    Parameters
    ----------
    text
        ``1396861869.277`` or ``2014-04-07T10:51:09.277Z``; digits past the microsecond are cut.
    per_second
        How many of a number's unit make a second.

    Returns
    -------
    float
        Epoch seconds, perhaps not finite.

    Raises
    ------
    UnusableError
        It is neither.

    Examples
    --------
    >>> parse_time("2014-04-07T12:51:09.277+02:00"), parse_time("1396867869277", 1000.0)
    (1396867869.277, 1396867869.277)

    """
    text = text.strip(" \t")
    number = number_in(text)
    if number is not None:
        return number / per_second
    return parse_date(text)


def number_in(text: str) -> float | None:
    """Return the number that a text without blanks around it is, None where it is none."""
    if _NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        return float(text)
    return None


def parse_date(text: str) -> float:
    """Read an ISO 8601 date and time, see `parse_moment`.

    Raises
    ------
    UnusableError
        It is none.

    """
    match = _DATE.fullmatch(text)
    try:
        if match is None:
            return parse_moment(text)
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        if hour > 23 or second > 59:
            return parse_moment(text)
        moment = datetime.datetime(year, month, day, hour, minute, second)
        east = _offset(match[8], match[9], match[10])
    except (ValueError, OverflowError) as error:
        if "neither a number" in str(error):
            raise UnusableError(
                "bad_time", f"{text[:80]!r} is neither a number nor an ISO 8601 date"
            ) from error
        raise UnusableError("bad_time", f"{text[:80]!r} is no date: {error}") from error
    micro = int(((match[7] or "") + "000000")[:6])
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds - east) * 1_000_000 + micro) / 1e6


def _offset(sign: str | None, hours: str | None, minutes: str | None) -> int:
    """Return the seconds that a zone is east of UTC."""
    if sign is None:
        return 0
    if int(hours or 0) > 23 or int(minutes or 0) > 59:
        raise ValueError("its zone is out of range")
    east = int(hours or 0) * 3600 + int(minutes or 0) * 60
    return -east if sign == "-" else east


def dates_to_times(texts: pa.Array) -> NDArray[np.float64] | None:
    """Read a column of ISO 8601 dates as `parse_time` does each; None where it might differ."""
    if len(texts) and str(texts[0].as_py()).endswith(" UTC"):
        # As databases write them; Arrow knows only the Z.
        texts = pc.replace_substring_regex(texts, pattern=" UTC$", replacement="Z")
    for kind in (pa.timestamp("us", "UTC"), pa.timestamp("us")):
        try:
            moments = pc.cast(texts, kind)
        except pa.ArrowException:
            continue
        if moments.null_count:
            return None
        times: NDArray[np.float64] = moments.cast(pa.int64()).to_numpy() / 1e6
        return times if not len(times) or times.min() >= EARLIEST_DATE else None
    return None


def usable_times(times: NDArray[np.float64]) -> bool:
    """Whether every one of these times passes `check_time`."""
    # A comparison with NaN is false.
    return bool((np.abs(times) < LATEST_TIME).all())
