"""Kafka's records to clicks."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..clicks import Id, Position, Rejected, time_fault
from ..decoding.blocks import LEFT_OUT, Decoded, Decoding, Entry
from ..decoding.json_lines import JsonLinesDecoder
from ..decoding.lines import LONGEST_LINE
from ..decoding.log_format import LogFormat, TimeUnit
from ..decoding.paths import KEY, Scope
from ..decoding.record_lines import check_json, is_plain
from ..decoding.record_reader import RecordReader, read_json, used_fields
from ..decoding.time_unit import TimeScale
from ..decoding.values import LONGEST_ID, UnusableError, check_id, check_time, usable_times
from ..schemas.framing import HEADER_BYTES, SchemaDecoder
from ..source import SourceError
from .merging.numbering import Numbering
from .merging.partition_queue import Run
from .span import TopicPosition

CHUNK = 500
"""Records decoded at once; an odd one slows down only those of its group."""


class RecordDecoder:
    """Decodes records whose values hold one JSON object each, or what a schema says.

    Parameters
    ----------
    form
        The fields' names.
    topic
        The topic's name, for positions and messages.
    session_from
        Where the session's id is: in the value's ``field``, or in the record's ``key``.
    time_from
        Where the time is: in the value's ``field``, or with the ``record`` as its timestamp.
    schemas
        Decodes records that were written with the schemas of a registry; None: they are JSON.

    """

    def __init__(
        self,
        form: LogFormat,
        topic: str,
        session_from: Literal["field", "key"] = "field",
        time_from: Literal["field", "record"] = "field",
        schemas: SchemaDecoder | None = None,
    ) -> None:
        self._schemas = schemas
        self._by_key = session_from == "key"
        self._by_record = time_from == "record"
        without = [*(["session"] if self._by_key else []), *(["time"] if self._by_record else [])]
        self._topic = topic
        self._form = form
        self._keep_raw = form.keep_raw
        self.by_user = form.session is None
        self._scales: dict[int, TimeScale] = {}
        self._skip: dict[int, tuple[int, int]] = {}
        self._reader: RecordReader | None = None
        fields = set(used_fields(form))
        self._keys_are_text = form.key_type == "text" and (self._by_key or "key" in fields)
        self._seen_keys: str | None = None
        inside = sorted(field for field in fields if field.startswith(KEY) and field != KEY)
        if inside and form.key_type == "int":
            raise SourceError(
                f"{inside[0]}: keys that are integers, as --key-type int says, have no fields"
            )
        self._values = JsonLinesDecoder(form, topic, without)
        if schemas is not None or not is_plain(form) or form.key_type != "text":
            check_json(form, topic, without)
            if self._by_key:
                form = msgspec.structs.replace(form, session=KEY)
            own_time = _time_of_scope if self._by_record else None
            self._reader = RecordReader(form, TimeScale(form.unit), self._key, own_time)

    def units(self, partitions: Iterable[int]) -> dict[str, TimeUnit | None]:
        """Return, by partition, the units of times that are told by their size.

        The second is left out; None stands for partitions whose times have told nothing yet.
        """
        new = TimeScale(self._form.unit)
        scales = {str(number): self._scales.get(number, new) for number in partitions}
        return {number: scale.state["unit"] for number, scale in scales.items() if scale.state}

    @property
    def notes(self) -> list[str]:
        """What a person should know: units of times told by their size, keys of another type."""
        scales = self._scales.copy().values()
        units = {note for scale in scales for note in scale.note(f"topic {self._topic}")}
        kinds = {"int": "integers", "schema": "keys that were written with a schema"}
        keys = [
            f"topic {self._topic}: its keys look like {kinds[seen]}, and are read as text: "
            f"--key-type {seen} reads them as what they are"
            for seen in (self._seen_keys,)
            if seen is not None
        ]
        return [*sorted(units), *keys]

    def resume(self, partition: int, offset: int, part: int, unit: object) -> None:
        """Go on in a partition where a position says.

        Parameters
        ----------
        partition, offset
            Where the next record is.
        part
            The entries of that record that were given.
        unit
            The unit of the partition's times so far; None where it is not known yet.

        """
        self._scale(partition).restore(unit)
        self._skip.pop(partition, None)
        if part:
            self._skip[partition] = offset, part

    def forget(self, partitions: Iterable[int]) -> None:
        """Begin partitions anew: they hold other records than before."""
        for partition in partitions:
            self._scales.pop(partition, None)
            self._skip.pop(partition, None)

    def _scale(self, partition: int) -> TimeScale:
        return self._scales.setdefault(partition, TimeScale(self._form.unit))

    def decode(self, partition: int, records: Sequence[Any]) -> Run:
        """Decode records of one partition: each becomes a click or is rejected."""
        if self._keys_are_text and self._seen_keys is None and records:
            key = records[0].key or b""
            # A text does not begin with a zero byte; integers do, but for the largest.
            if self._schemas is not None and len(key) > HEADER_BYTES and key[0] == 0:
                self._seen_keys = "schema"
            elif len(key) in (4, 8) and key[0] == 0:
                self._seen_keys = "int"
        if self._reader is not None:
            self._reader.scale = self._scale(partition)
            return self._decode_records(self._reader, partition, records)
        self._values.scale = self._scale(partition)
        parts = [
            self._decode(partition, records[at : at + CHUNK])
            for at in range(0, len(records), CHUNK)
        ]
        decoded = parts[0] if len(parts) == 1 else _joined(parts)
        offsets = np.array([record.offset for record in records], dtype=np.int64)
        clicks = np.arange(len(decoded.items)) + decoded.before
        sequences, clocks = _orders(records, decoded, clicks)
        return Run(partition, decoded, offsets, clocks, sequences)

    def _decode_records(self, reader: RecordReader, partition: int, records: Sequence[Any]) -> Run:
        """Decode records of any form, of which one may hold several clicks."""
        decoding = Decoding(self._keep_raw)
        counts = []
        for record in records:
            entries: Sequence[Entry]
            try:
                entries = reader.read(self._value(record), record)
            except UnusableError as fault:
                entries = (fault,)
            for entry in entries:
                if isinstance(entry, UnusableError) and entry is not LEFT_OUT:
                    entry.detail = entry.detail.replace("the line", "the value")
            counts.append(len(entries))
            decoding.record(entries, partial(self._origin, partition, record))
        decoded = decoding.done()
        places = np.repeat(np.arange(len(records)), counts)
        offsets = np.array([record.offset for record in records], dtype=np.int64)[places]
        entries_of_clicks = np.arange(len(decoded.items)) + decoded.before
        sequences, clocks = _orders(records, decoded, places[entries_of_clicks])
        parts = np.zeros(len(places), dtype=np.int64)
        if decoded.parts is not None:
            # A number stands for a whole record.
            sequences[decoded.parts[entries_of_clicks] > 0] = -1
            inside = np.append(decoded.parts[1:], 0) > 0
            parts = np.where(inside, decoded.parts + 1, -decoded.parts)
        run = Run(partition, decoded, offsets, clocks, sequences, parts)
        offset, part = self._skip.get(partition, (-1, 0))
        return run.without_first(part) if part and offsets[0] == offset else run

    def _value(self, record: Any) -> Any:
        _check_value(record)
        if self._schemas is not None:
            return self._schemas.decode(record.value)
        return read_json(record.value)

    def _origin(self, partition: int, record: Any) -> tuple[Position, bytes, int, bytes | None]:
        position = {"topic": self._topic, "partition": partition, "offset": record.offset}
        return position, record.value or b"", 0, record.key

    def _key(self, record: Any) -> Any:
        """Return a record's key, None where it has none."""
        key = record.key
        if key is None:
            return None
        if self._form.key_type == "schema":
            assert self._schemas is not None
            return self._schemas.decode(key, "key")
        if self._form.key_type == "int":
            if len(key) not in (4, 8):
                raise UnusableError(
                    "wrong_type", f"the key has {len(key):,} bytes: an integer has 4, a long 8"
                )
            return int.from_bytes(key, "big", signed=True)
        try:
            text: str = key.decode()
        except UnicodeDecodeError as error:
            raise UnusableError("not_utf8", f"the key is not UTF-8: {error.reason}") from error
        return text

    def _decode(self, partition: int, records: Sequence[Any]) -> Decoded:
        decoded = self._decode_all(records)
        return decoded if decoded is not None else self._decode_each(partition, records)

    def _decode_all(self, records: Sequence[Any]) -> Decoded | None:
        """Decode at once; None where anything is odd."""
        values = [record.value for record in records]
        if None in values:
            return None
        longest = max(map(len, values))
        if longest > LONGEST_LINE:
            return None
        decoded = self._values.decode_values(values, longest)
        if decoded is None:
            return None
        if self._by_key:
            try:
                sessions: list[Id] = [record.key.decode() for record in records]
            except (AttributeError, UnicodeDecodeError):
                return None
            if "" in sessions or max(len(record.key) for record in records) > LONGEST_ID:
                return None
            decoded.sessions = sessions
        if self._by_record:
            decoded.times = np.array([record.timestamp for record in records]) / 1000.0
            if decoded.times.min() < 0 or not usable_times(decoded.times):
                return None
        return decoded

    def _decode_each(self, partition: int, records: Sequence[Any]) -> Decoded:
        """Decode one by one."""
        decoding = Decoding(self._keep_raw)
        for record in records:
            try:
                decoding.click(*self._click(record))
            except UnusableError as fault:
                fault.detail = fault.detail.replace("the line", "the value")
                decoding.reject(fault, *self._origin(partition, record))
        return decoding.done()

    def _click(self, record: Any) -> tuple[Id, Id, float]:
        _check_value(record)
        session, item, time = self._values.decode_line(record.value)
        if self._by_key:
            if record.key is None:
                raise UnusableError("no_session", "the record has no key")
            try:
                session = check_id(record.key.decode(), "key", "no_session")
            except UnicodeDecodeError as error:
                raise UnusableError("not_utf8", f"the key is not UTF-8: {error.reason}") from error
        if self._by_record:
            time = check_time(_record_time(record))
        return session, item, time


