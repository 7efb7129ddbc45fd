"""Kafka's records to clicks."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..clicks import Id, Rejected, time_fault
from ..decoding.blocks import Decoded, Decoding
from ..decoding.json_lines import JsonLinesDecoder
from ..decoding.lines import LONGEST_LINE
from ..decoding.log_format import LogFormat
from ..decoding.values import LONGEST_ID, UnusableError, check_id, check_time, usable_times
from .merging.partition_queue import Run

CHUNK = 500
"""Records decoded at once; an odd one slows down only those of its group."""


class RecordDecoder:
    """Decodes records whose values hold one JSON object each.

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

    """

    def __init__(
        self,
        form: LogFormat,
        topic: str,
        session_from: Literal["field", "key"] = "field",
        time_from: Literal["field", "record"] = "field",
    ) -> None:
        self._by_key = session_from == "key"
        self._by_record = time_from == "record"
        without = [*(["session"] if self._by_key else []), *(["time"] if self._by_record else [])]
        self._values = JsonLinesDecoder(form, topic, without)
        self._topic = topic
        self._keep_raw = form.keep_raw
        self.by_user = self._values.by_user

    def decode(self, partition: int, records: Sequence[Any]) -> Run:
        """Decode records of one partition: each becomes a click or is rejected."""
        parts = [
            self._decode(partition, records[at : at + CHUNK])
            for at in range(0, len(records), CHUNK)
        ]
        decoded = parts[0] if len(parts) == 1 else _joined(parts)
        offsets = np.array([record.offset for record in records], dtype=np.int64)
        clicks = np.arange(len(decoded.items)) + decoded.before
        sequences, clocks = _orders(records, decoded, clicks)
        return Run(partition, decoded, offsets, clocks, sequences)

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
            value = record.value
            try:
                decoding.click(*self._click(record))
            except UnusableError as fault:
                position = {
                    "topic": self._topic,
                    "partition": partition,
                    "offset": record.offset,
                }
                fault.detail = fault.detail.replace("the line", "the value")
                decoding.reject(fault, position, value or b"", key=record.key)
        return decoding.done()

    def _click(self, record: Any) -> tuple[Id, Id, float]:
        if record.value is None:
            raise UnusableError("tombstone", "the record has no value: it is a tombstone")
        if len(record.value) > LONGEST_LINE:
            raise UnusableError(
                "record_too_large",
                f"the value has {len(record.value):,} bytes; {LONGEST_LINE:,} are allowed",
            )
        session, item, time = self._values.decode_line(record.value)
        if self._by_key:
            if record.key is None:
                raise UnusableError("no_session", "the record has no key")
            try:
                session = check_id(record.key.decode(), "key", "no_session")
            except UnicodeDecodeError as error:
                raise UnusableError("not_utf8", f"the key is not UTF-8: {error.reason}") from error
        if self._by_record:
            if record.timestamp < 0:
                raise UnusableError("no_time", "the record has no timestamp")
            time = check_time(record.timestamp / 1000.0)
        return session, item, time


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
