"""What nextclick uses of kafka-python besides its public classes: all of it, and only here.

Each use says what it is for and what happens without it. A member that a version of kafka-python
does not have is not missed: `has` finds out before it is used, and the public way is taken, which
is slower or says less, and reads and writes the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kafka.errors import (
    CorruptRecordError,
    KafkaConnectionError,
    KafkaError,
    RetriableError,
    UnsupportedCodecError,
)

from ..source import SourceError
from .record_batches import (
    DamagedBatchError,
    Record,
    as_record,
    damaged_batch,
    decompress_bounded,
    parse_columns,
)

FetchedRecords: Any
try:
    from kafka.future import Future
    from kafka.net.compat import KafkaNetClient
    from kafka.net.manager import KafkaConnectionManager
    from kafka.net.selector import NetworkSelector
except ImportError:
    Future = NetworkSelector = None
    KafkaConnectionManager = KafkaNetClient = object
try:
    from kafka.consumer.fetcher import Fetcher

    FetchedRecords = Fetcher.PartitionRecords
except (ImportError, AttributeError):
    FetchedRecords = object

MANY = 30
"""Records of a batch from which on reading by the column is the faster way."""

LARGE = 16 << 20
"""Bytes of a batch from which on its records are read one at a time: by the column all of them
would be held at once."""

MOST_BYTES = 256 << 20
"""Bytes of a batch, decompressed, at most."""

FETCHED = (
    "_consume_aborted_transactions_up_to",
    "_contains_abort_marker",
    "_is_batch_aborted",
    "_unpack_records",
    "drain",
    "take",
)
"""Methods of a fetch that `PartitionRecords` calls or replaces."""

BATCH = ("_buffer", "_decompressed", "_maybe_uncompress", "_pos")
"""Members of a batch that hold its bytes."""


def has(owner: Any, *names: str) -> bool:
    """Whether an object of kafka-python has all of these members."""
    return all(hasattr(owner, name) for name in names)


# Records are decoded several times as fast as kafka-python does it.


def install_fast_decoder(consumer: Any) -> bool:
    """Replace the way from bytes to records in a consumer, which then returns `Record`.

    Returns
    -------
    bool
        Whether that was possible; else it returns kafka-python's records, see `as_record`.

    """
    if not has(FetchedRecords, *FETCHED) or not has(consumer, "_fetcher"):
        return False
    if not has(consumer._fetcher, "PartitionRecords"):
        return False
    consumer._fetcher.PartitionRecords = PartitionRecords
    return True


class PartitionRecords(FetchedRecords):  # type: ignore[misc]
    """The records of one fetch of one partition, for kafka-python's fetcher.

    Only the way from bytes to records is replaced: fetching, positions and transactions stay
    with kafka-python.
    """

    next_fetch_offset: int

    def __init__(self, fetch_offset: int, tp: Any, records: Any, **more: Any) -> None:
        super().__init__(fetch_offset, tp, records, **more)
        if records.size_in_bytes() and not records.has_next():
            why = "a length in them is wrong"
            raise DamagedBatchError(tp.partition, fetch_offset, why, topic=tp.topic)

    def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Iterator[Record]:
        while records.has_next():
            batch: Any = None
            try:
                batch = records.next_batch()
                skipped, unpacked = self._unpack(tp, batch)
            except (UnsupportedCodecError, SourceError):
                raise
            except Exception as error:
                why = str(error.args[0]) if error.args else type(error).__name__
                offset = self.next_fetch_offset
                raise damaged_batch(tp, offset, batch, records, why) from error
            if not skipped:
                yield from unpacked
            if batch.magic == 2:
                # The batch may end with records that compaction has removed.
                self.next_fetch_offset = batch.next_offset
        self.drain()

    def _unpack(self, tp: Any, batch: Any) -> tuple[bool, Iterator[Record]]:
        """Check a batch, and read its records, unless it has none that may be read."""
        if batch.magic not in (0, 1, 2):
            raise CorruptRecordError(f"its format is unknown ({batch.magic})")
        if self.check_crcs and not batch.validate_crc():
            raise CorruptRecordError("their checksum is wrong")
        if batch.magic == 2 and batch.next_offset <= self.next_fetch_offset:
            # The checksum is not over the offset.
            raise CorruptRecordError(f"they are at offset {batch.base_offset}")
        if batch.magic == 2 and self._skipped(batch):
            return True, iter(())
        if batch.magic == 2:
            decompress(batch, f"topic {tp.topic}, partition {tp.partition}")
        many = batch.magic == 2 and batch.records_count >= MANY
        return False, parse(batch) if many else iter(list(map(as_record, batch)))

    def take(self, n: int | None = None) -> list[Record]:
        """Return the next n records; to be fetched next is what comes after the last of them."""
        try:
            records: list[Record] = super().take(n)
        except DamagedBatchError:
            # Else kafka-python would ask this for more, for ever.
            self.drain()
            raise
        if records:
            self.next_fetch_offset = max(self.next_fetch_offset, records[-1].offset + 1)
        return records

    def _skipped(self, batch: Any) -> bool:
        """Whether a batch holds a transaction's marker, or records of an aborted one."""
        if batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
        if batch.is_control_batch:
            if batch.has_producer_id() and self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            return True
        return bool(self._is_batch_aborted(batch))


