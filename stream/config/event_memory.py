"""For how long the ids of events are remembered, as an option writes it."""

from __future__ import annotations

import re

import msgspec

from .options import ConfigError, parse_positive
from .values import shown

MOST_EVENTS = 100_000_000
"""Events that are remembered at most."""


class EventSpan(msgspec.Struct, frozen=True):
    """The number of events that are remembered, or the seconds; the other is None."""

    count: int | None = None
    seconds: float | None = None


def parse_event_memory(span: str | int, option: str) -> EventSpan:
    """Read how many events are remembered, or, with a unit, for how long.

    Raises
    ------
    ConfigError
        It is neither, or it is nothing, or too many.

    Examples
    --------
    >>> parse_event_memory(5000, "--event-memory").count
    5000
    >>> parse_event_memory("2h", "--event-memory").seconds
    7200.0

    """
    text = str(span).strip()
    if re.fullmatch(r"-?[\d_,]*\d[\d_,]*", text):
        digits = re.sub("[_,]", "", text)
        count = int(digits) if len(digits) <= len(str(MOST_EVENTS)) else MOST_EVENTS + 1
        if not 1 <= count <= MOST_EVENTS:
            raise ConfigError(f"{option} must be from 1 to {MOST_EVENTS:,}, not {text:.40}")
        return EventSpan(count=count)
    try:
        return EventSpan(seconds=parse_positive(text, option))
    except ConfigError as error:
        if "is not a duration" not in str(error):
            raise
        raise ConfigError(
            f"{option}: {shown(span)} is neither a number of events nor a duration; write, for "
            'instance, "100000" or "10m"'
        ) from None
