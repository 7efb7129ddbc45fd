"""How several models did along a stream: clicks per rank, in blocks of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextclick.models import State

from ..evaluation.gains import GAINS, mean_gain
from ..evaluation.growing_windows import window_end

MOST_BLOCKS = 1024
"""Blocks kept. When one more would begin, neighbours are merged and blocks are twice as long."""

MOST_WINDOWS = 100
"""Points of a curve."""

LEAST_WINDOW = 100
"""Scored clicks in a point of a curve: fewer would show chance."""


def figure_names(ks: Sequence[int]) -> list[str]:
    """Return the names of all figures at these numbers of recommendations.

    Examples
    --------
    >>> figure_names([1, 20])[:4]
    ['recall@1', 'recall@20', 'mrr@1', 'mrr@20']

    """
    return [f"{metric}@{k}" for metric in GAINS for k in ks]


def figures_of(counts: NDArray[np.int64], ks: Sequence[int]) -> dict[str, float]:
    """Return every figure for clicks per bin of `bins_of`, shape (largest k + 2,)."""
    found = {}
    for name, gain in GAINS.items():
        for k in ks:
            cut = np.append(counts[: k + 1], counts[k + 1 :].sum())
            found[f"{name}@{k}"] = mean_gain(gain, cut)
    return found


def gains_of(counts: NDArray[np.int64], ks: Sequence[int]) -> NDArray[np.float64]:
    """Return the sums of the clicks' gains, by figure.

    Parameters
    ----------
    counts
        Clicks per bin of `bins_of`, shape (..., largest k + 2).
    ks
        The numbers of recommendations.

    Returns
    -------
    NDArray[np.float64]
        Shape (..., figures), in the order of `figure_names`; divided by the clicks they are the
        figures.

    """
    at_rank = {
        name: [gain(1, rank) for rank in range(1, max(ks) + 1)] for name, gain in GAINS.items()
    }
    gains = np.zeros((counts.shape[-1], len(GAINS) * len(ks)))
    for column, figure in enumerate(figure_names(ks)):
        name, _, k = figure.partition("@")
        gains[1 : int(k) + 1, column] = at_rank[name][: int(k)]
    return np.asarray(counts @ gains, np.float64)


class RankCounts:
    """Counts of clicks per rank, for every model and for every block of the stream.

    A block is a number of scored clicks in a row: one at first, and twice as many whenever 1,024
    blocks are full. So RAM is bounded, there are always at least 512 blocks once there were that
    many clicks, and whatever is computed from whole blocks is exact.

    Parameters
    ----------
    models
        How many there are.
    ks
        For how many recommendations there are figures, rising.

    Attributes
    ----------
    scored
        Scored clicks so far.
    span
        Scored clicks in a block.

    Examples
    --------
    >>> tallies = RankCounts(2, [1, 20])
    >>> tallies.update(np.array([[1, 0], [21, 2]]), np.array([2, 3]), 60.0)
    >>> [figures["recall@20"] for figures in tallies.figures()]
    [0.5, 0.5]

    """

    def __init__(self, models: int, ks: Sequence[int]) -> None:
        self.ks = list(ks)
        self.scored = 0
        self.span = 1
        self._counts = np.zeros((MOST_BLOCKS, models, max(ks) + 2), np.int64)
        self._clicks = np.zeros(MOST_BLOCKS, np.int64)
        self._times = np.zeros(MOST_BLOCKS)

    def update(self, bins: NDArray[np.int64], clicks: NDArray[np.int64], time: float) -> None:
        """Take the scored clicks of a batch.

        Parameters
        ----------
        bins
            Shape (n, models): the clicks' bins of `bins_of`.
        clicks
            int64, shape (n,): which click of the stream each was, from 1 on, rising.
        time
            How far event time has come, in epoch seconds; minus infinity where it is not known.

        """
        models = np.arange(bins.shape[1])
        start = 0
        while start < len(bins):
            if self.scored == MOST_BLOCKS * self.span:
                self._merge()
            block = self.scored // self.span
            stop = min(start + (block + 1) * self.span - self.scored, len(bins))
            np.add.at(self._counts[block], (models, bins[start:stop]), 1)
            self._clicks[block], self._times[block] = clicks[stop - 1], time
            self.scored += stop - start
            start = stop

    def totals(self) -> NDArray[np.int64]:
        """Return the clicks per rank of the whole stream, shape (models, largest k + 2)."""
        return np.asarray(self._counts.sum(axis=0), np.int64)

    def figures(self) -> list[dict[str, float]]:
        """Return every figure over all scored clicks, for each model."""
        return [figures_of(counts, self.ks) for counts in self.totals()]

    def last_half(self) -> tuple[dict[str, int], list[dict[str, float]]]:
        """Return every figure over the last half of the scored clicks, exact to a block.

        Returns
        -------
        where
            ``scored``, how many clicks these are, and ``after``, the click of the stream after
            which they begin.
        figures
            The figures of each model.

        """
        half = math.ceil(self._used / 2)
        counts = self._counts[half : self._used].sum(axis=0)
        after = int(self._clicks[half - 1]) if half else 0
        where = {"scored": int(counts[0].sum()), "after": after}
        return where, [figures_of(own, self.ks) for own in counts]

    def windows(self) -> tuple[list[dict[str, Any]], NDArray[np.float64]]:
        """Return the figures along the stream, in at most 100 windows of the same size.

        Returns
        -------
        windows
            For each its last click, ``clicks``, that one's event ``time`` (None where it is not
            known) and how many ``scored`` clicks it holds, at least 100 in all but the last one.
        figures
            Shape (windows, models, figures), in the order of `figure_names`.

        """
        return self._between(np.arange(0, self._used, self._window_blocks))

    def growing(self) -> tuple[list[dict[str, Any]], NDArray[np.float64]]:
        """Return the same for the beginning of the stream, in windows that are short at first.

        Each is a sixteenth as long as the stream before it, and at least 32 scored clicks or a
        block. They end with the sixteenth window of `windows`, or with the stream.
        """
        longest = self._window_blocks * self.span
        starts, end = [0], window_end(0, longest)
        while end is not None:
            starts.append(math.ceil(end / self.span))
            end = window_end(starts[-1] * self.span, longest)
        last = min(starts[-1], self._used)
        return self._between(np.array([start for start in starts if start < last], np.int64), last)

    @property
    def _window_blocks(self) -> int:
        """Blocks in a window."""
        return max(math.ceil(self._used / MOST_WINDOWS), math.ceil(LEAST_WINDOW / self.span))

    def _between(
        self, starts: NDArray[np.int64], end: int | None = None
    ) -> tuple[list[dict[str, Any]], NDArray[np.float64]]:
        """Return the windows that begin with these blocks, up to a block."""
        used = self._used if end is None else end
        if not len(starts):
            return [], np.zeros((0, self._counts.shape[1], len(GAINS) * len(self.ks)))
        counts = np.add.reduceat(self._counts[:used], starts, axis=0)
        scored = counts[:, 0].sum(axis=-1)
        ends = np.append(starts[1:], used) - 1
        times = self._times[ends]
        windows = [
            {"clicks": clicks, "time": time if math.isfinite(time) else None, "scored": count}
            for clicks, time, count in zip(
                self._clicks[ends].tolist(), times.tolist(), scored.tolist(), strict=True
            )
        ]
        return windows, gains_of(counts, self.ks) / scored[:, None, None]

    def gains(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the sums of gains by block, shape (blocks, models, figures), and its clicks."""
        counts = self._counts[: self._used]
        return gains_of(counts, self.ks), counts[:, 0].sum(axis=-1)

    def state(self) -> State:
        """Copy all of it."""
        used = self._used
        arrays = {
            "counts": self._counts[:used].copy(),
            "clicks": self._clicks[:used].copy(),
            "times": self._times[:used].copy(),
        }
        return State(arrays, {"scored": self.scored, "span": self.span})

    def restore(self, state: State) -> None:
        """Restore what `state` returned."""
        self.scored, self.span = state.values["scored"], state.values["span"]
        for name in ("counts", "clicks", "times"):
            kept, own = state.arrays[name], getattr(self, f"_{name}")
            own[: len(kept)] = kept
            own[len(kept) :] = 0

    @property
    def _used(self) -> int:
        return math.ceil(self.scored / self.span)

    def _merge(self) -> None:
        """Make one block of every two neighbours."""
        half = MOST_BLOCKS // 2
        self._counts[:half] = self._counts[::2] + self._counts[1::2]
        self._counts[half:] = 0
        self._clicks[:half], self._times[:half] = self._clicks[1::2], self._times[1::2]
        self.span *= 2
