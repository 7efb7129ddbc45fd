"""What makes an id and a time."""

from __future__ import annotations

import datetime
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..clicks import LATEST_TIME, Id, time_fault

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
    if _NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        return float(text) / per_second
    match = _DATE.fullmatch(text)
    if match is None:
        raise UnusableError("bad_time", f"{text[:80]!r} is neither a number nor an ISO 8601 date")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        moment = datetime.datetime(year, month, day, hour, minute, second)
        east = _offset(match[8], match[9], match[10])
    except ValueError as error:
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
