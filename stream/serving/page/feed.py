"""What the live page shows, computed once for all who watch it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ...evaluation.growing_windows import SHORTEST
from ...evaluation.prequential import IN_WINDOWS, Prequential
from ...evaluation.warm_up import n_warm_up_alarms
from ...report.curves import chart_data, join
from ...report.page import title

RATE_SECONDS = 10.0
"""Rates are means over this many seconds."""

SHARE = 0.01
"""The curves take at most this share of the time, however long they are."""

Facts = dict[str, Any]


class Watched(Protocol):
    """What the page shows: an engine, or what a replica has loaded."""

    @property
    def figures(self) -> Prequential:
        """The figures of the stream."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Return whether requests are answered as they should be, and the state in a few words."""
        ...

    def stats(self) -> Facts:
        """Return figures, in JSON's types."""
        ...


class Frame(NamedTuple):
    """What is shown at a moment.

    Parameters
    ----------
    whole
        All of it, for who begins to watch.
    news
        What has changed since the frame before.

    """

    whole: Facts
    news: Facts


class Feed:
    """Makes a frame whenever it is asked; not by two threads at once.

    Frames hold ``state`` (whether the service is ready, and why not), ``stats`` (those of
    ``/v1/stats``), ``rates`` (per second), ``curve`` (points from the place ``from`` on, which
    replace those that were there), ``alarms``, and what the chart must know of its curves.

    Parameters
    ----------
    watched
        What the page shows.

    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._rates = {"clicks": _Rate(), "requests": _Rate()}
        self._curves: _Curves | None = None
        self._alarms: list[Facts] = []
        self._due = 0.0

    def begin(self) -> None:
        """Forget the rates: nobody has looked for a while."""
        self._rates = {name: _Rate() for name in self._rates}

    def look(self) -> Frame:
        """Return what is to be shown now."""
        now = time.monotonic()
        ready, words = self._watched.ready()
        stats = self._watched.stats()
        counts = {"clicks": stats["clicks"], "requests": stats["requests"]["answered"]}
        news: Facts = {
            "state": {"ready": ready, "words": words},
            "stats": stats,
            "rates": {name: self._rates[name].update(now, counts[name]) for name in counts},
        }
        figures, before = self._watched.figures, self._curves
        if before is None or now >= self._due:
            self._curves = _Curves(figures)
            if before is None or self._curves.about != before.about:
                news["about"] = self._curves.about
            start = 0 if before is None else self._curves.same_as(before)
            if start < max(len(self._curves), 0 if before is None else len(before)):
                news["curve"] = self._curves.tail(start)
            self._due = now + (time.monotonic() - now) / SHARE
        alarms = _alarms(figures.drift.alarms)
        if alarms != self._alarms:
            news["alarms"] = self._alarms = alarms
        assert self._curves is not None
        whole = {"about": self._curves.about, "curve": self._curves.tail(0), "alarms": alarms}
        return Frame(whole | news | {"curve": whole["curve"]}, news)


class _Rate:
    """How fast a count grows, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, now: float, count: int) -> float | None:
        """Take in the count; return its growth per second, None where it is not known yet."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_SECONDS:
            self._seen.popleft()
        began, first = self._seen[0]
        return (count - first) / (now - began) if now > began else None


class _Curves:
    """The curves of a stream, as the chart takes them."""

    def __init__(self, figures: Prequential) -> None:
        keys = [f"{name}@{figures.k}" for name in IN_WINDOWS]
        names = [title(key) for key in keys]
        shown = [" and ".join(names)]
        self.about: Facts = {
            "names": names,
            "figures": shown,
            "shortest": SHORTEST,
            "longest": figures.window,
        }
        windows = figures.windows()
        # The newest may have been begun and not filled yet.
        growing = [one for one in figures.growing() if one["scored"] and one["clicks"]]
        curves = join(windows, _columns(windows, keys), growing, _columns(growing, keys))
        data = chart_data(curves, names, shown, [[] for _ in names], False)
        self._points: dict[str, list[Any]] = data["points"]
        self._values: list[list[list[float]]] = data["values"]

    def __len__(self) -> int:
        return len(self._points["clicks"])

    def same_as(self, other: _Curves) -> int:
        """Return how many of the first points are the same."""
        if self.about != other.about:
            return 0
        both = zip(self._rows(), other._rows(), strict=False)
        return next(
            (at for at, (mine, its) in enumerate(both) if mine != its), min(len(self), len(other))
        )

    def _rows(self) -> Sequence[tuple[Any, ...]]:
        lines = [line for figure in self._values for line in figure]
        return list(zip(*self._points.values(), *lines, strict=True))

    def tail(self, start: int) -> Facts:
        """Return the points from a place on."""
        return {
            "from": start,
            "points": {name: column[start:] for name, column in self._points.items()},
            "values": [[line[start:] for line in figure] for figure in self._values],
        }


def _columns(windows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[list[float]]:
    return [[window[key] for window in windows] for key in keys]


def _alarms(alarms: Sequence[Mapping[str, Any]]) -> list[Facts]:
    alarms = list(alarms)
    warm_up = n_warm_up_alarms(alarms)
    return [{**alarm, "warm_up": at < warm_up} for at, alarm in enumerate(alarms)]
