"""What all ranks are to do with a batch: whole numbers, and the random numbers of new items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]
Real = NDArray[np.float64]


class Facts(NamedTuple):
    """The numbers of a plan.

    Parameters
    ----------
    learn, rank
        Whether the batch is learned, and whether its clicks are ranked.
    after
        Whether clicks are scored after themselves, not before.
    k
        How many items are listed for each scored click.
    used, n_items
        Rows of the catalogue in use, and how many of them have an item, the batch's included.
    admitted
        How many items had been admitted before the batch, where it has new ones.
    floor
        See `sampled_cross_entropy`.

    """

    learn: float
    rank: float
    after: float
    k: float
    used: float
    n_items: float
    admitted: float
    floor: float


@dataclass(slots=True)
class Plan:
    """A batch as the ranks compute it: everything that no parameter is needed for.

    The n clicks, u sessions and m scored clicks are those of `Windows`, whose parts have the same
    names here.

    Parameters
    ----------
    facts
        See `Facts`.
    new_rows, new_clicks, neighbours
        int64 (b,): the rows of new items, the clicks that add them, and the rows of the items
        clicked just before.
    drawn
        float64 (b · …,): what their embeddings are drawn as.
    buckets, before, slots
        int64 (u,): the sessions' buckets, and their slots before and after the batch; -1 for none.
    scored, group, starts, sizes, steps
        The windows; of the steps, the rows. `group` is only of the scored clicks.
    moved_sessions, move_counts, moved_clicks, next_start
        How the stored windows move on; of the clicks, the rows.
    targets
        int64 (m,): the rows of the scored clicks' items, 0 for none.
    unseen
        bool (m,): the target is not known before its click.
    items
        int64 (m,): how many items are known before the click.
    negatives, expected
        int64 (…,) and float64 (m + …,): sampled rows, and how often targets and these are expected.
    evicted
        int64: rows that items have left since the plan before.
    clicks, keys, times
        int64 (n,): each click's session, item as a key, and time, for the memory.
    barred
        bool (used,): what must not be listed; of length 0 for nothing.
    dropping
        uint8: the state of the generator that the dropout is drawn by; of length 0 without.

    """

    facts: Real
    new_rows: Whole
    new_clicks: Whole
    neighbours: Whole
    drawn: Real
    buckets: Whole
    before: Whole
    slots: Whole
    scored: Whole
    group: Whole
    starts: Whole
    sizes: Whole
    steps: Whole
    moved_sessions: Whole
    move_counts: Whole
    moved_clicks: Whole
    next_start: Whole
    targets: Whole
    unseen: NDArray[np.bool_]
    items: Whole
    negatives: Whole
    expected: Real
    evicted: Whole
    clicks: Whole
    keys: Whole
    times: Whole
    barred: NDArray[np.bool_]
    dropping: NDArray[np.uint8]

    @property
    def about(self) -> Facts:
        """The numbers by name."""
        return Facts(*self.facts.tolist())

    def arrays(self) -> list[NDArray[np.generic]]:
        """Return the plan's arrays as they are sent: what fits into 32 bits in one piece."""
        short = short_parts(self)
        sizes = np.fromiter(map(len, short), np.int64, len(short))
        whole = np.concatenate(short, dtype=np.int32, casting="same_kind")
        return [sizes, whole, *other_parts(self)]

    @classmethod
    def of(cls, arrays: Sequence[NDArray[np.generic]]) -> Plan:
        """Return the plan whose arrays were sent."""
        sizes, whole, *others = arrays
        parts = np.split(whole.astype(np.int64), np.cumsum(sizes)[:-1])
        given: dict[str, Any] = dict(zip(SHORT, parts, strict=True))
        given |= zip(OTHERS, others, strict=True)
        return cls(**given)


OTHERS = ("facts", "drawn", "unseen", "expected", "keys", "times", "barred", "dropping")
"""What is no whole number, or does not fit into 32 bits."""

SHORT = tuple(field.name for field in fields(Plan) if field.name not in OTHERS)
short_parts, other_parts = attrgetter(*SHORT), attrgetter(*OTHERS)
