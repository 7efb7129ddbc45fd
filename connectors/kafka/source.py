"""Kafka topics as a source of clicks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ..clicks import Clicks, Position
from ..decoding.blocks import PollBuffer
from ..decoding.log_format import LogFormat
from ..option_checks import check_least, check_type
from ..schemas.framing import SchemaDecoder
from ..schemas.registry import SchemaRegistry
from ..source import SourceError, check_kind, other_source
from .access.settings import KafkaAddress
from .access.subscription import Subscription
from .lag import Lag
from .merging.block import Block
from .merging.merge import Merged
from .offsets import Missing
from .record_decoder import RecordDecoder
from .span import Span, Start, TopicPosition, read_position
from .topic_reader import TopicReader


class KafkaSource:
    """A topic or several, all partitions merged by time.

    A position is ``{"kind": "topic", "topic": its name, "id": its id, "partitions": {"0": next
    offset, ...}}``, of what `poll` has given; without ``id`` where the brokers give topics none.
    Of several topics it is ``{"kind": "topic", "topics": {name: {"id": ..., "partitions": ...}}}``,
    in the order in which they were taken up. Inside a record ``parts`` holds how many of its
    entries were given, and ``units`` the units of times that were told by their size and are not
    the second, both by partition. Records of aborted transactions are never read.

    Parameters
    ----------
    address
        The brokers and the topic, or the topics; see `parse_address` and `parse_subscription`.
    form
        The fields' names.
    settings
        Those of kafka-python's consumer; see `client_settings`.
    partitions
        Only these, of one topic; by default all, also those that the topics gain.
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
        Where to begin without a position: at the ``earliest`` or after the ``latest`` record, or
        at the first one whose timestamp is not before these epoch seconds. None: earliest.
    group
        The group that offsets are committed to, for others to see.

    Raises
    ------
    SourceError
        No broker is reached, or there is no such topic; the message names the remedy.

    """

    def __init__(
        self,
        address: KafkaAddress | Subscription,
        form: LogFormat | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        partitions: Iterable[int] | None = None,
        until_end: bool = False,
        session_from: Literal["field", "key"] = "field",
        time_from: Literal["field", "record"] = "field",
        idle: float = 0.2,
        on_missing_offsets: Missing | None = None,
        start: Start | None = None,
        group: str = "nextclick",
    ) -> None:
        if isinstance(address, KafkaAddress):
            address = Subscription(address.servers, [address.topic])
        if not isinstance(address, Subscription):
            raise SourceError(
                f"KafkaSource: address is {address!r}: give a KafkaAddress or a Subscription"
            )
        given: dict[str, tuple[Any, Any]] = {
            "form": (form, LogFormat | None),
            "session_from": (session_from, Literal["field", "key"]),
            "time_from": (time_from, Literal["field", "record"]),
            "until_end": (until_end, bool),
            "idle": (idle, float),
            "on_missing_offsets": (on_missing_offsets, Missing | None),
            "start": (start, Start | None),
            "group": (group, str),
        }
        for name, (value, kind) in given.items():
            check_type("KafkaSource", name, value, kind)
        check_least("KafkaSource", "idle", idle, 0)
        if partitions is not None:
            if address.one is None:
                raise SourceError(f"{address}: --partitions is for one topic")
            partitions = check_type("KafkaSource", "partitions", list(partitions), list[int])
        form = form if form is not None else LogFormat()
        self._wanted = address
        self._until_end = until_end

        self._schemas: SchemaDecoder | None = None
        self._form, self._from = form, (session_from, time_from)
        self.gap = form.gap if self._decoder(address.named).by_user else None
        self._reader = TopicReader(
            address,
            settings or {},
            self._decoder,
            Span(partitions, start, until_end, on_missing_offsets),
            idle=idle,
            group=group,
        )
        self._ahead = self._reader.ahead
        self._begun, self._placed, self._generation = False, False, 0
        self._next: dict[int, int] = {}
        self._parts: dict[int, tuple[int, int]] = {}
        self._identities = self._ahead.identities
        self._block: Block | None = None

    @property
    def n_partitions(self) -> int:
        """The partitions read of the topic that has most."""
        read = self._reader.numbering.by_topic(self._ahead.partitions)
        return max(map(len, read.values()))

    def use_schemas(self, registry: SchemaRegistry) -> None:
        """Read records in Avro, Protobuf or JSON that were written with a registry's schemas.

        Before anything was read. While the registry is away the source waits, as for brokers. The
        source closes the registry with itself.

        Raises
        ------
        SourceError
            Reading has begun.

        """
        if not isinstance(registry, SchemaRegistry):
            raise SourceError(f"KafkaSource: registry is {registry!r:.80}: give a SchemaRegistry")
        if self._begun:
            raise SourceError("the schemas of a topic can be named only before it is polled")
        self._schemas = SchemaDecoder(registry)

    @property
    def away(self) -> str | None:
        """Why the brokers, or the schema registry, do not answer; None where they do."""
        waiting = None if self._schemas is None else self._schemas.registry.away
        return self._reader.away or waiting

    @property
    def warnings(self) -> list[str]:
        """What a person should know, such as that the brokers were away."""
        waited = [] if self._schemas is None else self._schemas.registry.notes
        return [*self._reader.notes, *waited]

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
            self._block = Block(merged, None if self._wanted.one else self._reader.numbering)
        if gathering.empty and ended and self._placed:
            return None
        # Also of a topic without anything to read: a later run is to go on from its end.
        self._placed = True
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
        here = f"the topic {self._wanted.one!r}"
        if self._wanted.one is None:
            here = f"the topics {self._wanted.named}"
        check_kind(position, "topic", here)
        topics = self._by_topic(position)
        if not all(map(self._wanted.matches, topics)):
            raise other_source(position, here)
        self._begin(topics)
        self._placed = True

    def commit(self, position: Position) -> None:
        """Commit a position's offsets to the group, where tools that show the lag look."""
        offsets: dict[int, int] = {}
        with self._ahead.changed:
            read = self._reader.numbering.by_topic(self._ahead.partitions)
            for topic, one in self._by_topic(position).items():
                if topic in read and one.identity in (None, self._ahead.identities.get(topic)):
                    offsets |= {
                        self._reader.numbering.number(topic, n): at for n, at in one.offsets.items()
                    }
        if offsets:
            self._reader.commit(offsets)

    def _by_topic(self, position: Position) -> dict[str, TopicPosition]:
        """Return a position by topic; that of an older version may lack the name of its topic."""
        topics = position.get("topics")
        if topics is None:
            topics = {position.get("topic", self._wanted.one): position}
        return {topic: read_position(part) for topic, part in topics.items()}

    def close(self) -> None:
        """Leave the brokers."""
        if self._schemas is not None:
            self._schemas.registry.close()
        self._reader.close()

    def lag(self) -> list[Lag]:
        """Return how far each partition's given records lie behind its end; [] before the start."""
        ahead = self._ahead
        with ahead.changed:
            self._follow()
            now = time.monotonic()
            lags = [
                (number, ahead.ends.lag(number, self._offset(number), now))
                for number in sorted(ahead.partitions)
                if number in ahead.first
            ]
        places = [self._reader.numbering.place(number) for number, _ in lags]
        return [
            lag._replace(topic=topic, partition=partition)
            for (topic, partition), (_, lag) in zip(places, lags, strict=True)
        ]

    def out_of_order(self) -> dict[tuple[str, int], int]:
        """Return, by topic and partition, the clicks that were given out of the order of time."""
        ahead, place = self._ahead, self._reader.numbering.place
        with ahead.changed:
            return {place(number): ahead.merge.out_of_order[number] for number in ahead.partitions}

    def _begin(self, positions: dict[str, TopicPosition]) -> None:
        if self._form.key_type == "schema" and self._schemas is None:
            raise SourceError("--key-type schema needs --schema-registry")
        self._parts = self._reader.begin(positions)
        self._begun = True

    def _decoder(self, topic: str) -> RecordDecoder:
        return RecordDecoder(self._form, topic, *self._from, self._schemas)

    def _position(self) -> Position:
        with self._ahead.changed:
            self._follow()
            read = self._reader.numbering.by_topic(self._ahead.partitions)
            topics = {topic: self._position_in(topic, numbers) for topic, numbers in read.items()}
        if self._wanted.one is not None:
            return {"kind": "topic", "topic": self._wanted.one, **topics[self._wanted.one]}
        return {"kind": "topic", "topics": topics}

    def _position_in(self, topic: str, numbers: Mapping[int, int]) -> Position:
        """Return the position in a topic, of which these partitions are read."""
        offsets = {str(n): self._offset(number) for n, number in numbers.items()}
        given = {str(n): self._parts.get(number, (0, 0)) for n, number in numbers.items()}
        parts = {n: part for n, (offset, part) in given.items() if part and offset == offsets[n]}
        units = self._reader.decoders.units(topic, numbers)
        named: Position = {}
        if topic in self._identities:
            named["id"] = self._identities[topic]
        named |= {"parts": parts} if parts else {}
        named |= {"units": units} if units else {}
        return {**named, "partitions": offsets}

    def _follow(self) -> None:
        """Begin the counts anew, if a topic was made again or left out; all before was given."""
        ahead = self._ahead
        if ahead.generation != self._generation:
            self._generation = ahead.generation
            self._next.clear()
            # Of a topic that is read on, what was given inside a record still counts.
            same = {
                topic
                for topic in self._reader.numbering.by_topic(ahead.partitions)
                if ahead.identities.get(topic) == self._identities.get(topic)
            }
            place = self._reader.numbering.topic
            self._parts = {n: at for n, at in self._parts.items() if place(n) in same}
        self._identities = ahead.identities

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