def decompress(batch: Any, where: str) -> None:
    """Decompress a batch, but no more of it than fits into RAM.

    kafka-python has no bound: a batch of 1 MB can become 30 GB. The other codecs, snappy and lz4,
    make far less of it, and are left to kafka-python.

    Parameters
    ----------
    batch
        The batch.
    where
        Its partition, for the message.

    Raises
    ------
    SourceError
        The batch is too large.

    """
    codecs = {batch.CODEC_GZIP: "gzip", batch.CODEC_ZSTD: "zstd"}
    codec = codecs.get(batch.compression_type)
    if codec is None or not has(batch, *BATCH) or batch._decompressed:
        return
    data = decompress_bounded(bytes(memoryview(batch._buffer)[batch._pos :]), codec, MOST_BYTES)
    if data is None:
        raise SourceError(
            f"{where}: the records from offset {batch.base_offset} to {batch.last_offset} are "
            f"one batch of more than {MOST_BYTES >> 20} MiB when decompressed, too large to be "
            "read: have producers write smaller batches; to skip this one, delete the records "
            f"before offset {batch.last_offset + 1} with kafka-delete-records.sh and give "
            "--on-missing-offsets earliest"
        )
    batch._buffer, batch._pos, batch._decompressed = data, 0, True


def parse(batch: Any) -> Iterator[Record]:
    """Return the records of a batch of Kafka's second format.

    Raises
    ------
    CorruptRecordError
        The batch is not what its lengths say.

    """
    if not has(batch, *BATCH):
        return map(as_record, batch)
    batch._maybe_uncompress()
    if len(batch._buffer) - batch._pos > LARGE:
        return map(as_record, batch)
    return parse_columns(batch, bytes(memoryview(batch._buffer)[batch._pos :]))


# Records of a partition that was paused are given as soon as it is resumed.


def requeue_paused_records(consumer: Any) -> None:
    """Make a consumer's next poll return what it has of a partition that was paused and resumed.

    kafka-python 3.0 parks such records, and takes them up again only if it has no others at
    hand: not if those are used up, and not if they are of a paused partition. It would wait for
    new ones, for ever if there are none. Without its members, `resume` has them fetched again.
    """
    if not _can_requeue(consumer):
        return
    fetcher = consumer._fetcher
    at_hand = fetcher._next_partition_records
    if at_hand and at_hand.topic_partition in consumer.paused():
        fetcher._paused_partition_records[at_hand.topic_partition] = at_hand
        at_hand = None
    if not at_hand:
        fetcher._next_partition_records = None


def resume(consumer: Any, places: Iterable[Any]) -> None:
    """Resume partitions of a consumer."""
    places = list(places)
    consumer.resume(*places)
    if not _can_requeue(consumer):
        for place in places:
            consumer.seek(place, consumer.position(place))


def _can_requeue(consumer: Any) -> bool:
    members = ("_next_partition_records", "_paused_partition_records")
    return has(consumer, "_fetcher") and has(consumer._fetcher, *members)


# Connections: which address failed, and failures that may pass.


