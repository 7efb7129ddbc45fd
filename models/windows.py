"""How the clicks of a batch line up with their sessions: plain arithmetic on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled

Id = str | int
Whole = NDArray[np.int64]


@dataclass(slots=True)
class Windows:
    """The windows of one batch: for each scored click, the clicks that come before it.

    Take one session of the batch, its last ``kept`` clicks from the store followed by its clicks
    in this batch: its *track*. A click's window is the last ``size`` places of the track before
    it. The tracks of all sessions are rows of one matrix of ``width = size + most`` columns, the
    stored clicks right-aligned in the first ``size``.

    Parameters
    ----------
    sessions
        The u sessions of the batch, by first appearance.
    slots
        int64 (u,): their places in the store; -1 where it does not hold them.
    kept
        int64 (u,): how many clicks of the session the store holds.
    count
        int64 (u,): how many clicks of the session the batch holds.
    latest
        int64 (u,): the sessions, by their last click in the batch.
    slides
        int64 (u,): by how many clicks the stored window moves on after this batch.
    group
        int64 (n,): which of them each click belongs to.
    turn
        int64 (n,): how many clicks of its session the batch holds before it.
    ends
        int64 (n,): how many clicks of its session the batch holds before its window's end.
    size
        K, the longest window.
    width
        Columns of the tracks' matrix.
    scored
        int64 (m,): the clicks that have a predecessor, by falling length of window, then in
        stream order.
    starts
        int64 (m,): by how many clicks each scored window starts past the stored one.
    sizes
        How many windows have a first, second, … step: falling, m first.
    steps
        int64 (sum of sizes,): flat places in the tracks' matrix, all first steps, then all second
        steps, …, as a packed sequence wants them.

    """

    sessions: list[Id]
    slots: Whole
    kept: Whole
    count: Whole
    latest: Whole
    slides: Whole
    group: Whole
    turn: Whole
    ends: Whole
    size: int
    width: int
    scored: Whole
    starts: Whole
    sizes: list[int]
    steps: Whole


def line_up(
    sessions: Sequence[Id],
    find: Callable[[Sequence[Id]], tuple[Whole, Whole]],
    size: int,
    after: bool = False,
) -> Windows:
    """Find the window of every click.

    Parameters
    ----------
    sessions
        Session of each click, in stream order.
    find
        Tells of some sessions which slots of the store they have, and how many clicks it holds of
        each, at most `size`.
    size
        K, the longest window.
    after
        The windows end with their click, not before it: every click has one.

    Examples
    --------
    >>> kept = {"a": 0, "b": 2}
    >>> def find(of):
    ...     return np.arange(len(of)), np.array([kept[one] for one in of])
    >>> windows = line_up(["a", "b", "a"], find, size=3)
    >>> windows.scored, windows.sizes
    (array([1, 2]), [2, 1])

    """
    index: dict[Id, int] = {}
    group = np.array([index.setdefault(session, len(index)) for session in sessions], np.int64)
    unique = list(index)
    slots, kept = find(unique)
    count, latest, turn = _turns(group, len(unique))
    width = size + int(count.max(initial=0))
    scored, starts, sizes, steps = _scored(group, turn + after, kept, size, width)
    return Windows(
        sessions=unique,
        slots=slots,
        kept=kept,
        count=count,
        latest=latest,
        slides=np.maximum(0, kept + count - size),
        group=group,
        turn=turn,
        ends=turn + after,
        size=size,
        width=width,
        scored=scored,
        starts=starts,
        sizes=sizes.tolist(),
        steps=steps,
    )


@compiled
def _turns(group: Whole, sessions: int) -> tuple[Whole, Whole, Whole]:
    """Give each session's count of clicks, the sessions by their last click, and turns."""
    count = np.zeros(sessions, np.int64)
    turn = np.empty(len(group), np.int64)
    for click in range(len(group)):
        turn[click] = count[group[click]]
        count[group[click]] += 1
    latest = np.empty(sessions, np.int64)
    left = sessions
    for click in range(len(group) - 1, -1, -1):
        if turn[click] == count[group[click]] - 1:
            left -= 1
            latest[left] = group[click]
    return count, latest, turn


@compiled
def _scored(
    group: Whole, ends: Whole, kept: Whole, size: int, width: int
) -> tuple[Whole, Whole, Whole, Whole]:
    """Give the clicks that have a window, and its start, the windows' sizes, and their steps."""
    # How many windows have at least so many clicks.
    reach = np.zeros(size + 2, np.int64)
    for click in range(len(group)):
        reach[min(kept[group[click]] + ends[click], size)] += 1
    for length in range(size, 0, -1):
        reach[length] += reach[length + 1]
    longest = 0
    while reach[longest + 1]:
        longest += 1
    sizes = reach[1 : longest + 1].copy()
    begins = np.cumsum(sizes) - sizes
    steps = np.empty(sizes.sum(), np.int64)
    scored, starts = np.empty(reach[1], np.int64), np.empty(reach[1], np.int64)
    for click in range(len(group)):
        held = kept[group[click]] + ends[click]
        length = min(held, size)
        if length:
            # The next place behind those of longer windows.
            at = reach[length + 1]
            reach[length + 1] += 1
            scored[at], starts[at] = click, held - length
            first = group[click] * width + ends[click] + size - length
            for step in range(length):
                steps[begins[step] + at] = first + step
    return scored, starts, sizes, steps
