"""Several partitions to one stream in order of time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..clicks import Id, Rejected
from ..decoding.blocks import Decoded
from .click_order import FIRST, FOLLOWERS, Order, believed_times, rising_orders
from .late_clicks import Disorder

Bound = tuple[float, int, int]
"""A place in the stream: time, sequence number and partition."""


@dataclass(slots=True)
class Run:
    """Records that follow each other in one partition.

    Parameters
    ----------
    partition
        Where they are from.
    decoded
        The records, clicks and rejected ones.
    offsets
        int64, shape (n,): every record's offset, rejected ones included.
    clocks
        float64, by click: the time to order by.
    sequences
        int64, by click: its number in the log that was replayed, -1 where there is none.

    """

    partition: int
    decoded: Decoded
    offsets: NDArray[np.int64]
    clocks: NDArray[np.float64]
    sequences: NDArray[np.int64]


@dataclass(slots=True)
class Merged:
    """Records in the order of the merged stream.

    Parameters
    ----------
    decoded
        The records.
    partitions, offsets
        int64, shape (n,): where every record stands, rejected ones included.
    is_click
        bool, shape (n,): which of them are clicks.

    """

    decoded: Decoded
    partitions: NDArray[np.int64]
    offsets: NDArray[np.int64]
    is_click: NDArray[np.bool_]


@dataclass(slots=True)
class _Piece:
    """Records of one partition that wait, with the order each of them has at the head.

    A record behind a later one of its partition has its turn right after that one: so the order
    of all in a partition never falls, and merging is sorting. The orders of the first `sure`
    records do not change by what follows.
    """

    run: Run
    is_click: NDArray[np.bool_]
    due: float
    times: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    sequences: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    sure: int = 0
    given: int = 0
    clicks_given: int = 0

    @property
    def clicks(self) -> int:
        """The number of clicks not yet given."""
        return len(self.run.clocks) - self.clicks_given

    def least(self, last: bool) -> Order:
        """Return the least order of the clicks not yet given, or the order of the last one."""
        at = len(self.run.clocks) - 1
        if not last:
            at = self.clicks_given + int(np.argmin(self.run.clocks[self.clicks_given :]))
        return float(self.run.clocks[at]), int(self.run.sequences[at])


class _Cut(NamedTuple):
    """Records of one piece, to be given next; `clicks` are those of them that are clicks."""

    piece: _Piece
    records: slice
    clicks: slice


@dataclass(slots=True)
class _Partition:
    """What waits of one partition.

    It is `live` once all has come that was there when reading began, and `stalled` where that does
    not come. It is `broken` where what comes next cannot be read: then the order of what waits here
    is certain, and others wait for it. It has `skipped` where records were cut off that were due,
    so that those behind them are to be ordered by their own times.
    """

    number: int
    progressed: float
    pieces: deque[_Piece] = field(default_factory=deque)
    waiting: int = 0
    live: bool = False
    ended: bool = False
    stalled: bool = False
    broken: bool = False
    skipped: bool = False

    @property
    def complete(self) -> bool:
        """Whether all has come that the order of what waits here is to depend on."""
        return self.live or self.ended or self.stalled

    @property
    def certain(self) -> bool:
        """Whether the order of all that waits here is certain."""
        return self.complete or self.broken

    def last(self) -> Order | None:
        """Return the order of the last record whose order is certain."""
        for piece in reversed(self.pieces):
            sure = len(piece.times) if self.certain else piece.sure
            if sure > piece.given:
                return float(piece.times[sure - 1]), int(piece.sequences[sure - 1])
        return None

    def order(self, begin: int = 0) -> None:
        """Find the orders of what waits, from one of the pieces on."""
        pieces = list(self.pieces)[begin:]
        highest = FIRST
        if begin:
            before = self.pieces[begin - 1]
            highest = float(before.times[-1]), int(before.sequences[-1])
        if not pieces:
            return
        clocks = np.concatenate([piece.run.clocks[piece.clicks_given :] for piece in pieces])
        sequences = np.concatenate([piece.run.sequences[piece.clicks_given :] for piece in pieces])
        times, sequences = rising_orders(believed_times(clocks), sequences, highest)
        sure = len(clocks) - FOLLOWERS
        at = 0
        for piece in pieces:
            # The number of clicks up to each record; a rejected one has the order of the last.
            upto = at + np.cumsum(piece.is_click[piece.given :])
            given = np.full(piece.given, -np.inf), np.full(piece.given, -1)
            piece.times = np.concatenate([given[0], times[upto]])
            piece.sequences = np.concatenate([given[1], sequences[upto]])
            piece.sure = piece.given + int(np.searchsorted(upto, sure, side="right"))
            at += piece.clicks

    def add(self, piece: _Piece) -> None:
        """Take records that follow those that wait."""
        first = len(self.pieces)
        while first and self.pieces[first - 1].sure < len(self.pieces[first - 1].times):
            first -= 1
        self.pieces.append(piece)
        self.waiting += len(piece.run.offsets)
        self.order(first)

    def due(self, now: float) -> Bound | None:
        """Return the place up to which others go before what is due; None: nothing is.

        A click that is contradicted by those behind it is no reason for others to go.
        """
        pieces = list(self.pieces)
        count = next((at for at, one in enumerate(pieces) if one.due > now), len(pieces))
        orders = [piece.least(last=at < count) for at, piece in enumerate(pieces) if piece.clicks]
        due = sum(bool(piece.clicks) for piece in pieces[:count])
        return (*min(orders[due - 1 :]), self.number) if due else None

    def cut(self, bound: Bound | None, now: float) -> Iterator[_Cut]:
        """Cut off the records up to a place in the stream, and those that are due."""
        while self.pieces:
            piece = self.pieces[0]
            begin, end = piece.given, piece.given
            if bound is not None:
                end = max(end, _count(piece, bound, self.number, self.certain))
            if piece.due <= now and end < len(piece.times):
                end = len(piece.times)
                self.skipped = True
            # A rejected record waits for nobody.
            free = piece.is_click[end:]
            end += int(np.argmax(free)) if free.any() else len(free)
            clicks = piece.clicks_given + int(piece.is_click[begin:end].sum())
            if end > begin:
                yield _Cut(piece, slice(begin, end), slice(piece.clicks_given, clicks))
            piece.given, piece.clicks_given = end, clicks
            self.waiting -= end - begin
            if end < len(piece.times):
                break
            self.pieces.popleft()


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
    From then on the partitions are live: time alone does not tell that a partition has nothing
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
        self._partitions: dict[int, _Partition] = {}
        self._disorder = Disorder()

    def begin(self, partition: int, now: float, *, live: bool = False) -> None:
        """Wait for the records of one more partition, of which nothing lay there where `live`."""
        self._partitions.setdefault(partition, _Partition(partition, now, live=live))

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
        one.add(_Piece(run, is_click, now + self._idle))
        self.progress(run.partition, now)

    def progress(self, partition: int, now: float) -> None:
        """Learn that a partition is being read."""
        one = self._partitions[partition]
        one.progressed, one.stalled = now, False

    def live(self, partition: int, now: float) -> None:
        """Learn that all of a partition has come that lay in it when reading began."""
        before = self._is_live
        self._partitions[partition].live = True
        self._go_live(before, now)

    def end(self, partition: int) -> None:
        """Learn that a partition will never have more records."""
        self._partitions[partition].ended = True

    def stop(self, partition: int) -> None:
        """Learn that what comes next of a partition cannot be read, though there is more."""
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
        """Have what waits wait from now on, if only now all partitions are live."""
        if not before and self._is_live:
            for one in self._partitions.values():
                for piece in one.pieces:
                    piece.due = max(piece.due, now + self._idle)

    @property
    def _is_live(self) -> bool:
        return all(one.complete for one in self._partitions.values())

    @property
    def _starved(self) -> list[_Partition]:
        """The partitions that others wait for, and of which nothing with a place is here."""
        return [
            one
            for one in self._partitions.values()
            if not (one.live or one.ended) and (one.stalled or one.last() is None)
        ]


def _count(piece: _Piece, bound: Bound, number: int, certain: bool) -> int:
    """Return the number of a piece's records up to a place in the stream, given ones included."""
    time, sequence, partition = bound
    sure = len(piece.times) if certain else piece.sure
    times = piece.times[:sure]
    begin = int(np.searchsorted(times, time, side="left"))
    end = int(np.searchsorted(times, time, side="right"))
    side: Literal["left", "right"] = "right" if number <= partition else "left"
    return begin + int(np.searchsorted(piece.sequences[begin:end], sequence, side=side))


