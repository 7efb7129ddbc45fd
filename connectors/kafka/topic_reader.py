"""A topic's records, fetched and decoded ahead by a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from kafka.errors import (
    CorruptRecordError,
    InvalidRecordError,
    LogTruncationError,
    OffsetOutOfRangeError,
    RetriableError,
    UnknownError,
)

from ..source import REMEDIES, SourceError
from .client import KafkaLog, explained, unreadable
from .damaged_records import UnreadByBroker
from .duplicates import MEMORY
from .late_clicks import ClockNotes
from .offsets import GroupOffsets, Missing, OffsetReset, TopicGoneError
from .read_ahead import ReadAhead
from .record_batches import DamagedBatchError
from .record_decoder import RecordDecoder
from .settings import KafkaAddress
from .topic_consumer import DEFAULTS, POLL_MS, TopicConsumer
from .topic_monitor import TopicMonitor

CLOSING_SECONDS = 2.0
"""How long the thread may take to end when the reader is closed."""


@dataclass(frozen=True, slots=True)
class Span:
    """What of a topic is read.

    Parameters
    ----------
    partitions
        Only these; None: all, also those that are added later.
    start
        Where a partition is begun of which no offset is known.
    until_end
        End where the partitions ended when reading began.
    on_missing
        Where to go on if the offset to read is no longer there; None: that is an error.

    """

    partitions: Iterable[int] | None
    start: Missing
    until_end: bool
    on_missing: Missing | None


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
    span
        What of the topic is read.
    idle
        Seconds that a click of a live topic waits for earlier ones of other partitions.
    group
        The group that offsets are committed to.

    Attributes
    ----------
    ahead
        What was read and waits to be given, and all else that is shared with the thread.

    """

    def __init__(
        self,
        address: KafkaAddress,
        settings: Mapping[str, Any],
        decoder: RecordDecoder,
        span: Span,
        *,
        idle: float,
        group: str,
    ) -> None:
        self._address = address
        self._decoder = decoder
        self._wanted = None if span.partitions is None else list(span.partitions)
        self._start = span.start
        self._until_end = span.until_end
        self._growing = span.partitions is None and not span.until_end
        self._missing = OffsetReset(address, span.on_missing)
        self.ahead = ReadAhead(idle, span.until_end)
        self._unread = UnreadByBroker(address)
        self._gained: list[str] = []
        self._thread: threading.Thread | None = None
        self._stopping = False
        # Whether the thread has ended, or was never begun; whether it is to leave the brokers.
        self._done, self._left = True, False
        settings = {**DEFAULTS, **settings}
        self._group = GroupOffsets(address, settings, group)
        self._clocks = ClockNotes(str(address), idle)
        self._log = KafkaLog()
        with ExitStack() as failing:
            failing.enter_context(self._log)
            self._consumer = TopicConsumer(address, settings)
            failing.callback(self._consumer.close)
            self._watch = TopicMonitor(self._consumer.client, address, self._log)
            with explained(address.servers):
                numbers = self.ahead.partitions = self._watch.find(self._wanted)
                self.ahead.identity = self._watch.identity()
                if span.until_end:
                    self.ahead.targets = self._watch.ends(numbers)
            failing.pop_all()

    @property
    def away(self) -> str | None:
        """Why the brokers do not answer, None where they do."""
        return self._watch.away

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        ahead = self.ahead
        doubled = (
            f"{self._address}: {ahead.doubles:,} records were skipped: the broker stored them "
            "twice when it was killed"
        )
        return [
            *self._missing.notes.values(),
            *self._gained,
            *self._watch.notes,
            *([self._group.note] if self._group.note is not None else []),
            *([doubled] if ahead.doubles else []),
            *self._clocks.notes(ahead.merge.out_of_order, ahead.merge.stalled),
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
        ahead = self.ahead
        numbers = ahead.partitions
        anew = identity is not None and ahead.identity not in (None, identity)
        strange = [] if anew else sorted(set(offsets) - set(numbers))
        if strange:
            raise SourceError(
                f"{self._address}: the snapshot has a position in partition {strange[0]}, and that "
                f"is not read or not there: name the partitions as before with --partitions; or "
                f"{REMEDIES}"
            )
        with explained(self._address.servers):
            self._consumer.assign(numbers)
            begins = self._watch.begins(numbers)
            asked, ends = time.monotonic(), self._watch.ends(numbers)
        chosen: dict[int, int] = {}
        if anew:
            chosen = self._missing.made_anew(str(identity), str(ahead.identity), begins, ends)
            self._decoder.forget(offsets)
            offsets = {}
        for number in numbers:
            offset = chosen.get(number, offsets.get(number))
            if offset is None:
                offset = begins[number] if self._start == "earliest" else ends[number]
            elif offset < begins[number]:
                offset = self._missing.resolve(number, offset, begins[number], ends[number])
            again = offset
            if number in offsets and offset <= ends[number]:
                # What lies shortly before is read once more, to know its doubles.
                again = max(begins[number], offset - MEMORY)
            self._consumer.seek(number, again)
            ahead.open(number, offset)
            # What lies in the topic now has its exact order.
            ahead.targets.setdefault(number, ends[number])
        ahead.note_ends(asked, ends, self._consumer.position)
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
        with self.ahead.changed:
            # Where the brokers do not answer the thread still waits: it leaves them itself.
            self._left = not self._done
        if not self._left:
            self._leave()
        self._log.__exit__()

    def _leave(self) -> None:
        self._consumer.close()
        self._group.close()

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
            with self.ahead.changed:
                # At once: that all was given must not look like an end in good order.
                self.ahead.fail(error)
                self.ahead.end_all()
        except SourceError as error:
            self.ahead.fail(error)
        except Exception as error:
            self.ahead.fail(unreadable(str(self._address), error))
        with self.ahead.changed:
            self._done = True
            left = self._left
        if left:
            self._leave()

    def _turn(self) -> None:
        """Read what is there, and look after the topic."""
        if self._remade():
            self._begin_anew()
            return
        self._consumer.pause_only(self.ahead.full())
        self._read()
        self._look()
        # Waiting is harmless here: what has been decoded ahead is taken meanwhile.
        self._group.send()

    def _read(self) -> None:
        try:
            fetched = self._consumer.poll()
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
            self._consumer.fit(fetched)
        targets = self.ahead.targets
        for number, records in fetched.items():
            if self._until_end and records[-1].offset >= targets[number]:
                records = [one for one in records if one.offset < targets[number]]
            self._take(number, records, came)
        for number, target in list(targets.items()):
            if self._consumer.position(number) >= target:
                self.ahead.reached(number)

    def _take(self, number: int, records: list[Any], came: float) -> None:
        """Decode records, and put them into the merge."""
        begin = self.ahead.first[number]
        if records and records[0].offset < begin:
            # What lies before is only to be known again.
            old = [record for record in records if record.offset < begin]
            self.ahead.recall(self._decoder.decode(number, old))
            records = records[len(old) :]
        if records:
            self.ahead.add(self._decoder.decode(number, records), came)

    def _replace(self) -> None:
        """Find the partitions whose next offset is not there, and where to go on in them."""
        if self._remade(ask=True):
            return
        numbers = self.ahead.partitions
        begins, ends = self._watch.begins(numbers), self._watch.ends(numbers)
        for number in numbers:
            offset = self._consumer.position(number)
            if begins[number] <= offset <= ends[number]:
                continue
            chosen = self._missing.resolve(number, offset, begins[number], ends[number])
            self._consumer.seek(number, chosen)
            self.ahead.move(number, offset, chosen)
            if chosen < offset:
                self._decoder.forget([number])

    def _pass(self, damage: DamagedBatchError) -> None:
        """Go on after records that cannot be read, or note that there is no going on."""
        number, first = damage.partition, self.ahead.first[damage.partition]
        if damage.offset >= self.ahead.end_of(number):
            return
        end = self._watch.ends([number])[number]
        if damage.offset < first:
            # What lies before was taken, or passed, by an earlier run.
            self._consumer.seek(number, min(damage.after(end), first))
            return
        try:
            chosen = self._missing.damaged(damage, end)
        except SourceError as error:
            self.ahead.stop(number, error)
            return
        self._consumer.seek(number, chosen)
        self.ahead.skip(number, chosen)

    def _unserved(self, error: Exception) -> DamagedBatchError:
        """Find the partition whose records a broker could not read."""
        numbers = self.ahead.partitions
        ends = self._watch.ends(numbers)
        places = {number: (self._consumer.position(number), ends[number]) for number in numbers}
        return self._unread.find(error, places)

    def _remade(self, ask: bool = False) -> bool:
        """Whether the topic is another one than that which is read, of the same name."""
        identity = self._watch.identity(ask)
        # Of a topic that is missing for a while nothing is known.
        self.ahead.identity = self.ahead.identity or identity
        return identity is not None and identity != self.ahead.identity

    def _begin_anew(self) -> None:
        """Read the topic that has come in the place of the one read, once all of that was given."""
        ahead = self.ahead
        if not ahead.drain(POLL_MS / 1000):
            return
        identity = str(self._watch.identity())
        numbers = self._watch.find(self._wanted)
        begins, ends = self._watch.begins(numbers), self._watch.ends(numbers)
        self._consumer.assign(numbers)
        chosen = self._missing.made_anew(str(ahead.identity), identity, begins, ends)
        self._decoder.forget(numbers)
        with ahead.changed:
            for number in numbers:
                self._consumer.seek(number, chosen[number])
            ahead.begin_anew(identity, {number: chosen[number] for number in numbers}, ends)

    def _look(self) -> None:
        """Look where the partitions end, and whether the topic is as it was."""
        ahead = self.ahead
        look = self._watch.look(ahead.partitions)
        if look is not None:
            ahead.note_ends(look.asked, look.ends, self._consumer.position)
        new = self._watch.gained(ahead.partitions)
        if new and self._growing and not self._remade():
            self._gain(new)

    def _gain(self, new: list[int]) -> None:
        """Read new partitions too, from their beginning."""
        ahead = self.ahead
        begins = self._watch.begins(new)
        self._consumer.assign([*ahead.partitions, *new])
        with ahead.changed:
            for number in new:
                self._consumer.seek(number, begins[number])
            ahead.gain({number: begins[number] for number in new})
        self._gained.append(
            f"{self._address}: the topic has gained partition {', '.join(map(str, new))}, read "
            f"from the beginning"
        )
