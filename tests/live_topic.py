"""Clicks published to a live topic as time goes on, and how long each waits for its list."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition

Place = tuple[int, int]
"""A partition and an offset in it."""


class Planned(NamedTuple):
    """A record: after how many seconds it is sent, to which partition, and with which value."""

    at: float
    partition: int
    value: bytes | None


def click(session: str, item: int, moment: float) -> bytes:
    """Write a click."""
    return json.dumps({"session_id": session, "item_id": item, "timestamp": moment}).encode()


class Answers:
    """Follows a topic of recommendations: when each click's list came.

    Parameters
    ----------
    address, topic
        The broker, and where the recommendations go.

    """

    def __init__(self, address: str, topic: str) -> None:
        self.came: dict[Place, float] = {}
        self._consumer = KafkaConsumer(
            bootstrap_servers=address,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
            metrics_enabled=False,
        )
        partitions = self._consumer.partitions_for_topic(topic)
        self._consumer.assign([TopicPartition(topic, number) for number in partitions])
        self._stopping = False
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def wait_for(self, places: Iterable[Place], seconds: float) -> list[Place]:
        """Wait until the lists of these clicks are written; return the clicks that have none."""
        wanted = list(places)
        deadline = time.monotonic() + seconds
        while (missing := [one for one in wanted if one not in self.came]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.02)
        return missing

    def close(self) -> None:
        """Leave the broker."""
        self._stopping = True
        self._thread.join()
        self._consumer.close()

    def _follow(self) -> None:
        while not self._stopping:
            for records in self._consumer.poll(timeout_ms=50).values():
                now = time.monotonic()
                for record in records:
                    answer = json.loads(record.value)
                    self.came.setdefault((answer["partition"], answer["offset"]), now)


def publish(address: str, topic: str, plan: Iterable[Planned]) -> dict[Place, float]:
    """Publish records, each in its moment; return when those that are clicks were sent."""
    producer = KafkaProducer(bootstrap_servers=address, linger_ms=0)
    sent = []
    try:
        began = time.monotonic()
        for record in plan:
            time.sleep(max(0.0, began + record.at - time.monotonic()))
            moment = time.monotonic()
            future = producer.send(topic, record.value, key=b"key", partition=record.partition)
            if record.value is not None and b"item_id" in record.value:
                sent.append((moment, future))
        producer.flush()
        return {
            (found.partition, found.offset): moment
            for moment, future in sent
            for found in [future.get(30)]
        }
    finally:
        producer.close()
