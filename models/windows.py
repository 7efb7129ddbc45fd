"""How the clicks of a batch line up with their sessions: plain arithmetic on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .compute.jit import compiled
from .compute.transfer import send

Id = str | int
Whole = NDArray[np.int64]


class Places(NamedTuple):
    """Where the sessions of a batch will be kept.

    Parameters
    ----------
    slots
        int64 (u,): of each session.
    dropped
        The sessions that make room, in this order.
    left
        Slots of these that no other session takes.
    taken
        How many free slots are used up.
    beyond
        How many slots are needed that do not exist yet.

    """

    slots: Whole
    dropped: list[Id]
    left: list[int]
    taken: int
    beyond: int


class SentWindows(NamedTuple):
    """What the device needs of `Windows`, there; each part as in these."""

    slots: Tensor
    slots_after: Tensor
    counts: Tensor
    group: Tensor
    turn: Tensor
    scored: Tensor
    starts: Tensor
    steps: Tensor
    moved_sessions: Tensor
    moved_clicks: Tensor
    next_start: Tensor


@dataclass(slots=True)
class Windows:
    """The windows of one batch: for each scored click, the clicks that come before it.

    Take one session of the batch, its last ``kept`` clicks from the store followed by its clicks
    in this batch: its *history*. A click's window is the last ``size`` places of the history before
    it. The histories of all sessions are rows of one matrix of ``width = size + most`` columns, the
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
    moved_sessions
        int64 (v,): the sessions whose stored window moves on, by falling number of clicks.
    move_counts
        How many of them move on by a first, second, … click: falling, v first.
    moved_clicks
        int64 (sum of move_counts,): flat places in the histories' matrix of the clicks that fall
        out, packed like `steps`.
    next_start
        int64 (u,): where the state is found from which each stored window starts after the batch:
        among the u from which they start before it, followed by those after each of `moved_clicks`.
    group
        int64 (n,): which of them each click belongs to.
    turn
        int64 (n,): how many clicks of its session the batch holds before it.
    ends
        int64 (n,): how many clicks of its session the batch holds before its window's end.
    size
        K, the longest window.
    width
        Columns of the histories' matrix.
    scored
        int64 (m,): the clicks that have a predecessor, by falling length of window, then in
        stream order.
    starts
        int64 (m,): where the state before each scored window is found, as in `next_start`.
    sizes
        How many windows have a first, second, … step: falling, m first.
    steps
        int64 (sum of sizes,): flat places in the histories' matrix, all first steps, then all
        second steps, …, as a packed sequence wants them.
    places
        Where the store will keep the sessions after the batch; it fills this in.

    """

    sessions: list[Id]
    slots: Whole
    kept: Whole
    count: Whole
    latest: Whole
    moved_sessions: Whole
    move_counts: list[int]
    moved_clicks: Whole
    next_start: Whole
    group: Whole
    turn: Whole
    ends: Whole
    size: int
    width: int
    scored: Whole
    starts: Whole
    sizes: list[int]
    steps: Whole
    places: Places | None = None
    _sent: SentWindows | None = None

    @property
    def slots_after(self) -> Whole:
        """The sessions' slots in the store after the batch: int64 (u,)."""
        return self.slots if self.places is None else self.places.slots

    def send(self, device: torch.device, *others: NDArray[Any]) -> list[Tensor]:
        """Send to a device what it needs, and other arrays, in one transfer; return the others."""
        own = [
            self.slots,
            self.slots_after,
            self.count,
            self.group,
            self.turn,
            self.scored,
            self.starts,
            self.steps,
            self.moved_sessions,
            self.moved_clicks,
            self.next_start,
        ]
        sent = send([*own, *others], device)
        self._sent = SentWindows(*sent[: len(own)])
        return sent[len(own) :]

    def on(self, device: torch.device) -> SentWindows:
        """Return what was sent to a device, or send it now."""
        if self._sent is None:
            self.send(device)
        assert self._sent is not None
        return self._sent


