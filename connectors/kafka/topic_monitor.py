"""Watching topics: where they end, whether brokers answer, whether the topics are as they were."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kafka.errors import (
    AuthorizationError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnknownTopicOrPartitionError,
)
from kafka.structs import TopicPartition

from ..source import SourceError
from ..spelling import nearest
from .client import KafkaLog
from .kafka_internals import topic_id
from .merging.numbering import Numbering

LOOK = 0.25
"""Seconds between two looks at where the partitions end."""

LOOKING_MS = 2000
"""How long the brokers may take to return where the partitions end."""

AWAY = 3.0
"""Seconds without an answer after which the brokers count as away."""

GONE = 10.0
"""Seconds for which a topic must be missing to count as deleted."""

LISTED = 2.0
"""Seconds between two looks at which topics match a pattern."""

SHOWN = 10
"""Topics that a message names at most."""


class EndOffsets(NamedTuple):
    """Where partitions end.

    Parameters
    ----------
    asked
        When the brokers were asked, by the monotonic clock: what was there then is before `ends`.
    ends
        For each partition its end.

    """

    asked: float
    ends: dict[int, int]


class TopicMonitor:
    """Watches topics by a consumer that somebody else reads them with, on the same thread.

    Parameters
    ----------
    consumer
        kafka-python's consumer.
    numbering
        The topics, and the numbers of their partitions.
    log
        Takes what kafka-python logs, which contains the causes.

    """

    def __init__(self, consumer: Any, numbering: Numbering, log: KafkaLog) -> None:
        self._consumer = consumer
        self._numbering = numbering
        self._wanted = numbering.wanted
        self._log = log
        self._looked = self._listed = 0.0
        self._answered = time.monotonic()
        self._missing_since: dict[str, float] = {}
        self._only: set[int] | None = None
        self._away: str | None = None
        self._times_away = 0

    @property
    def notes(self) -> list[str]:
        """What a person should know: that the brokers are away, or how often they were."""
        if self._away is not None:
            return [self._away]
        if not self._times_away:
            return []
        times = "once" if self._times_away == 1 else f"{self._times_away:,} times"
        return [
            (
                f"{self._wanted}: the brokers were unavailable {times}; reading resumed where it "
                "had stopped"
            )
        ]

    @property
    def away(self) -> str | None:
        """Why the brokers do not answer, None where they do."""
        return self._away

    @property
    def away_since(self) -> float | None:
        """When the brokers answered last, by the monotonic clock; None while they answer."""
        return None if self._away is None else self._answered

    def find(self, partitions: Iterable[int] | None) -> list[int]:
        """Find the topics' partitions, or those of the one topic that are wanted.

        Raises
        ------
        SourceError
            There is no such topic, or no such partition.

        """
        self._only = None if partitions is None else set(partitions)
        topics = self._wanted.topics if self._wanted.pattern is None else self._matching()
        return [number for topic in topics for number in self.partitions(topic)]

    def partitions(self, topic: str) -> list[int]:
        """Find a topic's partitions, or those of them that `find` was asked for.

        Raises
        ------
        SourceError
            There is no such topic, or no such partition.

        """
        there = self._consumer.partitions_for_topic(topic)
        if not there:
            raise self._no_topic(topic)
        chosen = sorted(there if self._only is None else self._only)
        strange = [number for number in chosen if number not in there]
        if strange or not chosen:
            raise SourceError(
                f"{self._wanted}: --partitions {','.join(map(str, chosen))}: the topic has "
                f"{', '.join(map(str, sorted(there)))}"
            )
        return [self._numbering.number(topic, number) for number in chosen]

    def _matching(self) -> list[str]:
        there = sorted(self._consumer.topics())
        found = [topic for topic in there if self._wanted.matches(topic)]
        if not found:
            named = ", ".join(there[:SHOWN]) + (", …" if len(there) > SHOWN else "")
            are = f"there are {named}" if there else "there are no topics that this user may see"
            raise SourceError(f"{self._wanted}: no topic matches the pattern: {are}")
        return found

    def _no_topic(self, topic: str) -> SourceError:
        close = nearest(topic, sorted(self._consumer.topics()))
        return SourceError(
            f"{self._wanted.address(topic)}: there is no such topic{close}; create it with "
            "Kafka's tools, or with nextclick replay --make-topic"
        )

    def identity(self, topic: str) -> str | None:
        """Return a topic's id as last heard, None where the brokers give none."""
        return topic_id(self._consumer, topic)

    def identities(self, topics: Iterable[str]) -> dict[str, str]:
        """Return the ids of topics as last heard, of those that have one."""
        found = {topic: self.identity(topic) for topic in topics}
        return {topic: identity for topic, identity in found.items() if identity is not None}

    def ask(self) -> None:
        """Ask the brokers which topics there are."""
        with contextlib.suppress(UnknownTopicOrPartitionError):
            self._consumer.topics()

    def begins(self, numbers: Iterable[int]) -> dict[int, int]:
        """Return the oldest offset of partitions."""
        return self._numbered(self._consumer.beginning_offsets(self._places(numbers)))

    def ends(self, numbers: Iterable[int], timeout_ms: int | None = None) -> dict[int, int]:
        """Return where partitions end for readers of committed records: the last stable offset."""
        try:
            found = self._consumer.end_offsets(self._places(numbers), timeout_ms=timeout_ms)
        except KeyError as error:  # So kafka-python 3.0 says that a partition is no longer there.
            raise UnknownTopicOrPartitionError(str(error)) from error
        return self._numbered(found)

    def since(self, numbers: Iterable[int], moment: float) -> dict[int, int]:
        """Return the offset of the first record that is not older than `moment`, else the end.

        Parameters
        ----------
        numbers
            The partitions.
        moment
            Epoch seconds, compared with the records' timestamps.

        """
        places = self._places(numbers)
        asked = dict.fromkeys(places, max(0, int(moment * 1000)))
        found = self._consumer.offsets_for_times(asked)
        ends = self.ends(numbers)
        offsets = {place: found[place].offset for place in places if found.get(place)}
        return {**ends, **self._numbered(offsets)}

    def note_answer(self) -> None:
        """Note that the brokers have just answered."""
        self._answered = time.monotonic()

    def look(self, numbers: Iterable[int]) -> EndOffsets | None:
        """Look where partitions end, if it is time again and the brokers answer."""
        asked = time.monotonic()
        if asked - self._looked < LOOK:
            return None
        if asked - self._looked > AWAY and self._away is None:
            # Nobody has asked for so long, so nobody could answer: silence counts from now on.
            self._answered = max(self._answered, asked)
        self._looked = asked
        try:
            ends = self.ends(numbers, LOOKING_MS)
        except (SaslAuthenticationFailedError, AuthorizationError):
            raise
        except UnknownTopicOrPartitionError:
            # The brokers answer; others of the topics may be there.
            if self._wanted.one is None:
                self.note_answer()
            else:
                self.missed()
            return None
        except KafkaError:
            self.missed()
            return None
        # A record may have come before this look: the brokers were away all the same.
        if self._away is not None or asked - self._answered > AWAY:
            self._times_away += 1
            self._away = None
            self._log.clear()
        self.note_answer()
        return EndOffsets(asked, ends)

    def gained(self, numbers: Iterable[int]) -> list[int]:
        """Return partitions besides these, of the topics that are there.

        Those of a topic that has come to match the pattern are among them.
        """
        now, known = time.monotonic(), self._numbering.by_topic(numbers)
        new: list[str] = []
        if self._wanted.pattern is not None and now - self._listed > LISTED:
            self._listed = now
            there = sorted(self._consumer.topics())
            new = [topic for topic in there if self._wanted.matches(topic) and topic not in known]
        found = []
        for topic in [*known, *new]:
            partitions = self._partitions(topic)
            before = known.get(topic, {}).keys()
            if before <= partitions:
                self._missing_since.pop(topic, None)
                added = sorted(partitions - before)
                found += [self._numbering.number(topic, number) for number in added]
            else:
                self._missing_since.setdefault(topic, now)
        return found

    def gone(self) -> list[str]:
        """Return the topics that count as deleted, after `gained` has looked."""
        now = time.monotonic()
        return [topic for topic, since in self._missing_since.items() if now - since > GONE]

    def forget(self, topic: str) -> None:
        """Forget that a topic is missing."""
        self._missing_since.pop(topic, None)

    def _partitions(self, topic: str) -> set[int]:
        try:
            found: set[int] = self._consumer.partitions_for_topic(topic)
        except UnknownTopicOrPartitionError:
            return set()
        return found

    def missed(self) -> None:
        """Note that the brokers have not answered; warn once that has lasted."""
        if time.monotonic() - self._answered > AWAY and self._away is None:
            cause = self._log.cause("they do not answer")
            self._away = f"{self._wanted}: waiting for the brokers: {cause}"

    def _places(self, numbers: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(*self._numbering.place(number)) for number in numbers]

    def _numbered(self, offsets: Mapping[TopicPartition, int]) -> dict[int, int]:
        number = self._numbering.number
        return {number(place.topic, place.partition): at for place, at in offsets.items()}
