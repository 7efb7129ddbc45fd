"""How the clicks of a batch line up with their sessions: plain arithmetic on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    group
        int64 (n,): which of them each click belongs to.
    turn
        int64 (n,): how many clicks of its session the batch holds before it.
    ends
        int64 (n,): how many clicks of its session the batch holds before its window's end.
    kept
        int64 (u,): how many clicks of the session the store holds.
    count
        int64 (u,): how many clicks of the session the batch holds.
    size
        K, the longest window.
    scored
        int64 (m,): the clicks that have a predecessor, by falling length of window, then in
        stream order.
    sizes
        How many windows have a first, second, … step: falling, m first.
    steps
        int64 (sum of sizes,): flat places in the tracks' matrix, all first steps, then all second
        steps, …, as a packed sequence wants them.

    """

    sessions: list[Id]
    group: Whole
    turn: Whole
    ends: Whole
    kept: Whole
    count: Whole
    size: int
    scored: Whole
    sizes: list[int]
    steps: Whole

    @property
    def width(self) -> int:
        """Columns of the tracks' matrix."""
        return self.size + int(self.count.max(initial=0))

    @property
    def slides(self) -> Whole:
        """int64 (u,): by how many clicks the stored window moves on after this batch."""
        slides: Whole = np.maximum(0, self.kept + self.count - self.size)
        return slides

    @property
    def starts(self) -> Whole:
        """int64 (m,): by how many clicks each scored window starts past the stored one."""
        held = self.kept[self.group[self.scored]] + self.ends[self.scored]
        starts: Whole = np.maximum(0, held - self.size)
        return starts


def line_up(
    sessions: Sequence[Id],
    kept_of: Callable[[Sequence[Id]], Whole],
    size: int,
    after: bool = False,
) -> Windows:
    """Find the window of every click.

    Parameters
    ----------
    sessions
        Session of each click, in stream order.
    kept_of
        Tells how many clicks the store holds of each of some sessions, at most `size`.
    size
        K, the longest window.
    after
        The windows end with their click, not before it: every click has one.

    Examples
    --------
    >>> kept = {"a": 0, "b": 2}
    >>> windows = line_up(["a", "b", "a"], lambda of: np.array([kept[one] for one in of]), size=3)
    >>> windows.scored, windows.sizes
    (array([1, 2]), [2, 1])

    """
    index: dict[Id, int] = {}
    group = np.array([index.setdefault(session, len(index)) for session in sessions], np.int64)
    unique = list(index)
    kept = kept_of(unique)
    count = np.bincount(group, minlength=len(unique)).astype(np.int64)
    by_session = np.argsort(group, kind="stable")
    turn = np.empty_like(group)
    turn[by_session] = np.arange(len(group)) - np.repeat(np.cumsum(count) - count, count)

    ends = turn + after
    lengths = np.minimum(kept[group] + ends, size)
    scored = np.flatnonzero(lengths)
    scored = scored[np.argsort(-lengths[scored], kind="stable")]
    lengths = lengths[scored]
    longest = int(lengths.max(initial=0))
    sizes = np.searchsorted(-lengths, -np.arange(longest), side="left")
    width = size + int(count.max(initial=0))
    first = group[scored] * width + ends[scored] + size - lengths
    steps = [first[:active] + step for step, active in enumerate(sizes)]
    return Windows(
        sessions=unique,
        group=group,
        turn=turn,
        ends=ends,
        kept=kept,
        count=count,
        size=size,
        scored=scored,
        sizes=sizes.tolist(),
        steps=np.concatenate(steps) if steps else np.zeros(0, np.int64),
    )
