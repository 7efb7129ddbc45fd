"""What stands behind each click of a stream: its session's habits, and the clicks of late.

Compiled, click by click in stream order: each is told its moment as it stands just before it,
however the stream is cut into batches, and is then logged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compute.jit import compiled
from ..compute.prefetch import AHEAD, prefetch_row
from ..items.item_table import ROWS, SHIFT

Whole = NDArray[np.int64]

NOWHERE = -1
"""No click: before a session's first, after its last."""

ROW = ROWS - 1
"""The bits of a stamp that hold its row; above them stands which admission gave it its item."""

STAMP, PREVIOUS, NEXT, EARLIER = range(4)
"""Columns of the log: a click's stamped item, and the numbers of the click before it in its
session, after it in its session, and before it on the same item."""

(
    OWNER,
    LATEST,
    FOLLOWED,
    REPEATED_HERE,
    CLICKED,
    FIRST_NUMBER,
    LAST_NUMBER,
    FIRST_TIME,
    LAST_TIME,
) = range(9)
"""Columns of the items' table, by row: the stamped item that the others are about, its latest
logged click, how many clicks have followed it in their sessions, and how many of these were on it
again; how many clicks it has had, repeats included, and the stream's number and the time of the
first and the last of them."""

ITEM_COLUMNS = 9

CLICK, ITEM, CLICKS, REPEATS, REPEATED, RETURNED, BACK, DISTINCT, TIME, OWN_ITEMS = range(10)
"""Columns of a session's place: its last logged click and that click's stamped item; how many
clicks it has had; how many repeats have followed the last logged one; how many of its clicks
repeated the item just clicked, or returned to another of its items; whether the last logged click
was a return; how many distinct items are kept; the time of its last click; and the distinct items,
stamped, latest first. The first of them may be 0, an item that is not in the catalogue."""

TIMELESS = np.iinfo(np.int64).min
"""The time of a click whose time is not known. Times are whole microseconds since the epoch."""

MICROSECONDS = 1e6
"""In a second."""

FARTHEST = 4e12
"""Seconds from the epoch; times beyond are taken for this one."""

SESSION_ITEMS = 20
"""How many of a session's latest distinct items are kept in sight."""

PLACE = OWN_ITEMS + SESSION_ITEMS
"""Columns of a session's place in all."""

PAIRS, ALL_REPEATS, ALL_RETURNS, LOGGED, ALL_CLICKS = range(5)
"""The stream's totals: clicks with a predecessor, those of them that repeated, or returned, how
many clicks have been logged, and how many there were, repeats included."""

LOOKBACK = (128, 32, 16, 16)
"""How many earlier clicks are looked up on each of the session's last items, latest item first."""

AFTER, BEFORE = 4, 3
"""How many clicks after and before each of them are evidence."""

RECENT = 100
"""How many of the stream's latest clicks are evidence of what is in demand just now."""

EARLIER_CLICKS = sum(LOOKBACK)

NEIGHBOUR_CLICKS = EARLIER_CLICKS * (AFTER + BEFORE)
EVIDENCE = NEIGHBOUR_CLICKS + SESSION_ITEMS - 1 + RECENT
"""How many pieces of evidence there are: of likes, the session's earlier items, the latest."""

LAST, TARGET = EVIDENCE, EVIDENCE + 1
SPECIAL = EVIDENCE + 2
"""Columns of what is looked up: the evidence, the session's last item, and the clicked one."""

SESSION_FEATURES = 10
"""How many facts are told of each moment: one; the session's length (its logarithm, and whether it
is one), its repeats of the last item (logarithm), the log odds that clicks repeat the last item,
that this session repeats, and that it returns, how often the last item has been followed by another
click (logarithm), whether the session had come back to it, and its number of distinct items
(logarithm)."""

TIMID = 2.0
"""An item's own rate of repeats starts out as the stream's, with the weight of so many clicks."""

SURE = 1e-9
"""No rate is taken to be closer to zero or one."""

