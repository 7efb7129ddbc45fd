"""What the tests read back from topics."""

from __future__ import annotations

import time
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

PATIENCE = 120.0
"""Seconds that a broker may be without a place in its cluster."""


def read_topic(address: str, topic: str) -> list[Any]:
    """Read all committed records of a topic, partition by partition.

    A broker that was frozen or killed may for a moment have no place in its cluster: that is
    waited for.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return _read(address, topic)
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def _read(address: str, topic: str) -> list[Any]:
    consumer = KafkaConsumer(
        bootstrap_servers=address,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        metrics_enabled=False,
    )
    try:
        places = [
            TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))
        ]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        # For readers of committed records this is the last stable offset.
        ends = consumer.end_offsets(places)
        records: dict[TopicPartition, list[Any]] = {place: [] for place in places}
        while any(consumer.position(place) < ends[place] for place in places):
            for place, more in consumer.poll(timeout_ms=1000).items():
                records[place] += more
        return [record for place in places for record in records[place]]
    finally:
        consumer.close()
