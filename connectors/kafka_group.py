"""Offsets committed to a group of consumers, where tools look that show the lag."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition

from .kafka_connect import connect
from .kafka_settings import KafkaAddress
from .source import SourceError

CONNECTING_MS, COMMITTING_MS = 5000, 3000


class GroupOffsets:
    """Commits offsets of a topic to a group; nothing here depends on them.

    The last offsets that were set are what counts: what was not committed before is left out.

    Parameters
    ----------
    address
        The topic.
    settings
        Those of the consumer.
    group
        The group's name.

    Attributes
    ----------
    note
        Why the last commit failed; None where it did not.

    """

    def __init__(self, address: KafkaAddress, settings: Mapping[str, Any], group: str) -> None:
        self._address = address
        self._settings = {**settings, "bootstrap_timeout_ms": CONNECTING_MS}
        self._group = group
        self._due: deque[dict[int, int]] = deque(maxlen=1)
        self._consumer: Any = None
        self.note: str | None = None

    def set(self, offsets: dict[int, int]) -> None:
        """Have offsets committed by the next `send`, which another thread may call."""
        self._due.append(offsets)

    def send(self) -> None:
        """Commit what is due, and wait for it."""
        if not self._due:
            return
        offsets = self._due.pop()
        try:
            if self._consumer is None:
                self._consumer = connect(
                    KafkaConsumer,
                    self._address.servers,
                    self._settings,
                    group_id=self._group,
                    enable_auto_commit=False,
                )
            self._consumer.commit(
                {
                    TopicPartition(self._address.topic, number): OffsetAndMetadata(offset, "", -1)
                    for number, offset in offsets.items()
                },
                timeout_ms=COMMITTING_MS,
            )
            self.note = None
        except (KafkaError, SourceError) as error:
            self.note = (
                f"{self._address}: offsets could not be committed to the group {self._group!r}: "
                f"{error}; snapshots do not need them"
            )

    def close(self) -> None:
        """Let go of the connection."""
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=1000)
