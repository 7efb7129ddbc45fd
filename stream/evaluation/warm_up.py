"""Which alarms come from a model that is still warming up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FIRST = 5_000
"""Clicks from the beginning of the stream within which a rise is part of the warm-up."""


def n_warm_up_alarms(alarms: Sequence[Mapping[str, Any]]) -> int:
    """Return how many of the first alarms only show that the model learns.

    A model that warms up gets better in steps that become longer and longer: each is a rise, and
    begins before the stream is twice as long as at the alarm before. The first fall ends this, and
    so does a rise after a longer calm: something has changed in the stream.

    Parameters
    ----------
    alarms
        Those of `HitRateDrift`, oldest first.

    Examples
    --------
    >>> rise = {"clicks": 6_000, "since": 800, "before": 0.1, "after": 0.4}
    >>> later = {"clicks": 90_000, "since": 80_000, "before": 0.4, "after": 0.5}
    >>> n_warm_up_alarms([rise, later])
    1

    """
    bound = FIRST
    for count, alarm in enumerate(alarms):
        if alarm["after"] < alarm["before"] or alarm["since"] > bound:
            return count
        bound = max(bound, 2 * alarm["clicks"])
    return len(alarms)
