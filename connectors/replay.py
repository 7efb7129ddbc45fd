"""A log published to a topic: at its own pace, faster, or flat out."""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidPartitionsError,
    KafkaError,
    KafkaTimeoutError,
    NoError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)
from kafka.partitioner.default import murmur2
from kafka.structs import TopicPartition

from .clicks import Clicks, Id
from .kafka_connect import connect, explained
from .kafka_settings import KafkaAddress
from .polled import check_polled
from .publisher import Publisher, count_partitions, say_nothing
from .sinks import SinkError
from .source import Source

POLL = 1000
"""Clicks read from the log at a time."""

PATIENCE = 0.25
"""Seconds between two calls of `progress` while the replay waits for a click's time."""

KNOWN_KEYS = 100_000
"""Sessions whose partition is remembered."""

READING_SECONDS = 60.0
"""How long a broker may take to give the last record of each partition."""


REFUSALS: dict[type[KafkaError], str] = {
    PolicyViolationError: "give a number that it allows",
    InvalidPartitionsError: "give a number that it allows",
    TopicAuthorizationFailedError: "let this user make topics",
    ClusterAuthorizationFailedError: "let this user make topics",
}
"""What helps where a broker does not make a topic."""


class Tail(NamedTuple):
    """The end of a partition: its next offset, and its last record's `sequence` and value."""

    end: int
    sequence: int
    value: bytes


class _Record(msgspec.Struct):
    session_id: Id
    item_id: Id
    timestamp: float


