"""Blocks of decoded records, and the polls that are served from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..clicks import FILTERED, Clicks, Id, Position, Rejected
from .values import UnusableError

RAW = 64 << 10
"""Bytes of a rejected record that are kept at most."""

LONGEST_DETAIL = 500
"""Characters of the sentence on a rejected record at most."""

PATIENCE = 1000
"""Rejected records in a row after which a poll returns with what it has."""

MOST_BYTES = 16 << 20
"""Bytes of rejected records after which a poll returns with what it has."""

RECORD = 256
"""Bytes of RAM that a record needs besides its text, about."""


LEFT_OUT = UnusableError(FILTERED, "the condition of --where leaves it out")
"""Stands for a record, or an element of its list, that a condition leaves out."""

_NONE = np.zeros(0)

FILTERED_RECORD = Rejected(FILTERED, LEFT_OUT.detail, {})

Entry = tuple[Id, Id, float, Id | None] | UnusableError
"""What becomes of a record, or of an element of its list: session, item, time and event, or why it
cannot be used."""


@dataclass(slots=True)
class Decoded:
    """Records in stream order, each a click or rejected, to be given out piece by piece.

    A record with a list is several entries, one for each element, each a click or rejected; any
    other record is one.

    Parameters
    ----------
    sessions, items, times
        The clicks by column, n of them.
    rejected
        The records that cannot be used, m of them.
    before
        int64, shape (n,): the number of rejected records before each click.
    events
        The clicks' event ids; None where there are none.
    parts
        int64, shape (n + m,): which entry of its record each entry is, from 0; None where every
        record is one entry.

    """

    sessions: list[Id]
    items: list[Id]
    times: NDArray[np.float64]
    rejected: list[Rejected] = field(default_factory=list)
    before: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    events: list[Id | None] | None = None
    parts: NDArray[np.int64] | None = None
    clicks_given: int = 0
    rejected_given: int = 0

    @property
    def size(self) -> int:
        """The bytes of RAM that the records need, about."""
        ids = _text_size(self.sessions) + _text_size(self.items)
        if self.events is not None:
            ids += sum(len(one) if isinstance(one, str) else 8 for one in self.events)
        records = len(self.items) + len(self.rejected)
        return ids + records * RECORD + sum(map(rejected_size, self.rejected))

    def __post_init__(self) -> None:
        """Take `before` as zeros where nothing is rejected."""
        if not self.rejected:
            self.before = np.zeros(len(self.items), dtype=np.int64)

    @property
    def given(self) -> int:
        """The number of entries given out."""
        return self.clicks_given + self.rejected_given

    @property
    def place(self) -> tuple[int, int]:
        """The number of whole records given out, and of entries of the next one."""
        if self.parts is None:
            return self.given, 0
        starts = self.parts == 0
        starts[:1] = True
        if self.exhausted:
            return int(starts.sum()), 0
        return int(starts[: self.given + 1].sum()) - 1, int(self.parts[self.given])

    def skip(self, entries: int) -> None:
        """Leave out the first entries, as given before."""
        total = len(self.items) + len(self.rejected)
        places = np.arange(len(self.items)) + self.before
        self.clicks_given = int(np.searchsorted(places, entries))
        self.rejected_given = min(entries, total) - self.clicks_given

    @property
    def exhausted(self) -> bool:
        """Whether every entry has been given out."""
        return self.given == len(self.items) + len(self.rejected)


def rejected_size(record: Rejected) -> int:
    """Return the bytes of text that a rejected record holds."""
    return len(record.raw or b"") + len(record.key or b"") + len(record.detail)


def _text_size(ids: list[Id]) -> int:
    """Return the bytes of text in a column of ids, at most."""
    try:
        text = "".join(ids)  # type: ignore[arg-type]
    except TypeError:  # There are integers among them.
        text = "".join(map(str, ids))
    return len(text) if text.isascii() else 4 * len(text)


class PollBuffer:
    """One poll's clicks, gathered from blocks.

    Parameters
    ----------
    limit
        The number of clicks that makes it full; `PATIENCE` rejected records in a row do so too,
        and `MOST_BYTES` of rejected records.

    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a poll must ask for at least one click, not {limit}")
        self._room = limit
        self._patience = PATIENCE
        self._bytes = MOST_BYTES
        self._sessions: list[Id] = []
        self._items: list[Id] = []
        self._times: list[NDArray[np.float64]] = []
        self._rejected: list[Rejected] = []
        self._events: list[Id | None] | None = None

    @property
    def full(self) -> bool:
        """Whether the poll is to return."""
        return not (self._room and self._patience and self._bytes > 0)

    @property
    def empty(self) -> bool:
        """Whether nothing was there."""
        return not (self._items or self._rejected)

    def take(self, block: Decoded) -> None:
        """Take records until this is full or the block is exhausted."""
        clicks = len(block.items)
        while not self.full and not block.exhausted:
            start = block.clicks_given
            due = int(block.before[start]) if start < clicks else len(block.rejected)
            if block.rejected_given < due:
                end = min(due, block.rejected_given + self._patience)
                for record in block.rejected[block.rejected_given : end]:
                    self._rejected.append(record)
                    self._patience -= 1
                    self._bytes -= rejected_size(record)
                    block.rejected_given += 1
                    if self._bytes <= 0:
                        break
                continue
            end = min(clicks, start + self._room)
            if block.rejected:
                # Clicks with as many rejected records before them stand side by side.
                end = min(end, int(block.before.searchsorted(block.before[start], side="right")))
            if block.events is not None:
                self._events = [None] * len(self._items) if self._events is None else self._events
                self._events += block.events[start:end]
            elif self._events is not None:
                self._events += [None] * (end - start)
            self._sessions += block.sessions[start:end]
            self._items += block.items[start:end]
            self._times.append(block.times[start:end])
            self._room -= end - start
            self._patience = PATIENCE
            block.clicks_given = end

    def clicks(self, position: Position) -> Clicks:
        """Return what was gathered, with the position after it."""
        times = self._times[0] if len(self._times) == 1 else np.concatenate([_NONE, *self._times])
        return Clicks(
            self._sessions, self._items, times, position, self._rejected, events=self._events
        )


