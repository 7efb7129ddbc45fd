"""A batch on its way through one rank."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .buckets import Buckets
from .plan import Facts, Plan
from .shard import in_order_of, part_of

Whole = NDArray[np.int64]


class Step:
    """A plan, and what follows from it for one rank.

    The scored clicks are in the order of their sessions' ranks, rank 0's first; all that is named
    below of m is in this order.

    Parameters
    ----------
    plan
        The batch.
    buckets
        Which rank has what.
    rank
        This one.

    Attributes
    ----------
    owners, mine
        int64 and bool (u,): the sessions' ranks, and which are this one's.
    order, counts
        int64 (m,): the plan's scored clicks in the order here; how many each rank has.
    own
        Which of the m are this rank's.
    targets, unseen
        (m,): of the plan.
    known
        int64 (k,): which of the m have a target in the catalogue.
    sizes, steps
        This rank's windows, packed, and their places among the plan's steps.
    new, new_places
        int64 (b,): which of the plan's new items are this rank's, and their places.

    """

    def __init__(self, plan: Plan, buckets: Buckets, rank: int) -> None:
        self.plan = plan
        self.about: Facts = plan.about
        self.used, self.k = int(self.about.used), int(self.about.k)
        self.learn = bool(self.about.learn)
        self.owners = buckets.ranks_of(plan.buckets)
        self.mine: NDArray[np.bool_] = self.owners == rank
        self.order, self.counts = in_order_of(self.owners[plan.group], buckets.size)
        start = sum(self.counts[:rank])
        self.own = slice(start, start + self.counts[rank])
        self.targets, self.unseen = plan.targets[self.order], plan.unseen[self.order]
        self.known = np.flatnonzero(self.targets)
        self.sizes, self.steps = part_of(plan.sizes, self.mine[plan.group])
        self.new = np.flatnonzero(buckets.owners(plan.new_rows) == rank)
        self.new_places = buckets.places(plan.new_rows[self.new])

    @property
    def m(self) -> int:
        """Number of scored clicks."""
        return len(self.order)


@dataclass
class Fetched:
    """Rows of the embeddings that the network reads, from all ranks.

    Parameters
    ----------
    values
        (1 + w, inputs): the zero of no item, then the rows, rank 0's first.
    rows, counts
        int64 (w,): which rows these are, and how many each rank has.
    steps, moved, neighbours, new
        int64: where the plan's steps, moved clicks, neighbours and new items are among them.

    Attributes
    ----------
    read
        int64: which of the rows the windows read, and so teach.
    place_of
        int64 (1 + w,): where each value is among `read`.
    read_counts
        How many of these each rank has.

    """

    values: Tensor
    rows: Whole
    counts: list[int]
    steps: Whole
    moved: Whole
    neighbours: Whole
    new: Whole

    def __post_init__(self) -> None:
        """Find the rows that the windows read."""
        there = np.zeros(len(self.rows) + 1, np.int64)
        there[self.steps] = 1
        there[0] = 0
        self.read = np.flatnonzero(there[1:])
        self.place_of = np.cumsum(there)
        parts = np.split(there[1:], np.cumsum(self.counts)[:-1])
        self.read_counts = [int(part.sum()) for part in parts]


@dataclass(slots=True)
class Forward:
    """What a rank's pass through the network gives.

    Parameters
    ----------
    starts
        (own, width): the states before the rank's windows.
    inputs
        (t, inputs): a leaf of the graph.
    outputs
        (own, size): with the graph.
    ends
        The own sessions' states after the batch.

    """

    starts: Tensor
    inputs: Tensor
    outputs: Tensor
    ends: Tensor


@dataclass(slots=True)
class Outcome:
    """What rank 0 reports of a step, in the order of the plan's scored clicks.

    Parameters
    ----------
    ranks
        int64 (m,); -1 where a score is not a number.
    best, scores
        int64 and float (m, k): see `Ranking`.

    """

    ranks: Whole = field(default_factory=lambda: np.zeros(0, np.int64))
    best: Tensor = field(default_factory=lambda: torch.zeros((0, 0), dtype=torch.int64))
    scores: Tensor = field(default_factory=lambda: torch.zeros((0, 0)))


def fetch_order(plan: Plan, buckets: Buckets) -> tuple[Whole, list[int], list[Whole]]:
    """Return the distinct rows that a plan reads, rank 0's first, and where its parts find them.

    Returns
    -------
    rows, counts
        int64 (w,) and how many of them each rank has; no item is not among them.
    places
        For the steps, the moved clicks, the neighbours and the new items: one more than the place
        among `rows`, 0 for no item.

    """
    parts = [plan.steps, plan.moved_clicks, plan.neighbours, plan.new_rows]
    # No item is always the first.
    found, inverse = np.unique(np.concatenate([[0], *parts]), return_inverse=True)
    rows = found[1:]
    order, counts = in_order_of(buckets.owners(rows), buckets.size)
    place_of = np.zeros(len(found), np.int64)
    place_of[1 + order] = np.arange(1, len(found))
    ends = np.cumsum([1, *map(len, parts)])
    places = [place_of[inverse[begin:end]] for begin, end in pairwise(ends.tolist())]
    return rows[order], counts, places
