"""A topic's records, fetched and decoded ahead by a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from kafka import KafkaConsumer
from kafka.errors import (
    CorruptRecordError,
    InvalidRecordError,
    LogTruncationError,
    OffsetOutOfRangeError,
    RetriableError,
    UnknownError,
)
from kafka.structs import TopicPartition

from ..source import REMEDIES, SourceError
from .client import KafkaLog, connect, explained, unreadable
from .damaged_records import UnreadByBroker
from .duplicates import MEMORY, DuplicateFilter
from .kafka_internals import install_fast_decoder, requeue_paused_records, resume
from .lag import Ends
from .late_clicks import ClockNotes
from .merge import Merge
from .offsets import GroupOffsets, Missing, OffsetReset, TopicGoneError
from .record_batches import DamagedBatchError, as_record, poll_size
from .record_decoder import RecordDecoder
from .settings import KafkaAddress
from .topic_monitor import TopicMonitor

BUFFERED = 64_000
"""Records that wait to be given, of all partitions together; of each at least 1,000."""

BUFFERED_BYTES = 64 << 20
"""Bytes that these records hold, of all partitions together."""

FIRST_POLL = 500
"""Records of the first poll, when their sizes are not known yet."""

POLL_MS = 100

CLOSING_SECONDS = 2.0
"""How long the thread may take to end when the reader is closed."""

STALL = 30.0
"""Seconds for which a live topic waits for a partition that does not return its records."""

DEFAULTS: dict[str, Any] = {
    "max_poll_records": 8_000,
    # With more at once fewer round trips are waited for.
    "max_partition_fetch_bytes": 2 << 20,
    # So soon a topic's new partitions are found, and that it is deleted or made anew.
    "metadata_max_age_ms": 1_000,
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
        Seconds that a click of a live topic waits for earlier ones of other partitions.
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
        The lock on all that is shared with the thread; it is notified of changes.
    merge
        Where the records go.
    first
        For each partition the offset at which it was begun.
    read
        For each partition the offset after all that is in the merge, and after what is never
        given: transaction markers, aborted records.
    ends
        Where each partition ended, and when it was first seen to.
    anew
        Partitions that were made again: the offsets given so far are those of the old ones. Only
        where the brokers give topics no ids; else see `generation`.
    identity
        The id of the topic that is read; None where the brokers give none.
    generation
        How often the topic was made again since `begin`: what is in the merge, and all offsets
        here, are of the last one.
    draining, drained
        Whether the topic was found to be made again, and what was read of the old one is still to
        be given; whether it has been, which the reader of the merge sets.
    error
        Why the thread has ended, where it could not go on.
    damaged
        For each partition that cannot be read on why; the others are read all the same, since
        what was read of this one may have to wait for them.
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
        self._decoder = decoder
        self._wanted = None if partitions is None else list(partitions)
        self._until_end = until_end
        self._growing = partitions is None and not until_end
        self._missing = OffsetReset(address, on_missing)
        self._start = start
        self.changed = threading.Condition()
        self._idle = idle
        self.merge = self._merge()
        self.first: dict[int, int] = {}
        self.read: dict[int, int] = {}
        self.ends = Ends()
        self.anew: set[int] = set()
        self.identity: str | None = None
        self.generation = 0
        self.draining = self.drained = False
        self.damaged: dict[int, SourceError] = {}
        self.error: SourceError | None = None
        self.doubles = 0
        self._unread = UnreadByBroker(address)
        self._gained: list[str] = []
        self._seen: dict[int, DuplicateFilter] = {}
        self._thread: threading.Thread | None = None
        self._stopping = False
        # Whether the thread has ended, or was never begun; whether it is to leave the brokers.
        self._done, self._left = True, False
        settings = {**DEFAULTS, **settings}
        self._most_records = int(settings["max_poll_records"])
        self._most = min(FIRST_POLL, self._most_records)
        self._group = GroupOffsets(address, settings, group)
        self._clocks = ClockNotes(str(address), idle)
        self._log = KafkaLog()
        self._log.__enter__()
        self._consumer: Any = None
        try:
            self._consumer = connect(
                KafkaConsumer,
                address.servers,
                settings,
                isolation_level="read_committed",
                auto_offset_reset="none",
                enable_auto_commit=False,
            )
            self._fast = install_fast_decoder(self._consumer)
            self._watch = TopicMonitor(self._consumer, address, self._log)
            with explained(address.servers):
                self.partitions = self._watch.find(self._wanted)
                self.identity = self._watch.identity()
                self._targets = self._watch.ends(self.partitions) if until_end else {}
        except BaseException:
            self.close()
            raise

    @property
    def away(self) -> str | None:
        """Why the brokers do not answer, None where they do."""
        return self._watch.away

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        doubled = (
            f"{self._address}: {self.doubles:,} records were skipped: the broker stored them "
            "twice when it was killed"
        )
        return [
            *self._missing.notes.values(),
            *self._gained,
            *self._watch.notes,
            *([self._group.note] if self._group.note is not None else []),
            *([doubled] if self.doubles else []),
            *self._clocks.notes(self.merge.out_of_order, self.merge.stalled),
        ]

    def begin(self, offsets: Mapping[int, int], identity: str | None = None) -> None:
        """Begin to read, from these offsets where there are any.

        Parameters
        ----------
        offsets
            For each partition the next offset.
        identity
            The id of the topic that they are of, where it is known.

        """
        anew = identity is not None and self.identity not in (None, identity)
        strange = [] if anew else sorted(set(offsets) - set(self.partitions))
        if strange:
            raise SourceError(
                f"{self._address}: the snapshot has a position in partition {strange[0]}, and that "
                f"is not read or not there: name the partitions as before with --partitions; or "
                f"{REMEDIES}"
            )
        with explained(self._address.servers):
            self._consumer.assign([self._place(number) for number in self.partitions])
            begins = self._watch.begins(self.partitions)
            asked, ends = time.monotonic(), self._watch.ends(self.partitions)
        chosen: dict[int, int] = {}
        if anew:
            chosen = self._missing.made_anew(str(identity), str(self.identity), begins, ends)
            offsets = {}
        for number in self.partitions:
            offset = chosen.get(number, offsets.get(number))
            if offset is None:
                offset = begins[number] if self._start == "earliest" else ends[number]
            elif offset < begins[number]:
                offset = self._missing.resolve(number, offset, begins[number], ends[number])
            again = offset
            if number in offsets and offset <= ends[number]:
                # What lies shortly before is read once more, to know its doubles.
                again = max(begins[number], offset - MEMORY)
            self._open(number, offset, again)
            # What lies in the topic now has its exact order.
            self._targets.setdefault(number, ends[number])
        self._note_ends(asked, ends)
        self._done = False
        self._thread = threading.Thread(target=self._run, name="nextclick-kafka", daemon=True)
        self._thread.start()

    def commit(self, offsets: dict[int, int]) -> None:
        """Commit offsets to the group, for others to see; nothing depends on it."""
        self._group.set(offsets)

    def close(self) -> None:
        """End the thread and leave the brokers, having committed what is due, if they answer."""
        self._stopping = True
        if self._thread is not None:
            self._thread.join(CLOSING_SECONDS)
        with self.changed:
            # Where the brokers do not answer the thread still waits: it leaves them itself.
            self._left = not self._done
        if not self._left:
            self._leave()
        self._log.__exit__()

    def _leave(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=1000)
        self._group.close()

    def _place(self, number: int) -> TopicPartition:
        return TopicPartition(self._address.topic, number)

    def _open(self, number: int, offset: int, again: int, *, live: bool = False) -> None:
        """Read a partition from an offset, and before it what is only to be known again."""
        self._consumer.seek(self._place(number), again)
        self._seen[number] = DuplicateFilter()
        self.first[number] = self.read[number] = offset
        self.merge.begin(number, time.monotonic(), live=live)

    def _merge(self) -> Merge:
        return Merge(self._idle, np.inf if self._until_end else STALL)

    def _run(self) -> None:
        """Read on until stopped; an error is kept for who polls."""
        try:
            while not self._stopping:
                try:
                    self._turn()
                except RetriableError:
                    # Whatever was being done is done again once the brokers answer.
                    self._watch.missed()
                    time.sleep(POLL_MS / 1000)
            self._group.send()
        except TopicGoneError as error:
            with self.changed:
                # At once: that all was given must not look like an end in good order.
                self._fail(error)
                self._end_all()
        except SourceError as error:
            self._fail(error)
        except Exception as error:
            self._fail(unreadable(str(self._address), error))
        with self.changed:
            self._done = True
            left = self._left
        if left:
            self._leave()

    def _turn(self) -> None:
        """Read what is there, and look after the topic."""
        if self._remade():
            self._begin_anew()
            return
        self._throttle()
        self._read()
        self._look()
        # Waiting is harmless here: what has been decoded ahead is taken meanwhile.
        self._group.send()

    def _fail(self, error: SourceError) -> None:
        with self.changed:
            self.error = error
            self.changed.notify_all()

    def _throttle(self) -> None:
        """Pause the partitions of which enough waits, and resume the others."""
        room = max(1000, BUFFERED // len(self.partitions))
        bytes_room = BUFFERED_BYTES // len(self.partitions)
        with self.changed:
            full = {
                n
                for n in self.partitions
                if self.merge.waiting(n) >= room or self.merge.size(n) >= bytes_room
            }
            full |= self.damaged.keys()
        paused = {place.partition for place in self._consumer.paused()}
        if full - paused:
            self._consumer.pause(*map(self._place, full - paused))
        if paused - full:
            resume(self._consumer, map(self._place, paused - full))

    def _read(self) -> None:
        requeue_paused_records(self._consumer)
        try:
            fetched = self._consumer.poll(timeout_ms=POLL_MS, max_records=self._most)
        except (OffsetOutOfRangeError, LogTruncationError):
            self._replace()
            return
        except DamagedBatchError as damage:
            self._pass(damage)
            fetched = {}
        except (CorruptRecordError, InvalidRecordError, UnknownError) as error:
            self._pass(self._unserved(error))
            fetched = {}
        if self._remade():
            # It may be the new topic that these are of.
            return
        came = time.monotonic()
        if fetched:
            self._watch.note_answer()
            self._most = poll_size(fetched.values(), self._most_records)
        for place, records in fetched.items():
            number = place.partition
            if not self._fast:
                records = list(map(as_record, records))
            if self._until_end and records[-1].offset >= self._targets[number]:
                records = [one for one in records if one.offset < self._targets[number]]
            self._take(number, records, came)
        for number, target in list(self._targets.items()):
            if self._position(number) >= target:
                self._reached(number)

    def _reached(self, number: int) -> None:
        """Note that all is here that lay in a partition at the start."""
        with self.changed:
            if self._until_end:
                self.merge.end(number)
            else:
                del self._targets[number]
                self.merge.live(number, time.monotonic())
            self.changed.notify_all()

    def _take(self, number: int, records: list[Any], came: float) -> None:
        """Decode records, and put them into the merge."""
        begin = self.first[number]
        if records and records[0].offset < begin:
            # What lies before is only to be known again.
            old = [record for record in records if record.offset < begin]
            self._seen[number].without(self._decoder.decode(number, old))
            records = records[len(old) :]
        if not records:
            return
        run, doubles = self._seen[number].without(self._decoder.decode(number, records))
        with self.changed:
            self.doubles += doubles
            self.merge.add(run, came)
            self.changed.notify_all()

    def _position(self, number: int) -> int:
        """Return the offset to be fetched next, past transaction markers and aborted records."""
        return int(self._consumer.position(self._place(number), timeout_ms=0) or 0)

    def _replace(self) -> None:
        """Find the partitions whose next offset is not there, and where to go on in them."""
        if self._remade(ask=True):
            return
        begins, ends = self._watch.begins(self.partitions), self._watch.ends(self.partitions)
        for number in self.partitions:
            offset = self._position(number)
            if begins[number] <= offset <= ends[number]:
                continue
            chosen = self._missing.resolve(number, offset, begins[number], ends[number])
            self._consumer.seek(self._place(number), chosen)
            with self.changed:
                self.first[number] = min(self.first[number], chosen)
                if not self._until_end and number in self._targets:
                    self._reached(number)
                if chosen < offset:
                    # The topic was made anew: what is known of the old one's offsets is void.
                    self.read[number] = chosen
                    self.ends.forget(number)
                    self._seen[number] = DuplicateFilter()
                    self.anew.add(number)

    def _pass(self, damage: DamagedBatchError) -> None:
        """Go on after records that cannot be read, or note that there is no going on."""
        number, first = damage.partition, self.first[damage.partition]
        if damage.offset >= self._end_of(number):
            return
        end = self._watch.ends([number])[number]
        if damage.offset < first:
            # What lies before was taken, or passed, by an earlier run.
            self._consumer.seek(self._place(number), min(damage.after(end), first))
            return
        try:
            chosen = self._missing.damaged(damage, end)
        except SourceError as error:
            with self.changed:
                self.damaged[number] = error
                self.merge.stop(number)
                self.changed.notify_all()
            return
        self._consumer.seek(self._place(number), chosen)
        with self.changed:
            self.read[number] = int(min(chosen, self._end_of(number)))

    def _end_of(self, number: int) -> float:
        """Return the offset up to which a partition is read at most."""
        return self._targets[number] if self._until_end else np.inf

    def _unserved(self, error: Exception) -> DamagedBatchError:
        """Find the partition whose records a broker could not read."""
        ends = self._watch.ends(self.partitions)
        return self._unread.find(error, {n: (self._position(n), ends[n]) for n in self.partitions})

    def _remade(self, ask: bool = False) -> bool:
        """Whether the topic is another one than that which is read, of the same name."""
        identity = self._watch.identity(ask)
        # Of a topic that is missing for a while nothing is known.
        self.identity = self.identity or identity
        return identity is not None and identity != self.identity

    def _begin_anew(self) -> None:
        """Read the topic that has come in the place of the one read, once all of that was given."""
        with self.changed:
            if not self.draining:
                self._end_all()
                self.draining = True
            if not self.drained:
                self.changed.wait(POLL_MS / 1000)
                return
        identity = str(self._watch.identity())
        numbers = self._watch.find(self._wanted)
        begins, ends = self._watch.begins(numbers), self._watch.ends(numbers)
        self._consumer.assign([self._place(number) for number in numbers])
        chosen = self._missing.made_anew(str(self.identity), identity, begins, ends)
        with self.changed:
            self.partitions = numbers
            self._targets = dict(ends)
            self.merge = self._merge()
            self.damaged.clear()
            self.anew.clear()
            self.ends = Ends()
            self.first.clear()
            self.read.clear()
            for number in numbers:
                self._open(number, chosen[number], chosen[number])
            self.identity = identity
            self.generation += 1
            self.draining = self.drained = False
            self.changed.notify_all()

    def _end_all(self) -> None:
        """End every partition, so that all that waits is given."""
        with self.changed:
            for number in self.partitions:
                self.merge.end(number)
            self.changed.notify_all()

    def _look(self) -> None:
        """Look where the partitions end, and whether the topic is as it was."""
        look = self._watch.look(self.partitions)
        if look is not None:
            self._note_ends(*look)
        new = self._watch.gained(self.partitions)
        if new and self._growing and not self._remade():
            self._gain(new)

    def _note_ends(self, asked: float, ends: dict[int, int]) -> None:
        with self.changed:
            self.ends.note(ends, asked)
            for number in ends:
                position = self._position(number)
                # What is past the end to be read up to has been fetched, and is not given.
                if self._until_end:
                    position = min(position, self._targets[number])
                if position > self.read[number]:
                    self.read[number] = position
                    self.merge.progress(number, asked)

    def _gain(self, new: list[int]) -> None:
        """Read new partitions too, from their beginning."""
        begins = self._watch.begins(new)
        self._consumer.assign([self._place(number) for number in [*self.partitions, *new]])
        with self.changed:
            for number in new:
                self._open(number, begins[number], begins[number], live=True)
            self.partitions = [*self.partitions, *new]
            self.changed.notify_all()
        self._gained.append(
            f"{self._address}: the topic has gained partition {', '.join(map(str, new))}, read "
            f"from the beginning"
        )
