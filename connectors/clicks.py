"""Clicks: one as decoded, a batch by column, and records that could not be used."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Id = str | int
"""What names a session, a user or an item. It comes back as it went in."""

Position = dict[str, Any]
"""A source's position, in JSON's types: what `Source.seek` needs to go on from there."""

LATEST_TIME = 253_402_300_800.0
"""The year 10000, in epoch seconds. A time past it is a unit mistaken, not a click."""


class Click(msgspec.Struct, frozen=True):
    """One click.

    Parameters
    ----------
    session
        The session's id, or the user's where sessions are cut by inactivity.
    item
        What was clicked.
    time
        When, in epoch seconds.

    Examples
    --------
    >>> Click("anna", "shoes", 1396861869.5)
    Click(session='anna', item='shoes', time=1396861869.5)

    """

    session: Id
    item: Id
    time: float


FILTERED = "filtered"
"""The reason of records that a condition leaves out: counted, but no dead letters."""


class Rejected(msgspec.Struct, frozen=True):
    """A record that cannot be used, and why.

    Parameters
    ----------
    reason
        A short stable name to count by, such as ``no_item`` or ``bad_json``.
    detail
        One sentence for a person.
    position
        The record's place: ``{"file": ..., "line": ...}``, or topic, partition, offset.
    raw
        The record's bytes as they were read, at most the first 64 KiB; None where the source
        was configured not to keep them.
    key
        The key of a topic's record, where it has one; at most the first 64 KiB.
    cut_from
        The record's size in bytes, where `raw` is only its start.

    """

    reason: str
    detail: str
    position: Position
    raw: bytes | None = None
    key: bytes | None = None
    cut_from: int | None = None


@dataclass(slots=True)
class Clicks:
    """A batch of clicks in stream order, by column.

    Parameters
    ----------
    sessions
        Session (or user) ids, n of them.
    items
        Item ids, n of them.
    times
        Epoch seconds, float64 of shape (n,), all finite.
    position
        The source's position *after* these clicks and these rejected records.
    rejected
        Records read along the way that cannot be used.
    places
        The place of each click, ``{"partition": ..., "offset": ...}``, with ``part`` for those
        after the first of a record; None where the source has no such places.
    events
        The id of the event that each click is, by which doubles are known; None, for all or for
        one, where there is none.
    arrived
        When the first of these clicks came in, by `time.monotonic`; None: when they were polled.

    Examples
    --------
    >>> clicks = Clicks.of([Click("anna", "shoes", 1.0), Click("bert", "socks", 2.0)])
    >>> len(clicks), clicks.items
    (2, ['shoes', 'socks'])

    """

    sessions: list[Id]
    items: list[Id]
    times: NDArray[np.float64]
    position: Position = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    places: list[Position] | None = None
    events: list[Id | None] | None = None
    arrived: float | None = None

    def __len__(self) -> int:
        """Return the number of clicks, rejected records left out."""
        return len(self.items)

    @classmethod
    def of(cls, clicks: list[Click]) -> Clicks:
        """Make a batch of single clicks."""
        times = np.array([click.time for click in clicks], dtype=np.float64)
        return cls([c.session for c in clicks], [c.item for c in clicks], times)


def time_fault(time: float) -> str | None:
    """Return what is wrong with a time in epoch seconds, or None where nothing is."""
    if not math.isfinite(time):
        return f"the time {time} is not finite"
    if abs(time) >= LATEST_TIME:
        return f"the time {time:g} lies beyond the year 9999: is it in seconds?"
    return None


AS_BASE64 = "_base64"
"""Ends the name of a field whose bytes are no UTF-8."""


def dead_letter(rejected: Rejected) -> dict[str, Any]:
    """Return a rejected record as a JSON object.

    Its raw bytes are in ``raw`` where they are UTF-8, else in ``raw_base64``; so does the key of
    one that has a key. A record whose bytes were not kept has neither. Where ``raw`` is only the
    start of a long record, ``cut_from`` is the whole one's size in bytes.

    Examples
    --------
    >>> dead_letter(Rejected("no_item", "there is no 'item_id'", {"line": 3}, b"{}"))
    {'reason': 'no_item', 'detail': "there is no 'item_id'", 'line': 3, 'raw': '{}'}

    """
    letter = {"reason": rejected.reason, "detail": rejected.detail, **rejected.position}
    if rejected.cut_from is not None:
        letter["cut_from"] = rejected.cut_from
    for name, data in (("key", rejected.key), ("raw", rejected.raw)):
        if data is None:
            continue
        try:
            letter[name] = data.decode()
        except UnicodeDecodeError:
            letter[name + AS_BASE64] = base64.b64encode(data).decode()
    return letter
