"""A Kafka topic as a source of clicks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from ..clicks import Clicks, Position
from ..decoding.blocks import Decoded, PollBuffer
from ..decoding.log_format import LogFormat
from ..option_checks import check_least, check_type
from ..schemas.registry import SchemaRegistry
from ..source import SourceError, check_kind, other_source
from .lag import Lag
from .merge import Merged
from .offsets import Missing
from .record_decoder import RecordDecoder
from .settings import KafkaAddress
from .topic_reader import Span, TopicReader


class KafkaSource:
    """A topic, its partitions merged by time.

    A position is ``{"kind": "topic", "topic": its name, "id": its id, "partitions": {"0": next
    offset, ...}}``, of what `poll` has given; without ``id`` where the brokers give topics none.
    Inside a record ``parts`` holds how many of its entries were given, and ``units`` the units of
    times that were told by their size and are not the second, both by partition.
    Records of aborted transactions are never read.

    Parameters
    ----------
    address
        The brokers and the topic; see `parse_address`.
    form
        The fields' names.
    settings
        Those of kafka-python's consumer; see `client_settings`.
    partitions
        Only these; by default all, also those that the topic gains.
    until_end
        End where the partitions ended when the source was opened.
    session_from
        Where the session's id is: in the value's ``field``, or in the record's ``key``.
    time_from
        Where the time is: in the value's ``field``, or with the ``record`` as its timestamp.
    idle
        Seconds that a click of a live topic waits for earlier clicks of other partitions.
    on_missing_offsets
        Where to go on if the records at the position are gone or cannot be read, and in a topic
        that was made again; None: that is an error.
    start
        Where to begin without a position.
    group
        The group that offsets are committed to, for others to see.

    Raises
    ------
    SourceError
        No broker is reached, or there is no such topic; the message names the remedy.

    """

    def __init__(
        self,
        address: KafkaAddress,
        form: LogFormat | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        partitions: Iterable[int] | None = None,
        until_end: bool = False,
        session_from: Literal["field", "key"] = "field",
        time_from: Literal["field", "record"] = "field",
        idle: float = 0.2,
        on_missing_offsets: Missing | None = None,
        start: Missing = "earliest",
        group: str = "nextclick",
    ) -> None:
        if not isinstance(address, KafkaAddress):
            raise SourceError(f"KafkaSource: address is {address!r}: give a KafkaAddress")
        given: dict[str, tuple[Any, Any]] = {
            "form": (form, LogFormat | None),
            "session_from": (session_from, Literal["field", "key"]),
            "time_from": (time_from, Literal["field", "record"]),
            "until_end": (until_end, bool),
            "idle": (idle, float),
            "on_missing_offsets": (on_missing_offsets, Missing | None),
            "start": (start, Missing),
            "group": (group, str),
        }
        for name, (value, kind) in given.items():
            check_type("KafkaSource", name, value, kind)
        check_least("KafkaSource", "idle", idle, 0)
        if partitions is not None:
            partitions = check_type("KafkaSource", "partitions", list(partitions), list[int])
        form = form if form is not None else LogFormat()
        self._topic = address.topic
        self._until_end = until_end
        decoder = RecordDecoder(form, address.topic, session_from, time_from)
        self.gap = form.gap if decoder.by_user else None
        self._reader = TopicReader(
            address,
            settings or {},
            decoder,
            Span(partitions, start, until_end, on_missing_offsets),
            idle=idle,
            group=group,
        )
        self._ahead = self._reader.ahead
        self._begun = False
        self._next: dict[int, int] = {}
        self._parts: dict[int, tuple[int, int]] = {}
        self._decoder = decoder
        self._identity = self._ahead.identity
        self._generation = 0
        self._block: _Block | None = None

    def use_schemas(self, registry: SchemaRegistry) -> None:
        """Read records in Avro, Protobuf or JSON that were written with a registry's schemas.

        Before anything was read. While the registry is away the source waits, as for brokers.

        Raises
        ------
        SourceError
            Reading has begun.

        """
        if not isinstance(registry, SchemaRegistry):
            raise SourceError(f"KafkaSource: registry is {registry!r:.80}: give a SchemaRegistry")
        if self._begun:
            raise SourceError("the schemas of a topic can be named only before it is polled")
        self._decoder.use_schemas(registry)

    @property
    def away(self) -> str | None:
        """Why the brokers, or the schema registry, do not answer; None where they do."""
        return self._reader.away or self._decoder.away

    @property
    def warnings(self) -> list[str]:
        """What a person should know, such as that the brokers were away."""
        return [*self._decoder.notes, *self._reader.notes]

    @property
    def share(self) -> float | None:
        """How much of what is to be read has been given, about; None where there is no end."""
        if not (self._until_end and self._begun):
            return None
        behind = sum(lag.records for lag in self.lag())
        with self._ahead.changed:
            first = self._ahead.first
            given = sum(self._offset(n) - first[n] for n in self._ahead.partitions if n in first)
        return given / (given + behind) if given + behind else None

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        """Return the clicks that have arrived, waiting up to `wait` seconds for the first.

        See `Source.poll`.

        Raises
        ------
        SourceError
            The topic cannot be read on.

        """
        if not self._begun:
            self._begin({})
        gathering, places = PollBuffer(limit), []
        deadline = time.monotonic() + wait
        ended = False
        while True:
            if self._block is not None:
                places += self._block.give(gathering, self._next, self._parts)
                if self._block.exhausted:
                    self._block = None
            if gathering.full:
                break
            patience = deadline - time.monotonic() if gathering.empty else 0.0
            merged, ended = self._merged(patience, gathering.empty)
            if merged is None:
                break
            self._block = _Block(merged)
        if gathering.empty and ended:
            return None
        clicks = gathering.clicks(self._position())
        clicks.places = places
        return clicks

    def seek(self, position: Position) -> None:
        """Go on from a position that an earlier `poll` gave.

        Raises
        ------
        SourceError
            It is one in another source, or its offsets are no longer there.

        """
        if self._begun:
            raise SourceError("a topic can be read from another position only before it is polled")
        here = f"the topic {self._topic!r}"
        check_kind(position, "topic", here)
        if position.get("topic", self._topic) != self._topic:
            raise other_source(position, here)
        offsets = {int(number): at for number, at in position.get("partitions", {}).items()}
        parts, units = position.get("parts", {}), position.get("units", {})
        for number, offset in offsets.items():
            part = int(parts.get(str(number), 0))
            self._parts[number] = offset, part
            self._decoder.resume(number, offset, part, units.get(str(number), "s"))
        self._begin(offsets, position.get("id"))

    def commit(self, position: Position) -> None:
        """Commit a position's offsets to the group, where tools that show the lag look."""
        with self._ahead.changed:
            same = position.get("id") in (None, self._ahead.identity)
        if position.get("partitions") and same:
            self._reader.commit({int(n): at for n, at in position["partitions"].items()})

    def close(self) -> None:
        """Leave the brokers."""
        self._decoder.close()
        self._reader.close()

    def lag(self) -> list[Lag]:
        """Return how far each partition's given records lie behind its end; [] before the start."""
        ahead = self._ahead
        with ahead.changed:
            self._follow()
            now = time.monotonic()
            return [
                ahead.ends.lag(number, self._offset(number), now)
                for number in sorted(ahead.partitions)
                if number in ahead.first
            ]

    def out_of_order(self) -> dict[int, int]:
        """Return, by partition, the clicks that were given out of the order of time."""
        ahead = self._ahead
        with ahead.changed:
            return {number: ahead.merge.out_of_order[number] for number in ahead.partitions}

    def _begin(self, offsets: dict[int, int], identity: str | None = None) -> None:
        self._decoder.check()
        self._reader.begin(offsets, identity)
        self._begun = True

    def _position(self) -> Position:
        with self._ahead.changed:
            self._follow()
            offsets = {str(number): self._offset(number) for number in self._ahead.partitions}
            parts = {
                str(number): part
                for number, (offset, part) in self._parts.items()
                if part and offsets.get(str(number)) == offset
            }
            units = self._decoder.units(self._ahead.partitions)
        named: Position = {} if self._identity is None else {"id": self._identity}
        named |= {"parts": parts} if parts else {}
        named |= {"units": units} if units else {}
        return {"kind": "topic", "topic": self._topic, **named, "partitions": offsets}

    def _follow(self) -> None:
        """Add the current topic to the counts, if it was made again; the old one was read whole."""
        ahead = self._ahead
        if ahead.generation != self._generation:
            self._generation = ahead.generation
            self._next.clear()
            self._parts.clear()
        self._identity = ahead.identity

    def _offset(self, number: int) -> int:
        """Return the offset after all of a partition that was given."""
        ahead = self._ahead
        given = self._next.get(number, ahead.first[number])
        if self._block is None and not ahead.merge.waiting(number):
            if number in ahead.anew:
                # All of the old topic was given: its offsets mean nothing in the new one.
                ahead.anew.discard(number)
                self._next.pop(number, None)
                self._parts.pop(number, None)
                given = ahead.first[number]
            # Past what is never given as well.
            return max(given, ahead.read[number])
        return given

    def _merged(self, patience: float, may_fail: bool) -> tuple[Merged | None, bool]:
        """Wait for merged records; return them, or whether there will never be more.

        An error is raised once all that was read before it was given, and only where it `may_fail`:
        not while records taken before are still to be returned.
        """
        ahead = self._ahead
        deadline = time.monotonic() + patience
        with ahead.changed:
            while True:
                self._follow()
                now = time.monotonic()
                merged = ahead.merge.take(now)
                if merged is not None:
                    return merged, False
                if (error := self._error()) is not None:
                    if may_fail:
                        raise error
                    return None, False
                if ahead.draining:
                    ahead.drained = ahead.merge.ended
                    ahead.changed.notify_all()
                elif ahead.merge.ended:
                    return None, True
                if now >= deadline:
                    return None, False
                ahead.changed.wait(max(0.0, min(deadline, ahead.merge.due()) - now))

    def _error(self) -> SourceError | None:
        """Return why it cannot be read on, once all before that was given."""
        ahead = self._ahead
        for number, error in ahead.damaged.items():
            if not ahead.merge.waiting(number):
                return error
        return ahead.error


