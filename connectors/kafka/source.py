"""Kafka topics as a source of clicks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from ..clicks import Clicks, Position
from ..decoding.blocks import Decoded, PollBuffer
from ..decoding.log_format import LogFormat
from ..option_checks import check_least, check_type
from ..source import SourceError, check_kind, other_source
from .access.settings import KafkaAddress
from .access.subscription import Subscription
from .lag import Lag
from .merging.merge import Merged
from .merging.numbering import Numbering
from .offsets import Missing
from .record_decoder import RecordDecoder
from .span import Span, Start, TopicPosition
from .topic_reader import TopicReader


class KafkaSource:
    """A topic or several, all partitions merged by time.

    A position is ``{"kind": "topic", "topic": its name, "id": its id, "partitions": {"0": next
    offset, ...}}``, of what `poll` has given; without ``id`` where the brokers give topics none.
    Of several topics it is ``{"kind": "topic", "topics": {name: {"id": ..., "partitions": ...}}}``,
    in the order in which they were taken up. Records of aborted transactions are never read.

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

        def decoder(topic: str) -> RecordDecoder:
            return RecordDecoder(form, topic, session_from, time_from)

        self.gap = form.gap if decoder(address.named).by_user else None
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
        self._identities = self._ahead.identities
        self._generation = 0
        self._block: _Block | None = None

    @property
    def n_partitions(self) -> int:
        """The partitions read of the topic that has most."""
        read = self._reader.numbering.by_topic(self._ahead.partitions)
        return max(map(len, read.values()))

    @property
    def away(self) -> str | None:
        """Why the brokers do not answer, None where they do."""
        return self._reader.away

    @property
    def warnings(self) -> list[str]:
        """What a person should know, such as that the brokers were away."""
        return self._reader.notes

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
                places += self._block.give(gathering, self._next)
                if self._block.exhausted:
                    self._block = None
            if gathering.full:
                break
            patience = deadline - time.monotonic() if gathering.empty else 0.0
            merged, ended = self._merged(patience, gathering.empty)
            if merged is None:
                break
            self._block = _Block(merged, None if self._wanted.one else self._reader.numbering)
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
        here = f"the topic {self._wanted.one!r}"
        if self._wanted.one is None:
            here = f"the topics {self._wanted.named}"
        check_kind(position, "topic", here)
        topics = self._by_topic(position)
        if not all(map(self._wanted.matches, topics)):
            raise other_source(position, here)
        self._begin(topics)

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
        """Return a position's parts; that of an older version may lack the name of its topic."""
        parts = position.get("topics")
        if parts is None:
            parts = {position.get("topic", self._wanted.one): position}
        return {
            topic: TopicPosition(
                {int(number): at for number, at in part.get("partitions", {}).items()},
                part.get("id"),
            )
            for topic, part in parts.items()
        }

    def close(self) -> None:
        """Leave the brokers."""
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
        self._reader.begin(positions)
        self._begun = True

    def _position(self) -> Position:
        with self._ahead.changed:
            self._follow()
            if self._wanted.one is not None:
                offsets = {str(number): self._offset(number) for number in self._ahead.partitions}
                named = {"kind": "topic", "topic": self._wanted.one}
                return {**named, **self._named(self._wanted.one), "partitions": offsets}
            read = self._reader.numbering.by_topic(self._ahead.partitions)
            topics = {
                topic: {
                    **self._named(topic),
                    "partitions": {str(n): self._offset(each) for n, each in numbers.items()},
                }
                for topic, numbers in read.items()
            }
        return {"kind": "topic", "topics": topics}

    def _named(self, topic: str) -> Position:
        """Return a topic's id as positions have it, where the brokers give any."""
        return {"id": self._identities[topic]} if topic in self._identities else {}

    def _follow(self) -> None:
        """Begin the counts anew, if a topic was made again or left out; all before was given."""
        ahead = self._ahead
        if ahead.generation != self._generation:
            self._generation = ahead.generation
            self._next.clear()
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
    """Merged records, to be given piece by piece; with a numbering, they are of several topics."""

    def __init__(self, merged: Merged, numbering: Numbering | None) -> None:
        self._decoded: Decoded = merged.decoded
        self._partitions: list[int] = merged.partitions.tolist()
        self._offsets: list[int] = merged.offsets.tolist()
        numbers = [] if numbering is None else np.unique(merged.partitions).tolist()
        self._places = {number: numbering.place(number) for number in numbers if numbering}
        clicks = np.flatnonzero(merged.is_click)
        self._click_partitions: list[int] = merged.partitions[clicks].tolist()
        self._click_offsets: list[int] = merged.offsets[clicks].tolist()

    @property
    def exhausted(self) -> bool:
        return self._decoded.exhausted

    def give(self, gathering: PollBuffer, following: dict[int, int]) -> list[Position]:
        """Fill the poll; advance the next offsets, and return the clicks' positions."""
        decoded = self._decoded
        first, first_click = decoded.given, decoded.clicks_given
        gathering.take(decoded)
        last, last_click = decoded.given, decoded.clicks_given
        for number, offset in zip(
            self._partitions[first:last], self._offsets[first:last], strict=True
        ):
            following[number] = offset + 1
        clicks = zip(
            self._click_partitions[first_click:last_click],
            self._click_offsets[first_click:last_click],
            strict=True,
        )
        if not self._places:
            return [{"partition": number, "offset": offset} for number, offset in clicks]
        places = [(*self._places[number], offset) for number, offset in clicks]
        return [{"topic": topic, "partition": n, "offset": offset} for topic, n, offset in places]
