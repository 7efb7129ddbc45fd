"""Records that a broker has taken twice."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from ..clicks import Id
from ..decoding.blocks import Decoded
from .partition_queue import Run

MEMORY = 10_000
"""Offsets over which a duplicate is recognised: more than a producer has in flight at once."""


class DuplicateFilter:
    """Leaves out the records of one partition that a broker has taken twice.

    A broker that is killed can take a batch again that it had written but not confirmed: it
    forgets a producer by the records' own times, and those of a replayed log are old. Such a
    record has the sequence number, session, item and time of one shortly before it. Another log
    replayed into the same topic counts from 0 again, but with other clicks.
    """

    def __init__(self) -> None:
        self._runs: deque[Run] = deque()

    def without(self, run: Run) -> tuple[Run, int]:
        """Return a run without its duplicates, and their number; remember it for those to come."""
        highest = max((int(one.sequences.max(initial=-1)) for one in self._runs), default=-1)
        upto = np.maximum.accumulate(np.concatenate([[highest], run.sequences]))
        suspects = (run.sequences >= 0) & (run.sequences <= upto[:-1])
        count = 0
        if suspects.any():
            double = self._compare(run, suspects)
            count = int(double.sum())
            run = _leave_out(run, double) if count else run
        if len(run.offsets):
            if run.sequences.max(initial=-1) >= 0:
                self._runs.append(_numbered(run))
            while self._runs and self._runs[0].offsets[-1] < run.offsets[-1] - MEMORY:
                self._runs.popleft()
        return run, count

    def _compare(self, run: Run, suspects: NDArray[np.bool_]) -> NDArray[np.bool_]:
        known: dict[int, tuple[Id, Id, float]] = {}
        for one in self._runs:
            known.update(_clicks(one))
        double = np.zeros(len(suspects), dtype=np.bool_)
        for at, (sequence, click) in enumerate(_clicks(run)):
            if suspects[at] and known.get(sequence) == click:
                double[at] = True
            known[sequence] = click
        return double


def _numbered(run: Run) -> Run:
    """Return what is to be remembered of a run: its clicks, and where it ends."""
    old = run.decoded
    clicks = Decoded(old.sessions, old.items, old.times)
    return Run(run.partition, clicks, run.offsets[-1:], run.clocks, run.sequences)


def _clicks(run: Run) -> list[tuple[int, tuple[Id, Id, float]]]:
    """Return a run's clicks with their sequence numbers."""
    columns = run.decoded
    clicks = zip(columns.sessions, columns.items, columns.times.tolist(), strict=True)
    return list(zip(run.sequences.tolist(), clicks, strict=True))


def _leave_out(run: Run, double: NDArray[np.bool_]) -> Run:
    """Return a run without some of its clicks."""
    old, kept = run.decoded, ~double
    records = np.ones(len(run.offsets), dtype=np.bool_)
    records[np.flatnonzero(double) + old.before[double]] = False
    stay = np.flatnonzero(kept).tolist()
    decoded = Decoded(
        [old.sessions[at] for at in stay],
        [old.items[at] for at in stay],
        old.times[kept],
        old.rejected,
        old.before[kept],
        None if old.events is None else [old.events[at] for at in stay],
    )
    return Run(
        run.partition,
        decoded,
        run.offsets[records],
        run.clocks[kept],
        run.sequences[kept],
        run.parts[records],
    )