(CLICK_COUNT, CLICKS_SINCE_LAST, CLICKS_SINCE_FIRST, SECONDS_SINCE_LAST, SECONDS_SINCE_FIRST) = (
    range(5)
)
"""What is told of each distinct item of a moment: how many clicks it has had; how many of the
stream's clicks have come since its last and first one; and how many seconds before the session's
last click these were. 0 where it has had no click, or a time is not known."""

ITEM_FACTS = 5

UNDO_LOG, UNDO_LINK, UNDO_ROW, UNDO_LAST = 0, 5, 7, 8 + ITEM_COLUMNS
UNDO = UNDO_LAST + 3
"""Columns of what undoes a click: its slot in the log and what stood there, the click before it and
what followed that, its item's row and what stood there, the last item's row and its two counts."""


def microseconds(times: NDArray[np.float64] | None, count: int) -> Whole:
    """Return the times of clicks, in seconds and NaN where not known, as `read` takes them.

    Examples
    --------
    >>> microseconds(np.array([1.5, np.nan]), 2) == [1_500_000, TIMELESS]
    array([ True,  True])

    """
    if times is None:
        return np.full(count, TIMELESS)
    unknown = np.isnan(times)
    # Differences of two of them are to fit into 64 bits too.
    seconds = np.clip(np.where(unknown, 0.0, times), -FARTHEST, FARTHEST)
    return np.where(unknown, TIMELESS, np.rint(seconds * MICROSECONDS).astype(np.int64))


