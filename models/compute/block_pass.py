"""One pass over a block of scores while it is in the cache: compiled, for float32."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .jit import compiled, summing

Single = NDArray[np.float32]
Whole = NDArray[np.int64]
Small = NDArray[np.int32]
Flags = NDArray[np.bool_]

AT_ONCE = 64
"""Scores of which the highest is compared with a floor before each of them is."""

LANES, FOURTH = 32, 256
PIECE = 4 * FOURTH
"""A row of a block is gone over in pieces of so many scores. Every `LANES`-th score of a piece is
of one group, so that the highest scores of all its groups are found at once."""

SIGN = np.int32(0x7FFFFFFF)
LOG2_E = np.float32(1.4426950408889634)
LEAST_POWER = np.float32(-126)
"""Powers of two are no smaller: what lies below adds nothing that float32 could keep."""

P1, P2, P3, P4, P5, P6 = (
    np.float32(0.6931471805599453),
    np.float32(0.24022650695910072),
    np.float32(0.05550410866482158),
    np.float32(0.009618129107628477),
    np.float32(0.0013333558146428443),
    np.float32(0.00015403530393381608),
)
"""Of the power series of ``2 ** x``; its error within ±.5 is below 2e-8."""

ZERO, ONE = np.float32(0), np.float32(1)


class Apart(NamedTuple):
    """Single scores that a pass over a block takes out of it, sorted by block.

    Parameters
    ----------
    begins
        int64 (blocks + 1,): where each block's begin among the others.
    clicks, rows, places
        int32 (n,): the click and the row of each, and where its score is written to.
    new_begins, new_rows, new_clicks
        The same of the items that enter the catalogue within the batch, (blocks + 1,) and
        (b,): their rows, and the clicks that they compete after.
    known_from
        int64 (m,): place of each click in its batch.

    """

    begins: Whole
    clicks: Small
    rows: Small
    places: Small
    new_begins: Whole
    new_rows: Whole
    new_clicks: Whole
    known_from: Whole


class Found(NamedTuple):
    """What the passes over all blocks found, for m clicks.

    Parameters
    ----------
    highest, total
        float32 (blocks, m): the highest score in each block, and the sum of its
        ``exp(score - highest)``.
    special
        float32 (n,): the scores taken out.
    broken
        bool (m,): a score is not a number, or infinite.
    groups
        float32 (blocks, m, pieces, `LANES`): the highest score of each group.

    """

    highest: Single
    total: Single
    special: Single
    broken: Flags
    groups: Single


class Lists(NamedTuple):
    """The best scores of some blocks, for m clicks: the room of one thread.

    Parameters
    ----------
    scores, rows
        float32 and int32 (m, room).
    used
        int64 (m,): how many are listed.
    floor
        float32 (m,): every score above it is listed.

    """

    scores: Single
    rows: Small
    used: Whole
    floor: Single

    @classmethod
    def empty(cls, clicks: int, room: int) -> Lists:
        """Return room for so many scores a click."""
        scores, rows = np.empty((clicks, room), np.float32), np.empty((clicks, room), np.int32)
        return cls(scores, rows, np.zeros(clicks, np.int64), np.full(clicks, -np.inf, np.float32))


class Work(NamedTuple):
    """Room for one piece: powers of two, as bits and as numbers, their factors, and scores."""

    bits: Small
    powers: Single
    factors: Single
    whole: Single

    @classmethod
    def empty(cls) -> Work:
        """Return room for a piece."""
        bits = np.empty(PIECE, np.int32)
        factors, whole = np.empty(PIECE, np.float32), np.empty(PIECE, np.float32)
        return cls(bits, bits.view(np.float32), factors, whole)


@compiled
def take_apart(scores: Single, block: int, first: int, apart: Apart, found: Found) -> None:
    """Hide what does not compete in a block, and take the special scores out of it.

    Parameters
    ----------
    scores
        (m, n): of the rows from `first` on.
    block, first
        Number of the block, and its first row.
    apart
        What is taken out.
    found
        Written to.

    """
    hidden = np.float32(-np.inf)
    for at in range(apart.new_begins[block], apart.new_begins[block + 1]):
        column, enters = apart.new_rows[at] - first, apart.new_clicks[at]
        for click in range(len(scores)):
            if apart.known_from[click] <= enters:
                scores[click, column] = hidden
    for at in range(apart.begins[block], apart.begins[block + 1]):
        click, column = apart.clicks[at], apart.rows[at] - first
        score = scores[click, column]
        found.special[apart.places[at]] = score
        if not score < np.inf:
            found.broken[click] = True
        scores[click, column] = hidden


@summing
def pass_block(
    scores: Single,
    block: int,
    bars: Single,
    sums: bool,
    found: Found,
    above: Whole,
    work: Work,
) -> None:
    """Count, in each row of a block, and find the highest scores and the sum of exponentials.

    Parameters
    ----------
    scores
        (m, n).
    block
        Number of the block.
    bars
        (m,): scores are counted from here on.
    sums
        Whether the highest scores and the sum are wanted.
    found, above
        Written to; int64 (m,), added to.
    work
        Room for a piece.

    """
    for click in range(len(scores)):
        row, bar = scores[click], bars[click]
        count, odd = ZERO, ZERO
        for at in range(len(row)):
            count += ONE if row[at] >= bar else ZERO
            odd += ZERO if row[at] < np.inf else ONE
        above[click] += int(count)
        if odd != ZERO:
            found.broken[click] = True
        if sums:
            sum_row(row, click, block, found, work)


@summing
def sum_row(row: Single, click: int, block: int, found: Found, work: Work) -> None:
    """Find the highest score of each group and of all, and the sum of exponentials.

    Parameters
    ----------
    row
        (n,): a click's scores in a block.
    click, block
        Their numbers.
    found, work
        See `pass_block`.

    """
    groups, highest, total = found.groups[block, click], np.float32(-np.inf), ZERO
    for piece in range(len(groups)):
        begin = piece * PIECE
        _fill_groups(row[begin : begin + PIECE], groups[piece], work)
        highest = max(highest, _highest(groups[piece], work))
    if highest > -np.inf:
        for begin in range(0, len(row), PIECE):
            total += _total(row[begin : begin + PIECE], highest, work)
    found.highest[block, click], found.total[block, click] = highest, total


@summing
def _fill_groups(piece: Single, groups: Single, work: Work) -> None:
    if len(piece) < PIECE:
        work.whole[: len(piece)] = piece
        work.whole[len(piece) :] = -np.inf
        piece = work.whole
    # Rows of many scores in few turns: an inner loop over a group is half as fast.
    most = work.factors
    for at in range(FOURTH):
        left = _higher(piece[at], piece[FOURTH + at])
        right = _higher(piece[2 * FOURTH + at], piece[3 * FOURTH + at])
        most[at] = _higher(left, right)
    for at in range(LANES):
        left = _higher(most[at], most[LANES + at])
        right = _higher(most[2 * LANES + at], most[3 * LANES + at])
        left = _higher(left, right)
        right = _higher(most[4 * LANES + at], most[5 * LANES + at])
        right = _higher(right, _higher(most[6 * LANES + at], most[7 * LANES + at]))
        groups[at] = _higher(left, right)


@summing
def _higher(one: np.float32, other: np.float32) -> np.float32:
    return max(other, one)


@summing
def _highest(row: Single, work: Work) -> np.float32:
    # Floats, as whole numbers of the same order: their maximum is found many at a time.
    keys, most = row.view(np.int32), np.int32(-(2**31))
    for at in range(len(row)):
        key = keys[at]
        most = max(most, key ^ ((key >> 31) & SIGN))
    work.bits[0] = most ^ ((most >> 31) & SIGN)
    highest: np.float32 = work.powers[0]
    return highest


@summing
def _total(row: Single, highest: np.float32, work: Work) -> np.float32:
    bits, factors = work.bits, work.factors
    for at in range(len(row)):
        power = (row[at] - highest) * LOG2_E
        power = max(LEAST_POWER, power)
        whole = np.rint(power)
        part = power - whole
        bits[at] = (np.int32(whole) + 127) << 23
        factors[at] = ONE + part * (
            P1 + part * (P2 + part * (P3 + part * (P4 + part * (P5 + part * P6))))
        )
    total = ZERO
    for at in range(len(row)):
        total += factors[at] * work.powers[at]
    return total


@compiled
def list_block(scores: Single, first: int, barred: Flags, lists: Lists) -> None:
    """List the scores of a block that are above each click's floor, which is minus infinity first.

    Where a click's room is full, the better half of it stays, of equal scores those of the lower
    rows, and the floor rises to the best of those that leave.

    Parameters
    ----------
    scores, first
        See `take_apart`.
    barred
        bool (m or 1, rows): what is not to be listed; (0, 0) for nothing.
    lists
        Added to.

    """
    columns = scores.shape[1]
    for click in range(len(scores)):
        row, floor = scores[click], lists.floor[click]
        for begin in range(0, columns, AT_ONCE):
            some = row[begin : begin + AT_ONCE]
            if not _any_above(some, floor):
                continue
            for at in range(len(some)):
                if some[at] > floor:
                    place = first + begin + at
                    if len(barred) and barred[min(click, len(barred) - 1), place]:
                        continue
                    _list(click, some[at], place, lists)
                    floor = lists.floor[click]


@summing
def _any_above(scores: Single, floor: np.float32) -> bool:
    over = ZERO
    for at in range(len(scores)):
        over += ONE if scores[at] > floor else ZERO
    return bool(over > ZERO)


@compiled
def _list(click: int, score: np.float32, row: int, lists: Lists) -> None:
    scores, rows, used = lists.scores[click], lists.rows[click], lists.used[click]
    scores[used], rows[used] = score, row
    used += 1
    if used == len(scores):
        keep = used // 2
        pivot = np.partition(scores, used - keep - 1)[used - keep - 1]
        ties = keep
        for at in range(used):
            ties -= scores[at] > pivot
        kept = 0
        for at in range(used):
            tied = scores[at] == pivot and ties > 0
            if scores[at] > pivot or tied:
                ties -= tied
                scores[kept], rows[kept] = scores[at], rows[at]
                kept += 1
        used, lists.floor[click] = kept, pivot
    lists.used[click] = used
