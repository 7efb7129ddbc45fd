"""Where things stand in the memory's tables, and how far it looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..items.item_table import ROWS

Whole = NDArray[np.int64]
Real = NDArray[np.float64]

NOWHERE = -1
"""No click: before a session's first, after its last."""

ROW = ROWS - 1
"""The bits of a key that hold its row; above them stands the admission that its item got it in."""

STAMP, PREVIOUS, NEXT, EARLIER = range(4)
"""Columns of the log: a click's item, as a key, and the numbers of the click before it in its
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
"""Columns of the items' table, by row: the key of the item that the others are about, its latest
logged click, how many clicks have followed it in their sessions, and how many of these were on it
again; how many clicks it has had, repeats included, and the stream's number and the time of the
first and the last of them."""

ITEM_COLUMNS = 9

CLICK, ITEM, CLICKS, REPEATS, REPEATED, RETURNED, BACK, DISTINCT, TIME, OWN_ITEMS = range(10)
"""Columns of a session's place: its last logged click and the key of that click's item; number of
clicks; number of repeats after the last logged one; how many of its clicks repeated the item just
clicked, or returned to another of its items; whether the last logged click was a return; how many
distinct items are kept; the time of its last click; and the keys of the distinct items, latest
first. The first of them may be 0, an item that is not in the catalogue."""

TIMELESS = np.iinfo(np.int64).min
"""The time of a click whose time is not known. Times are whole microseconds since the epoch."""

MICROSECONDS = 1e6
"""In a second."""

FARTHEST = 4e12
"""Seconds from the epoch; times farther away count as this one."""

SESSION_ITEMS = 20
"""Number of a session's latest distinct items that are kept."""

PLACE = OWN_ITEMS + SESSION_ITEMS
"""Columns of a session's place in all."""

PAIRS, ALL_REPEATS, ALL_RETURNS, LOGGED, ALL_CLICKS = range(5)
"""The stream's totals: clicks with a predecessor, those of them that repeated, or returned, how
many clicks have been logged, and how many there were, repeats included."""

LOOKBACK = (128, 32, 16, 16)
"""How many earlier clicks are looked up on each of the session's last items, latest item first."""

AFTER, BEFORE = 4, 3
"""How many clicks after and before each of them are evidence."""

NEAR = AFTER + BEFORE

RECENT = 100
"""How many of the stream's latest clicks are evidence of what is in demand just now."""

EARLIER_CLICKS = sum(LOOKBACK)

NEIGHBOUR_CLICKS = EARLIER_CLICKS * (AFTER + BEFORE)
EVIDENCE = NEIGHBOUR_CLICKS + SESSION_ITEMS - 1 + RECENT
"""Pieces of evidence in all: clicks near earlier ones, the session's earlier items, the latest."""

FIRST_RECENT = NEIGHBOUR_CLICKS + SESSION_ITEMS - 1
"""Column of the stream's latest click."""

LAST, TARGET = EVIDENCE, EVIDENCE + 1
SPECIAL = EVIDENCE + 2
"""Columns of what is looked up: the evidence, the session's last item, and the clicked one."""

SESSION_FEATURES = 10
"""Number of features of the session: one; its length (its logarithm, and whether it is one), its
repeats of the last item (logarithm), the log odds that clicks repeat the last item, that this
session repeats, and that it returns, how often the last item has been followed by another click
(logarithm), whether the session had come back to it, and its number of distinct items
(logarithm)."""

TIMID = 2.0
"""An item's own rate of repeats starts as the stream's, with the weight of this many clicks."""

SURE = 1e-9
"""No rate is taken to be closer to zero or one."""

(CLICK_COUNT, CLICKS_SINCE_LAST, CLICKS_SINCE_FIRST, SECONDS_SINCE_LAST, SECONDS_SINCE_FIRST) = (
    range(5)
)
"""Facts of each distinct item of a click's evidence: how many clicks it has had; how many of the
stream's clicks have come since its last and first one; and how many seconds before the session's
last click these were. 0 where it has had no click, or a time is not known."""

ITEM_FACTS = 5

UNDO_LOG, UNDO_LINK, UNDO_ROW, UNDO_LAST = 0, 5, 7, 8 + ITEM_COLUMNS
UNDO = UNDO_LAST + 3
"""Columns of what undoes a click: its slot in the log and what stood there, the click before it and
what followed that, its item's row and what stood there, the last item's row and its two counts."""


def microseconds(times: Real | None, count: int) -> Whole:
    """Return the times of clicks, in seconds and NaN where not known, as the memory takes them.

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
