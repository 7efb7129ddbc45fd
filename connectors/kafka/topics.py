"""Topics: made, and their ends read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.errors import (
    AuthorizationError,
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
from kafka.structs import TopicPartition

from ..sink import SinkError
from ..source import SourceError
from .access.settings import KafkaAddress
from .client import connect, explained
from .producer import count_partitions

READING_SECONDS = 60.0
"""How long a broker may take to return the last record of each partition."""


REFUSALS: dict[type[KafkaError], str] = {
    PolicyViolationError: "give a number that the broker allows",
    InvalidPartitionsError: "give a number that the broker allows",
    TopicAuthorizationFailedError: "let this user create topics",
    ClusterAuthorizationFailedError: "let this user create topics",
}
"""The remedy where a broker does not create a topic."""

MOST_REPLICAS = 3

DAY_MS = 86_400_000

CLEANUP: dict[str, dict[str, str]] = {
    # Keyed by session: the last list of a session is what remains of it, until it is too old.
    "recommendations": {"cleanup.policy": "compact,delete", "retention.ms": str(7 * DAY_MS)},
    # Records without a key cannot be compacted.
    "dead_letters": {"cleanup.policy": "delete", "retention.ms": str(30 * DAY_MS)},
}
"""How the topic of a sink is kept from growing for ever."""


class Tail(NamedTuple):
    """The end of a partition: its next offset, and its last record's `sequence` and value."""

    end: int
    sequence: int
    value: bytes


def make_topic(address: KafkaAddress, settings: Mapping[str, Any], partitions: int) -> bool:
    """Create a topic that keeps its records for good; return whether it is new.

    Raises
    ------
    SinkError
        It exists with another number of partitions, or cannot be created.
    SourceError
        The broker cannot be reached.

    """
    # Brokers drop by a record's own time, and a log's times are old.
    wanted = {"num_partitions": partitions, "configs": {"retention.ms": "-1"}}
    if _create(address, settings, wanted, f"--make-topic {partitions}"):
        return True
    found = count_partitions(address, settings)
    if found != partitions:
        raise SinkError(
            f"--make-topic {partitions}: the topic {address.topic} exists already, with {found} "
            "partitions: leave --make-topic out, or name another topic"
        )
    return False


def make_sink_topic(
    address: KafkaAddress, settings: Mapping[str, Any], sink: str, partitions: int | None = None
) -> str | None:
    """Create the topic of a sink where there is none.

    It has as many replicas as there are brokers, but no more than three, and is cleaned up as
    `CLEANUP` has it.

    Parameters
    ----------
    address, settings
        The brokers and the topic, and how they are reached.
    sink
        ``recommendations`` or ``dead_letters``.
    partitions
        How many it is to have; None: as the brokers do by default.

    Returns
    -------
    str or None
        A sentence that tells what was created; None where the topic is there.

    Raises
    ------
    SinkError
        It cannot be created.
    SourceError
        The broker cannot be reached.

    """
    try:
        if count_partitions(address, settings):
            return None
    except SourceError as error:
        if isinstance(error.__cause__, AuthorizationError):
            raise SinkError(
                f"--make-topics: this user may not see or create the topic {address.topic}: "
                f"{REFUSALS[TopicAuthorizationFailedError]}, or create it with Kafka's tools"
            ) from error
        raise
    admin = connect(KafkaAdminClient, address.servers, settings)
    try:
        with explained(address.servers, settings):
            brokers = len(admin.describe_cluster()["brokers"])
    except KeyError:
        # So kafka-python 3.0 ends on the answer of brokers before Kafka 3.7: leave it to them.
        brokers = 0
    finally:
        admin.close()
    replicas = min(MOST_REPLICAS, brokers) or -1
    wanted = {
        "num_partitions": partitions or -1,
        "replication_factor": replicas,
        "configs": CLEANUP[sink],
    }
    if not _create(address, settings, wanted, "--make-topics"):
        return None
    made = count_partitions(address, settings)
    days = int(CLEANUP[sink]["retention.ms"]) // DAY_MS
    return (
        f"created the topic {address} for {sink.replace('_', ' ')}: {_count(made, 'partition')}, "
        f"{_count(replicas, 'replica') if replicas > 0 else 'replicas as the brokers set them'}, "
        f"cleanup.policy={CLEANUP[sink]['cleanup.policy']}, "
        f"retention {days}d"
    )


def _create(
    address: KafkaAddress, settings: Mapping[str, Any], wanted: dict[str, Any], flag: str
) -> bool:
    """Create a topic; return False where there is one of its name."""
    admin = connect(KafkaAdminClient, address.servers, settings)
    try:
        (made,) = admin.create_topics({address.topic: wanted}, raise_errors=False)["topics"]
        fault = for_code(made["error_code"])
        if fault is NoError:
            admin.wait_for_topics([address.topic])
            return True
    except KafkaError as error:
        raise SinkError(f"{address}: the topic cannot be created: {error}") from error
    finally:
        admin.close()
    if fault is not TopicAlreadyExistsError:
        why = made["error_message"] or fault.__name__
        raise SinkError(
            f"{flag}: the broker does not create the topic "
            f"{address.topic}: {why.rstrip('.')}; "
            f"{REFUSALS.get(fault, 'create it with its own tools')}"
        )
    return False


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


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
        with explained(address.servers, settings):
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
                    raise KafkaTimeoutError(f"{len(wanted)} last records were not delivered")
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
        with explained(address.servers, settings):
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
    """Return the number of records that each partition was ever given."""
    places = [TopicPartition(address.topic, partition) for partition in range(partitions)]
    consumer = connect(KafkaConsumer, address.servers, settings, group_id=None)
    try:
        with explained(address.servers, settings):
            ends: dict[TopicPartition, int] = consumer.end_offsets(places)
    finally:
        consumer.close()
    return [ends[place] for place in places]
