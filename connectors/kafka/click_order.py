"""What the clicks of one partition are ordered by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Order = tuple[float, int]
"""What records are ordered by: time and sequence number."""

FIRST: Order = (-np.inf, -1)

FOLLOWERS = 8
"""Clicks of its own partition by which it is judged whether a click is far ahead."""

AHEAD = 3600.0
"""Seconds by which a click is later than its followers if its clock is off."""


def believed_times(clocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the times to order a partition's clicks by: those far ahead of what follows amended.

    One that is more than `AHEAD` later than the middle one of the next `FOLLOWERS`, or of as many
    as there are, has the time of the first one of these that is not as far before the middle one.
    """
    least = np.full(len(clocks), np.inf)
    for ahead in range(1, min(FOLLOWERS, len(clocks) - 1) + 1):
        least[:-ahead] = np.minimum(least[:-ahead], clocks[ahead:])
    suspects = np.flatnonzero(clocks > least + AHEAD).tolist()
    if not suspects:
        return clocks
    believed = clocks.copy()
    for at in suspects:
        following = np.sort(clocks[at + 1 : at + 1 + FOLLOWERS])
        middle = following[len(following) // 2]
        if clocks[at] > middle + AHEAD:
            believed[at] = following[following >= middle - AHEAD][0]
    return believed


def rising_orders(
    times: NDArray[np.float64], sequences: NDArray[np.int64], highest: Order
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the highest order so far, before each click and after the last one."""
    times = np.concatenate([[highest[0]], times])
    sequences = np.concatenate([[highest[1]], sequences])
    rising = (times[1:] > times[:-1]) | (
        (times[1:] == times[:-1]) & (sequences[1:] >= sequences[:-1])
    )
    if not rising.all():
        for at, own in enumerate(zip(times.tolist(), sequences.tolist(), strict=True)):
            highest = max(highest, own)
            times[at], sequences[at] = highest
    return times, sequences
