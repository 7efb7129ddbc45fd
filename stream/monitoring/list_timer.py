"""How long it takes from the arrival of a click until its list can be had."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LIST_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histograms' buckets, in seconds; a last bucket takes the rest."""

WAYS = ("request", "record")
"""How a list can be had: by a request, or as a record of the recommendations."""


class ListTimer:
    """Histograms of the seconds from a click's arrival to its list, a histogram for each way.

    A list can be had by a request as soon as the model answers again after the click was read. A
    record is there once its sink has been given it; where a sink is `deferred`, once the snapshot
    with it is committed.

    Attributes
    ----------
    counts
        For each way how often it took how long, a number a bucket.
    seconds
        For each way its time in all.

    Examples
    --------
    >>> lists = ListTimer()
    >>> lists.read(np.array([1.0, 2.0]))
    >>> lists.answerable(now=2.02)
    >>> lists.counts["request"][2], lists.counts["request"][8], lists.seconds["request"]
    (1, 1, 1.04)

    """

    def __init__(self) -> None:
        self.counts = {way: [0] * (len(LIST_BOUNDS) + 1) for way in WAYS}
        self.seconds = dict.fromkeys(WAYS, 0.0)
        self._read: list[NDArray[Any]] = []
        # Records that wait for the next snapshot, and those in one that is not committed yet.
        self._held: list[NDArray[Any]] = []
        self._saved: list[NDArray[Any]] = []

    def read(self, arrived: ArrayLike) -> None:
        """Note clicks that were read, by when each arrived; NaN where that is not known."""
        self._read.append(np.array(arrived, np.float64))

    def answerable(self, now: float | None = None) -> None:
        """Note that requests are answered now, by what was read so far."""
        if self._read:
            self._count("request", self._read, now)
            self._read = []

    def written(self, arrived: ArrayLike, *, deferred: bool = False) -> None:
        """Note that the records of clicks were given to their sink."""
        times = [np.array(arrived, np.float64)]
        if deferred:
            self._held += times
        else:
            self._count("record", times)

    def saved(self) -> None:
        """Note that what a deferred sink holds is in a snapshot."""
        self._saved, self._held = self._saved + self._held, []

    def committed(self) -> None:
        """Note that the last snapshot is committed."""
        if self._saved:
            self._count("record", self._saved)
            self._saved = []

    def _count(self, way: str, arrived: list[NDArray[Any]], now: float | None = None) -> None:
        took = (time.monotonic() if now is None else now) - np.concatenate(arrived)
        took = took[~np.isnan(took)]
        places = np.searchsorted(LIST_BOUNDS, took)
        added = np.bincount(places, minlength=len(LIST_BOUNDS) + 1).tolist()
        counts = self.counts[way]
        self.counts[way] = [before + more for before, more in zip(counts, added, strict=True)]
        self.seconds[way] += float(took.sum())
