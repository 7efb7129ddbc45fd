"""Records handed to Kafka: bounded in RAM, acknowledged in order, never lost silently."""

from __future__ import annotations

import math
import time as clock
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError, NoError, UnknownTopicOrPartitionError, for_code
from kafka.structs import OffsetAndMetadata, TopicPartition

from ..sink import SinkError
from ..source import SourceError
from .access.settings import KafkaAddress
from .client import KafkaLog, connect, explained, in_table
from .kafka_internals import abandon, commit_steps

UNACKNOWLEDGED = 32 << 20
"""Bytes handed over and not yet acknowledged, at most: past it `Producer.send` waits."""

DEFAULTS: dict[str, Any] = {
    "compression_type": "zstd",
    "linger_ms": 10,
    "batch_size": 1 << 17,
    # A broker that is away is waited for, 24 days long: no record is given up in silence.
    "delivery_timeout_ms": 2**31 - 1,
    # When the broker aborts a transaction that was begun and not ended.
    "transaction_timeout_ms": 300_000,
}
"""The producer's settings where [kafka] has no others."""

REMEDIES = {
    "ProducerFenced": "another process writes there under the same transactional id, or the "
    "broker was unavailable for longer than transaction.timeout.ms: make sure "
    "that only one runs, and run again",
    "SizeTooLarge": "raise max.request.size in [kafka] and max.message.bytes of the topic",
    "RecordListTooLarge": "raise max.message.bytes of the topic",
    "InvalidTimestamp": "the topic refuses times so old or so far ahead: raise its "
    "message.timestamp.before.max.ms and message.timestamp.after.max.ms",
    "AuthorizationFailed": "let this user write there",
    "UnknownTopicOrPartition": "the topic is gone: create it again",
}
"""What helps, by a part of the name of kafka-python's error."""

WAITING_SECONDS = 10.0
"""Seconds without an acknowledgement after which `Producer` notifies."""

LOOKING_MS = 3000
"""How long it may take to find out then whether the topic is still there."""

CLOSING_SECONDS = 8.0
"""How long the last records may take when a publisher is closed."""

HEARING_SECONDS = 0.2
"""Seconds after which a wait notices that it is to end."""


def say_nothing(sentence: str) -> None:
    """Ignore a notification."""


