"""The points of curves: a stream's windows, short at first, joined to one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..evaluation.warm_up import n_warm_up_alarms


class Curves(NamedTuple):
    """Curves over the same points, each a window of scored clicks, in stream order."""

    clicks: list[int]
    """The last click of each window."""

    times: list[float | None]
    """That click's event time."""

    scored: list[int]
    """How many scored clicks the window holds."""

    values: NDArray[np.float64]
    """Shape (curves, points)."""


def join(
    windows: Sequence[Mapping[str, Any]],
    values: ArrayLike,
    growing: Sequence[Mapping[str, Any]] = (),
    early: ArrayLike = (),
) -> Curves:
    """Join the windows of a stream's beginning with those of the whole stream.

    Growing windows come first, and then what the others hold beyond them. A last window that is
    less than half as long as the one before would show chance, and is pooled with it.

    Parameters
    ----------
    windows, growing
        Each with ``clicks``, ``time`` and ``scored``; both begin with the stream.
    values, early
        Their figures, shapes (curves, windows) and (curves, growing windows).

    Examples
    --------
    >>> hour = {"clicks": 130, "time": 3600.0, "scored": 100}
    >>> early = [{"clicks": 40, "time": 900.0, "scored": 32}]
    >>> curves = join([hour], [[0.34]], early, [[0.0]])
    >>> curves.clicks, curves.scored, curves.values.tolist()
    ([40, 130], [32, 68], [[0.0, 0.5]])

    """
    whole, begun = _matrix(values, len(windows)), _matrix(early, len(growing))
    if not growing:
        begun = np.zeros((len(whole), 0))
    points = [(each["clicks"], each["time"], each["scored"]) for each in growing]
    columns = list(begun.T)
    covered = sum(scored for _, _, scored in points)
    gains = begun @ np.array([scored for _, _, scored in points], np.float64)
    before, total = 0, np.zeros(len(whole))
    for window, own in zip(windows, whole.T, strict=True):
        before += window["scored"]
        total = total + own * window["scored"]
        if before <= covered:
            continue
        # What the window holds that no point before it does: all of it, but for the first.
        more = before - covered
        points.append((window["clicks"], window["time"], more))
        columns.append(np.clip((total - gains) / more, 0, 1))
        covered, gains = before, total
    if len(points) > 1 and 2 * points[-1][2] < points[-2][2]:
        last, previous = points[-1], points[-2]
        scored = last[2] + previous[2]
        columns[-2:] = [(columns[-1] * last[2] + columns[-2] * previous[2]) / scored]
        points[-2:] = [(last[0], last[1], scored)]
    drawn = np.array(columns).T.reshape(len(whole), len(points))
    return Curves(
        clicks=[clicks for clicks, _, _ in points],
        times=[time for _, time, _ in points],
        scored=[scored for _, _, scored in points],
        values=drawn,
    )


def chart_data(
    curves: Curves,
    names: Sequence[str],
    figures: Sequence[str],
    alarms: Sequence[Sequence[Mapping[str, Any]]],
    comparable: bool,
) -> dict[str, Any]:
    """Return what the chart of a page is given, see ``chart.js``.

    Parameters
    ----------
    curves
        Figure by figure, the curves of all names.
    names
        What tells the curves of a figure apart.
    figures
        The figures that can be chosen.
    alarms
        Drift alarms by curve, those of the warm-up left out.
    comparable
        Whether the difference between two curves means something.

    """
    shape = (len(figures), len(names), len(curves.clicks))
    return {
        "points": {"clicks": curves.clicks, "times": curves.times, "scored": curves.scored},
        "names": list(names),
        "figures": list(figures),
        "values": np.round(curves.values, 5).reshape(shape).tolist(),
        "alarms": [
            [
                {
                    "clicks": alarm["clicks"],
                    "rise": alarm["after"] > alarm["before"],
                    "text": alarm_text(alarm),
                }
                for alarm in own
            ]
            for own in alarms
        ],
        "comparable": comparable,
    }


def alarm_text(alarm: Mapping[str, Any]) -> str:
    """Return what an alarm says of the hit rate."""
    return f"hit rate {alarm['before']:.3f} → {alarm['after']:.3f}"


def split_alarms(
    alarms: Sequence[Mapping[str, Any]],
) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    """Return the alarms that are of the model's warm-up, and those that are of drift."""
    count = n_warm_up_alarms(alarms)
    return alarms[:count], alarms[count:]


def _matrix(values: ArrayLike, columns: int) -> NDArray[np.float64]:
    found = np.asarray(values, np.float64)
    return found.reshape(-1, columns) if columns else found.reshape(len(found), 0)