def _assemble(cuts: list[_Cut]) -> tuple[Merged, NDArray[np.float64]]:
    """Put records, taken partition by partition, into one block in the order of the stream.

    Returned with the times that its clicks were ordered by.
    """
    sessions: list[Id] = []
    items: list[Id] = []
    rejected: list[Rejected] = []
    for piece, records, clicks in cuts:
        decoded = piece.run.decoded
        sessions += decoded.sessions[clicks]
        items += decoded.items[clicks]
        rejected += decoded.rejected[records.start - clicks.start : records.stop - clicks.stop]
    times = np.concatenate([piece.run.decoded.times[clicks] for piece, _, clicks in cuts])
    clocks = np.concatenate([piece.run.clocks[clicks] for piece, _, clicks in cuts])
    is_click = np.concatenate([piece.is_click[records] for piece, records, _ in cuts])
    offsets = np.concatenate([piece.run.offsets[records] for piece, records, _ in cuts])
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
        chosen = places[is_click]
        sessions, items, times = _pick(sessions, chosen), _pick(items, chosen), times[chosen]
        clocks = clocks[chosen]
        rejected = [rejected[at] for at in places[~is_click].tolist()]
    before_each = np.cumsum(~is_click)[is_click]
    decoded = Decoded(sessions, items, times, rejected, before_each)
    return Merged(decoded, partitions, offsets, is_click), clocks


def _pick(values: list[Id], at: NDArray[np.int64]) -> list[Id]:
    """Give the values at these places, by one call for all."""
    places = at.tolist()
    if len(places) < 2:
        return [values[place] for place in places]
    return list(itemgetter(*places)(values))
