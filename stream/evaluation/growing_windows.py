"""Windows that are short where a stream begins, so that its curves show the model learning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHORTEST = 32
"""Scored clicks in the first windows."""

PART = 16
"""A window is as long as this part of the stream before it: a sixteenth."""


def window_end(start: int, longest: int) -> int | None:
    """Return where the growing window ends that begins after a number of scored clicks.

    Parameters
    ----------
    start
        Scored clicks before the window.
    longest
        Scored clicks in a window that has stopped growing.

    Returns
    -------
    int or None
        The scored clicks up to its end; None where windows grow no more, from ``16 * longest``
        scored clicks on.

    Examples
    --------
    >>> window_end(0, 10_000), window_end(1600, 10_000), window_end(159_000, 10_000)
    (32, 1700, 160000)
    >>> window_end(160_000, 10_000) is None
    True

    """
    last = PART * longest
    if start >= last:
        return None
    return min(start + min(max(SHORTEST, start // PART), longest), last)


class GrowingWindows:
    """Counts of clicks per rank in consecutive windows that grow with the stream.

    The first hold 32 scored clicks, later ones a sixteenth of the clicks before them, until they
    are as long as the windows that `Prequential` keeps of the whole stream. So there are about 40
    for every tenfold of clicks, and their number does not depend on the stream's length.

    Parameters
    ----------
    bins
        Bins of a click's rank, see `bins_of`.
    longest
        Scored clicks in a window that has stopped growing.

    Examples
    --------
    >>> windows = GrowingWindows(bins=3, longest=64)
    >>> windows.update(np.ones(40, np.int64), np.arange(1, 41), np.zeros(40), 0)
    >>> [(clicks, counts.tolist()) for counts, clicks, time in windows]
    [(32, [0, 32, 0]), (40, [0, 8, 0])]

    """

    def __init__(self, bins: int, longest: int) -> None:
        self._bins = bins
        self._longest = longest
        self._counts: list[NDArray[np.int64]] = []
        self._clicks: list[int] = []
        self._times: list[float] = []
        self._covered = 0  # scored clicks in all of them
        self._end = 0  # scored clicks where the last of them is full

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], int, float]]:
        """Go through the windows: counts by bin, and the click and event time of their ends."""
        # Cut to the shortest: another thread may look while a window is begun.
        return zip(list(self._counts), list(self._clicks), list(self._times), strict=False)

    def update(
        self,
        bins: NDArray[np.int64],
        clicks: NDArray[Any],
        times: NDArray[np.float64],
        before: int,
    ) -> None:
        """Take the scored clicks of a batch.

        Parameters
        ----------
        bins, clicks, times
            Their bins, places in the stream, and event times.
        before
            Scored clicks before the batch. Windows without a gap are kept or none: from where
            they have stopped growing nothing is taken, and nothing after clicks were missed.

        """
        if before != self._covered:
            return
        start = 0
        while start < len(bins):
            if self._covered == self._end:
                end = window_end(self._covered, self._longest)
                if end is None:
                    return
                self._end = end
                self._counts.append(np.zeros(self._bins, np.int64))
                self._clicks.append(0)
                self._times.append(0.0)
            stop = min(start + self._end - self._covered, len(bins))
            self._counts[-1] += np.bincount(bins[start:stop], minlength=self._bins)
            self._clicks[-1], self._times[-1] = int(clicks[stop - 1]), float(times[stop - 1])
            self._covered += stop - start
            start = stop

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Copy the windows, as arrays for a snapshot."""
        return {
            "growing_counts": np.array(self._counts, np.int64).reshape(-1, self._bins),
            "growing_clicks": np.array(self._clicks, np.int64),
            "growing_times": np.array(self._times, np.float64),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `arrays` returned; snapshots of older versions have none of it."""
        counts = arrays.get("growing_counts", np.zeros((0, self._bins)))
        self._counts = list(counts.astype(np.int64))
        self._clicks = arrays.get("growing_clicks", np.zeros(0, np.int64)).tolist()
        self._times = arrays.get("growing_times", np.zeros(0)).tolist()
        self._covered = self._end = int(counts.sum())
        if len(counts):
            begin = self._covered - int(counts[-1].sum())
            # A window that is longer than they may be now is full.
            self._end = max(window_end(begin, self._longest) or 0, self._covered)