class Replay:
    """Publishes the clicks of a source to a topic.

    A record's key is the session, so that a session stays in one partition (by Kafka's own hash
    of the key); its value a JSON object with ``session_id``, ``item_id`` and ``timestamp``; its
    timestamp that of the click, in milliseconds. Its header ``sequence`` holds the click's number
    in the log, from 0 (8 bytes, big-endian); where the click is older than one before it, a header
    ``clock`` holds the highest time so far (a double, big-endian).

    A replay may be ended anywhere, and begun again over the same log and topic: every partition
    goes on after its last record. At its end each click of the log is in the topic, in the log's
    order within a partition, and nothing else is: each partition's last record is compared with
    the log, and the number of its records; what does not fit is an error.

    Each click is there once, save where a broker is restarted meanwhile. A broker knows a record
    that is sent again, but not one whose own time is more than a day old
    (``producer.id.expiration.ms``): it may take the records that it had not yet acknowledged a
    second time. `doubles` counts these; readers can tell them, since otherwise `sequence` always
    rises within a partition.

    Parameters
    ----------
    source
        The log, from its start.
    address
        The brokers and the topic.
    settings
        kafka-python's keywords, as `client_settings` gives them.
    speed
        How many times faster than the log's own times; None for flat out.
    tell
        Takes what a person should know: that the brokers are waited for.

    Attributes
    ----------
    read, published
        Clicks read from the log, and those of them sent by this replay; the others were there.
    rejected
        Records of the log that are no clicks, by reason.
    doubles
        Records that are in the topic a second time, known at the end.
    behind
        Seconds by which the replay is behind its pace.

    Raises
    ------
    SinkError
        There is no such topic, or it holds something else.
    SourceError
        The broker cannot be reached.

    """

    def __init__(
        self,
        source: Source,
        address: KafkaAddress,
        settings: Mapping[str, Any],
        speed: float | None = None,
        tell: Callable[[str], None] = say_nothing,
    ) -> None:
        self.read = self.published = 0
        self.rejected: Counter[str] = Counter()
        self.doubles = 0
        self.behind = 0.0
        self._source = source
        self._settings = settings
        self._speed = speed
        self._publisher = Publisher(address, settings, tell=tell)
        try:
            self._tails = read_tails(address, settings, self._publisher.partitions)
        except BaseException:
            self._publisher.close()
            raise
        self._counts = [0] * self._publisher.partitions
        self._last = [tail.sequence for tail in self._tails]
        self._partitions: dict[Id, tuple[bytes, int]] = {}
        self._encoder = msgspec.json.Encoder()
        self._clock = float("-inf")
        self._begun: tuple[float, float] | None = None

    def run(self, progress: Callable[[Replay], None] = lambda replay: None) -> None:
        """Publish what the topic does not hold yet, and wait until all is acknowledged.

        May be ended by an exception, such as KeyboardInterrupt; then `close` it.

        Parameters
        ----------
        progress
            Called now and then.

        Raises
        ------
        SinkError
            A record cannot be written, or the topic holds something else than this log.

        """
        while (clicks := self._poll()) is not None:
            self.rejected.update(record.reason for record in clicks.rejected)
            self._publish(clicks, progress)
            progress(self)
        self._publisher.flush()
        self._check_end()

    def _poll(self) -> Clicks | None:
        return check_polled(self._source, self._source.poll(POLL), POLL, self.read)

    def close(self) -> None:
        """Wait a while for what is not yet acknowledged, and let go of the connection.

        Raises
        ------
        SinkError
            Some was not acknowledged; begun again, the replay goes on from what is there.

        """
        self._publisher.close()

    def _publish(self, clicks: Clicks, progress: Callable[[Replay], None]) -> None:
        for session, item, moment in zip(
            clicks.sessions, clicks.items, clicks.times.tolist(), strict=True
        ):
            sequence = self.read
            key, partition = self._place(session)
            late = moment < self._clock
            self._clock = max(self._clock, moment)
            self._counts[partition] += 1
            self.read += 1
            if sequence < self._last[partition]:
                continue
            value = self._encoder.encode(_Record(session, item, moment))
            if sequence == self._last[partition]:
                self._check_tail(partition, value)
                continue
            if self._speed is not None:
                self._wait(moment, self._speed, progress)
            headers = [("sequence", sequence.to_bytes(8, "big"))]
            if late:
                headers.append(("clock", struct.pack(">d", self._clock)))
            # Kafka has no times before 1970; the value has the exact one.
            stamp = max(0, int(moment * 1000))
            self._publisher.send(value, key=key, headers=headers, time=stamp, partition=partition)
            self.published += 1

    def _place(self, session: Id) -> tuple[bytes, int]:
        """Give a session's key and partition."""
        place = self._partitions.get(session)
        if place is None:
            if len(self._partitions) >= KNOWN_KEYS:
                self._partitions.clear()
            key = str(session).encode()
            place = key, partition_of(key, self._publisher.partitions)
            self._partitions[session] = place
        return place

    def _wait(self, moment: float, speed: float, progress: Callable[[Replay], None]) -> None:
        """Wait until it is a click's time."""
        if self._begun is None:
            self._begun = time.monotonic(), moment
        began, first = self._begun
        while (early := began + (moment - first) / speed - time.monotonic()) > 0:
            self.behind = 0.0
            time.sleep(min(early, PATIENCE))
            progress(self)
        self.behind = -early

    def _check_tail(self, partition: int, value: bytes) -> None:
        """Check that a partition holds the log up to its last record, and nothing else."""
        tail = self._tails[partition]
        if value != tail.value:
            raise self._stranger(partition, f"its last record is {tail.value[:200]!r}")
        self._check_count(partition, tail.end)

    def _check_end(self) -> None:
        """Check that each partition holds as many records as the log has for it."""
        for partition, tail in enumerate(self._tails):
            if tail.sequence >= self.read:
                raise self._stranger(
                    partition,
                    f"its last record is number {tail.sequence:,} and the log has {self.read:,}",
                )
        ends = read_ends(self._publisher.address, self._settings, len(self._tails))
        for partition, end in enumerate(ends):
            self.doubles += self._check_count(partition, end)

    def _check_count(self, partition: int, end: int) -> int:
        """Check that a partition holds as many records as the log so far; give the doubles."""
        count = self._counts[partition]
        doubles = 0
        if end > count:
            doubles = count_doubles(self._publisher.address, self._settings, partition, end)
        if end - doubles != count:
            raise self._stranger(
                partition, f"it holds {end:,} records, and the log has {count:,} for it"
            )
        return doubles

    def _stranger(self, partition: int, what: str) -> SinkError:
        return SinkError(
            f"{self._publisher.name}, partition {partition}, holds something else than this log: "
            f"{what}; was it another log, another number of partitions, or another writer? Replay "
            "into a new topic"
        )


