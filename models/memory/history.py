"""The log of the latest clicks, and what is counted of sessions and items: compiled.

Clicks are logged one by one in stream order. The evidence for each is looked up just before it is
logged, so it is the same however the stream is cut into batches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compute.jit import compiled
from ..compute.prefetch import AHEAD, prefetch_row
from .evidence import (
    Evidence,
    History,
    fill_item_facts,
    fill_session_features,
    find_items,
    in_sight,
    list_distinct,
)
from .layout import (
    ALL_CLICKS,
    ALL_REPEATS,
    ALL_RETURNS,
    BACK,
    CLICK,
    CLICKED,
    CLICKS,
    DISTINCT,
    EARLIER,
    FIRST_NUMBER,
    FIRST_TIME,
    FOLLOWED,
    ITEM,
    ITEM_COLUMNS,
    ITEM_FACTS,
    LAST_NUMBER,
    LAST_TIME,
    LATEST,
    LOGGED,
    NEXT,
    NOWHERE,
    OWN_ITEMS,
    OWNER,
    PAIRS,
    PREVIOUS,
    REPEATED,
    REPEATED_HERE,
    REPEATS,
    RETURNED,
    ROW,
    SESSION_ITEMS,
    SPECIAL,
    STAMP,
    TARGET,
    TIME,
    UNDO_LAST,
    UNDO_LINK,
    UNDO_LOG,
    UNDO_ROW,
    Whole,
)


class Clicks(NamedTuple):
    """The n clicks of a batch, in stream order.

    Parameters
    ----------
    slots
        int64 (u,): where the memory keeps the batch's sessions, -1 for new ones.
    group, keys
        int64 (n,): which of these each click belongs to, and its item, as a key; 0 for one not in
        the catalogue.
    times
        int64 (n,): when each click was, in microseconds, or `TIMELESS`.
    scored
        int64 (m,): the clicks for which evidence is looked up.
    after
        Look it up after each click, not before it.

    """

    slots: Whole
    group: Whole
    keys: Whole
    times: Whole
    scored: Whole
    after: bool


@compiled
def append_clicks(
    history: History, clicks: Clicks, places: Whole, order: Whole, evidence: Evidence, undo: Whole
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Look up the evidence for some clicks of a batch, and log them all.

    Parameters
    ----------
    history
        Changed.
    clicks
        The batch.
    places
        (u, PLACE): the batch's sessions; zero, and `NOWHERE`, for a new one. Changed.
    order
        (n,): the place of each click in the evidence, `NOWHERE` for none.
    evidence
        Filled, but for `rows` and `item_facts`, which are returned.
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
    for at in range(len(clicks.group)):
        place, key, time = places[clicks.group[at]], clicks.keys[at], clicks.times[at]
        if clicks.after:
            log_click(history, place, key, time, undo[at])
        to = order[at]
        if to >= 0:
            if used + SPECIAL > len(rows):
                rows, item_facts = enlarged(rows, item_facts, used)
            special[:] = 0
            fill_session_features(history, place, evidence.session_features[to])
            find_items(history, place, special, evidence.match[to])
            if not clicks.after:
                special[TARGET] = key & ROW
            begin = used
            used += list_distinct(special, history.mark, evidence.place_of[to], rows[used:])
            evidence.spans[to, 0], evidence.spans[to, 1] = begin, used
            fill_item_facts(history, place, rows[begin:used], item_facts[begin:used])
        if not clicks.after:
            log_click(history, place, key, time, undo[at])
    return rows[:used], item_facts[:used]


@compiled
def remove_clicks(log: Whole, items: Whole, undo: Whole) -> None:
    """Remove a batch from the log and the items' table; the caller restores the totals."""
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
    """Copy sessions' places: the columns before `OWN_ITEMS`, and the items in use in a row."""
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
def enlarged(
    rows: NDArray[np.int32], item_facts: NDArray[np.float32], used: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return twice the room, or more, with what is used of the old one."""
    more_rows = np.empty(2 * len(rows) + SPECIAL, np.int32)
    more_facts = np.empty((len(more_rows), ITEM_FACTS), np.float32)
    more_rows[:used], more_facts[:used] = rows[:used], item_facts[:used]
    return more_rows, more_facts


@compiled
def log_click(history: History, place: Whole, key: int, time: int, undo: Whole) -> None:
    """Count a session's click on an item, and log it unless it repeats the session's last one."""
    items, totals = history.items, history.totals
    undo[UNDO_LOG] = undo[UNDO_LINK] = undo[UNDO_LAST] = -1
    undo[UNDO_ROW] = key & ROW
    for column in range(ITEM_COLUMNS):
        undo[UNDO_ROW + 1 + column] = items[key & ROW, column]
    known = place[CLICKS] > 0
    repeat = known and key > 0 and key == place[ITEM]
    back = False
    if known:
        for at in range(place[DISTINCT]):
            back |= key > 0 and place[OWN_ITEMS + at] == key and not repeat
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
    _count(items, totals[ALL_CLICKS], key, time)
    totals[ALL_CLICKS] += 1
    if repeat:
        place[REPEATS] += 1
        place[REPEATED] += 1
        return
    before = place[CLICK] if known else NOWHERE
    place[CLICK], place[ITEM] = totals[LOGGED], key
    place[REPEATS], place[BACK] = 0, back
    place[RETURNED] += back
    _put_first(place, key)
    _log(history, before, key, undo)


@compiled
def _count(items: Whole, number: int, key: int, time: int) -> None:
    """Count a click on an item; an item that is new in its row starts with it."""
    row = key & ROW
    if items[row, OWNER] != key:
        items[row, OWNER], items[row, LATEST] = key, NOWHERE
        items[row, FOLLOWED], items[row, REPEATED_HERE], items[row, CLICKED] = 0, 0, 0
    if key > 0:
        if items[row, CLICKED] == 0:
            items[row, FIRST_NUMBER], items[row, FIRST_TIME] = number, time
        items[row, CLICKED] += 1
        items[row, LAST_NUMBER], items[row, LAST_TIME] = number, time


@compiled
def _put_first(place: Whole, key: int) -> None:
    """Make an item the first of those that its session keeps."""
    kept, moved = 0, key
    for at in range(place[DISTINCT]):
        other = place[OWN_ITEMS + at]
        # One that was not in the catalogue is not kept.
        if other not in (key, 0):
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
def _log(history: History, before: int, key: int, undo: Whole) -> None:
    """Log a click on an item, `before` the last one of its session."""
    log, items, totals = history.log, history.items, history.totals
    number, size, row = totals[LOGGED], len(log), key & ROW
    slot = number % size
    undo[UNDO_LOG] = slot
    for column in range(4):
        undo[UNDO_LOG + 1 + column] = log[slot, column]
    if not in_sight(before, number, history.bound):
        before = NOWHERE
    log[slot, STAMP], log[slot, PREVIOUS], log[slot, NEXT] = key, before, NOWHERE
    log[slot, EARLIER] = items[row, LATEST] if key > 0 else NOWHERE
    items[row, LATEST] = number
    if before >= 0:
        link = before % size
        undo[UNDO_LINK], undo[UNDO_LINK + 1] = link, log[link, NEXT]
        log[link, NEXT] = number
    totals[LOGGED] += 1
