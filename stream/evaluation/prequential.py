"""Figures of a test-then-train run: cumulative, in windows, sliding, fading; and drift alarms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nextclick.models.argument_checks import at_least
from nextclick.models.recommender import State

from .drift import HitRateDrift
from .gains import GAINS, bins_of, mean_gain
from .growing_windows import GrowingWindows

MOST_WINDOWS = 2000
"""Windows kept. When one more would close, neighbours are merged and windows are twice as long."""

IN_WINDOWS = ("recall", "mrr")
"""The metrics of each consecutive window, of `GAINS`: there may be thousands of windows."""


class Prequential:
    """Evaluate a model on a stream: every click tested before it is learned.

    All figures come from whole counts of clicks per rank, so they do not depend on how the stream
    was cut into batches, and they survive `state` and `restore` to the last bit. Memory is set by
    ``window``, not by the length of the stream.

    Parameters
    ----------
    k
        How many recommendations count.
    window
        Scored clicks in a window, sliding or consecutive.
    fading
        What a click's weight in the fading figures is multiplied by at each scored click after
        it, between 0 and 1: 0.999 looks back on about a thousand.

    References
    ----------
    J. Gama, R. Sebastião, P. P. Rodrigues: On evaluating stream learning algorithms. Machine
    Learning 90, 2013: prequential figures over all, over a sliding window, with fading factors.

    Examples
    --------
    >>> figures = Prequential(window=2)
    >>> figures.update([1, 0, 4], positions=[2, 3, 5], times=[10.0, 11.0, 12.0])
    >>> figures.results()["recall@20"], figures.results()["seen"]["recall@20"]
    (0.6666666666666666, 1.0)
    >>> for window in figures.results()["windows"]:
    ...     print(window)
    {'clicks': 3, 'time': 11.0, 'scored': 2, 'recall@20': 0.5, 'mrr@20': 0.5}
    {'clicks': 5, 'time': 12.0, 'scored': 1, 'recall@20': 1.0, 'mrr@20': 0.25}

    """

    def __init__(self, k: int = 20, window: int = 10_000, fading: float = 0.999) -> None:
        self.k = k = at_least(k, "k", 1)
        self.window = window = at_least(window, "window", 1)
        if isinstance(fading, str | bool) or not 0 < fading < 1:
            raise ValueError(f"fading must be a number between 0 and 1, not {fading!r}")
        self.fading = fading
        self.drift = HitRateDrift()
        bins = k + 2
        self._growing = GrowingWindows(bins, window)
        self._scored = 0
        self._last = (0, 0.0)  # where and when the latest scored click was
        # Bins of the latest clicks. Click number n of the scored ones lies at (n - base) % window,
        # so the ring wraps just where a window ends, and what lies before the wrap is the open
        # window.
        self._ring = np.zeros(window, np.int64)
        # Where the window has changed: how many clicks had been scored, and how many of them, the
        # latest, were put to the end of the ring.
        self._base = self._carried = 0
        self._faded = np.zeros(bins)  # as it was when the ring last wrapped
        self._weights = self._weights_of(window)
        # Closed windows, each of `_span` rings, and the rings of the next one so far.
        self._span = 1
        self._rings = 0
        self._partial = np.zeros(bins, np.int64)
        self._window_counts: list[NDArray[np.int64]] = []
        self._window_clicks: list[int] = []
        self._window_times: list[float] = []

    def update(self, ranks: ArrayLike, positions: ArrayLike, times: ArrayLike) -> None:
        """Take the scored clicks of a batch.

        Parameters
        ----------
        ranks
            Whole numbers, shape (n,): 1 is best, 0 where the item had never been seen before the
            click, which is a miss.
        positions
            Whole numbers, shape (n,): which click of the stream each was, from 1 on, rising.
        times
            float64, shape (n,): their event times in epoch seconds.

        Raises
        ------
        ValueError
            A rank is negative, NaN, or no whole number, or the lengths differ. Nothing is
            counted.

        """
        bins = bins_of(ranks, self.k)
        at = np.asarray(positions)
        when = np.asarray(times, np.float64)
        if not len(bins) == len(at) == len(when):
            raise ValueError(
                f"ranks, positions and times differ in length: {len(bins)}, {len(at)}, {len(when)}"
            )
        if not len(bins):
            return
        self.drift.update((bins > 0) & (bins <= self.k), at, when)
        self._growing.update(bins, at, when, self._scored)
        start = 0
        while start < len(bins):
            place = self._place
            stop = min(start + self.window - place, len(bins))
            self._ring[place : place + stop - start] = bins[start:stop]
            self._scored += stop - start
            self._last = int(at[stop - 1]), float(when[stop - 1])
            if self._place == 0:
                self._wrap()
            start = stop

    def sliding(self) -> dict[str, float]:
        """Return ``recall@k``, ``mrr@k``, ``ndcg@k`` over the last ``window`` scored clicks."""
        return self._figures(self._count(self._latest()))

    def fading_figures(self) -> dict[str, float]:
        """Return the same over all scored clicks, weighted by ``fading ** age``."""
        tail = self._open_ring()
        return self._figures(self._fade(self._faded, tail))

    def windows(self) -> list[dict[str, Any]]:
        """Return the consecutive windows, as `results` does; the last may be part full.

        Another thread may call it while clicks are counted: it may find the last window a batch
        ahead of its clicks or behind them, and is right again the next time.
        """
        counts, partial = list(self._window_counts), self._partial + self._count(self._open_ring())
        closed = zip(counts, list(self._window_clicks), list(self._window_times), strict=False)
        windows = [self._window(*window) for window in closed]
        if partial.any():
            windows.append(self._window(partial, *self._last))
        return windows

    def growing(self) -> list[dict[str, Any]]:
        """Return the windows of the stream's beginning, as `results` does."""
        return [self._window(*window) for window in self._growing]

    def results(self) -> dict[str, Any]:
        """Return every figure, in JSON's types.

        Returns
        -------
        dict
            ``scored``; ``unseen``, the clicks among them whose item had never been seen;
            ``recall@k``, ``mrr@k``, ``ndcg@k`` over all scored clicks, unseen ones being misses;
            ``seen``, the same three without the unseen clicks; ``windows``, consecutive and
            without overlap, each ``{clicks, time, scored, recall@k, mrr@k}`` where ``clicks`` and
            ``time`` are the place in the stream and the event time of its last click (the last
            window may be part full: see ``scored``); ``growing``, the same of the stream's
            beginning, short at first, see `GrowingWindows`; ``sliding`` and ``fading``, three
            figures each; ``drift``, the alarms of `HitRateDrift`. A figure over no clicks is 0.0.

        """
        tail = self._count(self._open_ring())
        partial = self._partial + tail
        counts = np.sum([*self._window_counts, partial], axis=0)
        seen = counts.copy()
        seen[0] = 0
        return {
            "scored": self._scored,
            "unseen": int(counts[0]),
            **self._figures(counts),
            "seen": self._figures(seen),
            "windows": self.windows(),
            "growing": self.growing(),
            "sliding": self.sliding(),
            "fading": self.fading_figures(),
            "drift": [dict(alarm) for alarm in self.drift.alarms],
        }

    def state(self) -> State:
        """Copy all that later figures depend on."""
        counts = np.array(self._window_counts, np.int64).reshape(-1, self.k + 2)
        return State(
            arrays={
                "ring": self._ring.copy(),
                "faded": self._faded.copy(),
                "partial": self._partial.copy(),
                "window_counts": counts,
                "window_clicks": np.array(self._window_clicks, np.int64),
                "window_times": np.array(self._window_times, np.float64),
                **self._growing.arrays(),
            },
            values={
                "k": self.k,
                "window": self.window,
                "fading": self.fading,
                "scored": self._scored,
                "last": list(self._last),
                "span": self._span,
                "rings": self._rings,
                "drift": self.drift.state(),
                **({"base": self._base, "carried": self._carried} if self._base else {}),
            },
        )

    def restore(self, state: State) -> None:
        """Go back to what `state` returned.

        Where it was taken with another window, the open window is closed as it is, and the next
        ones have the new length; the sliding figures look back as far as is still known.

        Raises
        ------
        ValueError
            It was taken with another k or fading.

        """
        values, arrays = state.values, state.arrays
        for option in ("k", "fading"):
            if values[option] != getattr(self, option):
                raise ValueError(
                    f"these figures were started with {option} = {values[option]} and cannot "
                    f"continue with {getattr(self, option)}; use {values[option]}, or start over"
                )
        self._ring = arrays["ring"].astype(np.int64)
        self._faded = arrays["faded"].astype(np.float64)
        self._partial = arrays["partial"].astype(np.int64)
        self._window_counts = list(arrays["window_counts"].astype(np.int64))
        self._window_clicks = arrays["window_clicks"].tolist()
        self._window_times = arrays["window_times"].tolist()
        self._growing.restore(arrays)
        self._scored, self._span, self._rings = values["scored"], values["span"], values["rings"]
        self._last = values["last"][0], float(values["last"][1])
        self._base, self._carried = values.get("base", 0), values.get("carried", 0)
        self.drift.restore(values["drift"])
        if values["window"] != self.window:
            wanted, self.window = self.window, values["window"]
            self._change_window(wanted)

    def _change_window(self, window: int) -> None:
        """Close the open window, and go on with windows of another length."""
        latest, tail = self._latest(), self._open_ring()
        self._weights = self._weights_of(self.window)
        self._faded = self._fade(self._faded, tail)
        self._partial = self._partial + self._count(tail)
        while self._partial.any():
            self._close_window()
        self.window = window
        self._weights = self._weights_of(window)
        self._ring = np.zeros(window, np.int64)
        carried = latest[-window:]
        self._base, self._carried = self._scored, len(carried)
        self._ring[window - len(carried) :] = carried
        self._span, self._rings = 1, 0

    def _weights_of(self, window: int) -> NDArray[np.float64]:
        """Return the weights of the clicks of a full ring in the fading figures."""
        return self.fading ** np.arange(window - 1, -1, -1, dtype=np.float64)

    def _wrap(self) -> None:
        """Close the ring: fade over it, and close a window where it completes one."""
        self._faded = self._fade(self._faded, self._ring)
        self._partial = self._partial + self._count(self._ring)
        self._rings += 1
        if self._rings >= self._span:
            self._close_window()

    def _close_window(self) -> None:
        """Close the open window; where there are too many, merge two each and leave it open."""
        if len(self._window_counts) == MOST_WINDOWS:
            counts = self._window_counts
            pairs = zip(counts[::2], counts[1::2], strict=True)
            self._window_counts = [first + second for first, second in pairs]
            self._window_clicks = self._window_clicks[1::2]
            self._window_times = self._window_times[1::2]
            self._span *= 2
            return
        self._window_counts.append(self._partial)
        self._window_clicks.append(self._last[0])
        self._window_times.append(self._last[1])
        self._partial = np.zeros_like(self._partial)
        self._rings = 0

    @property
    def _place(self) -> int:
        """Where in the ring the next scored click goes."""
        return (self._scored - self._base) % self.window

    def _open_ring(self) -> NDArray[np.int64]:
        return self._ring[: self._place]

    def _latest(self) -> NDArray[np.int64]:
        """Return the bins of the last clicks, at most a window of them, the oldest first."""
        known = min(self._scored - self._base + self._carried, self.window)
        turned = np.concatenate([self._ring[self._place :], self._ring[: self._place]])
        return turned[self.window - known :]

    def _count(self, bins: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(bins, minlength=self.k + 2)

    def _fade(self, faded: NDArray[np.float64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
        """Age the faded counts by these clicks and add them; at most one ring of them."""
        weights = self._weights[self.window - len(bins) :]
        late = np.bincount(bins, weights, minlength=self.k + 2)
        return np.asarray(faded * self.fading ** len(bins) + late, np.float64)

    def _figures(self, counts: NDArray[Any]) -> dict[str, float]:
        return {f"{name}@{self.k}": mean_gain(gain, counts) for name, gain in GAINS.items()}

    def _window(self, counts: NDArray[np.int64], clicks: int, time: float) -> dict[str, Any]:
        return {
            "clicks": clicks,
            "time": time,
            "scored": int(counts.sum()),
            **{f"{name}@{self.k}": mean_gain(GAINS[name], counts) for name in IN_WINDOWS},
        }
