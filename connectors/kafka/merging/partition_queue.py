"""What waits of one partition until its turn in the merged stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...decoding.blocks import Decoded

Order = tuple[float, int]
"""What records are ordered by: time and sequence number."""

FIRST: Order = (-np.inf, -1)

FOLLOWERS = 8
"""Clicks of its own partition by which it is judged whether a click is far ahead."""

AHEAD = 3600.0
"""Seconds by which a click is later than its followers if its clock is off."""

Bound = tuple[float, int, int]
"""A place in the stream: time, sequence number and partition."""


@dataclass(slots=True)
class Run:
    """Records that follow each other in one partition.

    A record with a list is several entries, which are ordered and given like records.

    Parameters
    ----------
    partition
        Where they are from.
    decoded
        The records, clicks and rejected ones.
    offsets
        int64, shape (n,): every entry's offset, rejected ones included.
    clocks
        float64, by click: the time to order by.
    sequences
        int64, by click: its number in the log that was replayed, -1 where there is none.
    parts
        int64, shape (n,): which entry of its record each is, from 0: one more than that where
        others follow, and with a minus sign where it is the last.

    """

    partition: int
    decoded: Decoded
    offsets: NDArray[np.int64]
    clocks: NDArray[np.float64]
    sequences: NDArray[np.int64]
    parts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        """Take every record as one entry where nothing else is known."""
        if len(self.parts) != len(self.offsets):
            self.parts = np.zeros(len(self.offsets), dtype=np.int64)

    def without_first(self, entries: int) -> Run:
        """Return a run without its first entries, which were given before."""
        old = self.decoded
        places = np.arange(len(old.items)) + old.before
        clicks = int(np.searchsorted(places, entries))
        rejected = min(entries, len(self.offsets)) - clicks
        decoded = Decoded(
            old.sessions[clicks:],
            old.items[clicks:],
            old.times[clicks:],
            old.rejected[rejected:],
            old.before[clicks:] - rejected,
            None if old.events is None else old.events[clicks:],
        )
        return Run(
            self.partition,
            decoded,
            self.offsets[entries:],
            self.clocks[clicks:],
            self.sequences[clicks:],
            self.parts[entries:],
        )


@dataclass(slots=True)
class Piece:
    """Records of one partition that wait, with the order each of them has at the head.

    A record behind a later one of its partition has its turn right after that one: so the order
    of all in a partition never falls, and merging is sorting. The orders of the first `sure`
    records do not change by what follows. They came at `came`.
    """

    run: Run
    is_click: NDArray[np.bool_]
    came: float
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


class Cut(NamedTuple):
    """Records of one piece, to be given next; `clicks` are those of them that are clicks."""

    piece: Piece
    records: slice
    clicks: slice


@dataclass(slots=True)
class PartitionQueue:
    """What waits of one partition.

    It is `live` once all has come that was there when reading began, and `stalled` where that does
    not come. It is `broken` where what comes next cannot be read: then the order of what waits here
    is certain, and others wait for it. It has `skipped` where records were cut off that were due,
    so that those behind them are to be ordered by their own times.
    """

    number: int
    progressed: float
    pieces: deque[Piece] = field(default_factory=deque)
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

    def add(self, piece: Piece) -> None:
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

    def cut(self, bound: Bound | None, now: float) -> Iterator[Cut]:
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
                yield Cut(piece, slice(begin, end), slice(piece.clicks_given, clicks))
            piece.given, piece.clicks_given = end, clicks
            self.waiting -= end - begin
            if end < len(piece.times):
                break
            self.pieces.popleft()


def _count(piece: Piece, bound: Bound, number: int, certain: bool) -> int:
    """Return the number of a piece's records up to a place in the stream, given ones included."""
    time, sequence, partition = bound
    sure = len(piece.times) if certain else piece.sure
    times = piece.times[:sure]
    begin = int(np.searchsorted(times, time, side="left"))
    end = int(np.searchsorted(times, time, side="right"))
    side: Literal["left", "right"] = "right" if number <= partition else "left"
    return begin + int(np.searchsorted(piece.sequences[begin:end], sequence, side=side))


def believed_times(clocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the times to order a partition's clicks by: those far ahead of what follows amended.

    One that is more than `AHEAD` later than the middle one of the next `FOLLOWERS`, or of as many
    as there are, has the time of the first one of these that is not as far before the middle one.
    """
    least = np.full(len(clocks), np.inf)
    for ahead in range(1, min(FOLLOWERS, len(clocks) - 1) + 1):
        least[:-ahead] = np.minimum(least[:-ahead], clocks[ahead:])
    suspects = np.flatnonzero(clocks > least + AHEAD).tolist()
    if not suspects:
        return clocks
    believed = clocks.copy()
    for at in suspects:
        following = np.sort(clocks[at + 1 : at + 1 + FOLLOWERS])
        middle = following[len(following) // 2]
        if clocks[at] > middle + AHEAD:
            believed[at] = following[following >= middle - AHEAD][0]
    return believed


def rising_orders(
    times: NDArray[np.float64], sequences: NDArray[np.int64], highest: Order
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the highest order so far, before each click and after the last one."""
    times = np.concatenate([[highest[0]], times])
    sequences = np.concatenate([[highest[1]], sequences])
    rising = (times[1:] > times[:-1]) | (
        (times[1:] == times[:-1]) & (sequences[1:] >= sequences[:-1])
    )
    if not rising.all():
        for at, own in enumerate(zip(times.tolist(), sequences.tolist(), strict=True)):
            highest = max(highest, own)
            times[at], sequences[at] = highest
    return times, sequences
