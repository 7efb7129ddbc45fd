"""What the tests read back from topics."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer
from kafka.structs import TopicPartition


def read_topic(address: str, topic: str) -> list[Any]:
    """Read all committed records of a topic, partition by partition."""
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