class Clients:
    """Makes the connections of one of kafka-python's clients, and keeps them at hand."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    def __call__(self, **configs: Any) -> Any:
        """Make the connections of a client."""
        self.made.append(_Client(**configs))
        return self.made[-1]


def clients() -> Clients | None:
    """Return what makes connections with these additions; None: kafka-python makes its own."""
    known = has(KafkaNetClient, "send", "await_ready") and has(KafkaConnectionManager, "_connect")
    return Clients() if known else None


def topic_id(consumer: Any, topic: str) -> str | None:
    """Return the id that the brokers gave a topic, as the consumer's metadata has it.

    A topic that is deleted and made again has another one. None where the brokers have none: those
    before Kafka 2.8, and some that only implement Kafka's protocol.
    """
    for client in _clients_of(consumer):
        if has(client.cluster, "topic_id"):
            found = client.cluster.topic_id(topic)
            if found is not None and found.int:
                return str(found)
    return None


def brokers_connected(consumer: Any) -> int | None:
    """Return how many brokers a consumer has a connection to; None where that is not known."""
    for client in _clients_of(consumer):
        if has(client, "connected") and has(client.cluster, "brokers"):
            return sum(bool(client.connected(one.node_id)) for one in client.cluster.brokers())
    return None


def _clients_of(consumer: Any) -> list[Any]:
    made = consumer.config.get("kafka_client") if has(consumer, "config") else None
    return [one for one in made.made if has(one, "cluster")] if isinstance(made, Clients) else []


class _Client(KafkaNetClient):  # type: ignore[misc]
    """A client whose failures kafka-python 3.0's producer gets over.

    After an error from `await_ready` it forgets the request of a transaction that it was about to
    send, and waits for its answer for ever; after False it tries again. A request of a transaction
    that a broker has not answered in time ends the producer for good, unless that looks like a
    connection that was lost.
    """

    def __init__(self, **configs: Any) -> None:
        net = NetworkSelector(**configs)
        super().__init__(net, _Manager(net, **configs), **configs)

    def send(self, node_id: Any, request: Any, **more: Any) -> Any:
        """Send a request; whatever may pass fails it as a lost connection does."""
        answered = Future()

        def fail(error: BaseException) -> None:
            passing = isinstance(error, RetriableError)
            answered.failure(KafkaConnectionError(str(error)) if passing else error)

        sent = super().send(node_id, request, **more)
        sent.add_callback(answered.success)
        sent.add_errback(fail)
        return answered

    def await_ready(self, *arguments: Any, **more: Any) -> bool:
        """Whether a node can be sent to."""
        try:
            return bool(super().await_ready(*arguments, **more))
        except KafkaError:
            return False


class _Manager(KafkaConnectionManager):  # type: ignore[misc]
    """Connections, with a line in the log on which of the brokers' own addresses fail."""

    async def _connect(self, node: Any, conn: Any, **more: Any) -> None:
        await super()._connect(node, conn, **more)
        place = f"{node.host}:{node.port}"
        if not conn.closed:
            _REACHED.add(place)
        elif not self.closed and place not in _REACHED:
            kind = "named" if self.cluster.is_bootstrap(node.node_id) else "advertised"
            logging.getLogger("kafka").warning("Not reached, as %s: %s", kind, place)


_REACHED: set[str] = set()
"""Places where this process has reached a broker."""


# Transactions: the steps of a commit can be waited for one by one, with notes, and given up.


def commit_steps(
    producer: Any, offsets: Any = None, group: str = ""
) -> Iterator[Callable[[float], bool]]:
    """Commit a transaction, and offsets of a group in it where there are any, in steps.

    Yields
    ------
    Callable
        Waits at most this many milliseconds for a step that has begun; returns whether it is
        done. Only then the next one may be asked for.

    """
    transaction, sender = "_transaction_manager", "_sender"
    known = has(producer, transaction, sender) and has(
        producer._transaction_manager, "send_offsets_to_transaction", "begin_commit"
    )
    if not known:
        # Each waits by itself, and cannot be given up.
        if offsets is not None:
            producer.send_offsets_to_transaction(offsets, group)
        producer.commit_transaction()
        return
    # What the public methods of these names do, but for waiting without a note.
    if offsets is not None:
        sent = producer._transaction_manager.send_offsets_to_transaction(offsets, group)
        producer._sender.wakeup()
        yield sent.wait
    committed = producer._transaction_manager.begin_commit()
    producer._sender.wakeup()
    yield committed.wait


def abandon(producer: Any) -> None:
    """End a producer whose `close` has waited in vain, without waiting any more."""
    if has(producer, "_sender") and has(producer._sender, "force_close"):
        producer._sender.force_close()
    if has(producer, "_closed"):
        producer._closed = True