class _Block:
    """Merged records, to be given piece by piece."""

    def __init__(self, merged: Merged) -> None:
        self._decoded: Decoded = merged.decoded
        self._partitions: list[int] = merged.partitions.tolist()
        self._offsets: list[int] = merged.offsets.tolist()
        clicks = np.flatnonzero(merged.is_click)
        self._click_partitions: list[int] = merged.partitions[clicks].tolist()
        self._click_offsets: list[int] = merged.offsets[clicks].tolist()
        # Most records are one click: then there are no parts.
        self._parts: list[int] = merged.parts.tolist() if merged.parts.any() else []
        self._clicks: list[int] = clicks.tolist() if self._parts else []

    @property
    def exhausted(self) -> bool:
        return self._decoded.exhausted

    def give(
        self,
        gathering: PollBuffer,
        following: dict[int, int],
        parts: dict[int, tuple[int, int]],
    ) -> list[Position]:
        """Fill the poll; advance the next offsets and the parts, return the clicks' positions."""
        decoded = self._decoded
        first, first_click = decoded.given, decoded.clicks_given
        gathering.take(decoded)
        last, last_click = decoded.given, decoded.clicks_given
        for number, offset in zip(
            self._partitions[first:last], self._offsets[first:last], strict=True
        ):
            following[number] = offset + 1
        places: list[Position] = [
            {"partition": number, "offset": offset}
            for number, offset in zip(
                self._click_partitions[first_click:last_click],
                self._click_offsets[first_click:last_click],
                strict=True,
            )
        ]
        if self._parts:
            for entry in range(first, last):
                number, part = self._partitions[entry], self._parts[entry]
                offset = self._offsets[entry]
                following[number] = offset if part > 0 else offset + 1
                parts[number] = offset, max(part, 0)
            for place, entry in zip(places, self._clicks[first_click:last_click], strict=True):
                part = self._parts[entry]
                if part not in (0, 1):
                    place["part"] = part - 1 if part > 0 else -part
        return places