@compiled
def append_clicks(
    log: Whole,
    items: Whole,
    totals: Whole,
    admissions: Whole,
    bound: int,
    places: Whole,
    group: Whole,
    clicked: Whole,
    times: Whole,
    order: Whole,
    after: bool,
    mark: NDArray[np.int16],
    place_of: NDArray[np.int16],
    spans: Whole,
    match: NDArray[np.bool_],
    facts: NDArray[np.float64],
    undo: Whole,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Read a batch: tell the moments of some of its clicks, and log them all.

    Parameters
    ----------
    log
        (size, 4): the latest clicks, by number modulo the size, which is more than `bound` or than
        all clicks with the batch's.
    items
        (rows, ITEM_COLUMNS): the items by their rows.
    totals
        (5,): see `PAIRS`.
    lives
        (rows,): the admission that gave each row its item, 0 where it holds none.
    bound
        So many of the latest clicks are in sight.
    places
        (u, PLACE): where the batch's sessions stand; zero, and `NOWHERE`, for a new one.
    group, clicked
        (n,): which of them each click belongs to, and its stamped item, 0 for one not in the
        catalogue.
    times
        (n,): when each click was, or `TIMELESS`.
    order
        (n,): where each click's moment is told, `NOWHERE` where it is not.
    after
        Tell how things stand after each click, not before it.
    mark
        (rows,): -1 everywhere, before and after.
    place_of, spans, match, facts
        (m, SPECIAL), (m, 2), (m, EARLIER_CLICKS) and (m, HABITS): filled, see `Evidence`; `match`
        is false before.
    undo
        (n, UNDO): filled with what `remove_clicks` needs.

    Returns
    -------
    rows, item_facts
        (distinct,) and (distinct, ITEM_FACTS): see `Evidence`.

    """
    special = np.zeros(SPECIAL, np.int32)
    rows = np.empty(64 * len(order) + SPECIAL, np.int32)
    item_facts = np.empty((len(rows), ITEM_FACTS), np.float32)
    used = 0
    for at in range(len(group)):
        place, item = places[group[at]], clicked[at]
        if after:
            _click(log, items, totals, bound, place, item, times[at], undo[at])
        to = order[at]
        if to >= 0:
            if used + SPECIAL > len(rows):
                rows, item_facts = _with_more_room(rows, item_facts, used)
            special[:] = 0
            _tell_habits(items, totals, place, facts[to])
            _look_up(log, items, totals[LOGGED], admissions, bound, place, special, match[to])
            if not after:
                special[TARGET] = item & ROW
            spans[to, 0] = used
            used += _tell_apart(special, mark, place_of[to], rows[used:])
            spans[to, 1] = used
            _tell_items(
                items,
                totals,
                admissions,
                place,
                rows[spans[to, 0] : used],
                item_facts[spans[to, 0] : used],
            )
        if not after:
            _click(log, items, totals, bound, place, item, times[at], undo[at])
    return rows[:used], item_facts[:used]


@compiled
def remove_clicks(log: Whole, items: Whole, undo: Whole) -> None:
    """Take a batch back out of the log and the items' table; the totals are the caller's."""
    for at in range(len(undo) - 1, -1, -1):
        entry = undo[at]
        if entry[UNDO_LOG] >= 0:
            for column in range(4):
                log[entry[UNDO_LOG], column] = entry[UNDO_LOG + 1 + column]
            if entry[UNDO_LINK] >= 0:
                log[entry[UNDO_LINK], NEXT] = entry[UNDO_LINK + 1]
        if entry[UNDO_LAST] >= 0:
            items[entry[UNDO_LAST], FOLLOWED] = entry[UNDO_LAST + 1]
            items[entry[UNDO_LAST], REPEATED_HERE] = entry[UNDO_LAST + 2]
        for column in range(ITEM_COLUMNS):
            items[entry[UNDO_ROW], column] = entry[UNDO_ROW + 1 + column]


@compiled
def pack(places: Whole, slots: Whole, heads: Whole, own: Whole) -> None:
    """Copy where sessions stand: what comes before `OWN_ITEMS`, and the items in use in a row."""
    used = 0
    for at in range(len(slots)):
        if at + AHEAD < len(slots):
            prefetch_row(places, slots[at + AHEAD])
        place = places[slots[at]]
        heads[at] = place[:OWN_ITEMS]
        for item in range(OWN_ITEMS, OWN_ITEMS + place[DISTINCT]):
            own[used] = place[item]
            used += 1


@compiled
def _with_more_room(
    rows: NDArray[np.int32], item_facts: NDArray[np.float32], used: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    more_rows = np.empty(2 * len(rows) + SPECIAL, np.int32)
    more_facts = np.empty((len(more_rows), ITEM_FACTS), np.float32)
    more_rows[:used], more_facts[:used] = rows[:used], item_facts[:used]
    return more_rows, more_facts


@compiled
def _tell_apart(
    special: NDArray[np.int32],
    mark: NDArray[np.int16],
    place_of: NDArray[np.int16],
    rows: NDArray[np.int32],
) -> int:
    """List the distinct rows of a moment, and where each of its columns finds its own in the list.

    Returns how many there are.
    """
    distinct = 0
    for at in range(SPECIAL):
        row = special[at]
        place_of[at] = -1
        if row != 0:
            if mark[row] < 0:
                mark[row] = distinct
                rows[distinct] = row
                distinct += 1
            place_of[at] = mark[row]
    for at in range(distinct):
        mark[rows[at]] = -1
    return distinct


@compiled
def _tell_items(
    items: Whole,
    totals: Whole,
    admissions: Whole,
    place: Whole,
    rows: NDArray[np.int32],
    item_facts: NDArray[np.float32],
) -> None:
    """Fill in what `ITEM_FACTS` lists."""
    now, moment = totals[ALL_CLICKS], place[TIME]
    for at in range(len(rows)):
        if at + AHEAD < len(rows):
            prefetch_row(items, rows[at + AHEAD])
        row = rows[at]
        told, item = item_facts[at], items[row]
        told[:] = 0
        if item[CLICKED] and item[OWNER] >> SHIFT == admissions[row]:
            told[CLICK_COUNT] = item[CLICKED]
            told[CLICKS_SINCE_LAST] = now - item[LAST_NUMBER]
            told[CLICKS_SINCE_FIRST] = now - item[FIRST_NUMBER]
            told[SECONDS_SINCE_LAST] = _seconds(item[LAST_TIME], moment)
            told[SECONDS_SINCE_FIRST] = _seconds(item[FIRST_TIME], moment)


@compiled
def _seconds(since: int, until: int) -> float:
    if since == TIMELESS or until == TIMELESS:
        return 0.0
    return float(max(until - since, 0) / MICROSECONDS)


@compiled
def _click(
    log: Whole,
    items: Whole,
    totals: Whole,
    bound: int,
    place: Whole,
    item: int,
    time: int,
    undo: Whole,
) -> None:
    """Let a session click an item: count its habits, and log it unless it repeats the last one."""
    undo[UNDO_LOG] = undo[UNDO_LINK] = undo[UNDO_LAST] = -1
    undo[UNDO_ROW] = item & ROW
    for column in range(ITEM_COLUMNS):
        undo[UNDO_ROW + 1 + column] = items[item & ROW, column]
    known = place[CLICKS] > 0
    repeat = known and item > 0 and item == place[ITEM]
    back = False
    if known:
        for at in range(place[DISTINCT]):
            back |= item > 0 and place[OWN_ITEMS + at] == item and not repeat
        last = place[ITEM]
        row = last & ROW
        # A session may go on from an item that has left: its row may hold a younger one's.
        if last > 0 and items[row, OWNER] == last:
            undo[UNDO_LAST] = row
            undo[UNDO_LAST + 1] = items[row, FOLLOWED]
            undo[UNDO_LAST + 2] = items[row, REPEATED_HERE]
            items[row, FOLLOWED] += 1
            items[row, REPEATED_HERE] += repeat
        totals[PAIRS] += 1
        totals[ALL_REPEATS] += repeat
        totals[ALL_RETURNS] += back
    place[CLICKS] += 1
    place[TIME] = time
    _count(items, totals[ALL_CLICKS], item, time)
    totals[ALL_CLICKS] += 1
    if repeat:
        place[REPEATS] += 1
        place[REPEATED] += 1
        return
    before = place[CLICK] if known else NOWHERE
    place[CLICK], place[ITEM] = totals[LOGGED], item
    place[REPEATS], place[BACK] = 0, back
    place[RETURNED] += back
    _put_first(place, item)
    _log(log, items, totals, bound, before, item, undo)


@compiled
def _count(items: Whole, number: int, item: int, time: int) -> None:
    """Count a click on an item; an item that is new in its row begins with it."""
    row = item & ROW
    if items[row, OWNER] != item:
        items[row, OWNER], items[row, LATEST] = item, NOWHERE
        items[row, FOLLOWED], items[row, REPEATED_HERE], items[row, CLICKED] = 0, 0, 0
    if item > 0:
        if items[row, CLICKED] == 0:
            items[row, FIRST_NUMBER], items[row, FIRST_TIME] = number, time
        items[row, CLICKED] += 1
        items[row, LAST_NUMBER], items[row, LAST_TIME] = number, time


@compiled
def _put_first(place: Whole, item: int) -> None:
    """Make an item the first of those that its session keeps in sight."""
    kept, moved = 0, item
    for at in range(place[DISTINCT]):
        other = place[OWN_ITEMS + at]
        # One that was not in the catalogue is not kept.
        if other not in (item, 0):
            place[OWN_ITEMS + kept] = moved
            moved = other
            kept += 1
    if kept < SESSION_ITEMS:
        place[OWN_ITEMS + kept] = moved
        kept += 1
    for at in range(kept, place[DISTINCT]):
        place[OWN_ITEMS + at] = 0
    place[DISTINCT] = kept


@compiled
def _log(
    log: Whole, items: Whole, totals: Whole, bound: int, before: int, item: int, undo: Whole
) -> None:
    """Log a click on an item, `before` the last one of its session."""
    number, size, row = totals[LOGGED], len(log), item & ROW
    slot = number % size
    undo[UNDO_LOG] = slot
    for column in range(4):
        undo[UNDO_LOG + 1 + column] = log[slot, column]
    if not _in_sight(before, number, bound):
        before = NOWHERE
    log[slot, STAMP], log[slot, PREVIOUS], log[slot, NEXT] = item, before, NOWHERE
    log[slot, EARLIER] = items[row, LATEST] if item > 0 else NOWHERE
    items[row, LATEST] = number
    if before >= 0:
        link = before % size
        undo[UNDO_LINK], undo[UNDO_LINK + 1] = link, log[link, NEXT]
        log[link, NEXT] = number
    totals[LOGGED] += 1


@compiled
def _tell_habits(items: Whole, totals: Whole, place: Whole, facts: NDArray[np.float64]) -> None:
    """Fill in what `SESSION_FEATURES` lists."""
    last = place[ITEM]
    row = last & ROW
    followed = again = 0
    if last > 0 and items[row, OWNER] == last:
        followed, again = items[row, FOLLOWED], items[row, REPEATED_HERE]
    # Before anything is counted, one click in four repeats and one in ten returns.
    usual_repeat = (totals[ALL_REPEATS] + 1) / (totals[PAIRS] + 4)
    usual_return = (totals[ALL_RETURNS] + 1) / (totals[PAIRS] + 10)
    clicks = max(place[CLICKS], 1)
    facts[0] = 1.0
    facts[1] = np.log(clicks)
    facts[2] = clicks == 1
    facts[3] = np.log1p(place[REPEATS])
    facts[4] = _log_odds((again + TIMID * usual_repeat) / (followed + TIMID))
    facts[5] = _log_odds((place[REPEATED] + usual_repeat) / clicks)
    facts[6] = _log_odds((place[RETURNED] + usual_return) / clicks)
    facts[7] = np.log1p(followed)
    facts[8] = place[BACK]
    facts[9] = np.log(max(place[DISTINCT], 1))


@compiled
def _look_up(
    log: Whole,
    items: Whole,
    now: int,
    admissions: Whole,
    bound: int,
    place: Whole,
    special: NDArray[np.int32],
    match: NDArray[np.bool_],
) -> None:
    """Find the evidence for one moment, see `Evidence`."""
    size = len(log)
    earlier_click = 0
    own = place[CLICK]
    for reach in LOOKBACK:
        if not _in_sight(own, now, bound):
            break
        stamp, before = log[own % size, STAMP], log[own % size, PREVIOUS]
        row, row_before = _live(stamp, admissions), 0
        if _in_sight(before, now, bound):
            row_before = _live(log[before % size, STAMP], admissions)
        click = items[row, LATEST] if row and items[row, OWNER] == stamp else NOWHERE
        for turn in range(reach):
            if not _in_sight(click, now, bound):
                break
            piece = (earlier_click + turn) * (AFTER + BEFORE)
            near = click
            for step in range(AFTER):
                near = log[near % size, NEXT]
                if near < 0:
                    break
                special[piece + step] = _live(log[near % size, STAMP], admissions)
            near = click
            for step in range(AFTER, AFTER + BEFORE):
                near = log[near % size, PREVIOUS]
                if not _in_sight(near, now, bound):
                    break
                special[piece + step] = _live(log[near % size, STAMP], admissions)
            match[earlier_click + turn] = row_before > 0 and special[piece + AFTER] == row_before
            click = log[click % size, EARLIER]
        earlier_click += reach
        own = before
    for at in range(1, place[DISTINCT]):
        special[NEIGHBOUR_CLICKS + at - 1] = _live(place[OWN_ITEMS + at], admissions)
    for age in range(1, min(RECENT, now, bound) + 1):
        special[NEIGHBOUR_CLICKS + SESSION_ITEMS - 2 + age] = _live(
            log[(now - age) % size, STAMP], admissions
        )
    special[LAST] = _live(place[OWN_ITEMS], admissions)


@compiled
def _in_sight(number: int, now: int, bound: int) -> bool:
    """Tell whether a click is among the latest when so many have been logged."""
    return number >= 0 and number >= now - bound


@compiled
def _live(stamp: int, admissions: Whole) -> int:
    """Give the row of a stamped item, 0 if it has left the catalogue."""
    row = stamp & ROW
    return row if admissions[row] == stamp >> SHIFT else 0


@compiled
def _log_odds(rate: float) -> float:
    kept = min(max(rate, SURE), 1 - SURE)
    return float(np.log(kept / (1 - kept)))
