"""Submitted clicks, written to the topic that a source reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Literal

from .decoding.log_format import LogFormat
from .group_commit import GroupCommit, Outcome
from .kafka.access.settings import KafkaAddress
from .kafka.producer import Producer
from .recorder import Recorded, RecordError
from .sink import SinkError
from .source import SourceError
from .submitted_clicks import ClickError, ClickForm, SubmittedClick

COMMIT_SECONDS = 5.0
"""Seconds that the brokers may take to write a group of clicks."""

LIMITS = {
    "linger_ms": 0,
    "max_block_ms": 5_000,
    "bootstrap_timeout_ms": 5_000,
    # After it the brokers abort what a process that was killed has left unfinished.
    "transaction_timeout_ms": 10_000,
}

OVERHEAD = 2048
"""Bytes of a record besides its value and key, at most."""

ALONE = ("SizeTooLarge", "RecordListTooLarge", "InvalidTimestamp", "InvalidRecord")
"""What brokers refuse one record for: the others are written without it."""


class TopicRecorder:
    """Writes clicks to a topic, keyed by session; each group of them in one transaction.

    So all clicks of a request are written or none, and readers of committed records, such as
    `KafkaSource`, see only those that were confirmed. Event ids are kept, but not compared.

    Parameters
    ----------
    address, settings
        The brokers and the topic; see `KafkaSource`.
    form
        The fields' names, as the source has them.
    time_from
        ``record``: a click's time is its record's timestamp too.
    transactional_id
        Names this process to the brokers. Two with one id shut each other out.

    Attributes
    ----------
    form
        The form of a submitted click.
    place
        The topic, for a person.

    """

    def __init__(
        self,
        address: KafkaAddress,
        settings: Mapping[str, Any],
        form: LogFormat,
        *,
        time_from: Literal["field", "record"] = "field",
        transactional_id: str,
    ) -> None:
        self.form = ClickForm(form)
        self.place = str(address)
        self._address = address
        self._settings = {**settings, **LIMITS}
        self._largest = int(settings.get("max_request_size", 1 << 20)) - OVERHEAD
        self._by_record = time_from == "record"
        self._id = transactional_id
        self._producer: Producer | None = None
        self._group: GroupCommit[SubmittedClick] = GroupCommit(
            self.place, self._commit, self._begin
        )

    def record(self, clicks: Sequence[SubmittedClick]) -> Future[Recorded]:
        """Write clicks; see `Recorder.record`.

        Raises
        ------
        ClickError
            One is too large for the topic, or has a time that no record can have.

        """
        for click in clicks:
            size = len(click.line) + len(str(click.session).encode())
            if size > self._largest:
                raise ClickError(f"a click has {size:,} bytes; {self._largest:,} are allowed")
            if self._by_record and click.time < 0:
                raise ClickError("a click's time is before 1970, which no record's can be")
        return self._group.submit(clicks, sum(len(click.line) for click in clicks))

    def close(self) -> None:
        """Write what waits, and leave the brokers."""
        self._group.close()
        self._leave()

    def _begin(self) -> None:
        """Connect in advance: the first click waits for less."""
        with suppress(SinkError, SourceError):
            self._connect()

    def _connect(self) -> Producer:
        if self._producer is None:
            # It ends, too, what a process of the same name has left unfinished.
            self._producer = Producer(self._address, self._settings, self._id)
        return self._producer

    def _leave(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.end_within(0.0)
            with suppress(SinkError):
                producer.close()

    def _commit(self, group: list[Sequence[SubmittedClick]]) -> list[Outcome]:
        try:
            self._write([click for clicks in group for click in clicks])
        except (SinkError, SourceError) as error:
            self._leave()
            if len(group) > 1 and any(name in str(error) for name in ALONE):
                return [outcome for clicks in group for outcome in self._commit([clicks])]
            failure = RecordError(f"{error}. None of these clicks was recorded")
            return [failure] * len(group)
        except RecordError:
            self._leave()
            raise
        return [Recorded(len(clicks), 0) for clicks in group]

    def _write(self, clicks: list[SubmittedClick]) -> None:
        producer = self._connect()
        producer.end_within(COMMIT_SECONDS)
        producer.begin()
        for click in clicks:
            producer.send(
                click.line,
                key=str(click.session).encode(),
                time=int(click.time * 1000) if self._by_record else None,
            )
        if not producer.flush():
            raise RecordError(
                f"{self.place}: the brokers have not answered for {COMMIT_SECONDS:.0f} seconds: "
                "none of these clicks was recorded, try again"
            )
        if not producer.commit():
            raise RecordError(
                f"{self.place}: the brokers have not confirmed within {COMMIT_SECONDS:.0f} "
                "seconds: these clicks may or may not be recorded"
            )
