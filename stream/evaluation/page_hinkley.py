"""The Page-Hinkley test: an alarm where the mean of a stream of numbers changes."""

from __future__ import annotations

import math
from typing import Any


class PageHinkley:
    """Sums how far each number lies from the mean so far, and raises an alarm where a sum turns.

    The numbers since the last alarm are x_1 ... x_t, m_t their running mean. With the tolerance δ,

        up_t = up_{t-1} + (x_t - m_t) - δ        down_t = down_{t-1} + (x_t - m_t) + δ

    A rise is seen when up_t lies more than the threshold above its least value so far, a fall when
    down_t lies more than the threshold below its greatest. After an alarm the test starts again.

    Parameters
    ----------
    tolerance
        A lasting change of the mean as small as this raises no alarm.
    threshold
        How far a sum must turn back.
    settle
        Numbers before the first alarm, and between two.

    Attributes
    ----------
    alarmed
        Whether the last number raised an alarm.
    rose
        Whether the mean rose, where `alarmed`.
    count, mean
        Numbers since the last alarm, and their mean.

    References
    ----------
    E. S. Page: Continuous inspection schemes. Biometrika 41, 1954.
    D. V. Hinkley: Inference about the change-point from cumulative sum tests. Biometrika 58, 1971.

    Examples
    --------
    >>> test = PageHinkley(tolerance=0.02, threshold=0.5, settle=10)
    >>> for rate in [0.5] * 20 + [0.2] * 2:
    ...     test.update(rate)
    >>> test.alarmed, test.rose
    (True, False)

    """

    def __init__(self, tolerance: float, threshold: float, settle: int) -> None:
        self.tolerance = tolerance
        self.threshold = threshold
        self.settle = settle
        self._begin()

    def _begin(self) -> None:
        self.alarmed = self.rose = False
        self.count = 0
        self.mean = 0.0
        self._up = self._down = 0.0
        self._least, self._greatest = math.inf, -1.0

    @property
    def up_turns(self) -> bool:
        """Whether the sum that shows a rise is at its least: a rise would begin after here."""
        return self._up == self._least

    @property
    def down_turns(self) -> bool:
        """Whether the sum that shows a fall is at its greatest: a fall would begin after here."""
        return self._down == self._greatest

    def update(self, number: float) -> None:
        """Take the next number."""
        if self.alarmed:
            self._begin()
        self.count += 1
        # In this order of operations the figures are those of river's test, to the last bit.
        self.mean += (1 / self.count) * (number - self.mean)
        deviation = number - self.mean
        self._up = self._up + deviation - self.tolerance
        self._down = self._down + deviation + self.tolerance
        self._least = min(self._least, self._up)
        self._greatest = max(self._greatest, self._down)
        if self.count >= self.settle:
            self.rose = self._up - self._least > self.threshold
            self.alarmed = self.rose or self._greatest - self._down > self.threshold

    def state(self) -> dict[str, Any]:
        """Return all that the next alarm depends on, in JSON's types."""
        return {
            "alarmed": self.alarmed,
            "blocks": float(self.count),
            "mean": self.mean,
            "sum_increase": self._up,
            "sum_decrease": self._down,
            # Before the first number it is an infinity, which JSON has no word for.
            "min_increase": self._least if self.count else None,
            "max_decrease": self._greatest if self.count else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned."""
        self._begin()
        if state["min_increase"] is None:
            return
        self.count, self.mean = int(state["blocks"]), state["mean"]
        self._up, self._down = state["sum_increase"], state["sum_decrease"]
        self._least, self._greatest = state["min_increase"], state["max_decrease"]
        self.alarmed = state["alarmed"]
        self.rose = self.alarmed and self._up - self._least > self.threshold
