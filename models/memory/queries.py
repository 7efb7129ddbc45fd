"""What stands behind visitors who are asked for, each as if nobody else had been."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compute.jit import compiled
from .history import ITEM_FACTS as N_FACTS
from .history import (
    LOGGED,
    SPECIAL,
    Whole,
    _click,
    _look_up,
    _tell_apart,
    _tell_habits,
    _tell_items,
    _with_more_room,
    remove_clicks,
)


@compiled
def look_up_queries(
    log: Whole,
    items: Whole,
    totals: Whole,
    admissions: Whole,
    bound: int,
    places: Whole,
    ends: Whole,
    clicked: Whole,
    times: Whole,
    mark: NDArray[np.int16],
    place_of: NDArray[np.int16],
    spans: Whole,
    match: NDArray[np.bool_],
    facts: NDArray[np.float64],
    undo: Whole,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Find the evidence for each query after its clicks, which are then taken back.

    Parameters
    ----------
    log, items, totals, admissions, bound, mark, place_of, spans, match, facts, undo
        As for `append_clicks`.
    places
        (q, PLACE): where the queries' sessions stand; on return, where they would stand.
    ends
        (q,): where each query's clicks end in `clicked`; those of the next one follow.
    clicked, times
        (n,): the clicks of all queries.

    Returns
    -------
    rows, item_facts
        (distinct,) and (distinct, ITEM_FACTS): see `Evidence`.

    """
    special = np.zeros(SPECIAL, np.int32)
    rows = np.empty(256 * len(places) + SPECIAL, np.int32)
    item_facts = np.empty((len(rows), N_FACTS), np.float32)
    before = totals.copy()
    used = begin = 0
    for at in range(len(places)):
        place, end = places[at], ends[at]
        for click in range(begin, end):
            _click(log, items, totals, bound, place, clicked[click], times[click], undo[click])
        if used + SPECIAL > len(rows):
            rows, item_facts = _with_more_room(rows, item_facts, used)
        special[:] = 0
        _tell_habits(items, totals, place, facts[at])
        _look_up(log, items, totals[LOGGED], admissions, bound, place, special, match[at])
        spans[at, 0] = used
        used += _tell_apart(special, mark, place_of[at], rows[used:])
        spans[at, 1] = used
        _tell_items(
            items,
            totals,
            admissions,
            place,
            rows[spans[at, 0] : used],
            item_facts[spans[at, 0] : used],
        )
        remove_clicks(log, items, undo[begin:end])
        totals[:] = before
        begin = end
    return rows[:used], item_facts[:used]
