"""Alarms where the hit rate changes: a Page-Hinkley test over blocks of scored clicks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .page_hinkley import PageHinkley

BLOCK = 500
"""Scored clicks a block: the detector sees one hit rate a block."""

TOLERANCE = 0.02
"""A lasting change of the hit rate as small as this raises no alarm."""

THRESHOLD = 0.5
"""Alarm when the deviations past the tolerance add up to this: a fall by 0.1 within 8 blocks."""

SETTLE = 10
"""Blocks before the first alarm, and between two."""

KEPT = 1000
"""Alarms kept, the latest ones."""


class HitRateDrift:
    """Watch the hit rate of a stream for changes, upwards and downwards.

    Each full block of 500 scored clicks gives the detector one number, so alarms depend on the
    stream alone and not on how it is cut into batches. An alarm says where it was raised, where
    the change began (the block where the test's sum turned), and the hit rate from the alarm
    before to there, and from there on. A rise is an alarm too: while a model starts up, it is
    what one hopes to see.

    Attributes
    ----------
    alarms
        The latest 1,000, each ``{clicks, time, since, before, after}``: the click in the stream
        at which the alarm was raised, its event time, the click after which the change began,
        and the two hit rates.
    raised
        How many alarms this object has raised, ``up`` where the hit rate rose and ``down``; not
        part of the state.

    References
    ----------
    J. Gama, R. Sebastião, P. P. Rodrigues: On evaluating stream learning algorithms. Machine
    Learning 90, 2013: the test run on prequential figures.

    Examples
    --------
    >>> drift = HitRateDrift()
    >>> hits = np.arange(40_000) % 2 == 0
    >>> hits[20_000:] = False
    >>> drift.update(hits, np.arange(1, 40_001), np.arange(40_000.0))
    >>> alarm = drift.alarms[0]
    >>> alarm["clicks"], alarm["since"], alarm["before"], alarm["after"]
    (21000, 20000, 0.5, 0.0)

    """

    def __init__(self) -> None:
        self.alarms: list[dict[str, Any]] = []
        self.raised = {"up": 0, "down": 0}
        self._detector = PageHinkley(TOLERANCE, THRESHOLD, SETTLE)
        self._filled = 0
        self._hits = 0
        # Since the last alarm: full blocks and their hits; and the same where each sum turned.
        self._seen = [0, 0]
        self._low = [0, 0, 0]
        self._high = [0, 0, 0]

    def update(
        self, hits: NDArray[np.bool_], positions: NDArray[np.int64], times: NDArray[np.float64]
    ) -> None:
        """Take scored clicks in stream order.

        Parameters
        ----------
        hits
            bool, shape (n,): the item came among the k first.
        positions
            int64, shape (n,): which click of the stream it was.
        times
            float64, shape (n,): its event time in epoch seconds.

        """
        start = 0
        while start < len(hits):
            stop = min(start + BLOCK - self._filled, len(hits))
            self._hits += int(np.count_nonzero(hits[start:stop]))
            self._filled += stop - start
            if self._filled == BLOCK:
                self._close_block(int(positions[stop - 1]), float(times[stop - 1]))
            start = stop

    def state(self) -> dict[str, Any]:
        """Return all that the next alarm depends on, in JSON's types."""
        return {
            "alarms": [dict(alarm) for alarm in self.alarms],
            "filled": self._filled,
            "hits": self._hits,
            "seen": list(self._seen),
            "low": list(self._low),
            "high": list(self._high),
            "detector": self._detector.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned."""
        self.alarms = [dict(alarm) for alarm in state["alarms"]]
        self._filled, self._hits = state["filled"], state["hits"]
        self._seen, self._low, self._high = (list(state[at]) for at in ("seen", "low", "high"))
        self._detector.restore(state["detector"])

    def _close_block(self, position: int, time: float) -> None:
        detector, hits = self._detector, self._hits
        self._filled = self._hits = 0
        detector.update(hits / BLOCK)
        self._seen = [self._seen[0] + 1, self._seen[1] + hits]
        turn = [*self._seen, position]
        # The test's sums turn where the change begins; both turn in the first block.
        if detector.up_turns:
            self._low = turn
        if detector.down_turns:
            self._high = turn
        if not detector.alarmed:
            return
        self.raised["up" if detector.rose else "down"] += 1
        blocks, hits_before, since = self._low if detector.rose else self._high
        after_blocks, hits_after = self._seen[0] - blocks, self._seen[1] - hits_before
        self.alarms.append(
            {
                "clicks": position,
                "time": time,
                "since": since,
                "before": hits_before / (blocks * BLOCK),
                "after": hits_after / (after_blocks * BLOCK),
            }
        )
        del self.alarms[:-KEPT]
        self._seen = [0, 0]
