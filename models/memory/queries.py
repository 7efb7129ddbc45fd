"""The evidence for queries, each looked up as if nobody else had asked: compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compute.jit import compiled
from .evidence import (
    Evidence,
    History,
    fill_item_facts,
    fill_session_features,
    find_items,
    list_distinct,
)
from .history import enlarged, log_click, remove_clicks
from .layout import ITEM_FACTS, SPECIAL, Whole


class Queries(NamedTuple):
    """The clicks of q queries.

    Parameters
    ----------
    ends
        int64 (q,): where each query's clicks end; those of the next one follow.
    keys, times
        int64 (n,): their items, as keys, and when they were, in microseconds.

    """

    ends: Whole
    keys: Whole
    times: Whole


@compiled
def look_up_queries(
    history: History, queries: Queries, places: Whole, evidence: Evidence, undo: Whole
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Look up the evidence for each query after its clicks, which are removed again.

    Parameters
    ----------
    history
        Left as it was.
    queries
        The clicks.
    places
        (q, PLACE): the queries' sessions; changed to what they are after the clicks.
    evidence
        Filled, but for `rows` and `item_facts`, which are returned.
    undo
        (n, UNDO): room to work in.

    Returns
    -------
    rows, item_facts
        (distinct,) and (distinct, ITEM_FACTS): see `Evidence`.

    """
    special = np.zeros(SPECIAL, np.int32)
    rows = np.empty(256 * len(places) + SPECIAL, np.int32)
    item_facts = np.empty((len(rows), ITEM_FACTS), np.float32)
    before = history.totals.copy()
    used = first = 0
    for at in range(len(places)):
        place, end = places[at], queries.ends[at]
        for click in range(first, end):
            log_click(history, place, queries.keys[click], queries.times[click], undo[click])
        if used + SPECIAL > len(rows):
            rows, item_facts = enlarged(rows, item_facts, used)
        special[:] = 0
        fill_session_features(history, place, evidence.session_features[at])
        find_items(history, place, special, evidence.match[at])
        begin = used
        used += list_distinct(special, history.mark, evidence.place_of[at], rows[used:])
        evidence.spans[at, 0], evidence.spans[at, 1] = begin, used
        fill_item_facts(history, place, rows[begin:used], item_facts[begin:used])
        remove_clicks(history.log, history.items, undo[first:end])
        history.totals[:] = before
        first = end
    return rows[:used], item_facts[:used]
