"""Several partitions to one stream in order of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blocks import Decoded
from .clicks import Id, Rejected

Order = tuple[float, int]
"""What records are ordered by: time and sequence number."""

FIRST: Order = (-np.inf, -1)

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
    of all in a partition never falls, and merging is sorting.
    """

    run: Run
    is_click: NDArray[np.bool_]
    times: NDArray[np.float64]
    sequences: NDArray[np.int64]
    came: float
    size: int
    given: int = 0
    clicks_given: int = 0

    @property
    def last(self) -> Order:
        return float(self.times[-1]), int(self.sequences[-1])


class _Cut(NamedTuple):
    """Records of one piece, to be given next; `clicks` are those of them that are clicks."""

    piece: _Piece
    records: slice
    clicks: slice


@dataclass(slots=True)
class _Partition:
    """What waits of one partition, and when it was seen to have no more.

    Of the moments at which nothing more was there, `asked` is the last one, and `silent_since` the
    first one since its last record.
    """

    pieces: deque[_Piece] = field(default_factory=deque)
    waiting: int = 0
    asked: float = -np.inf
    silent_since: float | None = None
    ended: bool = False

    def silent(self, idle: float) -> bool:
        return self.silent_since is not None and self.asked - self.silent_since >= idle

    def last(self, asked: float) -> Order | None:
        """Give the order of the last record that came by then."""
        return next((piece.last for piece in reversed(self.pieces) if piece.came <= asked), None)

    def cut(self, bound: Bound, number: int, asked: float) -> Iterator[_Cut]:
        """Let go of the records up to a place in the stream that came by then."""
        while self.pieces and self.pieces[0].came <= asked:
            piece = self.pieces[0]
            begin = piece.given
            end = max(begin, _count(piece, bound, number))
            clicks = piece.clicks_given + int(piece.is_click[begin:end].sum())
            if end > begin:
                yield _Cut(piece, slice(begin, end), slice(piece.clicks_given, clicks))
            piece.given, piece.clicks_given = end, clicks
            self.waiting -= end - begin
            if end < len(piece.times):
                return
            self.pieces.popleft()


class Merge:
    """Merges partitions by time, without reordering the records of any one.

    The next record is always the one with the smallest (time, sequence number, partition) among
    the partitions' first. So the order depends on the records alone, never on when they came;
    and going on from any place in it needs only the partitions' offsets there. A rejected record
    has no time and goes before all others.

    Nothing is given while a partition that may have an earlier record has none here. An ended one
    never has. Of another one it is believed under two conditions:

    - It had nothing more when it was asked after the records to be given came. So a record never
      goes before an earlier one that was in its partition when it came.
    - It has had nothing more for `idle` seconds. So neither does it go before one that is late by
      less, unless that is the first of its partition after a longer silence.

    If all partitions are silent, the first record wakes them: their silence is counted anew. For a
    partition that is silent while others go on is likely to stay so, but when all of them were,
    all are likely to begin again.

    Parameters
    ----------
    idle
        Seconds that a silent partition holds the others back.

    Examples
    --------
    >>> merge = Merge()
    >>> for partition, clocks in [(0, [1.0, 5.0]), (1, [2.0, 3.0])]:
    ...     n = len(clocks)
    ...     items = [f"{partition}-{time:.0f}" for time in clocks]
    ...     decoded = Decoded(["anna"] * n, items, np.array(clocks))
    ...     run = Run(partition, decoded, np.arange(n), decoded.times, np.full(n, -1))
    ...     merge.begin(partition)
    ...     merge.add(run, now=0.0)
    >>> merge.take().decoded.items
    ['0-1', '1-2', '1-3']
    >>> merge.end(1)
    >>> merge.take().decoded.items
    ['0-5']

    """

    def __init__(self, idle: float = 1.0) -> None:
        self._idle = idle
        self._partitions: dict[int, _Partition] = {}

    def begin(self, partition: int) -> None:
        """Wait for the records of one more partition."""
        self._partitions.setdefault(partition, _Partition())

    def waiting(self, partition: int) -> int:
        """Give the number of a partition's records that wait here."""
        return self._partitions[partition].waiting

    def size(self, partition: int) -> int:
        """Return the bytes that a partition's records hold here, about."""
        return sum(piece.size for piece in self._partitions[partition].pieces)

    @property
    def ended(self) -> bool:
        """Whether every partition has ended and all was given."""
        return all(one.ended and not one.waiting for one in self._partitions.values())

    @property
    def asking(self) -> bool:
        """Whether records wait here for a partition to be asked."""
        came = max(
            (one.pieces[-1].came for one in self._partitions.values() if one.pieces), default=None
        )
        return came is not None and any(
            not one.ended and (one.asked < came if one.silent(self._idle) else not one.waiting)
            for one in self._partitions.values()
        )

    def add(self, run: Run, now: float) -> None:
        """Take records that follow those taken so far of their partition, and have come by now."""
        if not len(run.offsets):
            return
        if all(one.ended or one.silent(self._idle) for one in self._partitions.values()):
            self.wake()
        partition = self._partitions[run.partition]
        last = partition.pieces[-1].last if partition.pieces else FIRST
        partition.pieces.append(_piece(run, last, now))
        partition.waiting += len(run.offsets)
        partition.silent_since = None

    def silent(self, partition: int, asked: float) -> None:
        """Learn that a partition had no more records than it has given when it was asked."""
        one = self._partitions[partition]
        one.asked = asked
        if one.silent_since is None:
            one.silent_since = asked

    def wake(self) -> None:
        """Count the silence of every partition anew."""
        for one in self._partitions.values():
            one.silent_since = None

    def end(self, partition: int) -> None:
        """Learn that a partition will never have more records."""
        self._partitions[partition].ended = True

    def take(self) -> Merged | None:
        """Give all the records whose place in the stream is certain; None where there are none."""
        partitions = self._partitions.items()
        asked = min(
            (one.asked for _, one in partitions if not one.ended and one.silent(self._idle)),
            default=np.inf,
        )
        bound: Bound = (np.inf, 0, 0)
        for number, one in partitions:
            # What came after the silent ones were asked is as if it were not here.
            open_ = not (one.ended or one.silent(self._idle))
            if open_ or (one.pieces and one.pieces[-1].came > asked):
                last = one.last(asked)
                if last is None:
                    return None
                bound = min(bound, (*last, number))
        cuts = [cut for number, one in partitions for cut in one.cut(bound, number, asked)]
        return _assemble(cuts) if cuts else None


