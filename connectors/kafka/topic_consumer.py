"""kafka-python's consumer, told and asked by the numbers of partitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from .client import connect
from .kafka_internals import install_fast_decoder, requeue_paused_records, resume
from .merging.numbering import Numbering
from .record_batches import DamagedBatchError, as_record, poll_size

FIRST_POLL = 500
"""Records of the first poll, when their sizes are not known yet."""

POLL_MS = 100

DEFAULTS: dict[str, Any] = {
    "max_poll_records": 8_000,
    # With more at once fewer round trips are waited for.
    "max_partition_fetch_bytes": 2 << 20,
    # So soon a topic's new partitions are found, and that it is deleted or made anew.
    "metadata_max_age_ms": 1_000,
    "request_timeout_ms": 10_000,
    # On one connection the brokers answer in turn: looking at the ends waits for a fetch.
    "fetch_max_wait_ms": 100,
}


class TopicConsumer:
    """Fetches the records of topics' partitions, on one thread.

    It belongs to no group: it is told its partitions and where to read in them.

    Parameters
    ----------
    servers
        Where the brokers are.
    numbering
        The numbers of the topics' partitions.
    settings
        Those of kafka-python's consumer, with all of `DEFAULTS`.

    Attributes
    ----------
    client
        kafka-python's consumer, for who watches the topics by it.

    Raises
    ------
    SourceError
        No broker is reached; the message names the cause and the remedy.

    """

    def __init__(
        self, servers: list[str], numbering: Numbering, settings: Mapping[str, Any]
    ) -> None:
        self._numbering = numbering
        self._most_records = int(settings["max_poll_records"])
        self._most = min(FIRST_POLL, self._most_records)
        self.client: Any = connect(
            KafkaConsumer,
            servers,
            settings,
            isolation_level="read_committed",
            auto_offset_reset="none",
            enable_auto_commit=False,
        )
        self._fast = install_fast_decoder(self.client)

    def assign(self, numbers: Iterable[int]) -> None:
        """Take these partitions, and no others."""
        self.client.assign([self._place(number) for number in numbers])

    def seek(self, number: int, offset: int) -> None:
        """Read a partition from an offset."""
        self.client.seek(self._place(number), offset)

    def position(self, number: int) -> int:
        """Return the offset to be fetched next, past transaction markers and aborted records."""
        return int(self.client.position(self._place(number), timeout_ms=0) or 0)

    def paused(self) -> set[int]:
        """Return the partitions that are paused."""
        return set(map(self._number, self.client.paused()))

    def pause_only(self, numbers: set[int]) -> None:
        """Pause these partitions, and resume the others."""
        paused = self.paused()
        if numbers - paused:
            self.client.pause(*map(self._place, numbers - paused))
        if paused - numbers:
            resume(self.client, map(self._place, paused - numbers))

    def poll(self) -> dict[int, list[Any]]:
        """Return the records that have come, by partition, waiting a moment for the first.

        An offset that is not there and records that cannot be read are raised as kafka-python's
        errors and as `DamagedBatchError`.
        """
        requeue_paused_records(self.client)
        try:
            fetched = self.client.poll(timeout_ms=POLL_MS, max_records=self._most)
        except DamagedBatchError as damage:
            damage.partition = self._numbering.number(damage.topic, damage.partition)
            raise
        if self._fast:
            return {self._number(place): records for place, records in fetched.items()}
        return {self._number(place): list(map(as_record, each)) for place, each in fetched.items()}

    def fit(self, fetched: Mapping[int, list[Any]]) -> None:
        """Ask for as many records in the next poll as may be held, judged by those of the last."""
        self._most = poll_size(fetched.values(), self._most_records)

    def close(self) -> None:
        """Leave the brokers."""
        self.client.close(autocommit=False, timeout_ms=1000)

    def _place(self, number: int) -> TopicPartition:
        return TopicPartition(*self._numbering.place(number))

    def _number(self, place: TopicPartition) -> int:
        return self._numbering.number(place.topic, place.partition)
