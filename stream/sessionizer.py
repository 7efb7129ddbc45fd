"""Sessionizer: where a session starts and ends."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nextclick.models.recommender import Id, State

BLOCK = 1024
"""Idle sessions are looked for after every so many accepted clicks."""


@dataclass(slots=True)
class Assigned:
    """The sessions of a batch of n clicks.

    Parameters
    ----------
    handles
        int64, shape (n,): the session's number, never used again for another; -1 where late.
    first
        bool, shape (n,): the click starts its session.
    late
        bool, shape (n,): the click came too late to be used.
    ended
        Handles of the sessions that ended before or among these clicks, in the order in which
        they ended. One may have clicks in this very batch, or even have started in it.

    """

    handles: NDArray[np.int64]
    first: NDArray[np.bool_]
    late: NDArray[np.bool_]
    ended: list[int]


class Sessionizer:
    """Gives every click its session, by key and event time.

    A click continues its key's session unless more than `gap` seconds lie between it and the
    session's latest click; then that session has ended and a new one starts. A click more than
    `lateness` seconds older than its session's latest one is late, and changes nothing.

    Sessions that nobody continues end, too, though a little later. Time is read off the stream:
    its clock is the highest median so far of the times of 1,024 accepted clicks in a row, so a
    few clicks with absurd times, far ahead or far behind, move it nowhere and end nobody's
    session. A session ends as idle when, after a whole block of 1,024 accepted clicks without
    one of its own, the clock has moved on by `gap + lateness` (at most an eighth more). So one
    partition or one visitor that lags far behind the others keeps its sessions while it clicks.

    When more than `max_sessions` are live, the least recently clicked one ends.

    All this depends only on the clicks and their order, never on how they were cut into batches.

    Parameters
    ----------
    gap
        Seconds of inactivity that end a session; ``math.inf`` for never.
    lateness
        Seconds that a click may be older than its session's latest one.
    max_sessions
        The bound on live sessions, at least 1. One takes about 300 bytes here.

    Attributes
    ----------
    clock
        How far event time has come, in epoch seconds, as described above; minus infinity before
        the first 1,024 accepted clicks.

    Examples
    --------
    >>> sessionizer = Sessionizer(gap=1800, lateness=60, max_sessions=1000)
    >>> assigned = sessionizer.assign(["anna", "bert", "anna"], np.array([0.0, 5.0, 7200.0]))
    >>> assigned.handles.tolist(), assigned.first.tolist(), assigned.ended
    ([0, 1, 2], [True, True, True], [0])
    >>> sessionizer.assign(["anna"], np.array([7000.0])).late.tolist(), sessionizer.live
    ([True], 2)

    """

    def __init__(self, gap: float, lateness: float, max_sessions: int) -> None:
        self.gap = gap
        self.lateness = lateness
        self.max_sessions = max_sessions
        # Key -> (latest time, handle, block of the latest click), least recently clicked first.
        # Not a plain dict: there the first key is found only past all keys deleted before it.
        self._sessions: OrderedDict[Id, tuple[float, int, int]] = OrderedDict()
        self.clock = -np.inf
        self._next_handle = 0
        self._block = 0
        self._block_times: list[float] = []
        # (block, clock when it was full): a session last clicked before that block has not been
        # clicked since that clock. A mark each eighth of the idle time keeps this short.
        self._marks: deque[tuple[int, float]] = deque()

    @property
    def live(self) -> int:
        """The number of live sessions."""
        return len(self._sessions)

    def assign(self, keys: Sequence[Id], times: NDArray[np.float64]) -> Assigned:
        """Give each of n clicks its session.

        Parameters
        ----------
        keys
            Session or user ids, n of them, in stream order.
        times
            Epoch seconds, float64 of shape (n,), all finite.

        """
        handles: list[int] = []
        starts: list[int] = []
        ended: list[int] = []
        moments: list[float] = times.tolist()
        begin = 0
        while begin < len(moments):
            # No more clicks than the block can take, so that the loop need not count.
            end = begin + BLOCK - len(self._block_times)
            self._assign(keys[begin:end], moments[begin:end], handles, starts, ended)
            if len(self._block_times) == BLOCK:
                self._end_block(ended)
            begin = end
        numbers = np.array(handles, dtype=np.int64)
        first = np.zeros(len(handles), dtype=np.bool_)
        first[starts] = True
        return Assigned(numbers, first, numbers < 0, ended)

    def _assign(
        self,
        keys: Sequence[Id],
        times: list[float],
        handles: list[int],
        starts: list[int],
        ended: list[int],
    ) -> None:
        """Append to the three lists what becomes of clicks that all fit into the block."""
        sessions, gap, lateness, block = self._sessions, self.gap, self.lateness, self._block
        find, touch = sessions.get, sessions.move_to_end
        accept, give = self._block_times.append, handles.append
        for key, time in zip(keys, times, strict=True):
            session = find(key)
            if session is not None:
                latest, handle, _ = session
                quiet = time - latest
                if quiet < -lateness:
                    give(-1)
                    continue
                if quiet <= gap:
                    sessions[key] = (time if quiet > 0 else latest, handle, block)
                    touch(key)
                    accept(time)
                    give(handle)
                    continue
                ended.append(handle)
            handle = self._next_handle
            self._next_handle += 1
            sessions[key] = (time, handle, block)
            touch(key)
            accept(time)
            starts.append(len(handles))
            give(handle)
            if len(sessions) > self.max_sessions:
                ended.append(sessions.popitem(last=False)[1][1])

    def _end_block(self, ended: list[int]) -> None:
        """Read the clock, and end the sessions that have been idle for long enough.

        A clock that goes back does nothing before it is past its highest again.
        """
        clock = float(np.median(self._block_times))
        self._block_times.clear()
        self.clock = max(self.clock, clock)
        idle = self.gap + self.lateness
        if not self._marks or clock - self._marks[-1][1] >= idle / 8:
            self._marks.append((self._block, clock))
        self._block += 1
        idle_since = 0
        while clock - self._marks[0][1] > idle:
            idle_since = self._marks.popleft()[0]
        # In the order of their last clicks the idle ones come first.
        sessions = self._sessions
        while sessions and next(iter(sessions.values()))[2] < idle_since:
            ended.append(sessions.popitem(last=False)[1][1])

    def state(self) -> State:
        """Copy all that the next click's session depends on."""
        sessions = list(self._sessions.values())
        return State(
            arrays={
                "latest": np.array([latest for latest, _, _ in sessions], dtype=np.float64),
                "handles": np.array([handle for _, handle, _ in sessions], dtype=np.int64),
                "blocks": np.array([block for _, _, block in sessions], dtype=np.int64),
                "block_times": np.array(self._block_times, dtype=np.float64),
                "marked_blocks": np.array([block for block, _ in self._marks], dtype=np.int64),
                "marked_clocks": np.array([clock for _, clock in self._marks], dtype=np.float64),
            },
            values={
                "keys": list(self._sessions),
                "clock": self.clock,
                "next_handle": self._next_handle,
                "block": self._block,
            },
        )

    def restore(self, state: State) -> None:
        """Take back a state that `state` gave."""
        arrays, values = state.arrays, state.values
        columns = (arrays[name].tolist() for name in ("latest", "handles", "blocks"))
        self._sessions = OrderedDict(zip(values["keys"], zip(*columns, strict=True), strict=True))
        self.clock = values["clock"]
        self._next_handle = values["next_handle"]
        self._block = values["block"]
        self._block_times = arrays["block_times"].tolist()
        marks = zip(arrays["marked_blocks"].tolist(), arrays["marked_clocks"].tolist(), strict=True)
        self._marks = deque(marks)
