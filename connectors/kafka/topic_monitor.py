"""Watching a topic: where it ends, whether its brokers answer, whether it is as it was."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
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
from .offsets import TopicGoneError
from .settings import KafkaAddress

LOOK = 0.25
"""Seconds between two looks at where the partitions end."""

LOOKING_MS = 2000
"""How long the brokers may take to return where the partitions end."""

AWAY = 3.0
"""Seconds without an answer after which the brokers count as away."""

GONE = 10.0
"""Seconds for which a topic must be missing to count as deleted."""


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
    """Watches a topic by a consumer that somebody else reads it with, on the same thread.

    Parameters
    ----------
    consumer
        kafka-python's consumer.
    address
        The topic.
    log
        Takes what kafka-python logs, which contains the causes.

    """

    def __init__(self, consumer: Any, address: KafkaAddress, log: KafkaLog) -> None:
        self._consumer = consumer
        self._address = address
        self._log = log
        self._looked, self._answered = 0.0, time.monotonic()
        self._missing_since: float | None = None
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
                f"{self._address}: the brokers were unavailable {times}; reading resumed where it "
                "had stopped"
            )
        ]

    @property
    def away(self) -> str | None:
        """Why the brokers do not answer, None where they do."""
        return self._away

    def find(self, wanted: Iterable[int] | None) -> list[int]:
        """Find the topic's partitions, or those of them that are wanted.

        Raises
        ------
        SourceError
            There is no such topic, or no such partition.

        """
        topic = self._address.topic
        there = self._consumer.partitions_for_topic(topic)
        if not there:
            close = nearest(topic, sorted(self._consumer.topics()))
            raise SourceError(
                f"{self._address}: there is no such topic{close}; create it with Kafka's tools, "
                "or with nextclick replay --make-topic"
            )
        chosen = sorted(there if wanted is None else set(wanted))
        strange = [number for number in chosen if number not in there]
        if strange or not chosen:
            raise SourceError(
                f"{self._address}: --partitions {','.join(map(str, chosen))}: the topic has "
                f"{', '.join(map(str, sorted(there)))}"
            )
        return chosen

    def identity(self, anew: bool = False) -> str | None:
        """Return the topic's id as last heard, None where the brokers give none.

        Parameters
        ----------
        anew
            Ask the brokers first.

        """
        if anew:
            with contextlib.suppress(UnknownTopicOrPartitionError):
                self._consumer.topics()
        return topic_id(self._consumer, self._address.topic)

    def begins(self, numbers: Iterable[int]) -> dict[int, int]:
        """Return the oldest offset of partitions."""
        found = self._consumer.beginning_offsets(self._places(numbers))
        return {place.partition: offset for place, offset in found.items()}

    def ends(self, numbers: Iterable[int], timeout_ms: int | None = None) -> dict[int, int]:
        """Return where partitions end for readers of committed records: the last stable offset."""
        try:
            found = self._consumer.end_offsets(self._places(numbers), timeout_ms=timeout_ms)
        except KeyError as error:  # So kafka-python 3.0 says that a partition is no longer there.
            raise UnknownTopicOrPartitionError(str(error)) from error
        return {place.partition: offset for place, offset in found.items()}

    def note_answer(self) -> None:
        """Note that the brokers have just answered."""
        self._answered = time.monotonic()

    def look(self, numbers: Iterable[int]) -> EndOffsets | None:
        """Look where partitions end, if it is time again and the brokers answer."""
        asked = time.monotonic()
        if asked - self._looked < LOOK:
            return None
        self._looked = asked
        try:
            ends = self.ends(numbers, LOOKING_MS)
        except (SaslAuthenticationFailedError, AuthorizationError):
            raise
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
        """Return the topic's partitions besides these.

        Raises
        ------
        TopicGoneError
            The topic has been deleted.

        """
        now, known = time.monotonic(), set(numbers)
        try:
            there = self._consumer.partitions_for_topic(self._address.topic)
        except UnknownTopicOrPartitionError:
            there = set()
        if known <= there:
            self._missing_since = None
            return sorted(there - known)
        self._missing_since = self._missing_since or now
        if now - self._missing_since > GONE:
            raise TopicGoneError(
                f"{self._address}: the topic has been deleted, or this user may no longer see "
                "it; name another one, and start it from this model with --begin-from SNAPSHOT"
            )
        return []

    def missed(self) -> None:
        """Note that the brokers have not answered; warn once that has lasted."""
        if time.monotonic() - self._answered > AWAY and self._away is None:
            cause = self._log.cause("they do not answer")
            self._away = f"{self._address}: waiting for the brokers: {cause}"

    def _places(self, numbers: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._address.topic, number) for number in numbers]
