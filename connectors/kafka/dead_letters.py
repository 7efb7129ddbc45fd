"""Records that cannot be used, as they go out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from ..clicks import AS_BASE64
from .access.settings import KafkaAddress
from .producer import Producer, say_nothing


class DeadLetterTopic:
    """A topic that takes rejected records, at least once.

    Key and value are the record's bytes as they were read; reason, detail and the place it stood
    at (topic, partition and offset, or file and line) are headers, and so is ``cut_from``.

    Parameters
    ----------
    address
        The brokers and the topic.
    settings
        kafka-python's keywords, as `client_settings` gives them.
    resume_at
        What `sync` gave to the snapshot that the run goes on from.
    notify
        Takes what a person should know: that the brokers are waited for.

    Attributes
    ----------
    name
        ``kafka://host:port/topic``.
    full
        False: it needs no snapshot before it takes more.

    Raises
    ------
    SinkError
        There is no such topic.
    SourceError
        The broker cannot be reached.

    """

    def __init__(
        self,
        address: KafkaAddress,
        settings: Mapping[str, Any],
        notify: Callable[[str], None] = say_nothing,
        resume_at: Any = None,
    ) -> None:
        self.name = str(address)
        self.full = False
        self._publisher = Producer(address, settings, notify=notify)
        for record in resume_at["outbox"] if isinstance(resume_at, dict) else []:
            self.write(record)

    @property
    def undelivered(self) -> int:
        """How many records are not acknowledged."""
        return len(self._publisher.unacknowledged())

    def end_within(self, seconds: float) -> None:
        """End every wait within `seconds` from now."""
        self._publisher.end_within(seconds)

    def write(self, record: Any) -> None:
        """Take a rejected record as `dead_letter` returns it.

        Raises
        ------
        SinkError
            An earlier record cannot be written.

        """
        letter = dict(record)
        key, raw = _bytes(letter, "key"), _bytes(letter, "raw")
        headers = [(name, str(value).encode()) for name, value in letter.items()]
        self._publisher.send(raw or b"", key=key, headers=headers, keep=record)

    def flush(self) -> None:
        """Do nothing: records are on their way."""

    def sync(self) -> Any:
        """Wait until all records are acknowledged; return those that are not.

        Returns
        -------
        dict or None
            Under ``outbox`` what was left where `end_within` has ended the wait.

        Raises
        ------
        SinkError
            One cannot be written.

        """
        if self._publisher.flush():
            return None
        return {"outbox": self._publisher.unacknowledged()}

    def commit(self, length: Any) -> None:
        """Do nothing: what was written after a snapshot is written again after a kill."""

    def close(self) -> None:
        """Wait a while for what was sent, and close the connection.

        Raises
        ------
        SinkError
            Some of it was not acknowledged.

        """
        self._publisher.close()


def _bytes(letter: dict[str, Any], name: str) -> bytes | None:
    """Take a field of bytes out of a dead letter."""
    encoded = letter.pop(name + AS_BASE64, None)
    if encoded is not None:
        return base64.b64decode(encoded)
    text = letter.pop(name, None)
    return None if text is None else str(text).encode()