def partition_of(key: bytes, partitions: int) -> int:
    """Give the partition of a key, as every Kafka client does by default.

    Examples
    --------
    >>> partition_of(b"anna", 4), partition_of(b"bert", 4)
    (3, 3)

    """
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def make_topic(address: KafkaAddress, settings: Mapping[str, Any], partitions: int) -> bool:
    """Make a topic that keeps its records for good; say whether it was not there before.

    Raises
    ------
    SinkError
        It is there with another number of partitions, or cannot be made.
    SourceError
        The broker cannot be reached.

    """
    admin = connect(KafkaAdminClient, address.servers, settings)
    try:
        # Brokers drop by a record's own time, and a log's times are old.
        wanted = {"num_partitions": partitions, "configs": {"retention.ms": "-1"}}
        (made,) = admin.create_topics({address.topic: wanted}, raise_errors=False)["topics"]
        fault = for_code(made["error_code"])
        if fault is NoError:
            admin.wait_for_topics([address.topic])
            return True
    except KafkaError as error:
        raise SinkError(f"{address}: the topic cannot be made: {error}") from error
    finally:
        admin.close()
    if fault is not TopicAlreadyExistsError:
        why = made["error_message"] or fault.__name__
        raise SinkError(
            f"--make-topic {partitions}: the broker does not make the topic {address.topic}: "
            f"{why.rstrip('.')}; {REFUSALS.get(fault, 'make it with its own tools')}"
        )
    found = count_partitions(address, settings)
    if found != partitions:
        raise SinkError(
            f"--make-topic {partitions}: the topic {address.topic} is there already, with {found} "
            f"partitions: leave --make-topic out, or name another topic"
        )
    return False


def read_tails(address: KafkaAddress, settings: Mapping[str, Any], partitions: int) -> list[Tail]:
    """Read the end of each partition.

    Raises
    ------
    SinkError
        A partition's last record was not written by a replay, or is gone.

    """
    places = [TopicPartition(address.topic, partition) for partition in range(partitions)]
    tails = [Tail(0, -1, b"")] * partitions
    consumer = connect(KafkaConsumer, address.servers, settings, group_id=None)
    try:
        with explained(address.servers):
            begins: dict[TopicPartition, int] = consumer.beginning_offsets(places)
            ends: dict[TopicPartition, int] = consumer.end_offsets(places)
            wanted = {place for place in places if ends[place]}
            consumer.assign(list(wanted))
            for place in wanted:
                if begins[place] == ends[place]:
                    raise _no_replay(address, place)
                consumer.seek(place, ends[place] - 1)
            deadline = time.monotonic() + READING_SECONDS
            while wanted:
                for place, records in consumer.poll(timeout_ms=500).items():
                    header = dict(records[0].headers).get("sequence", b"")
                    if records[0].offset != ends[place] - 1 or len(header) != 8:
                        raise _no_replay(address, place)
                    sequence = int.from_bytes(header, "big")
                    tails[place.partition] = Tail(ends[place], sequence, records[0].value)
                    wanted.discard(place)
                    consumer.pause(place)
                if wanted and time.monotonic() > deadline:
                    raise KafkaTimeoutError(f"{len(wanted)} last records were not given")
    finally:
        consumer.close()
    return tails


def _no_replay(address: KafkaAddress, place: TopicPartition) -> SinkError:
    return SinkError(
        f"{address.topic}, partition {place.partition}: its last record was not written by a "
        "replay, or was deleted since: replay into a new topic, made with --make-topic"
    )


def count_doubles(
    address: KafkaAddress, settings: Mapping[str, Any], partition: int, end: int
) -> int:
    """Read a partition, and count the records whose sequence is not higher than all before."""
    place = TopicPartition(address.topic, partition)
    doubles, highest = 0, -1
    consumer = connect(KafkaConsumer, address.servers, settings, group_id=None)
    try:
        with explained(address.servers):
            consumer.assign([place])
            consumer.seek(place, 0)
            while consumer.position(place) < end:
                for record in consumer.poll(timeout_ms=500).get(place, []):
                    header = dict(record.headers).get("sequence")
                    if header is not None and record.offset < end:
                        sequence = int.from_bytes(header, "big")
                        doubles += sequence <= highest
                        highest = max(highest, sequence)
    finally:
        consumer.close()
    return doubles


def read_ends(address: KafkaAddress, settings: Mapping[str, Any], partitions: int) -> list[int]:
    """Give the number of records that each partition was ever given."""
    places = [TopicPartition(address.topic, partition) for partition in range(partitions)]
    consumer = connect(KafkaConsumer, address.servers, settings, group_id=None)
    try:
        with explained(address.servers):
            ends: dict[TopicPartition, int] = consumer.end_offsets(places)
    finally:
        consumer.close()
    return [ends[place] for place in places]