class TopicDecoders:
    """Decodes the records of topics, told the numbers of their partitions.

    Parameters
    ----------
    numbering
        The topics, and the numbers of their partitions.
    make
        Returns what makes clicks of a topic's records.

    """

    def __init__(self, numbering: Numbering, make: Callable[[str], RecordDecoder]) -> None:
        self._numbering = numbering
        self._make = make
        self._decoders: dict[str, RecordDecoder] = {}

    @property
    def notes(self) -> list[str]:
        """What a person should know, by topic."""
        return [note for _, one in sorted(self._decoders.copy().items()) for note in one.notes]

    def decode(self, number: int, records: list[Any]) -> Run:
        """Decode records of a partition."""
        topic, partition = self._numbering.place(number)
        run = self._of(topic).decode(partition, records)
        run.partition = number
        return run

    def units(self, topic: str, partitions: Iterable[int]) -> Mapping[str, TimeUnit | None]:
        """Return the units of a topic's times; see `RecordDecoder.units`."""
        return self._of(topic).units(partitions)

    def resume(self, topic: str, position: TopicPosition) -> None:
        """Go on in a topic where a position says."""
        for partition, offset in position.offsets.items():
            part, unit = position.parts.get(partition, 0), position.units.get(partition, "s")
            self._of(topic).resume(partition, offset, part, unit)

    def forget(self, numbers: Iterable[int]) -> None:
        """Begin partitions anew: they hold other records than before, or are no longer read."""
        for topic, partitions in self._numbering.by_topic(numbers).items():
            self._of(topic).forget(partitions)

    def _of(self, topic: str) -> RecordDecoder:
        decoder = self._decoders.get(topic)
        # Two threads may ask for it at once: both have to get the same.
        return decoder or self._decoders.setdefault(topic, self._make(topic))


