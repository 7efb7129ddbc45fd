"""What the log of clicks says about the next click of a session: compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compute.jit import compiled
from ..compute.prefetch import AHEAD, prefetch_row
from ..items.item_table import SHIFT
from .layout import (
    AFTER,
    ALL_CLICKS,
    ALL_REPEATS,
    ALL_RETURNS,
    BACK,
    BEFORE,
    CLICK,
    CLICK_COUNT,
    CLICKED,
    CLICKS,
    CLICKS_SINCE_FIRST,
    CLICKS_SINCE_LAST,
    DISTINCT,
    EARLIER,
    EARLIER_CLICKS,
    FIRST_NUMBER,
    FIRST_RECENT,
    FIRST_TIME,
    FOLLOWED,
    ITEM,
    ITEM_FACTS,
    LAST,
    LAST_NUMBER,
    LAST_TIME,
    LATEST,
    LOGGED,
    LOOKBACK,
    MICROSECONDS,
    NEAR,
    NEIGHBOUR_CLICKS,
    NEXT,
    NOWHERE,
    OWN_ITEMS,
    OWNER,
    PAIRS,
    PREVIOUS,
    RECENT,
    REPEATED,
    REPEATED_HERE,
    REPEATS,
    RETURNED,
    ROW,
    SECONDS_SINCE_FIRST,
    SECONDS_SINCE_LAST,
    SESSION_FEATURES,
    SPECIAL,
    STAMP,
    SURE,
    TARGET,
    TIME,
    TIMELESS,
    TIMID,
    Real,
    Whole,
)


class History(NamedTuple):
    """The stream's latest clicks and its items.

    Parameters
    ----------
    log
        (size, 4): the latest clicks, by number modulo the size, which is more than `bound`, or than
        all clicks.
    items
        (rows, ITEM_COLUMNS): the items by their rows.
    totals
        (5,): see `PAIRS`.
    mark
        (rows,): room to work in, -1 everywhere.
    admissions
        (rows,): the admission that gave each row its item, 0 where it holds none.
    bound
        Number of latest clicks that are evidence.

    """

    log: Whole
    items: Whole
    totals: Whole
    mark: NDArray[np.int16]
    admissions: Whole
    bound: int


class Evidence(NamedTuple):
    """The evidence for m clicks.

    Parameters
    ----------
    place_of
        int16 (m, SPECIAL): for each piece of evidence which of the click's items it suggests, -1
        where it is void: those around earlier clicks on the session's last items (`AFTER` after and
        `BEFORE` before each, nearest first), the session's earlier items, and the latest clicks;
        the session's last item, and the clicked one.
    spans
        int64 (m, 2): where each click's distinct items begin and end in `rows`.
    match
        bool (m, EARLIER_CLICKS): before the earlier click stood what stands before it in the
        session.
    session_features
        float64 (m, SESSION_FEATURES).
    rows, item_facts
        int32 (distinct,) and float32 (distinct, ITEM_FACTS): the items of all clicks, and what is
        known of each just before the click.

    """

    place_of: NDArray[np.int16]
    spans: Whole
    match: NDArray[np.bool_]
    session_features: Real
    rows: NDArray[np.int32]
    item_facts: NDArray[np.float32]

    @classmethod
    def empty(cls, clicks: int) -> Evidence:
        """Return room for the evidence of some clicks; `match` is false, and there is no item."""
        return cls(
            np.empty((clicks, SPECIAL), np.int16),
            np.empty((clicks, 2), np.int64),
            np.zeros((clicks, EARLIER_CLICKS), np.bool_),
            np.empty((clicks, SESSION_FEATURES)),
            np.empty(0, np.int32),
            np.empty((0, ITEM_FACTS), np.float32),
        )

    def of(self, clicks: slice) -> Evidence:
        """Return the evidence for some of the clicks."""
        return Evidence(
            self.place_of[clicks],
            self.spans[clicks],
            self.match[clicks],
            self.session_features[clicks],
            self.rows,
            self.item_facts,
        )


@compiled
def speaks_for_target(evidence: Evidence) -> NDArray[np.bool_]:
    """Return for which clicks there is evidence for the clicked item: bool (m,)."""
    found = np.zeros(len(evidence.spans), np.bool_)
    for click in range(len(found)):
        place = evidence.place_of[click]
        target = place[TARGET]
        if target >= 0:
            for piece in range(LAST + 1):
                found[click] |= place[piece] == target
    return found


@compiled
def find_items(
    history: History, place: Whole, special: NDArray[np.int32], match: NDArray[np.bool_]
) -> None:
    """Fill in the row of each piece of evidence for a session's next click, 0 where it is void.

    Parameters
    ----------
    history
        Before the click.
    place
        (PLACE,): the session.
    special
        (SPECIAL,): filled, but for the clicked item; 0 before.
    match
        (EARLIER_CLICKS,): filled, see `Evidence`; false before.

    """
    log, items, admissions, bound = history.log, history.items, history.admissions, history.bound
    size, now = len(log), history.totals[LOGGED]
    earlier_click = 0
    own = place[CLICK]
    for reach in LOOKBACK:
        if not in_sight(own, now, bound):
            break
        key, before = log[own % size, STAMP], log[own % size, PREVIOUS]
        row, row_before = live_row(key, admissions), 0
        if in_sight(before, now, bound):
            row_before = live_row(log[before % size, STAMP], admissions)
        click = items[row, LATEST] if row and items[row, OWNER] == key else NOWHERE
        for turn in range(reach):
            if not in_sight(click, now, bound):
                break
            piece = (earlier_click + turn) * NEAR
            _find_near(log, admissions, bound, click, now, special[piece : piece + NEAR])
            match[earlier_click + turn] = row_before > 0 and special[piece + AFTER] == row_before
            click = log[click % size, EARLIER]
        earlier_click += reach
        own = before
    for at in range(1, place[DISTINCT]):
        special[NEIGHBOUR_CLICKS + at - 1] = live_row(place[OWN_ITEMS + at], admissions)
    for age in range(1, min(RECENT, now, bound) + 1):
        special[FIRST_RECENT + age - 1] = live_row(log[(now - age) % size, STAMP], admissions)
    special[LAST] = live_row(place[OWN_ITEMS], admissions)


@compiled
def _find_near(
    log: Whole, admissions: Whole, bound: int, click: int, now: int, special: NDArray[np.int32]
) -> None:
    """Fill in the rows of the clicks after and before an earlier click, in its session."""
    size = len(log)
    near = click
    for step in range(AFTER):
        near = log[near % size, NEXT]
        if near < 0:
            break
        special[step] = live_row(log[near % size, STAMP], admissions)
    near = click
    for step in range(AFTER, AFTER + BEFORE):
        near = log[near % size, PREVIOUS]
        if not in_sight(near, now, bound):
            break
        special[step] = live_row(log[near % size, STAMP], admissions)


@compiled
def list_distinct(
    special: NDArray[np.int32],
    mark: NDArray[np.int16],
    place_of: NDArray[np.int16],
    rows: NDArray[np.int32],
) -> int:
    """List the distinct rows of a click's evidence, and where each piece finds its own in the list.

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
def fill_item_facts(
    history: History, place: Whole, rows: NDArray[np.int32], item_facts: NDArray[np.float32]
) -> None:
    """Fill in the facts of each item, see `CLICK_COUNT`."""
    items, admissions = history.items, history.admissions
    now, time = history.totals[ALL_CLICKS], place[TIME]
    for at in range(len(rows)):
        if at + AHEAD < len(rows):
            prefetch_row(items, rows[at + AHEAD])
        row = rows[at]
        facts, item = item_facts[at], items[row]
        facts[:] = 0
        if item[CLICKED] and item[OWNER] >> SHIFT == admissions[row]:
            facts[CLICK_COUNT] = item[CLICKED]
            facts[CLICKS_SINCE_LAST] = now - item[LAST_NUMBER]
            facts[CLICKS_SINCE_FIRST] = now - item[FIRST_NUMBER]
            facts[SECONDS_SINCE_LAST] = _seconds(item[LAST_TIME], time)
            facts[SECONDS_SINCE_FIRST] = _seconds(item[FIRST_TIME], time)


