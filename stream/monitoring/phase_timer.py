"""How long each phase of the loop takes, for those who watch it."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

from .list_timer import ListTimer

PHASES = ("poll", "sessions", "model", "figures", "sinks", "shadows", "snapshot")

BOUNDS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Upper bounds of the histograms' buckets, in seconds; a last bucket takes the rest."""


class PhaseTimer:
    """A histogram of seconds for each phase.

    One thread measures. Another may read meanwhile: at worst it misses the latest measurement.

    Attributes
    ----------
    counts
        For each phase how often it took how long, a number a bucket.
    seconds
        For each phase its time in all.
    state
        Whether the loop is ``"starting"``, ``"running"`` or has ``"stopped"``.
    phase, since
        The phase under way, None between two, and when it began or the last one ended, by
        `time.monotonic`. A phase within another is the one under way, and its time is its own.
    lists
        How long it takes from a click's arrival until its list can be had.

    Examples
    --------
    >>> phases = PhaseTimer()
    >>> with phases.measure("model"):
    ...     learned = 64
    >>> sum(phases.counts["model"]), sum(phases.counts["poll"])
    (1, 0)

    """

    def __init__(self) -> None:
        self.counts = {phase: [0] * (len(BOUNDS) + 1) for phase in PHASES}
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.state = "starting"
        self.phase: str | None = None
        self.since = time.monotonic()
        self.lists = ListTimer()
        self._within = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Note that the loop runs inside, and has stopped after it."""
        self.state, self.since = "running", time.monotonic()
        try:
            yield
        finally:
            self.state = "stopped"

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Count the time that is spent inside."""
        began = time.perf_counter()
        outer, within = self.phase, self._within
        self.phase, self.since, self._within = phase, time.monotonic(), 0.0
        try:
            yield
        finally:
            whole = time.perf_counter() - began
            took = whole - self._within
            self.phase, self.since, self._within = outer, time.monotonic(), within + whole
            self.counts[phase][bisect_left(BOUNDS, took)] += 1
            self.seconds[phase] += took