def align_windows(
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
        Returns the slots of some sessions in the store, and how many clicks it holds of each, at
        most `size`.
    size
        K, the longest window.
    after
        The windows end with their click, not before it: every click has one.

    Examples
    --------
    >>> kept = {"a": 0, "b": 2}
    >>> windows = align_windows(
    ...     ["a", "b", "a"], lambda of: (np.arange(2), np.array([kept[one] for one in of])), size=3
    ... )
    >>> windows.scored, windows.sizes
    (array([1, 2]), [2, 1])

    """
    unique, group = _grouped(sessions)
    slots, kept = find(unique)
    count, latest, turn = _turns(group, len(unique))
    width = size + int(count.max(initial=0))
    ends = turn + after
    held = kept[group] + ends
    lengths = np.minimum(held, size)
    scored, sizes, steps = _packed(lengths, group * width + ends + size - lengths)
    places, left = np.arange(len(unique)), np.maximum(0, kept + count - size)
    moved, move_counts, moved_clicks = _packed(left, places * width + size - kept)
    return Windows(
        sessions=unique,
        slots=slots,
        kept=kept,
        count=count,
        latest=latest,
        moved_sessions=moved,
        move_counts=move_counts.tolist(),
        moved_clicks=moved_clicks,
        next_start=_states(places, left, moved, move_counts, len(unique)),
        group=group,
        turn=turn,
        ends=ends,
        size=size,
        width=width,
        scored=scored,
        starts=_states(group[scored], (held - lengths)[scored], moved, move_counts, len(unique)),
        sizes=sizes.tolist(),
        steps=steps,
    )


def _grouped(sessions: Sequence[Id]) -> tuple[list[Id], Whole]:
    unique = list(dict.fromkeys(sessions))
    index = dict(zip(unique, range(len(unique)), strict=True))
    return unique, np.fromiter(map(index.__getitem__, sessions), np.int64, len(sessions))


class LastWindows(NamedTuple):
    """The windows at the ends of some sessions; each part as in `Windows`."""

    width: int
    scored: Whole
    sizes: list[int]
    steps: Whole
    starts: Whole
    moved_sessions: Whole
    move_counts: list[int]
    moved_clicks: Whole


def align_last_windows(kept: Whole, count: Whole, size: int) -> LastWindows:
    """Find the windows of sessions after their last clicks.

    Parameters
    ----------
    kept, count
        int64 (u,): how many clicks of each session the store holds, and how many come after them.
        Not both are 0.
    size
        K, the longest window.

    Examples
    --------
    >>> windows = align_last_windows(np.array([0, 3]), np.array([1, 1]), size=3)
    >>> windows.scored, windows.sizes, windows.move_counts
    (array([1, 0]), [2, 1, 1], [1])

    """
    width = size + int(count.max(initial=0))
    places, held = np.arange(len(kept)), kept + count
    lengths, passed = np.minimum(held, size), np.maximum(0, held - size)
    scored, sizes, steps = _packed(lengths, places * width + size + count - lengths)
    moved, move_counts, moved_clicks = _packed(passed, places * width + size - kept)
    starts = _states(scored, passed[scored], moved, move_counts, len(kept))
    return LastWindows(
        width, scored, sizes.tolist(), steps, starts, moved, move_counts.tolist(), moved_clicks
    )


@compiled
def _turns(group: Whole, sessions: int) -> tuple[Whole, Whole, Whole]:
    """Return each session's count of clicks, the sessions by their last click, and turns."""
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
def _packed(lengths: Whole, first: Whole) -> tuple[Whole, Whole, Whole]:
    """Pack sequences of places, each of which begins at its first and goes on by ones.

    Returns those that are not empty, by falling length, then in their order; how many have a first,
    second, … step; and the places, all first steps, then all second steps, ….
    """
    longest = 0
    for length in lengths:
        longest = max(longest, length)
    # How many are at least so long.
    reach = np.zeros(longest + 2, np.int64)
    for length in lengths:
        reach[length] += 1
    for length in range(longest, 0, -1):
        reach[length] += reach[length + 1]
    sizes = reach[1 : longest + 1].copy()
    begins = np.cumsum(sizes) - sizes
    order, places = np.empty(reach[1], np.int64), np.empty(sizes.sum(), np.int64)
    for number in range(len(lengths)):
        length = lengths[number]
        if length:
            # The next place behind the longer ones.
            at = reach[length + 1]
            reach[length + 1] += 1
            order[at] = number
            for step in range(length):
                places[begins[step] + at] = first[number] + step
    return order, sizes, places


@compiled
def _states(
    sessions: Whole, moved_clicks: Whole, moved_sessions: Whole, move_counts: Whole, begun: int
) -> Whole:
    """Return where the states of sessions are found once some of their clicks have fallen out."""
    place = np.zeros(begun, np.int64)
    for number in range(len(moved_sessions)):
        place[moved_sessions[number]] = number
    begins = begun + np.cumsum(move_counts) - move_counts
    found = np.empty(len(sessions), np.int64)
    for at in range(len(sessions)):
        session, clicks = sessions[at], moved_clicks[at]
        found[at] = begins[clicks - 1] + place[session] if clicks else session
    return found