class Decoding:
    """Records as they are decoded one by one, to become a `Decoded`.

    Parameters
    ----------
    keep_raw
        Whether rejected records keep their bytes.

    """

    def __init__(self, keep_raw: bool = True) -> None:
        self._keep_raw = keep_raw
        self._sessions: list[Id] = []
        self._items: list[Id] = []
        self._times: list[float] = []
        self._rejected: list[Rejected] = []
        self._before: list[int] = []
        self._events: list[Id | None] = []
        self._parts: list[int] = []
        self._many = False

    def click(
        self, session: Id, item: Id, time: float, event: Id | None = None, part: int = 0
    ) -> None:
        """Add a click; `part` is its place among the entries of its record."""
        self._sessions.append(session)
        self._items.append(item)
        self._times.append(time)
        self._events.append(event)
        self._parts.append(part)
        self._before.append(len(self._rejected))

    def block(self, decoded: Decoded) -> None:
        """Add records that were decoded at once."""
        count = len(self._rejected)
        self._sessions += decoded.sessions
        self._items += decoded.items
        self._times += decoded.times.tolist()
        self._before += (decoded.before + count).tolist()
        self._events += decoded.events or [None] * len(decoded.items)
        self._rejected += decoded.rejected
        if decoded.parts is None:
            self._parts += [0] * (len(decoded.items) + len(decoded.rejected))
        else:
            self._parts += decoded.parts.tolist()
            self._many = True

    def reject(
        self,
        fault: UnusableError,
        position: Position,
        raw: bytes,
        size: int = 0,
        key: bytes | None = None,
    ) -> None:
        """Add a record that cannot be used; of one larger than `RAW`, the start is kept."""
        self._parts.append(0)
        self._reject(fault, position, raw, size, key)

    def record(
        self,
        entries: Iterable[Entry],
        origin: Callable[[], tuple[Position, bytes, int, bytes | None]],
    ) -> None:
        """Add what a record becomes.

        Parameters
        ----------
        entries
            One for a plain record, one for each element of a list.
        origin
            Returns the record's position, bytes, size and key. Only the first of its entries
            that cannot be used keeps the bytes.

        """
        kept: bool | None = None
        for part, entry in enumerate(entries):
            self._many = self._many or part > 0
            if type(entry) is tuple:
                self.click(*entry, part)
                continue
            self._parts.append(part)
            if entry is LEFT_OUT:
                self._rejected.append(FILTERED_RECORD)
                continue
            assert isinstance(entry, UnusableError)
            position, raw, size, key = origin()
            self._reject(entry, position, raw, size, key, keep_raw=not kept)
            kept = True

    def _reject(
        self,
        fault: UnusableError,
        position: Position,
        raw: bytes,
        size: int,
        key: bytes | None,
        keep_raw: bool = True,
    ) -> None:
        detail = fault.detail
        if len(detail) > LONGEST_DETAIL:
            detail = f"{detail[:LONGEST_DETAIL]}…"
        if not (self._keep_raw and keep_raw):
            self._rejected.append(Rejected(fault.reason, detail, position))
            return
        size = max(size, len(raw))
        self._rejected.append(
            Rejected(
                fault.reason,
                detail,
                position,
                raw[:RAW],
                None if key is None else key[:RAW],
                size if size > RAW else None,
            )
        )

    def done(self) -> Decoded:
        """Return the records."""
        named = any(event is not None for event in self._events)
        return Decoded(
            self._sessions,
            self._items,
            np.array(self._times, dtype=np.float64),
            self._rejected,
            np.array(self._before, dtype=np.int64),
            self._events if named else None,
            np.array(self._parts, dtype=np.int64) if self._many else None,
        )
