"""Records to a Kafka topic: at least once, or exactly once with the snapshots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from ..sink import SinkError
from .access.settings import KafkaAddress
from .client import connect
from .producer import Producer, say_nothing

OUTBOX = 64 << 20
"""Bytes held for the next transaction, after which `KafkaSink.full` asks for a snapshot."""

COMMITTED_MS = 60_000
"""How long the broker may take to return what was last committed."""


class KafkaSink:
    """A topic that takes records as JSON, keyed by one of their fields.

    **At least once** (`transactional_id` None): a record goes out soon after `write`; `sync` waits
    until all are acknowledged, and gives those that are not where `end_within` has ended the wait.
    After a kill the records since the last snapshot are written again.

    **Exactly once**: a record goes out when the snapshot behind it is durable, and readers of
    committed records see each once, whatever is killed and when:

    1. `write` keeps records in RAM, in the outbox.
    2. `sync` closes the outbox under the next number N and gives both; they go into the snapshot.
    3. When the snapshot is durable, call ``commit(what sync gave)``: one short transaction writes
       the records and notes N as the committed offset of the group `transactional_id`.
    4. Then the source may commit its offsets.

    Killed before 3, the next run finds in its snapshot an outbox that the broker does not know of
    and writes it before anything else (in the constructor); killed after 3, it finds N and writes
    nothing. So it goes on from the newest snapshot in either case. Records written after `sync`
    wait for the next one, any number of `sync` may wait for a `commit`, and `commit(N)` covers all
    before it. What is still in the outbox when the sink is closed is not written: a run that goes
    on from the snapshot writes it.

    No transaction stays open between snapshots, so their interval is free; `full` asks for a
    snapshot where the outbox has grown to 64 MiB.

    Parameters
    ----------
    address
        The brokers and the topic.
    settings
        kafka-python's keywords, as `client_settings` gives them.
    key
        The field that is the records' key: equal keys come into one partition, in order.
    transactional_id
        For exactly once. It names this run: two processes with one id shut each other out, and a
        resumed run must have the same. It is a consumer group's name too, where the broker keeps
        the number of the last transaction.
    resume_at
        What `sync` gave to the snapshot that the run goes on from; None for a new run.
    notify
        Takes what a person should know: that the brokers are waited for.

    Attributes
    ----------
    name
        ``kafka://host:port/topic``.

    Raises
    ------
    SinkError
        There is no such topic, or the snapshot is not the newest of what was written there.
    SourceError
        The broker cannot be reached.

    """

    def __init__(
        self,
        address: KafkaAddress,
        settings: Mapping[str, Any],
        *,
        key: str = "session",
        transactional_id: str | None = None,
        resume_at: Any = None,
        notify: Callable[[str], None] = say_nothing,
    ) -> None:
        self._address = address
        self._settings = settings
        self._notify = notify
        self._key = key
        self._id = transactional_id
        self._encoder = msgspec.json.Encoder()
        self._held: list[bytes] = []
        self._size = 0
        self._number = 0
        self._closed: list[tuple[int, list[bytes]]] = []
        self._publisher = Producer(address, settings, transactional_id, notify)
        self.name = self._publisher.name
        try:
            self._resume(resume_at)
        except BaseException:
            self._publisher.close()
            raise

    @property
    def deferred(self) -> bool:
        """Whether readers see a record only once the snapshot with it is committed."""
        return self._id is not None

    @property
    def full(self) -> bool:
        """Whether the outbox asks for a snapshot."""
        return self._size >= OUTBOX

    @property
    def held(self) -> int:
        """The number of records that wait for a snapshot or its commit."""
        return len(self._held) + self.undelivered

    @property
    def undelivered(self) -> int:
        """How many records the last `sync` or `commit` did not deliver."""
        if self._id is None:
            return len(self._publisher.unacknowledged())
        return sum(len(records) for _, records in self._closed)

    def end_within(self, seconds: float) -> None:
        """End every wait within `seconds` from now; what is not written stays in the outbox."""
        self._publisher.end_within(seconds)

    def write(self, record: Any) -> None:
        """Take a record, a dict that has the field `key`.

        Raises
        ------
        SinkError
            An earlier record cannot be written.

        """
        value = self._encoder.encode(record)
        if self._id is None:
            self._send(value, record)
            return
        self._held.append(value)
        self._size += len(value)

    def flush(self) -> None:
        """Do nothing: records are on their way, or wait for a snapshot."""

    def sync(self) -> Any:
        """Return what the snapshot is to hold; at least once, wait until all is acknowledged.

        Raises
        ------
        SinkError
            A record cannot be written.

        """
        if self._id is None:
            if self._publisher.flush():
                return None
            left = self._publisher.unacknowledged()
            return {"number": None, "outbox": [[0, b"\n".join(left).decode()]]}
        self._number += 1
        self._closed.append((self._number, self._held))
        self._held = []
        # One text each: a snapshot writes one long text faster than many short ones.
        outbox = [[number, b"\n".join(lines).decode()] for number, lines in self._closed]
        return {"number": self._number, "outbox": outbox}

    def commit(self, length: Any) -> None:
        """Write what waits for this snapshot, which is durable now, in one transaction.

        Where `end_within` ends the wait for it, the records stay in the outbox.

        Parameters
        ----------
        length
            What `sync` gave to the snapshot.

        Raises
        ------
        SinkError
            It cannot be written. Nothing of it is seen; run again.

        """
        if self._id is None or self._publisher.given_up:
            return
        number = length["number"]
        due = [lines for closed, lines in self._closed if closed <= number]
        if not due:
            return
        try:
            written = self._transact(self._id, number, due)
        except SinkError:
            if not (self._publisher.waited or self._publisher.forgotten):
                raise
            # The brokers were away for longer than a transaction may stay open, and ended it; or
            # there was nothing to write for so long that they have forgotten the producer.
            written = self._begin_again(self._id, number, due)
        if not written:
            return
        self._size -= sum(len(value) for lines in due for value in lines)
        self._closed = [part for part in self._closed if part[0] > number]

    def _transact(self, id_: str, number: int, due: list[list[bytes]]) -> bool:
        """Write records and their number in one transaction; return whether it is committed."""
        self._publisher.begin()
        for lines in due:
            for value in lines:
                self._send(value, msgspec.json.decode(value))
        return self._publisher.commit(id_, number)

    def _begin_again(self, id_: str, number: int, due: list[list[bytes]]) -> bool:
        """Write what was to be written with another producer, unless it is there."""
        before = self._publisher
        before.close()
        self._publisher = Producer(self._address, self._settings, id_, self._notify)
        # An end may have been asked for meanwhile.
        self._publisher.end_with(before)
        committed = self._committed()
        if committed is None and before.forgotten:
            # Forgotten too, and meanwhile nobody else has written under this id: it was free.
            committed = number - len(due)
        if committed == number:
            return True
        if committed != number - len(due):
            raise SinkError(
                f"{self.name}: the broker knows of transaction {committed}, and {number} was to "
                "follow: it has lost what was written, or another process writes there"
            )
        return self._transact(id_, number, due)

    def close(self) -> None:
        """Close the connection; with at-least-once delivery, wait a while for what was sent.

        Raises
        ------
        SinkError
            Some of it was not acknowledged.

        """
        self._publisher.close()

    def _send(self, value: bytes, record: Any) -> None:
        kept = value if self._id is None else None
        self._publisher.send(value, key=str(record[self._key]).encode(), keep=kept)

    def _resume(self, resume_at: Any) -> None:
        """Write what the snapshot holds and the broker does not."""
        length = resume_at if isinstance(resume_at, dict) else {"number": None, "outbox": []}
        parts = [(n, text.encode().split(b"\n") if text else []) for n, text in length["outbox"]]
        if self._id is None:
            # The run was exactly once before: what may or may not be there is written again.
            for value in (value for _, lines in parts for value in lines):
                self._send(value, msgspec.json.decode(value))
            return
        committed = self._committed()
        self._number = committed or 0
        if length["number"] is None:
            # The run was at least once before: what was left over goes with the next snapshot.
            self._held = [value for _, lines in parts for value in lines]
            self._size = sum(map(len, self._held))
            return
        if self._number > length["number"]:
            raise SinkError(
                f"{self.name}: transaction {self._number} was the last one written there, and "
                f"the snapshot is from before it, at {length['number']}: continuing would write "
                "records twice. Restore the newest snapshot; or run once without --exactly-once, "
                "which writes what came since then a second time; or start over with --fresh"
            )
        self._closed = [part for part in parts if part[0] > self._number]
        first = parts[0][0] if parts else length["number"] + 1
        if self._number < first - 1 and self.held:
            known = "none" if committed is None else f"only transaction {committed}"
            raise SinkError(
                f"{self.name}: the broker should know of transaction {first - 1}, and it knows "
                f"{known} (it forgets after offsets.retention.minutes): whether the last "
                f"{self.held:,} records were written is unknown. Run once without --exactly-once "
                "to write them, possibly twice, or start over with --fresh"
            )
        self._number = length["number"]
        self._size = sum(len(value) for _, lines in self._closed for value in lines)
        self.commit(length)

    def _committed(self) -> int | None:
        """Ask the broker for the number of the last transaction."""
        consumer = connect(
            KafkaConsumer,
            self._address.servers,
            self._settings,
            group_id=self._id,
            enable_auto_commit=False,
            # Waits for the end of a commit that is still under way.
            isolation_level="read_committed",
        )
        try:
            number: int | None = consumer.committed(
                TopicPartition(self._address.topic, 0), timeout_ms=COMMITTED_MS
            )
        except KafkaError as error:
            raise SinkError(
                f"{self.name}: the number of the last transaction cannot be read: {error!r}"
            ) from error
        finally:
            consumer.close()
        return number
