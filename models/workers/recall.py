"""The memory of the latest clicks, which every rank has whole and looks up for its own sessions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..gru4rec.config import GRU4RecConfig
from ..memory.evidence import Evidence
from ..memory.history import Clicks
from ..memory.memory import Memory
from .buckets import Buckets
from .shard import in_order_of
from .step import Step

Small = NDArray[np.int32]
Whole = NDArray[np.int64]


def spans_of(clicks: Small, count: int) -> Whole:
    """Return where each of some clicks has its items: int64 (count, 2).

    Parameters
    ----------
    clicks
        (n,): the click of each item; those of a click are in one run.
    count
        How many clicks there are.

    Examples
    --------
    >>> spans_of(np.array([2, 2, 0], np.int32), 3).tolist()
    [[2, 3], [0, 0], [0, 2]]

    """
    spans = np.zeros((count, 2), np.int64)
    starts = np.flatnonzero(np.diff(clicks, prepend=-1))
    spans[clicks[starts], 0] = starts
    spans[clicks[starts], 1] = np.append(starts[1:], len(clicks))
    return spans


class Recall:
    """A rank's replica of the memory, and the evidence for its own clicks.

    Parameters
    ----------
    config
        Of the model.
    seed
        Random seed of the boost's hidden features.
    buckets
        Which rank has what.
    rank
        This one.

    Attributes
    ----------
    memory
        With the same content at every rank.
    admissions
        int64 (rows,): the admission that gave each row its item, 0 where it holds none.
    evidence
        For the own scored clicks of the batch.
    gradient
        Of the batch by the memory's weights, as far as the own clicks teach it.

    """

    def __init__(self, config: GRU4RecConfig, seed: int, buckets: Buckets, rank: int) -> None:
        self.memory = Memory(config.memory, config.memory_rate, config.memory_boost, seed)
        self.admissions = np.zeros(1, np.int64)
        self.evidence = Evidence.empty(0)
        self.gradient = np.zeros(len(self.memory.vector))
        self._buckets = buckets
        self._rank = rank

    def look_up(self, step: Step) -> None:
        """Look up the evidence for the rank's own clicks, and log all clicks of the batch."""
        plan = step.plan
        if step.used > len(self.admissions):
            longer = np.zeros(max(1024, 2 * len(self.admissions), step.used), np.int64)
            longer[: len(self.admissions)] = self.admissions
            self.admissions = longer
        admitted = int(step.about.admitted) + 1
        self.admissions[plan.new_rows] = np.arange(admitted, admitted + len(plan.new_rows))
        clicks = Clicks(
            plan.before,
            plan.clicks,
            plan.keys,
            plan.times,
            plan.scored[step.order[step.own]],
            bool(step.about.after),
        )
        self.evidence = self.memory.lookup(clicks, self.admissions[: step.used])
        self.gradient = np.zeros(len(self.memory.vector))

    def requests(self) -> tuple[Whole, Whole, Whole, list[int]]:
        """Return which items' scores are needed for which of the own clicks, by the ranks' order.

        Returns
        -------
        clicks, rows
            int64 (distinct,): of the own clicks, and the items.
        order
            int64 (distinct,): where each stands in the evidence.
        counts
            How many each rank has.

        """
        spans, rows = self.evidence.spans, self.evidence.rows.astype(np.int64)
        by_place = np.argsort(spans[:, 0], kind="stable")
        lengths = (spans[:, 1] - spans[:, 0])[by_place]
        clicks = np.repeat(by_place, lengths)
        order, counts = in_order_of(self._buckets.owners(rows), self._buckets.size)
        return clicks[order], rows[order], order, counts

    def learn(self, step: Step, gradient: NDArray[np.float64]) -> None:
        """Take a step along the gradient of all ranks' clicks."""
        known = int((~step.unseen).sum())
        if known:
            self.memory.step(gradient / known)

    def close(self, step: Step) -> None:
        """Keep the batch, or forget it where it is not learned."""
        if step.learn:
            self.memory.commit(step.plan.slots)
        else:
            self.memory.rollback()
            self.admissions[step.plan.new_rows] = 0
