"""One of several log files that are read as one source."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..clicks import Clicks, Position, Rejected
from ..decoding.log_format import LogFormat
from .log import LogSource
from .reader import changed
from .storage.log_file import LogFile

HELD = 4096
"""Clicks that are read of a file at a time."""

FIRST = 3
"""Clicks whose median time is that of a file's start: one of them may have a wrong clock."""

NOTHING = Clicks([], [], np.zeros(0))

FAR = 86_400.0
"""Seconds from which on the first or last of some clicks is taken to have a wrong clock."""


class Part:
    """One of several files: where it starts, and what is held of it.

    Parameters
    ----------
    file
        The file.
    form
        The format.

    Attributes
    ----------
    start
        The time that its first click is sorted by; minus infinity where there is none.
    has_clicks
        Whether it begins with clicks.
    gap
        As of a source.
    number
        Its place among the files, by which clicks of equal time are sorted.

    """

    def __init__(self, file: LogFile, form: LogFormat) -> None:
        self.file = file
        self.number = 0
        self.begun = self.ended = False
        self.warnings: list[str] = []
        self._form = form
        self._source: LogSource | None = None
        self._latest = -np.inf
        self._hold(NOTHING, {})
        log = LogSource(file, form)
        self.gap = log.gap
        clicks = log.poll(FIRST)
        self.start = float(_smooth(clicks.times)[0]) if clicks and len(clicks) else -np.inf
        # The start may be taken from another file later.
        self.has_clicks = self.start > -np.inf
        log.close()

    @property
    def share(self) -> float | None:
        """How much of it was read, from 0 to 1."""
        if self._source is None:
            return float(self.ended)
        return self._source.share

    @property
    def position(self) -> Position:
        """Where the next click is: a place, and how many clicks after it have been given."""
        if self.taken == len(self.keys):
            return self._with_key(self._after, self._latest)
        return self._with_key({**self._before, "given": self.taken}, self._latest_before)

    def fill(self) -> list[Rejected]:
        """Read on where all is given; return what cannot be used of it.

        There may be no click then, and neither has the file ended.
        """
        if self._source is None:
            self._source, self.begun = LogSource(self.file, self._form), True
        clicks = self._source.poll(HELD)
        self.warnings = self._source.warnings
        if clicks is None:
            self.ended = True
            self.close()
            return []
        self._hold(clicks, self._after)
        return clicks.rejected

    def take(self, count: int) -> Clicks:
        """Return the next clicks of those held."""
        rows = slice(self.taken, self.taken + count)
        self.taken += count
        clicks = self._clicks
        events = None if clicks.events is None else clicks.events[rows]
        return Clicks(clicks.sessions[rows], clicks.items[rows], clicks.times[rows], events=events)

    def seek(self, position: Position) -> None:
        """Go on from a position."""
        place = dict(position)
        given, self._latest = place.pop("given", None), place.pop("key", -np.inf)
        self.close()
        self._source, self.begun, self.ended = LogSource(self.file, self._form), True, False
        if place:
            self._source.seek(place)
        self._hold(NOTHING, place)
        self._after = place
        if given is not None:
            self.fill()
            if self.ended or len(self.keys) < given:
                raise changed(self.file, "it has fewer clicks")
            self.taken = given

    def close(self) -> None:
        """Close the file."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def _hold(self, clicks: Clicks, before: Position) -> None:
        self._clicks, self._before, self._after = clicks, before, clicks.position
        self.taken = 0
        self._latest_before = self._latest
        # A file's own order is kept: its clicks come when those before them have.
        keys = np.maximum.accumulate(np.append(self._latest, _smooth(clicks.times)))
        self._latest = float(keys[-1])
        self.keys: list[float] = keys[1:].tolist()

    def _with_key(self, position: Position, key: float) -> Position:
        return position if key == -np.inf else {**position, "key": key}


def _smooth(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each time and its neighbours: one wrong clock moves nothing."""
    if len(times) < 3:
        return times
    low, high = np.minimum(times[:-2], times[2:]), np.maximum(times[:-2], times[2:])
    middle = np.clip(times[1:-1], low, high)
    smooth = np.concatenate([times[:1], middle, times[-1:]])
    for end, beside in ((0, 1), (-1, -2)):
        if abs(smooth[end] - smooth[beside]) > FAR:
            smooth[end] = smooth[beside]
    return smooth
