"""Several partitions to one stream in order of time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ...clicks import Id, Rejected
from ...decoding.blocks import Decoded
from .late_clicks import Disorder
from .partition_queue import Bound, Cut, PartitionQueue, Piece, Run

T = TypeVar("T")


@dataclass(slots=True)
class Merged:
    """Records in the order of the merged stream.

    Parameters
    ----------
    decoded
        The records.
    partitions, offsets
        int64, shape (n,): the place of every record, rejected ones included.
    parts
        int64, shape (n,): which entry of its record each is; see `Run`.
    is_click
        bool, shape (n,): which of them are clicks.
    came
        When the first of them came.

    """

    decoded: Decoded
    partitions: NDArray[np.int64]
    offsets: NDArray[np.int64]
    parts: NDArray[np.int64]
    is_click: NDArray[np.bool_]
    came: float


class Merge:
    """Merges partitions by time, without reordering the records of any one.

    The next record is always the one with the smallest (time, sequence number, partition) among
    the partitions' first. So the order depends on the records alone, never on when they came; and
    going on from any place in it needs only the partitions' offsets there. Two things are set
    right first:

    - A click more than an hour later than most of the next 8 clicks of its own
      partition has a clock that is off: it has its turn with the first of them.
    - A rejected record has no time. It waits for nobody, and nobody waits for it.

    A partition begins with what lay in it when reading began. Until all of that is here, of every
    partition, nothing is given while a partition that may have an earlier record has none here.
    From then on the partitions are live: time alone does not show that a partition has nothing
    earlier, so a record waits for the others until `idle` seconds have passed since then and since
    it came, and is then given whatever the others do. The records that have waited less and are
    earlier go with it, before it.

    Parameters
    ----------
    idle
        Seconds that a record of a live partition waits for earlier ones of the others.
    stall
        Seconds after which a partition that has not begun to be live, and of which nothing comes,
        holds the others back no longer; ``math.inf`` for never.

    Examples
    --------
    >>> merge = Merge()
    >>> for partition, clocks in [(0, [1.0, 5.0]), (1, [2.0, 3.0])]:
    ...     n = len(clocks)
    ...     items = [f"{partition}-{time:.0f}" for time in clocks]
    ...     decoded = Decoded(["anna"] * n, items, np.array(clocks))
    ...     run = Run(partition, decoded, np.arange(n), decoded.times, np.full(n, -1))
    ...     merge.begin(partition, now=0.0)
    ...     merge.add(run, now=0.0)
    ...     merge.live(partition, now=0.0)
    >>> merge.take(now=0.0).decoded.items
    ['0-1', '1-2', '1-3']
    >>> merge.take(now=0.3).decoded.items
    ['0-5']

    """

    def __init__(self, idle: float = 0.2, stall: float = np.inf) -> None:
        self._idle = idle
        self._stall = max(stall, idle)
        self._partitions: dict[int, PartitionQueue] = {}
        self._disorder = Disorder()

    def begin(self, partition: int, now: float, *, live: bool = False) -> None:
        """Wait for the records of one more partition, of which nothing lay there where `live`."""
        self._partitions.setdefault(partition, PartitionQueue(partition, now, live=live))

    def waiting(self, partition: int) -> int:
        """Return the number of a partition's records that wait here."""
        return self._partitions[partition].waiting

    def size(self, partition: int) -> int:
        """Return the bytes that a partition's records hold here, about."""
        return sum(piece.run.decoded.size for piece in self._partitions[partition].pieces)

    @property
    def out_of_order(self) -> Counter[int]:
        """By partition, the clicks that were given out of the order of time."""
        return self._disorder.counts

    @property
    def stalled(self) -> list[int]:
        """The partitions that are waited for no longer, though what lay in them is not here."""
        return [number for number, one in self._partitions.items() if one.stalled]

    @property
    def ended(self) -> bool:
        """Whether every partition has ended and all was given."""
        return all(one.ended and not one.waiting for one in self._partitions.values())

    def add(self, run: Run, now: float) -> None:
        """Take records that follow those taken so far of their partition, and have come by now."""
        if not len(run.offsets):
            return
        one = self._partitions[run.partition]
        is_click = np.zeros(len(run.offsets), dtype=np.bool_)
        is_click[np.arange(len(run.clocks)) + run.decoded.before] = True
        one.add(Piece(run, is_click, now, now + self._idle))
        self.progress(run.partition, now)

    def progress(self, partition: int, now: float) -> None:
        """Note that a partition is being read."""
        one = self._partitions[partition]
        one.progressed, one.stalled = now, False

    def live(self, partition: int, now: float) -> None:
        """Note that all of a partition has come that lay in it when reading began."""
        before = self._is_live
        self._partitions[partition].live = True
        self._go_live(before, now)

    def end(self, partition: int) -> None:
        """Note that a partition will never have more records."""
        self._partitions[partition].ended = True

    def stop(self, partition: int) -> None:
        """Note that what comes next of a partition cannot be read, though there is more."""
        self._partitions[partition].broken = True

    def due(self) -> float:
        """Return when the next record is given at the latest, as far as that is known."""
        if not self._is_live:
            starved = [one.progressed for one in self._starved]
            return min(starved, default=np.inf) + self._stall
        pieces = [one.pieces[0].due for one in self._partitions.values() if one.pieces]
        return min(pieces, default=np.inf)

    def take(self, now: float) -> Merged | None:
        """Return all records whose place is certain, or that have waited for long enough."""
        before = self._is_live
        for one in self._starved:
            one.stalled = now - one.progressed >= self._stall
        self._go_live(before, now)
        bound: Bound | None = (np.inf, 0, 0)
        for one in self._partitions.values():
            if one.ended:
                continue
            last = one.last()
            if last is None:
                bound = None
                break
            bound = min(bound, (*last, one.number)) if bound is not None else None
        by = now if self._is_live else -np.inf
        due = [place for one in self._partitions.values() if (place := one.due(by)) is not None]
        if due:
            # What is earlier than what must go now goes before it.
            bound = max(due if bound is None else [bound, *due])
        cuts = [cut for one in self._partitions.values() for cut in one.cut(bound, by)]
        if not cuts:
            return None
        merged, clocks = _assemble(cuts)
        for one in self._partitions.values():
            if one.skipped:
                one.order()
                one.skipped = False
        if len(self._partitions) > 1:
            self._disorder.note(clocks, merged.partitions[merged.is_click])
        return merged

    def _go_live(self, before: bool, now: float) -> None:
        """Make what waits wait from now on, if only now all partitions are live."""
        if not before and self._is_live:
            for one in self._partitions.values():
                for piece in one.pieces:
                    piece.due = max(piece.due, now + self._idle)

    @property
    def _is_live(self) -> bool:
        return all(one.complete for one in self._partitions.values())

    @property
    def _starved(self) -> list[PartitionQueue]:
        """The partitions that others wait for, and of which nothing with a place is here."""
        return [
            one
            for one in self._partitions.values()
            if not (one.live or one.ended) and (one.stalled or one.last() is None)
        ]