class Producer:
    """An idempotent producer for one topic.

    kafka-python's own buffer has no bound, and an error of a record is raised only by its
    future. Here the records that are not yet acknowledged are bounded, and the first error
    ends the publishing: `send` or `flush` raises it.

    Parameters
    ----------
    address
        The brokers and the topic, which must exist.
    settings
        kafka-python's keywords, as `client_settings` gives them.
    transactional_id
        Makes every record part of a transaction; the process that had this id before is shut out.
    notify
        Takes what a person should know: once that the brokers are waited for, and that it goes on.

    Attributes
    ----------
    address
        As given.
    name
        It as it is typed.
    partitions
        How many the topic has.
    waited
        Whether the brokers were away while the last transaction went on.
    forgotten
        Whether the brokers have forgotten the transactional id: no transaction was written for
        longer than their transactional.id.expiration.ms.
    given_up
        Whether a wait has ended without an answer, see `end_within`: the publisher takes records
        yet, and waits for nothing any more.

    Raises
    ------
    SinkError
        The topic does not exist, or a transaction's id cannot be had.
    SourceError
        The broker cannot be reached.

    """

    def __init__(
        self,
        address: KafkaAddress,
        settings: Mapping[str, Any],
        transactional_id: str | None = None,
        notify: Callable[[str], None] = say_nothing,
    ) -> None:
        self.address = address
        self.name = str(address)
        self._settings = settings
        self._notify = notify
        self._waiting = False
        self._deadline = math.inf
        self._log = KafkaLog()
        self._sent: deque[tuple[Any, int, Any]] = deque()
        self._bytes = 0
        self._failure: SinkError | None = None
        self.waited = self.given_up = self.forgotten = False
        self.partitions = count_partitions(address, settings)
        if not self.partitions:
            raise SinkError(
                f"{self.name}: there is no such topic: create it first, with kafka-topics.sh "
                "--create, or give --make-topics (nextclick run) or --make-topic (nextclick replay)"
            )
        more = {"enable_idempotence": True, "acks": "all", "transactional_id": transactional_id}
        self._producer: KafkaProducer = connect(
            KafkaProducer, address.servers, {**DEFAULTS, **settings}, **more
        )
        self._log.__enter__()
        try:
            # Asked for by the first record, they would have to be there within a minute.
            self._producer.partitions_for(address.topic)
            if transactional_id is not None:
                self._producer.init_transactions()
        except KafkaError as error:
            failure = self._failed(error)
            self.close()
            raise failure from error

    def send(
        self,
        value: bytes,
        *,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        time: int | None = None,
        partition: int | None = None,
        keep: Any = None,
    ) -> None:
        """Hand a record over; wait where too much is not yet acknowledged.

        Parameters
        ----------
        value, key, headers
            The record.
        time
            Its timestamp in milliseconds; now where not given.
        partition
            Where it goes; by Kafka's hash of the key where not given.
        keep
            What `unacknowledged` gives for this record.

        Raises
        ------
        SinkError
            This record or an earlier one cannot be written.

        """
        self._settle(UNACKNOWLEDGED)
        try:
            future = self._producer.send(
                self.address.topic, value, key, headers, partition, timestamp_ms=time
            )
        except KafkaError as error:
            raise self._failed(error) from error
        size = len(value) + len(key or b"") + 100
        size += sum(len(name) + len(held) for name, held in headers or [])
        self._sent.append((future, size, keep))
        self._bytes += size

    def end_within(self, seconds: float) -> None:
        """End every wait within `seconds` from now; may be called during a wait."""
        self._deadline = clock.monotonic() + seconds

    def end_with(self, other: Producer) -> None:
        """End every wait where it would have ended for another one, which this one follows."""
        self._deadline = min(self._deadline, other._deadline)

    def unacknowledged(self) -> list[Any]:
        """Return what was kept of the records that are not acknowledged."""
        return [kept for future, _, kept in self._sent if not future.succeeded()]

    def flush(self) -> bool:
        """Wait until every record handed over is acknowledged; return whether all are.

        Raises
        ------
        SinkError
            One cannot be written.

        """
        # Not by KafkaProducer.flush, which fails where a batch must be split meanwhile.
        self._settle(0)
        return not self._sent

    def begin(self) -> None:
        """Begin a transaction."""
        self.waited = self._waiting
        try:
            self._producer.begin_transaction()
        except KafkaError as error:
            raise self._failed(error) from error

    def commit(self, group: str = "", number: int = 0) -> bool:
        """Commit the transaction; if a group is named, with `number` as its offset.

        Returns
        -------
        bool
            Whether it is committed; False where the wait for it was given up: the brokers may or
            may not commit it yet.

        Raises
        ------
        SinkError
            One of its records or the transaction itself cannot be written: nothing of it is seen
            by those who read committed records.

        """
        # Before the commit: kafka-python commits a transaction that one of its batches is
        # missing from, where that batch only expired.
        if not self.flush():
            return False
        place = TopicPartition(self.address.topic, 0)
        try:
            offsets = {place: OffsetAndMetadata(number, "", -1)} if group else None
            steps = commit_steps(self._producer, offsets, group)
            return all(map(self._wait_for, steps))
        except KafkaError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Wait a while for what is not yet acknowledged, and close the producer.

        Raises
        ------
        SinkError
            Something was not acknowledged; it may or may not have been written. Not where waiting
            for it was given up before: that is known.

        """
        failed = self._failure is not None
        seconds = CLOSING_SECONDS
        if failed or self.given_up:
            seconds = 0
        elif self._deadline < math.inf:
            seconds = max(0.0, min(seconds, self._deadline - clock.monotonic()))
        self._log.__exit__()
        try:
            self._producer.close(timeout=seconds)
        except KafkaError:  # It waited in vain.
            abandon(self._producer)
        left = len(self.unacknowledged())
        if left and not failed and not self.given_up:
            raise SinkError(
                f"{self.name}: the last {left:,} records were not acknowledged within "
                f"{seconds:.0f} seconds: is the broker there? Run again to write them"
            )

    def _settle(self, most: int) -> None:
        """Take up what was acknowledged, and wait until at most this many bytes are not."""
        if self._failure is not None:
            raise self._failure
        began = clock.monotonic()
        while self._sent:
            future, size, _ = self._sent[0]
            if not future.is_done and (self._bytes <= most or self._over()):
                return
            try:
                future.get(min(HEARING_SECONDS, WAITING_SECONDS))
            except KafkaError as error:
                if future.failed():
                    raise self._failed(error) from error
                if clock.monotonic() - began >= WAITING_SECONDS:
                    began = clock.monotonic()
                    self._check_topic()
                    self._wait()
                continue
            self._go_on()
            self._sent.popleft()
            self._bytes -= size
            began = clock.monotonic()

    def _wait_for(self, wait: Callable[[float], bool]) -> bool:
        """Wait for a step of a transaction; return whether it is done."""
        began = clock.monotonic()
        while not wait(min(HEARING_SECONDS, WAITING_SECONDS) * 1000):
            if self._over():
                return False
            if clock.monotonic() - began >= WAITING_SECONDS:
                self._wait()
        self._go_on()
        return True

    def _over(self) -> bool:
        """Whether nothing is to be waited for any more."""
        self.given_up = self.given_up or clock.monotonic() >= self._deadline
        return self.given_up

    def _wait(self) -> None:
        """Notify once that the brokers do not answer."""
        self.waited = True
        if not self._waiting:
            self._waiting = True
            cause = self._log.cause("they do not answer")
            waiting = f"{self.name}: waiting for the brokers, nothing can be written: {cause}"
            self._notify(in_table(waiting, self._settings))

    def _go_on(self) -> None:
        """Notify that the brokers answer again, where `_wait` has notified of the contrary."""
        if self._waiting:
            self._waiting = False
            self._log.clear()
            self._notify(f"{self.name}: the brokers answer again, writing continues")

    def _check_topic(self) -> None:
        """Fail where the topic is gone: kafka-python would try for ever."""
        limits = dict.fromkeys(("bootstrap_timeout_ms", "request_timeout_ms"), LOOKING_MS)
        settings = {**self._settings, **limits}
        with suppress(SourceError):  # Nor is the broker there: it may come back.
            if not count_partitions(self.address, settings):
                raise self._failed(UnknownTopicOrPartitionError())

    def _failed(self, error: KafkaError) -> SinkError:
        """Return an error that names the cause and the remedy; later calls raise it again."""
        # An error that ends a transaction stands in the text of those that follow.
        what = f"{type(error).__name__}: {error}"
        self.forgotten = "InvalidProducerIdMapping" in what
        remedies = (remedy for name, remedy in REMEDIES.items() if name in what)
        remedy = next(remedies, "fix this and run again")
        failed = f"{self.name} cannot be written: {what}; {remedy}"
        self._failure = SinkError(in_table(failed, self._settings))
        return self._failure


def count_partitions(address: KafkaAddress, settings: Mapping[str, Any]) -> int:
    """Return the number of a topic's partitions, 0 where there is no such topic.

    Raises
    ------
    SourceError
        The broker cannot be reached, or does not say.

    """
    admin = connect(KafkaAdminClient, address.servers, settings)
    try:
        with explained(address.servers, settings):
            (found,) = admin.describe_topics([address.topic])
            fault = for_code(found["error_code"])
            if fault is UnknownTopicOrPartitionError:
                return 0
            if fault is not NoError:
                raise fault(address.topic)
            return len(found["partitions"])
    finally:
        admin.close()