def _piece(run: Run, last: Order, came: float) -> _Piece:
    """Find the order that each record has when it is its partition's first."""
    clicks = len(run.clocks)
    is_click = np.zeros(len(run.offsets), dtype=np.bool_)
    is_click[np.arange(clicks) + run.decoded.before] = True
    # The number of clicks up to each record; a rejected one has the order of what precedes it.
    upto = np.cumsum(is_click)
    times = np.concatenate([[last[0]], run.clocks])
    sequences = np.concatenate([[last[1]], run.sequences])
    rising = (times[1:] > times[:-1]) | (
        (times[1:] == times[:-1]) & (sequences[1:] >= sequences[:-1])
    )
    if not rising.all():
        highest = last
        for at, own in enumerate(zip(times.tolist(), sequences.tolist(), strict=True)):
            highest = max(highest, own)
            times[at], sequences[at] = highest
    return _Piece(run, is_click, times[upto], sequences[upto], came, run.decoded.size)


def _count(piece: _Piece, bound: Bound, number: int) -> int:
    """Give the number of a piece's records up to a place in the stream, given ones included."""
    time, sequence, partition = bound
    begin = int(np.searchsorted(piece.times, time, side="left"))
    end = int(np.searchsorted(piece.times, time, side="right"))
    side: Literal["left", "right"] = "right" if number <= partition else "left"
    return begin + int(np.searchsorted(piece.sequences[begin:end], sequence, side=side))


def _assemble(cuts: list[_Cut]) -> Merged:
    """Put records, taken partition by partition, into one block in the order of the stream."""
    sessions: list[Id] = []
    items: list[Id] = []
    rejected: list[Rejected] = []
    for piece, records, clicks in cuts:
        decoded = piece.run.decoded
        sessions += decoded.sessions[clicks]
        items += decoded.items[clicks]
        rejected += decoded.rejected[records.start - clicks.start : records.stop - clicks.stop]
    times = np.concatenate([piece.run.decoded.times[clicks] for piece, _, clicks in cuts])
    is_click = np.concatenate([piece.is_click[records] for piece, records, _ in cuts])
    offsets = np.concatenate([piece.run.offsets[records] for piece, records, _ in cuts])
    partitions = np.repeat(
        [piece.run.partition for piece, _, _ in cuts],
        [records.stop - records.start for _, records, _ in cuts],
    )
    if (partitions != partitions[0]).any():
        clocks = np.concatenate([piece.times[records] for piece, records, _ in cuts])
        sequences = np.concatenate([piece.sequences[records] for piece, records, _ in cuts])
        order = np.lexsort((partitions, sequences, clocks))
        # Where each record's click or rejection stands in its list.
        places = (np.where(is_click, np.cumsum(is_click), np.cumsum(~is_click)) - 1)[order]
        is_click, offsets, partitions = is_click[order], offsets[order], partitions[order]
        chosen = places[is_click]
        sessions, items, times = _pick(sessions, chosen), _pick(items, chosen), times[chosen]
        rejected = [rejected[at] for at in places[~is_click].tolist()]
    before_each = np.cumsum(~is_click)[is_click]
    decoded = Decoded(sessions, items, times, rejected, before_each)
    return Merged(decoded, partitions, offsets, is_click)


def _pick(values: list[Id], at: NDArray[np.int64]) -> list[Id]:
    """Give the values at these places, by one call for all."""
    places = at.tolist()
    if len(places) < 2:
        return [values[place] for place in places]
    return list(itemgetter(*places)(values))
