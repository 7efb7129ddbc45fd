"""Several partitions to one stream in order of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from .blocks import Decoded
from .clicks import Id, Rejected

Order = tuple[float, int]
"""What records are ordered by: time and sequence number."""

FIRST: Order = (-np.inf, -1)


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
    given: int = 0

    @property
    def last(self) -> Order:
        return float(self.times[-1]), int(self.sequences[-1])


@dataclass(slots=True)
class _Partition:
    pieces: deque[_Piece] = field(default_factory=deque)
    waiting: int = 0
    silent_since: float | None = None
    ended: bool = False


class Merge:
    """Merges partitions by time, without reordering the records of any one.

    The next record is always the one with the smallest (time, sequence number, partition) among
    the partitions' first. So the order depends on the records alone, never on when they came;
    and going on from any place in it needs only the partitions' offsets there. A rejected record
    has no time and goes before all others.

    Nothing is given while a partition that may have an earlier record has none here. One that
    has nothing more holds the others back for `idle` seconds; an ended one does not.

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
    ...     merge.begin(partition)
    ...     merge.add(Run(partition, decoded, np.arange(n), decoded.times, np.full(n, -1)))
    >>> merge.take(now=0.0).decoded.items
    ['0-1', '1-2', '1-3']
    >>> merge.end(1)
    >>> merge.take(now=0.0).decoded.items
    ['0-5']

    """

    def __init__(self, idle: float = 1.0) -> None:
        self._idle = idle
        self._partitions: dict[int, _Partition] = {}
        self.watermark: float | None = None
        """The highest time given so far."""

    def begin(self, partition: int) -> None:
        """Wait for the records of one more partition."""
        self._partitions.setdefault(partition, _Partition())

    def waiting(self, partition: int) -> int:
        """Give the number of a partition's records that wait here."""
        return self._partitions[partition].waiting

    @property
    def ended(self) -> bool:
        """Whether every partition has ended and all was given."""
        return all(one.ended and not one.waiting for one in self._partitions.values())

    def add(self, run: Run) -> None:
        """Take records that follow those taken so far of their partition."""
        if not len(run.offsets):
            return
        partition = self._partitions[run.partition]
        last = partition.pieces[-1].last if partition.pieces else FIRST
        partition.pieces.append(_piece(run, last))
        partition.waiting += len(run.offsets)
        partition.silent_since = None

    def silent(self, partition: int, now: float) -> None:
        """Learn that a partition has no more records than it has given, as of `now`."""
        one = self._partitions[partition]
        if one.silent_since is None:
            one.silent_since = now

    def end(self, partition: int) -> None:
        """Learn that a partition will never have more records."""
        self._partitions[partition].ended = True

    def hold(self, now: float) -> list[int]:
        """Give the partitions that hold the others back because nothing of them is here."""
        return [
            number
            for number, one in self._partitions.items()
            if not one.waiting and self._holds(one, now)
        ]

    def take(self, now: float) -> Merged | None:
        """Give all the records whose place in the stream is certain; None where there are none."""
        bound: tuple[float, int, int] = (np.inf, 0, 0)
        for number, one in self._partitions.items():
            if self._holds(one, now):
                if not one.waiting:
                    return None
                bound = min(bound, (*one.pieces[-1].last, number))
        taken = [cut for one in self._partitions.values() for cut in _until(one, bound[0])]
        if not taken:
            return None
        times = np.concatenate([piece.times[begin:end] for piece, begin, end in taken])
        sequences = np.concatenate([piece.sequences[begin:end] for piece, begin, end in taken])
        partitions = np.repeat(
            np.array([piece.run.partition for piece, _, _ in taken]),
            [end - begin for _, begin, end in taken],
        )
        order: NDArray[np.int64] | None = None
        if (partitions != partitions[0]).any():
            order = np.lexsort((partitions, sequences, times))
            times, sequences, partitions = times[order], sequences[order], partitions[order]
        time, sequence, last = bound
        certain = (times < time) | (
            (times == time)
            & ((sequences < sequence) | ((sequences == sequence) & (partitions <= last)))
        )
        count = int(certain.sum())
        if not count:
            return None
        if np.isfinite(times[count - 1]):
            self.watermark = max(self.watermark or -np.inf, float(times[count - 1]))
        merged = _assemble(taken, order, count, partitions)
        self._drop(partitions[:count])
        return merged

    def _holds(self, one: _Partition, now: float) -> bool:
        silent = one.silent_since is not None and now - one.silent_since >= self._idle
        return not (one.ended or silent)

    def _drop(self, partitions: NDArray[np.int64]) -> None:
        """Let go of what was given."""
        for number, count in zip(*np.unique(partitions, return_counts=True), strict=True):
            one, left = self._partitions[int(number)], int(count)
            one.waiting -= left
            while left:
                piece = one.pieces[0]
                step = min(left, len(piece.times) - piece.given)
                piece.given += step
                left -= step
                if piece.given == len(piece.times):
                    one.pieces.popleft()


def _piece(run: Run, last: Order) -> _Piece:
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
    return _Piece(run, is_click, times[upto], sequences[upto])


def _until(one: _Partition, time: float) -> Iterable[tuple[_Piece, int, int]]:
    """Give a partition's records up to a time, by piece."""
    for piece in one.pieces:
        end = int(np.searchsorted(piece.times, time, side="right"))
        if end > piece.given:
            yield piece, piece.given, end
        if end < len(piece.times):
            return


def _assemble(
    taken: list[tuple[_Piece, int, int]],
    order: NDArray[np.int64] | None,
    count: int,
    partitions: NDArray[np.int64],
) -> Merged:
    """Put the first `count` of these records, taken in this order, into one block."""
    sessions: list[Id] = []
    items: list[Id] = []
    rejected: list[Rejected] = []
    columns = []
    for piece, begin, end in taken:
        decoded = piece.run.decoded
        before, upto = int(piece.is_click[:begin].sum()), int(piece.is_click[:end].sum())
        sessions += decoded.sessions[before:upto]
        items += decoded.items[before:upto]
        rejected += decoded.rejected[begin - before : end - upto]
        columns.append(
            (decoded.times[before:upto], piece.is_click[begin:end], piece.run.offsets[begin:end])
        )
    times = np.concatenate([column[0] for column in columns])
    is_click = np.concatenate([column[1] for column in columns])
    offsets = np.concatenate([column[2] for column in columns])
    if order is not None:
        # Where each record's click or rejection stands in its list.
        places = np.where(is_click, np.cumsum(is_click), np.cumsum(~is_click)) - 1
        order = order[:count]
        is_click, offsets, places = is_click[order], offsets[order], places[order]
        clicks, refused = places[is_click], places[~is_click]
        sessions, items = _pick(sessions, clicks), _pick(items, clicks)
        rejected, times = [rejected[at] for at in refused.tolist()], times[clicks]
    elif count < len(offsets):
        is_click, offsets = is_click[:count], offsets[:count]
        clicks_in = int(is_click.sum())
        sessions, items, times = sessions[:clicks_in], items[:clicks_in], times[:clicks_in]
        rejected = rejected[: count - clicks_in]
    before_each = np.cumsum(~is_click)[is_click]
    decoded = Decoded(sessions, items, times, rejected, before_each)
    return Merged(decoded, partitions[:count], offsets, is_click)


def _pick(values: list[Id], at: NDArray[np.int64]) -> list[Id]:
    """Give the values at these places, by one call for all."""
    places = at.tolist()
    if len(places) < 2:
        return [values[place] for place in places]
    return list(itemgetter(*places)(values))
