"""What of topics is read: which partitions, from where on, and how far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from ..clicks import Position
from ..decoding.log_format import TimeUnit
from .offsets import Missing

Start = Literal["earliest", "latest"] | float
"""Where to begin: at the oldest record, after the newest, or at a time in epoch seconds."""


@dataclass(frozen=True, slots=True)
class Span:
    """What of topics is read.

    Parameters
    ----------
    partitions
        Only these, of one topic; None: all, also those that are added later.
    start
        Where a run without a position begins; None: at the oldest records.
    until_end
        End where the partitions ended when reading began.
    on_missing
        Where to go on if the offset to read is no longer there; None: that is an error.

    """

    partitions: Iterable[int] | None
    start: Start | None
    until_end: bool
    on_missing: Missing | None


class TopicPosition(NamedTuple):
    """A position in one topic.

    Parameters
    ----------
    offsets
        For each partition the next offset.
    identity
        The id of the topic that they are of, where it is known.
    parts
        For the partitions where it is inside a record, the entries of that record that were given.
    units
        For the partitions where it is not the second, the unit of the times; None: not known yet.

    """

    offsets: dict[int, int]
    identity: str | None = None
    parts: Mapping[int, int] = MappingProxyType({})
    units: Mapping[int, TimeUnit | None] = MappingProxyType({})


def read_position(position: Position) -> TopicPosition:
    """Read what a position says of one topic."""

    def numbered(name: str) -> dict[int, Any]:
        return {int(number): value for number, value in position.get(name, {}).items()}

    parts = {number: int(part) for number, part in numbered("parts").items()}
    offsets, units = numbered("partitions"), numbered("units")
    return TopicPosition(offsets, position.get("id"), parts, units)