@compiled
def _seconds(since: int, until: int) -> float:
    if since == TIMELESS or until == TIMELESS:
        return 0.0
    return float(max(until - since, 0) / MICROSECONDS)


@compiled
def fill_session_features(history: History, place: Whole, features: Real) -> None:
    """Fill in what `SESSION_FEATURES` lists."""
    items, totals = history.items, history.totals
    last = place[ITEM]
    row = last & ROW
    followed = again = 0
    if last > 0 and items[row, OWNER] == last:
        followed, again = items[row, FOLLOWED], items[row, REPEATED_HERE]
    # Before anything is counted, one click in four repeats and one in ten returns.
    usual_repeat = (totals[ALL_REPEATS] + 1) / (totals[PAIRS] + 4)
    usual_return = (totals[ALL_RETURNS] + 1) / (totals[PAIRS] + 10)
    clicks = max(place[CLICKS], 1)
    features[0] = 1.0
    features[1] = np.log(clicks)
    features[2] = clicks == 1
    features[3] = np.log1p(place[REPEATS])
    features[4] = _log_odds((again + TIMID * usual_repeat) / (followed + TIMID))
    features[5] = _log_odds((place[REPEATED] + usual_repeat) / clicks)
    features[6] = _log_odds((place[RETURNED] + usual_return) / clicks)
    features[7] = np.log1p(followed)
    features[8] = place[BACK]
    features[9] = np.log(max(place[DISTINCT], 1))


@compiled
def in_sight(number: int, now: int, bound: int) -> bool:
    """Whether a click is among the latest `bound`, when `now` clicks have been logged."""
    return number >= 0 and number >= now - bound


@compiled
def live_row(key: int, admissions: Whole) -> int:
    """Return the row of an item's key, 0 if the item has left the catalogue."""
    row = key & ROW
    return row if admissions[row] == key >> SHIFT else 0


@compiled
def _log_odds(rate: float) -> float:
    kept = min(max(rate, SURE), 1 - SURE)
    return float(np.log(kept / (1 - kept)))
