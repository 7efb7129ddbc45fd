"""Sessionizer: where a session starts and ends."""

from __future__ import annotations

from array import array
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextclick.models.recommender import Id, State

from .contracts import plain_ids, seconds, whole

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
        self.gap = seconds("gap", gap, endless=True)
        self.lateness = seconds("lateness", lateness, endless=True)
        self.max_sessions = whole("max_sessions", max_sessions, 1)
        # Key -> slot, least recently clicked first. Not a plain dict: there the first key is found
        # only past all keys deleted before it.
        self._sessions: OrderedDict[Id, int] = OrderedDict()
        # By slot: key, latest time, handle, block of the latest click, and how many clicks had
        # been accepted by then. Arrays, since a snapshot copies them while the stream waits.
        self._keys: list[Id | None] = []
        self._latest = array("d")
        self._handles = array("q")
        self._blocks = array("q")
        self._touched = array("q")
        self._free: list[int] = []
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

        Raises
        ------
        ValueError
            There are more keys than times, or fewer, a time is not finite, or a key is neither a
            text nor a whole number. No click is taken.

        """
        times = np.asarray(times, np.float64)
        if times.shape != (len(keys),):
            raise ValueError(
                f"there are {len(keys):,} keys and times of shape {times.shape}: give a time a key"
            )
        if not np.isfinite(times).all():
            raise ValueError("a time is not finite: give epoch seconds")
        keys = plain_ids("key", keys)
        moments: list[float] = times.tolist()
        handles: list[int] = []
        starts: list[int] = []
        ended: list[int] = []
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
        latest, known, blocks, touched = self._latest, self._handles, self._blocks, self._touched
        find, touch = sessions.get, sessions.move_to_end
        accept, give = self._block_times.append, handles.append
        # The block's clicks are the latest to have been accepted.
        accepted = block * BLOCK + len(self._block_times)
        for key, time in zip(keys, times, strict=True):
            slot = find(key)
            if slot is not None:
                quiet = time - latest[slot]
                if quiet < -lateness:
                    give(-1)
                    continue
                if quiet <= gap:
                    if quiet > 0:
                        latest[slot] = time
                    blocks[slot] = block
                    touched[slot] = accepted
                    accepted += 1
                    touch(key)
                    accept(time)
                    give(known[slot])
                    continue
                ended.append(known[slot])
                touch(key)
            else:
                slot = sessions[key] = self._slot(key)
            handle = self._next_handle
            self._next_handle += 1
            latest[slot], known[slot], blocks[slot] = time, handle, block
            touched[slot] = accepted
            accepted += 1
            accept(time)
            starts.append(len(handles))
            give(handle)
            if len(sessions) > self.max_sessions:
                ended.append(self._end_first())

    def _slot(self, key: Id) -> int:
        """Give a slot that no session has."""
        if self._free:
            slot = self._free.pop()
            self._keys[slot] = key
            return slot
        self._keys.append(key)
        self._latest.append(0.0)
        for column in (self._handles, self._blocks, self._touched):
            column.append(0)
        return len(self._keys) - 1

    def _end_first(self) -> int:
        """End the session least recently clicked, and give its handle."""
        _, slot = self._sessions.popitem(last=False)
        self._keys[slot] = None
        self._free.append(slot)
        return self._handles[slot]

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
        while sessions and self._blocks[next(iter(sessions.values()))] < idle_since:
            ended.append(self._end_first())

    def state(self) -> State:
        """Copy all that the next click's session depends on.

        The stream waits meanwhile, so the sessions are copied as they lie, free slots among them.
        """
        return State(
            arrays={
                **{name: column.copy() for name, column in self._columns().items()},
                "block_times": np.array(self._block_times, dtype=np.float64),
                "marked_blocks": np.array([block for block, _ in self._marks], dtype=np.int64),
                "marked_clocks": np.array([clock for _, clock in self._marks], dtype=np.float64),
            },
            values={
                "keys": self._keys.copy(),
                "clock": self.clock,
                "next_handle": self._next_handle,
                "block": self._block,
            },
        )

    def _columns(self) -> dict[str, NDArray[Any]]:
        """View the sessions' columns; while a view is held, no session can be added."""
        return {
            "latest": np.frombuffer(self._latest, np.float64),
            "handles": np.frombuffer(self._handles, np.int64),
            "blocks": np.frombuffer(self._blocks, np.int64),
            "touched": np.frombuffer(self._touched, np.int64),
        }

    def restore(self, state: State) -> None:
        """Take back a state that `state` gave."""
        arrays, values = state.arrays, state.values
        self._keys = list(values["keys"])
        self._latest = array("d", arrays["latest"].tolist())
        self._handles, self._blocks, self._touched = (
            array("q", arrays[name].tolist()) for name in ("handles", "blocks", "touched")
        )
        self._free = [slot for slot, key in enumerate(self._keys) if key is None]
        self._sessions = OrderedDict(
            (key, slot)
            for slot in np.argsort(arrays["touched"], kind="stable").tolist()
            if (key := self._keys[slot]) is not None
        )
        self.clock = values["clock"]
        self._next_handle = values["next_handle"]
        self._block = values["block"]
        self._block_times = arrays["block_times"].tolist()
        marks = zip(arrays["marked_blocks"].tolist(), arrays["marked_clocks"].tolist(), strict=True)
        self._marks = deque(marks)
