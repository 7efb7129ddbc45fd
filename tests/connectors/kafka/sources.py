"""Sources on a topic, and the clicks that tests send and read through them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from nextclick.connectors.clicks import Clicks
from nextclick.connectors.decoding.log_format import LogFormat
from nextclick.connectors.kafka.access.subscription import parse_subscription
from nextclick.connectors.kafka.source import KafkaSource

PATIENCE = 120.0


FORM = LogFormat(session="s", item="i", time="t")


QUICK = {"bootstrap_timeout_ms": 1000, "metadata_max_age_ms": 500, "fetch_max_wait_ms": 50}


def click(number: int, session: str = "anna", time: float | None = None) -> bytes:
    """Write the click on item `number`, by default at that second."""
    moment = float(number) if time is None else time
    return json.dumps({"s": session, "i": number, "t": moment}).encode()


def record(number: int, partition: int = 0, **more: Any) -> dict[str, Any]:
    return {"value": click(number), "partition": partition, **more}


def source(address: str, topic: str, **options: Any) -> KafkaSource:
    options = {"until_end": True, "settings": QUICK, **options}
    return KafkaSource(parse_subscription(f"kafka://{address}/{topic}"), FORM, **options)


def polls(source: KafkaSource, limit: int = 64) -> Iterator[Clicks]:
    """Poll to the end."""
    deadline = time.monotonic() + PATIENCE
    while (clicks := source.poll(limit, 0.5)) is not None:
        assert time.monotonic() < deadline, "the source does not end"
        yield clicks


def read(address: str, topic: str, **options: Any) -> list[Any]:
    """Read a topic to its end; return the items."""
    with closing(source(address, topic, **options)) as opened:
        return [item for clicks in polls(opened) for item in clicks.items]


def take(source: KafkaSource, count: int) -> list[Any]:
    """Poll a live source until `count` clicks are there; return their items."""
    deadline = time.monotonic() + PATIENCE
    items: list[Any] = []
    while len(items) < count:
        assert time.monotonic() < deadline, f"only {len(items)} of {count} clicks have come"
        clicks = source.poll(count - len(items), 0.5)
        assert clicks is not None
        items += clicks.items
    return items


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
