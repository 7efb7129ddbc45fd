"""A compacted topic of item data, read to its end and then followed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
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

from ..decoding.values import UnusableError
from ..kafka.access.settings import KafkaAddress
from ..kafka.access.subscription import Subscription
from ..kafka.client import KafkaLog, explained, unreadable
from ..kafka.damaged_records import UnreadByBroker
from ..kafka.merging.numbering import Numbering
from ..kafka.offsets import TopicGoneError
from ..kafka.record_batches import DamagedBatchError
from ..kafka.topic_consumer import DEFAULTS, POLL_MS, TopicConsumer
from ..kafka.topic_monitor import TopicMonitor
from ..schemas.framing import SchemaDecoder
from ..schemas.registry import SchemaRegistry
from ..source import SourceError
from .records import (
    Collected,
    ItemChanges,
    ItemRecord,
    id_of_key,
    item_key,
)
from .schema_records import ItemDecoder

FAILED_SECONDS = 1.0
"""How soon to try again where the topic cannot be read."""


class ItemTopic:
    """Item data in a topic, where a later record of a key replaces an earlier one.

    A record without a value (a tombstone) removes the data of the item of its key. All partitions
    are read from their beginning, those that the topic gains later too. A topic that was made again
    is read anew. Records that cannot be used are passed over.

    Parameters
    ----------
    address
        The topic.
    settings
        Those of the consumer.
    most
        Items that may have data.
    registry
        Where the schemas are that records were written with; None: all are JSON. It is closed
        with the topic.

    Raises
    ------
    SourceError
        No broker is reached, or there is no such topic; the message names the remedy.

    """

    def __init__(
        self,
        address: KafkaAddress,
        settings: Mapping[str, Any],
        most: int,
        registry: SchemaRegistry | None = None,
    ) -> None:
        self._address = address
        self._registry = registry
        self._decoder = ItemDecoder(None if registry is None else SchemaDecoder(registry))
        self.name = str(address)
        self._most = most
        self._log = KafkaLog()
        # Of one topic the partitions have their own numbers.
        numbering = Numbering(Subscription(address.servers, [address.topic]))
        self._unread = UnreadByBroker(numbering)
        self._failure: str | None = None
        # Which items' data came with keys that are not their ids.
        self._items: dict[bytes, str] = {}
        self._numbers: list[int] = []
        self._begins: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._progress = 0.0
        self._collected: Collected | None = None
        with ExitStack() as failing:
            failing.enter_context(self._log)
            self._consumer = TopicConsumer(address.servers, numbering, {**DEFAULTS, **settings})
            failing.callback(self._consumer.close)
            self._watch = TopicMonitor(self._consumer.client, numbering, self._log)
            with explained(address.servers):
                self._begin()
            failing.pop_all()

    @property
    def away(self) -> str | None:
        """Why what was read may be out of date; None where it is up to date."""
        if self._registry is not None and self._registry.away is not None:
            return self._registry.away
        return self._failure if self._failure is not None else self._watch.away

    @property
    def progress(self) -> float:
        """How much of what was there at the start has been read, from 0 to 1."""
        return self._progress

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        waited = [] if self._registry is None else self._registry.notes
        failed = [] if self._failure is None else [self._failure]
        return [*self._watch.notes, *waited, *failed]

    def poll(self) -> ItemChanges:
        """Read on; see `ItemSource.poll`."""
        try:
            changes = self._turn()
            self._failure = None
            return changes
        except RetriableError:
            self._watch.missed()
            time.sleep(POLL_MS / 1000)
        except TopicGoneError:
            self._failure = (
                f"{self.name}: the topic has been deleted, or this user may no longer see it: the "
                "items keep the data read before, until it is there again"
            )
            time.sleep(FAILED_SECONDS)
        except SourceError as error:
            self._failure = str(error)
            time.sleep(FAILED_SECONDS)
        except Exception as error:
            self._failure = str(unreadable(self.name, error))
            time.sleep(FAILED_SECONDS)
        return ItemChanges()

    def close(self) -> None:
        """Leave the brokers."""
        if self._registry is not None:
            self._registry.close()
        self._consumer.close()
        self._log.__exit__()

    def _begin(self) -> None:
        """Begin to read the topic from its beginning, up to where it ends now."""
        self._numbers = self._watch.find(None)
        self._identity = self._watch.identity(self._address.topic)
        self._consumer.assign(self._numbers)
        self._begins = self._watch.begins(self._numbers)
        self._ends = self._watch.ends(self._numbers)
        for number in self._numbers:
            self._consumer.seek(number, self._begins[number])
        self._items.clear()
        self._collected = Collected(self._most)

    def _turn(self) -> ItemChanges:
        """Read what is there, and look after the topic."""
        changes = ItemChanges([])
        if self._remade():
            self._begin()
        fetched = self._fetch(changes)
        if self._remade():
            # It may be the new topic that these are of.
            return ItemChanges()
        if fetched:
            self._watch.note_answer()
            self._consumer.fit(fetched)
        try:
            read = list(self._read(fetched, changes))
        except SourceError:
            # The registry refuses to answer: they are read again.
            for number, each in fetched.items():
                self._consumer.seek(number, each[0].offset)
            raise
        changes.records = self._apply(read, changes)
        self._look()
        if self._collected is not None and self._at_end():
            changes.records, changes.whole = self._collected.records(), True
            self._collected = None
        return changes

    def _read(
        self, fetched: Mapping[int, list[Any]], changes: ItemChanges
    ) -> Iterator[tuple[str, bytes | None, ItemRecord | None]]:
        """Yield for each record its place, its key as text, and what it holds; None: nothing."""
        for number, each in fetched.items():
            for record in each:
                place = f"{self.name}, partition {number}, offset {record.offset}"
                try:
                    key = self._decoder.key(record.key)
                    made = None
                    if record.value is not None:
                        made = self._decoder.record(record.value, key)
                    yield place, key, made
                except UnusableError as fault:
                    changes.reject(place, fault.detail)

    def _apply(
        self, read: list[tuple[str, bytes | None, ItemRecord | None]], changes: ItemChanges
    ) -> list[ItemRecord]:
        """Return what records say of items, but for what is collected at first."""
        records: list[ItemRecord] = []
        for place, key, made in read:
            try:
                for one in self._replace_by_key(key, made):
                    if self._collected is not None:
                        self._collected.take(one)
                    else:
                        records.append(one)
            except UnusableError as fault:
                changes.reject(place, fault.detail)
        return records

    def _fetch(self, changes: ItemChanges) -> dict[int, list[Any]]:
        """Return the records that have come, by partition."""
        try:
            return self._consumer.poll()
        except (OffsetOutOfRangeError, LogTruncationError):
            self._replace()
        except DamagedBatchError as damage:
            self._pass(damage, changes)
        except (CorruptRecordError, InvalidRecordError, UnknownError) as error:
            ends = self._watch.ends(self._numbers)
            places = {n: (self._consumer.position(n), ends[n]) for n in self._numbers}
            self._pass(self._unread.find(error, places), changes)
        return {}

    def _replace(self) -> None:
        """Go on where records have been deleted, or read all anew where the topic is shorter."""
        begins, ends = self._watch.begins(self._numbers), self._watch.ends(self._numbers)
        for number in self._numbers:
            position = self._consumer.position(number)
            if position > ends[number]:
                self._begin()
                return
            if position < begins[number]:
                self._consumer.seek(number, begins[number])

    def _pass(self, damage: DamagedBatchError, changes: ItemChanges) -> None:
        """Go on after records that cannot be read."""
        number = damage.partition
        after = damage.after(self._watch.ends([number])[number])
        self._consumer.seek(number, after)
        place = f"{self.name}, partition {number}, offsets {damage.offset} to {after - 1}"
        changes.reject(place, f"they cannot be read: {damage.why}")

    def _replace_by_key(self, key: bytes | None, made: ItemRecord | None) -> Iterator[ItemRecord]:
        """Return what a record says, of one item or of two."""
        before = None if key is None else self._items.get(key)
        if made is None:
            if key is None:
                raise UnusableError("no_item", "the record has neither a key nor a value")
            yield ItemRecord(id_of_key(key) if before is None else before)
            self._items.pop(key, None)
            return
        item = item_key(made.item)
        if before is not None and before != item:
            # The record of the key is another item's now, and the one before is replaced.
            yield ItemRecord(before)
        if key is not None and key != item.encode():
            if key in self._items or len(self._items) < self._most:
                self._items[key] = item
        elif key is not None:
            self._items.pop(key, None)
        yield made

    def _at_end(self) -> bool:
        """Whether all is read that was there when reading began."""
        left = sum(max(0, end - self._consumer.position(n)) for n, end in self._ends.items())
        whole = sum(end - self._begins[number] for number, end in self._ends.items())
        self._progress = 1.0 - left / whole if whole else 1.0
        return not left

    def _look(self) -> None:
        """Look whether the brokers answer, and whether the topic has new partitions."""
        self._watch.look(self._numbers)
        new = self._watch.gained(self._numbers)
        if new and not self._remade():
            begins = self._watch.begins(new)
            self._numbers = [*self._numbers, *new]
            self._consumer.assign(self._numbers)
            for number in new:
                self._consumer.seek(number, begins[number])

    def _remade(self) -> bool:
        """Whether the topic is another one than that which is read, of the same name."""
        identity = self._watch.identity(self._address.topic)
        self._identity = self._identity or identity
        return identity is not None and identity != self._identity
