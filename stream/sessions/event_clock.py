"""How far event time has come, read off the accepted clicks."""

from __future__ import annotations

from collections import deque

import numpy as np

from nextclick.models.recommender import State

from .clicks_ahead import RECENT

BLOCK = 1024
"""Accepted clicks after which the clock is read, and idle sessions are looked for."""

ASTRAY = 8
"""Blocks in a row, far from those before, after which the clock follows them."""


class EventClock:
    """The highest median so far of the times of a block of accepted clicks, see `Sessionizer`.

    Parameters
    ----------
    idle
        Seconds after which a session that is not clicked has ended.
    max_ahead
        Seconds that a block may begin after the end of the one before; ``math.inf`` for any
        number.

    Attributes
    ----------
    time
        How far event time has come, in epoch seconds; minus infinity before the first full block.
    block
        The number of full blocks.
    times
        The times of the clicks accepted since; append to it, and call `end_block` where there is
        no more `room`.

    """

    def __init__(self, idle: float, max_ahead: float) -> None:
        self.idle = idle
        self.max_ahead = max_ahead
        self.time = -np.inf
        self.block = 0
        self.times: list[float] = []
        # (block, clock when it was full): a session last clicked before that block has not been
        # clicked since that clock. A mark each eighth of the idle time keeps this short.
        self._marks: deque[tuple[int, float]] = deque()
        # The times of the latest clicks from before this block.
        self._before: list[float] = []
        self._upper = -np.inf
        self._astray = 0

    @property
    def room(self) -> int:
        """How many more clicks the block takes."""
        return BLOCK - len(self.times)

    @property
    def accepted(self) -> int:
        """The number of clicks accepted."""
        return self.block * BLOCK + len(self.times)

    def latest(self, count: int) -> list[float]:
        """Return the times of the clicks accepted last, at most ``RECENT + 1``."""
        return [*self._before, *self.times[-count:]][-count:]

    def end_block(self) -> int:
        """Read the clock off a full block, and begin the next one.

        A clock that goes back does nothing before it is past its highest again.

        Returns
        -------
        int
            A session last clicked before this block is idle.

        """
        clock = float(np.median(self.times))
        self._before = self.latest(RECENT + 1)
        followed = self._follow(clock)
        self.times.clear()
        if not followed:
            self.block += 1
            return 0
        self.time = max(self.time, clock)
        if not self._marks or clock - self._marks[-1][1] >= self.idle / 8:
            self._marks.append((self.block, clock))
        self.block += 1
        idle_since = 0
        while clock - self._marks[0][1] > self.idle:
            idle_since = self._marks.popleft()[0]
        return idle_since

    def _follow(self, clock: float) -> bool:
        """Whether the clock is to follow a block with this median."""
        if self.max_ahead == np.inf:
            return True
        times = sorted(self.times)
        # Its odd times at both ends left out.
        edge = len(times) // 8
        lower, upper = times[edge], times[-1 - edge]
        jumps = lower - self._upper > self.max_ahead
        returns = upper < self.time - self.idle
        if self.time == -np.inf or not (jumps or returns):
            self._astray, self._upper = 0, upper
            return True
        self._astray += 1
        if self._astray < ASTRAY:
            return False
        self._astray, self._upper = 0, upper
        if returns:
            self.time = -np.inf
            self._marks.clear()
        return True

    def state(self) -> State:
        """Copy all that the clock depends on."""
        return State(
            arrays={
                "block_times": np.array(self.times, dtype=np.float64),
                "marked_blocks": np.array([block for block, _ in self._marks], dtype=np.int64),
                "marked_clocks": np.array([clock for _, clock in self._marks], dtype=np.float64),
                "before": np.array(self._before, dtype=np.float64),
            },
            values={
                "clock": self.time,
                "block": self.block,
                "upper": self._upper,
                "astray": self._astray,
            },
        )

    def restore(self, state: State) -> None:
        """Go back to what `state` returned; what belongs to others in it is left alone."""
        arrays, values = state.arrays, state.values
        self.time = values["clock"]
        self.block = values["block"]
        self.times = arrays["block_times"].tolist()
        marks = zip(arrays["marked_blocks"].tolist(), arrays["marked_clocks"].tolist(), strict=True)
        self._marks = deque(marks)
        # Older snapshots have none of these.
        self._before = arrays["before"].tolist() if "before" in arrays else []
        self._upper = values.get("upper", self.time)
        self._astray = values.get("astray", 0)
