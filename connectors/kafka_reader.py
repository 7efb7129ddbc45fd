"""A topic's records, fetched and decoded ahead by a thread of its own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from kafka import KafkaConsumer
from kafka.errors import (
    AuthorizationError,
    CorruptRecordError,
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
    SaslAuthenticationFailedError,
    UnsupportedCodecError,
)
from kafka.structs import OffsetAndMetadata, TopicPartition

from .doubles import MEMORY, Doubles
from .formats import nearest
from .kafka_batches import give_what_was_parked, read_quickly
from .kafka_connect import KafkaLog, connect, explained
from .kafka_settings import KafkaAddress
from .merge import Merge
from .records import RecordDecoder
from .source import SourceError

Missing = Literal["earliest", "latest"]

BUFFERED = 64_000
"""Records that wait to be given, of all partitions together; of each at least 1,000."""

POLL_MS = 100
LOOK = 0.25
"""Seconds between two looks at where the partitions end."""

AWAY = 3.0
"""Seconds without an answer after which the brokers count as away."""

GONE = 10.0
"""Seconds for which a topic must be missing to count as deleted."""

DEFAULTS: dict[str, Any] = {
    "max_poll_records": 8_000,
    # With more at once fewer round trips are waited for.
    "max_partition_fetch_bytes": 2 << 20,
    # So soon a topic's new partitions are found, and that it is deleted.
    "metadata_max_age_ms": 5_000,
    "request_timeout_ms": 10_000,
    # On one connection the brokers answer in turn: looking at the ends waits for a fetch.
    "fetch_max_wait_ms": 100,
}


class TopicReader:
    """Reads partitions of a topic into a `Merge`, ahead of who takes from it.

    It belongs to no group: it takes its partitions itself and knows their offsets, so that no
    one can take them away, however long a batch or a snapshot takes.

    Parameters
    ----------
    address
        The topic.
    settings
        Those of the consumer.
    decoder
        Makes clicks of records.
    partitions
        Only these; None: all, also those that are added later.
    idle
        Seconds that a silent partition holds the others back.
    until_end
        End where the partitions ended when this was made.
    on_missing
        Where to go on if the offset to read is no longer there; None: that is an error.
    start
        Where a partition is begun of which no offset is known.
    group
        The group that offsets are committed to.

    Attributes
    ----------
    changed
        The lock on all that is shared with the thread; it tells of news.
    merge
        Where the records go.
    first
        For each partition the offset at which it was begun.
    read
        For each partition the offset after all that is in the merge, and after what is never
        given: transaction markers, aborted records.
    ends
        For each partition where it ended when last looked.
    grew
        When each partition was first seen to have which end.
    anew
        Partitions that were made anew: the offsets given so far are those of the old ones.
    error
        Why the thread has ended, where it could not go on.
    doubles
        Records that were left out because a broker had taken them twice.

    """

    def __init__(
        self,
        address: KafkaAddress,
        settings: Mapping[str, Any],
        decoder: RecordDecoder,
        *,
        partitions: Iterable[int] | None,
        idle: float,
        until_end: bool,
        on_missing: Missing | None,
        start: Missing,
        group: str,
    ) -> None:
        self._address = address
        self._where = f"kafka://{','.join(address.servers)}/{address.topic}"
        self._settings = {**DEFAULTS, **settings}
        self._decoder = decoder
        self._growing = partitions is None and not until_end
        self._on_missing = on_missing
        self._start = start
        self._group = group
        self.changed = threading.Condition()
        self.merge = Merge(idle)
        self.first: dict[int, int] = {}
        self.read: dict[int, int] = {}
        self.ends: dict[int, int] = {}
        self.grew: dict[int, deque[tuple[float, int]]] = {}
        self.anew: set[int] = set()
        self.error: SourceError | None = None
        self.doubles = 0
        self._notes: dict[str, str] = {}
        self._times_away = 0
        self._seen: dict[int, Doubles] = {}
        self._to_commit: dict[int, int] | None = None
        self._committer: Any = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._looked, self._answered = 0.0, time.monotonic()
        self._missing_since: float | None = None
        self._log = KafkaLog()
        self._log.__enter__()
        self._consumer: Any = None
        try:
            self._consumer = self._connect()
            read_quickly(self._consumer)
            with explained(address.servers):
                self.partitions = self._find(partitions)
                self._targets = self._ends(self.partitions) if until_end else {}
        except BaseException:
            self.close()
            raise

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        doubled = (
            f"{self._where}: {self.doubles:,} records were left out: the broker has taken them "
            f"twice when it was killed"
        )
        return [*self._notes.values(), *([doubled] if self.doubles else [])]

    def begin(self, offsets: Mapping[int, int]) -> None:
        """Begin to read, from these offsets where there are any."""
        strange = sorted(set(offsets) - set(self.partitions))
        if strange:
            raise SourceError(
                f"{self._where}: the snapshot has a position in partition {strange[0]}, and that "
                f"is not read or not there: name the partitions as before with --partitions, or "
                f"start anew with --fresh"
            )
        with explained(self._address.servers):
            self._consumer.assign([self._place(number) for number in self.partitions])
            begins = self._begins(self.partitions)
            ends = self._ends(self.partitions)
        for number in self.partitions:
            offset = offsets.get(number)
            if offset is None:
                offset = begins[number] if self._start == "earliest" else ends[number]
            elif offset < begins[number]:
                offset = self._instead(number, offset, begins[number], ends[number])
            again = offset
            if number in offsets and offset <= ends[number]:
                # What lies shortly before is read once more, to know its doubles.
                again = max(begins[number], offset - MEMORY)
            self._open(number, offset, again)
        self._note_ends(ends)
        self._thread = threading.Thread(target=self._run, name="nextclick-kafka", daemon=True)
        self._thread.start()

    def commit(self, offsets: dict[int, int]) -> None:
        """Have offsets committed to the group, for others to see; nothing depends on it."""
        with self.changed:
            self._to_commit = offsets

    def close(self) -> None:
        """End the thread and leave the brokers, having committed what is due."""
        self._stopping = True
        if self._thread is not None:
            self._thread.join(10)
        for client in (self._consumer, self._committer):
            if client is not None:
                client.close(autocommit=False, timeout_ms=1000)
        self._log.__exit__()

    def _connect(self) -> Any:
        return connect(
            KafkaConsumer,
            self._address.servers,
            self._settings,
            isolation_level="read_committed",
            auto_offset_reset="none",
            enable_auto_commit=False,
        )

    def _find(self, wanted: Iterable[int] | None) -> list[int]:
        """Find the topic's partitions, or those of them that are wanted."""
        topic = self._address.topic
        there = self._consumer.partitions_for_topic(topic)
        if not there:
            close = nearest(topic, sorted(self._consumer.topics()))
            raise SourceError(
                f"{self._where}: there is no such topic{close}; make it with Kafka's tools, or "
                f"with nextclick replay --make-topic"
            )
        chosen = sorted(there if wanted is None else set(wanted))
        strange = [number for number in chosen if number not in there]
        if strange or not chosen:
            raise SourceError(
                f"{self._where}: --partitions {','.join(map(str, chosen))}: the topic has "
                f"{', '.join(map(str, sorted(there)))}"
            )
        return chosen

    def _place(self, number: int) -> TopicPartition:
        return TopicPartition(self._address.topic, number)

    def _begins(self, numbers: Iterable[int]) -> dict[int, int]:
        places = [self._place(number) for number in numbers]
        return {p.partition: o for p, o in self._consumer.beginning_offsets(places).items()}

    def _ends(self, numbers: Iterable[int]) -> dict[int, int]:
        """Give where partitions end for readers of committed records: the last stable offset."""
        places = [self._place(number) for number in numbers]
        found = self._consumer.end_offsets(places, timeout_ms=2000 if self._thread else None)
        return {place.partition: offset for place, offset in found.items()}

    def _open(self, number: int, offset: int, again: int) -> None:
        """Read a partition from an offset, and before it what is only to be known again."""
        self._consumer.seek(self._place(number), again)
        self._seen[number] = Doubles()
        self.first[number] = self.read[number] = offset
        self.merge.begin(number)

    def _instead(self, number: int, offset: int, begin: int, end: int) -> int:
        """Choose where to go on if an offset is not there, or say that it is not."""
        lost = (
            f"{self._where}: partition {number} holds offsets {begin} to {end}, and not {offset}, "
            f"where reading was to go on: "
        )
        why = (
            "records have been deleted there (see retention.ms)"
            if offset < begin
            else "the topic was made anew, or its brokers have lost records"
        )
        if self._on_missing is None:
            raise SourceError(
                f"{lost}{why}. To go on without them give --on-missing-offsets earliest (what is "
                f"left) or latest (what comes), or start anew with --fresh"
            )
        chosen = begin if self._on_missing == "earliest" else end
        self._notes[f"missing {number}"] = f"{lost}{why}; it went on at {chosen}"
        return chosen

    def _run(self) -> None:
        """Read on until stopped; an error is kept for who polls."""
        try:
            while not self._stopping:
                self._throttle()
                self._read()
                self._look()
                self._send_commit()
            self._send_commit()
        except SourceError as error:
            self._fail(error)
        except Exception as error:
            self._fail(self._explain(error))

    def _fail(self, error: SourceError) -> None:
        with self.changed:
            self.error = error
            self.changed.notify_all()

    def _explain(self, error: Exception) -> SourceError:
        if isinstance(error, UnsupportedCodecError):
            reason = f"{error}: install lz4, python-snappy or zstandard"
        elif isinstance(error, CorruptRecordError):
            reason = f"{error}: disk or network has damaged it; restore it from another replica"
        elif isinstance(error, SaslAuthenticationFailedError | AuthorizationError):
            reason = f"{error}: this user may not read the topic; see [kafka] and the brokers' ACLs"
        else:
            reason = f"{type(error).__name__}: {error}; run again, the last snapshot is the place"
        return SourceError(f"{self._where}: {reason}")

    def _throttle(self) -> None:
        """Pause the partitions of which enough waits, and resume the others."""
        room = max(1000, BUFFERED // len(self.partitions))
        with self.changed:
            full = {n for n in self.partitions if self.merge.waiting(n) >= room}
        paused = {place.partition for place in self._consumer.paused()}
        if full - paused:
            self._consumer.pause(*map(self._place, full - paused))
        if paused - full:
            self._consumer.resume(*map(self._place, paused - full))

    def _read(self) -> None:
        give_what_was_parked(self._consumer)
        try:
            fetched = self._consumer.poll(timeout_ms=POLL_MS)
        except (OffsetOutOfRangeError, LogTruncationError):
            self._replace()
            return
        for place, records in fetched.items():
            self._answered = time.monotonic()
            number = place.partition
            target = self._targets.get(number)
            if target is not None and records[-1].offset >= target:
                records = [record for record in records if record.offset < target]
            self._take(number, records)
        for number, target in self._targets.items():
            if self._position(number) >= target:
                with self.changed:
                    self.merge.end(number)
                    self.changed.notify_all()

    def _take(self, number: int, records: list[Any]) -> None:
        """Decode records, and let them wait in the merge."""
        begin = self.first[number]
        for old, part in (
            (True, [record for record in records if record.offset < begin]),
            (False, [record for record in records if record.offset >= begin]),
        ):
            if not part:
                continue
            run, doubles = self._seen[number].without(self._decoder.decode(number, part))
            if not old:
                with self.changed:
                    self.doubles += doubles
                    self.merge.add(run)
                    self.changed.notify_all()

    def _position(self, number: int) -> int:
        """Give the offset to be fetched next, past transaction markers and aborted records."""
        return int(self._consumer.position(self._place(number), timeout_ms=0) or 0)

    def _replace(self) -> None:
        """Find the partitions whose next offset is not there, and where to go on in them."""
        with explained(self._address.servers):
            begins, ends = self._begins(self.partitions), self._ends(self.partitions)
        for number in self.partitions:
            offset = self._position(number)
            if begins[number] <= offset <= ends[number]:
                continue
            chosen = self._instead(number, offset, begins[number], ends[number])
            self._consumer.seek(self._place(number), chosen)
            with self.changed:
                self.first[number] = min(self.first[number], chosen)
                if chosen < offset:
                    # The topic was made anew: what is known of the old one's offsets is void.
                    self.read[number] = chosen
                    self.grew.pop(number, None)
                    self._seen[number] = Doubles()
                    self.anew.add(number)

    def _look(self) -> None:
        """Look where the partitions end, and whether the topic is as it was."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        try:
            ends = self._ends(self.partitions)
        except (SaslAuthenticationFailedError, AuthorizationError):
            raise
        except KafkaError:
            self._silence()
        else:
            if now - self._answered > AWAY:
                self._come_back()
            self._answered = time.monotonic()
            self._note_ends(ends)
        self._look_at_topic()

    def _note_ends(self, ends: dict[int, int]) -> None:
        now = time.monotonic()
        with self.changed:
            for number, end in ends.items():
                grew = self.grew.setdefault(number, deque(maxlen=10_000))
                if not grew or end > grew[-1][1]:
                    grew.append((now, end))
                self.ends[number] = end
                position = self._position(number)
                # What is past the end to be read up to has been fetched, and is not given.
                position = min(position, self._targets.get(number, position))
                self.read[number] = max(self.read[number], position)
                if position >= end:
                    self.merge.silent(number, now)
            self.changed.notify_all()

    def _silence(self) -> None:
        """Say once that the brokers do not answer."""
        if time.monotonic() - self._answered > AWAY and "away" not in self._notes:
            cause = self._log.cause("they do not answer")
            self._notes["away"] = f"{self._where}: waiting for the brokers: {cause}"

    def _come_back(self) -> None:
        self._times_away += 1
        self._notes.pop("away", None)
        self._log.clear()
        times = "once" if self._times_away == 1 else f"{self._times_away:,} times"
        self._notes["back"] = (
            f"{self._where}: the brokers were away {times}; reading went on where it had stopped"
        )

    def _look_at_topic(self) -> None:
        """Find new partitions, and that the topic is deleted."""
        now = time.monotonic()
        there = self._consumer.partitions_for_topic(self._address.topic)
        if not set(self.partitions) <= there:
            self._missing_since = self._missing_since or now
            if now - self._missing_since > GONE:
                raise SourceError(
                    f"{self._where}: the topic has been deleted, or this user may no longer see "
                    f"it; name another one"
                )
            return
        self._missing_since = None
        new = sorted(there - set(self.partitions)) if self._growing else []
        if not new:
            return
        self._consumer.assign([self._place(number) for number in [*self.partitions, *new]])
        begins = self._begins(new)
        with self.changed:
            for number in new:
                self._open(number, begins[number], begins[number])
            self.partitions = [*self.partitions, *new]
            self.changed.notify_all()
        self._notes[f"new {new[0]}"] = (
            f"{self._where}: the topic has gained partition {', '.join(map(str, new))}, read from "
            f"the beginning"
        )

    def _send_commit(self) -> None:
        """Commit to the group what is due; it only serves those who watch the group."""
        with self.changed:
            offsets, self._to_commit = self._to_commit, None
        if offsets is None:
            return
        try:
            if self._committer is None:
                self._committer = connect(
                    KafkaConsumer,
                    self._address.servers,
                    {**self._settings, "bootstrap_timeout_ms": 5000},
                    group_id=self._group,
                    enable_auto_commit=False,
                )
            # Waiting is harmless in this thread: what has been decoded ahead is taken meanwhile.
            self._committer.commit(
                {
                    self._place(number): OffsetAndMetadata(offset, "", -1)
                    for number, offset in offsets.items()
                },
                timeout_ms=3000,
            )
            self._notes.pop("commit", None)
        except (KafkaError, SourceError) as error:
            self._notes["commit"] = (
                f"{self._where}: offsets could not be committed to the group {self._group!r}: "
                f"{error}; snapshots do not need them"
            )