def _check_value(record: Any) -> None:
    if record.value is None:
        raise UnusableError("tombstone", "the record has no value: it is a tombstone")
    if len(record.value) > LONGEST_LINE:
        raise UnusableError(
            "record_too_large",
            f"the value has {len(record.value):,} bytes; {LONGEST_LINE:,} are allowed",
        )


def _record_time(record: Any) -> float:
    if record.timestamp < 0:
        raise UnusableError("no_time", "the record has no timestamp")
    return float(record.timestamp / 1000.0)


def _time_of_scope(scope: Scope) -> float:
    return _record_time(scope.envelope)


def _joined(parts: list[Decoded]) -> Decoded:
    sessions: list[Id] = []
    items: list[Id] = []
    before: list[NDArray[np.int64]] = []
    rejected: list[Rejected] = []
    for part in parts:
        sessions += part.sessions
        items += part.items
        before.append(part.before + len(rejected))
        rejected += part.rejected
    times = np.concatenate([part.times for part in parts])
    return Decoded(sessions, items, times, rejected, np.concatenate(before))


def _orders(records: Sequence[Any], decoded: Decoded, clicks: Any) -> tuple[Any, Any]:
    """Return the sequence numbers and clocks that `replay` put into the clicks' headers."""
    clocks = decoded.times
    sequences = np.array([record.sequence for record in records], np.int64)[clicks]
    having = [(at, place) for at, place in enumerate(clicks.tolist()) if records[place].headers]
    for at, place in having:
        for name, value in records[place].headers:
            if value is None or len(value) != 8:
                continue
            if name == "sequence":
                sequences[at] = int.from_bytes(value, "big", signed=True)
            elif name == "clock":
                (clock,) = struct.unpack(">d", value)
                if time_fault(clock) is None and clock > clocks[at]:
                    clocks = clocks.copy() if clocks is decoded.times else clocks
                    clocks[at] = clock
    return np.maximum(sequences, -1), clocks
