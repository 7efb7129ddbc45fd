"""A log published to a topic: at its own pace, faster, or flat out."""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from kafka.partitioner import murmur2

from ..clicks import Clicks, Id
from ..custom_source import check_polled
from ..sink import SinkError
from ..source import Source
from .access.settings import KafkaAddress
from .producer import Producer, say_nothing
from .topics import count_doubles, read_ends, read_tails

POLL = 1000
"""Clicks read from the log at a time."""

PATIENCE = 0.25
"""Seconds between two calls of `progress` while the replay waits for a click's time."""

KNOWN_KEYS = 100_000
"""Sessions whose partition is remembered."""


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
    second time. `doubles` counts these; readers can recognise them, since otherwise `sequence`
    always rises within a partition.

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
    notify
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
        notify: Callable[[str], None] = say_nothing,
    ) -> None:
        self.read = self.published = 0
        self.rejected: Counter[str] = Counter()
        self.doubles = 0
        self.behind = 0.0
        self._source = source
        self._settings = settings
        self._speed = speed
        self._publisher = Producer(address, settings, notify=notify)
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
        """Wait a while for what is not yet acknowledged, and close the connection.

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
        """Return a session's key and partition."""
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
        """Check that a partition holds as many records as the log so far; return the duplicates."""
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
            f"{self._publisher.name}, partition {partition}, does not match this log: {what}; "
            "was it another log, another number of partitions, or another writer? Replay into a "
            "new topic"
        )


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key, as every Kafka client does by default.

    Examples
    --------
    >>> partition_of(b"anna", 4), partition_of(b"bert", 4)
    (3, 3)

    """
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