def _assemble(cuts: list[Cut]) -> tuple[Merged, NDArray[np.float64]]:
    """Put records, taken partition by partition, into one block in the order of the stream.

    Returned with the times that its clicks were ordered by.
    """
    sessions: list[Id] = []
    items: list[Id] = []
    rejected: list[Rejected] = []
    events: list[Id | None] = []
    named = any(piece.run.decoded.events is not None for piece, _, _ in cuts)
    for piece, records, clicks in cuts:
        decoded = piece.run.decoded
        sessions += decoded.sessions[clicks]
        items += decoded.items[clicks]
        if named:
            own = decoded.events
            events += [None] * (clicks.stop - clicks.start) if own is None else own[clicks]
        rejected += decoded.rejected[records.start - clicks.start : records.stop - clicks.stop]
    times = np.concatenate([piece.run.decoded.times[clicks] for piece, _, clicks in cuts])
    clocks = np.concatenate([piece.run.clocks[clicks] for piece, _, clicks in cuts])
    is_click = np.concatenate([piece.is_click[records] for piece, records, _ in cuts])
    offsets = np.concatenate([piece.run.offsets[records] for piece, records, _ in cuts])
    parts = np.concatenate([piece.run.parts[records] for piece, records, _ in cuts])
    partitions = np.repeat(
        [piece.run.partition for piece, _, _ in cuts],
        [records.stop - records.start for _, records, _ in cuts],
    )
    if (partitions != partitions[0]).any():
        orders = np.concatenate([piece.times[records] for piece, records, _ in cuts])
        sequences = np.concatenate([piece.sequences[records] for piece, records, _ in cuts])
        order = np.lexsort((partitions, sequences, orders))
        # Where each record's click or rejection stands in its list.
        places = (np.where(is_click, np.cumsum(is_click), np.cumsum(~is_click)) - 1)[order]
        is_click, offsets, partitions = is_click[order], offsets[order], partitions[order]
        parts, chosen = parts[order], places[is_click]
        events = _pick(events, chosen) if named else events
        sessions, items, times = _pick(sessions, chosen), _pick(items, chosen), times[chosen]
        clocks = clocks[chosen]
        rejected = [rejected[at] for at in places[~is_click].tolist()]
    before_each = np.cumsum(~is_click)[is_click]
    decoded = Decoded(sessions, items, times, rejected, before_each, events if named else None)
    came = min(piece.came for piece, _, _ in cuts)
    return Merged(decoded, partitions, offsets, parts, is_click, came), clocks


def _pick(values: list[T], at: NDArray[np.int64]) -> list[T]:
    """Return the values at these places, by one call for all."""
    places = at.tolist()
    if len(places) < 2:
        return [values[place] for place in places]
    return list(itemgetter(*places)(values))
