"""Sinks on a topic, and the numbered records that tests write through them."""

from __future__ import annotations

import json
from typing import Any

from nextclick.connectors import KafkaAddress, KafkaSink
from tests.brokers import Broker
from tests.topics import read_topic


def open_sink(broker: Broker, topic: str, **options: Any) -> KafkaSink:
    return KafkaSink(KafkaAddress([broker.address], topic), {}, **options)


def exactly_once(broker: Broker, topic: str, resume_at: Any = None) -> KafkaSink:
    return open_sink(broker, topic, transactional_id=f"id-{topic}", resume_at=resume_at)


def through_a_snapshot(length: Any) -> Any:
    return json.loads(json.dumps(length))


def write(sink: KafkaSink, *numbers: int) -> None:
    for number in numbers:
        sink.write({"session": f"s{number % 5}", "number": number})


def numbers(broker: Broker, topic: str) -> list[int]:
    return [json.loads(record.value)["number"] for record in read_topic(broker.address, topic)]
