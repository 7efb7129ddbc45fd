"""What an engine gets in a soak: clicks at a steady rate, and requests."""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from typing import Any
from urllib.request import urlopen

import fastavro

from nextclick.connectors import KafkaAddress, open_source
from nextclick.connectors.kafka.producer import Producer
from tests.connectors.schemas.registry_server import framed

SCHEMA = {
    "type": "record",
    "name": "View",
    "fields": [
        {"name": "session_id", "type": "string"},
        {"name": "item_id", "type": "long"},
        {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
"""The schema of a click's record."""

SHOP = "sim:items=1500,life=0.05,sessions=400"
"""Visitors whose items are replaced every hour and a quarter of the simulated time."""


class Clicks(threading.Thread):
    """Publishes the clicks of simulated visitors at a steady rate, until it is stopped.

    While the broker is away they wait, and follow when it is back.

    Attributes
    ----------
    sent
        How many clicks were given to the producer.
    visitors
        The sessions of the latest clicks.

    """

    def __init__(self, address: str, topic: str, schema: int, rate: float) -> None:
        super().__init__(daemon=True)
        self._place, self._schema, self.rate = KafkaAddress([address], topic), schema, rate
        self._stopped = threading.Event()
        self._encoder = fastavro.parse_schema(SCHEMA)
        self.sent = 0
        self.visitors: deque[str] = deque(maxlen=100)
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Publish."""
        try:
            self._publish()
        except BaseException as error:
            self.failure = error

    def _publish(self) -> None:
        producer = Producer(self._place, {})
        began = time.monotonic()
        shop = open_source(SHOP)
        while not self._stopped.is_set() and (some := shop.poll(8)) is not None:
            for session, item in zip(some.sessions, some.items, strict=True):
                # Those that had to wait for the broker are late, and are sent at once.
                time.sleep(max(0.0, began + self.sent / self.rate - time.monotonic()))
                key = str(session).encode()
                producer.send(self._record(str(session), int(item)), key=key)
                self.sent += 1
                self.visitors.append(str(session))
        producer.flush()
        producer.close()

    def _record(self, session: str, item: int) -> bytes:
        moment = round(time.time() * 1000)
        data = io.BytesIO()
        record: dict[str, Any] = {"session_id": session, "item_id": item, "timestamp": moment}
        fastavro.schemaless_writer(data, self._encoder, record)
        return framed(self._schema, data.getvalue())

    def stop(self) -> None:
        """End after the clicks under way are acknowledged."""
        self._stopped.set()
        self.join(300)
        if self.failure is not None:
            raise self.failure


class Requests(threading.Thread):
    """Asks an engine for lists of the latest visitors, at a steady rate.

    Attributes
    ----------
    seconds
        How long each of the latest answers took.
    answered, failed
        How many requests were answered, and how many were not though the engine was expected to.
    expected
        Whether the engine is expected to answer.

    """

    def __init__(self, port: int, clicks: Clicks, rate: float) -> None:
        super().__init__(daemon=True)
        self._port, self._clicks, self.rate = port, clicks, rate
        self._stopped = threading.Event()
        self.seconds: deque[float] = deque(maxlen=1000)
        self.answered = self.failed = 0
        self.expected = threading.Event()

    def run(self) -> None:
        """Ask."""
        while not self._stopped.wait(1 / self.rate):
            if not (self.expected.is_set() and self._clicks.visitors):
                continue
            url = f"http://127.0.0.1:{self._port}/v1/recommend?session={self._clicks.visitors[-1]}"
            began = time.monotonic()
            try:
                with urlopen(url, timeout=30) as response:
                    response.read()
            except OSError:
                # One that the engine's end met is no failure.
                self.failed += self.expected.is_set()
                continue
            self.seconds.append(time.monotonic() - began)
            self.answered += 1

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        self.join(60)
