"""The records of topics, fetched and decoded ahead by a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
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
from .access.subscription import Subscription
from .client import KafkaLog, explained, unreadable
from .damaged_records import UnreadByBroker
from .kafka_internals import brokers_connected
from .merging.duplicates import MEMORY
from .merging.late_clicks import ClockNotes
from .merging.numbering import Numbering
from .offsets import GroupOffsets, OffsetReset, TopicGoneError
from .read_ahead import ReadAhead
from .record_batches import DamagedBatchError
from .record_decoder import RecordDecoder, TopicDecoders
from .span import Span, TopicPosition
from .topic_changes import TopicChanges
from .topic_consumer import DEFAULTS, POLL_MS, TopicConsumer
from .topic_monitor import TopicMonitor

START_UNUSED = "{}: --from is not used: the run continues at the position in its snapshot"

CLOSING_SECONDS = 2.0
"""How long the thread may take to end when the reader is closed."""


class TopicReader:
    """Reads partitions of topics into a `Merge`, ahead of who takes from it.

    It belongs to no group: it takes its partitions itself and knows their offsets, so that no
    one can take them away, however long a batch or a snapshot takes.

    Parameters
    ----------
    wanted
        The topics.
    settings
        Those of the consumer.
    decoder
        Returns what makes clicks of a topic's records.
    span
        What of the topics is read.
    idle
        Seconds that a click of a live topic waits for earlier ones of other partitions.
    group
        The group that offsets are committed to.

    Attributes
    ----------
    ahead
        What was read and waits to be given, and all else that is shared with the thread.
    numbering
        The numbers of the topics' partitions.
    decoders
        Make clicks of their records.

    """

    def __init__(
        self,
        wanted: Subscription,
        settings: Mapping[str, Any],
        decoder: Callable[[str], RecordDecoder],
        span: Span,
        *,
        idle: float,
        group: str,
    ) -> None:
        self._wanted = wanted
        self._span = span
        self.numbering = Numbering(wanted)
        self.decoders = TopicDecoders(self.numbering, decoder)
        self._missing = OffsetReset(self.numbering, span.on_missing)
        self.ahead = ReadAhead(idle, span.until_end)
        self._unread = UnreadByBroker(self.numbering)
        self._start_note: list[str] = []
        self._thread: threading.Thread | None = None
        self._stopping = False
        # Whether the thread has ended, or was never begun; whether it is to leave the brokers.
        self._done, self._left = True, False
        settings = {**DEFAULTS, **settings}
        self._group = GroupOffsets(self.numbering, settings, group)
        self._clocks = ClockNotes(str(wanted), idle, self.numbering.listed)
        self._log = KafkaLog()
        with ExitStack() as failing:
            failing.enter_context(self._log)
            self._consumer = TopicConsumer(wanted.servers, self.numbering, settings)
            failing.callback(self._consumer.close)
            self._watch = TopicMonitor(self._consumer.client, self.numbering, self._log)
            with explained(wanted.servers):
                numbers = self.ahead.partitions = self._watch.find(span.partitions)
                self.ahead.identities = self._watch.identities(self.numbering.by_topic(numbers))
                if span.until_end:
                    self.ahead.targets = self._watch.ends(numbers)
            failing.pop_all()
        self._changes = TopicChanges(
            self.numbering,
            self._consumer,
            self._watch,
            self.ahead,
            self.decoders,
            self._missing,
            growing=span.partitions is None and not span.until_end,
        )

    @property
    def away(self) -> str | None:
        """Why the brokers do not answer, None where they do."""
        return self._watch.away

    @property
    def away_since(self) -> float | None:
        """When the brokers answered last, by the monotonic clock; None while they answer."""
        return self._watch.away_since

    @property
    def brokers_connected(self) -> int | None:
        """The brokers with a connection, 0 while none answers; None where that is not known."""
        return 0 if self._watch.away is not None else brokers_connected(self._consumer.client)

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        ahead = self.ahead
        doubled = (
            f"{self._wanted}: {ahead.doubles:,} records were skipped: the broker stored them "
            "twice when it was killed"
        )
        return [
            *self.decoders.notes,
            *self._start_note,
            *self._missing.notes.values(),
            *self._changes.notes,
            *self._watch.notes,
            *([self._group.note] if self._group.note is not None else []),
            *([doubled] if ahead.doubles else []),
            *self._clocks.notes(ahead.merge.out_of_order, ahead.merge.stalled),
        ]

    def begin(self, positions: Mapping[str, TopicPosition]) -> dict[int, tuple[int, int]]:
        """Begin to read, from these positions where there are any.

        Parameters
        ----------
        positions
            For each topic the position, in the order in which they were taken up.

        Returns
        -------
        dict
            For each partition that is read on inside a record its offset, and the entries of it
            that were given.

        """
        ahead = self.ahead
        self._reorder([topic for topic in positions if topic in self.numbering.topics])
        numbers = ahead.partitions
        offsets, parts, remade = self._checked(positions)
        with explained(self._wanted.servers):
            self._consumer.assign(numbers)
            begins = self._watch.begins(numbers)
            asked, ends = time.monotonic(), self._watch.ends(numbers)
            chosen = dict(begins)
            if positions and self._span.start is not None:
                self._start_note = [START_UNUSED.format(self._wanted)]
            elif self._span.start == "latest":
                chosen = dict(ends)
            elif isinstance(self._span.start, int | float):
                chosen = self._watch.since(numbers, self._span.start)
        for topic, ids in remade.items():
            of_topic = self.numbering.by_topic(numbers)[topic].values()
            chosen |= self._missing.made_anew(
                topic, ids, {n: begins[n] for n in of_topic}, {n: ends[n] for n in of_topic}
            )
        for number in numbers:
            offset = offsets.get(number, chosen[number])
            if offset < begins[number]:
                offset = self._missing.resolve(number, offset, begins[number], ends[number])
            again = offset
            if number in offsets and offset <= ends[number]:
                # What lies shortly before is read once more, to know its doubles.
                again = max(begins[number], offset - MEMORY)
            self._consumer.seek(number, again)
            ahead.open(number, offset)
            # What lies in the topics now has its exact order.
            ahead.targets.setdefault(number, ends[number])
        ahead.note_ends(asked, ends, self._consumer.position)
        self._done = False
        self._thread = threading.Thread(target=self._run, name="nextclick-kafka", daemon=True)
        self._thread.start()
        return parts

    def _reorder(self, topics: list[str]) -> None:
        """Take up topics in the order in which the run before did."""
        ahead = self.ahead
        places = {number: self.numbering.place(number) for number in ahead.partitions}
        self.numbering.reorder(topics)
        new = {number: self.numbering.number(*place) for number, place in places.items()}
        ahead.partitions = sorted(new.values())
        ahead.targets = {new[number]: end for number, end in ahead.targets.items()}

    def _checked(
        self, positions: Mapping[str, TopicPosition]
    ) -> tuple[dict[int, int], dict[int, tuple[int, int]], dict[str, tuple[str, str]]]:
        """Return where to go on, and the two ids of each topic that was made again.

        That is the offsets, and the entries given of the records that are there.
        """
        offsets: dict[int, int] = {}
        parts: dict[int, tuple[int, int]] = {}
        remade: dict[str, tuple[str, str]] = {}
        there = self.numbering.by_topic(self.ahead.partitions)
        for topic, position in positions.items():
            now = self.ahead.identities.get(topic)
            if topic not in there:
                self._missing.deleted(topic, read=False)
            elif None not in (now, position.identity) and now != position.identity:
                remade[topic] = str(position.identity), str(now)
            elif strange := sorted(position.offsets.keys() - there[topic].keys()):
                raise SourceError(
                    f"{self._wanted.address(topic)}: the snapshot has a position in partition "
                    f"{strange[0]}, and that is not read or not there: name the partitions as "
                    f"before with --partitions; or {REMEDIES}"
                )
            else:
                self.decoders.resume(topic, position)
                offsets |= {there[topic][n]: offset for n, offset in position.offsets.items()}
                parts |= {
                    there[topic][n]: (position.offsets[n], part)
                    for n, part in position.parts.items()
                }
        return offsets, parts, remade

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
            self.ahead.fail(unreadable(str(self._wanted), error))
        with self.ahead.changed:
            self._done = True
            left = self._left
        if left:
            self._leave()

    def _turn(self) -> None:
        """Read what is there, and look after the topics."""
        if self._changes.pending():
            self._changes.begin_anew()
            return
        self._consumer.pause_only(self.ahead.full())
        self._read()
        self._changes.look()
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
        # It may be the new topic that the records of one that was made again are of.
        remade = self._changes.remade()
        came = time.monotonic()
        if fetched and not remade:
            self._watch.note_answer()
            self._consumer.fit(fetched)
        targets = self.ahead.targets
        for number, records in fetched.items():
            if remade and self.numbering.topic(number) in remade:
                continue
            if self._span.until_end and records[-1].offset >= targets[number]:
                records = [one for one in records if one.offset < targets[number]]
            self._take(number, records, came)
        if remade:
            return
        for number, target in list(targets.items()):
            if self._consumer.position(number) >= target:
                self.ahead.reached(number)

    def _take(self, number: int, records: list[Any], came: float) -> None:
        """Decode records, and put them into the merge."""
        begin = self.ahead.first[number]
        if records and records[0].offset < begin:
            # What lies before is only to be known again.
            old = [record for record in records if record.offset < begin]
            self.ahead.recall(self.decoders.decode(number, old))
            records = records[len(old) :]
        if records:
            self.ahead.add(self.decoders.decode(number, records), came)

    def _replace(self) -> None:
        """Find the partitions whose next offset is not there, and where to go on in them."""
        if self._changes.remade(ask=True):
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
                self.decoders.forget([number])

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
