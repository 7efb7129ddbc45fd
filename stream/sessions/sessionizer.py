"""Sessionizer: where a session starts and ends."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextclick.models.argument_checks import at_least, id_list
from nextclick.models.recommender import Id, State

from ..contracts import seconds
from .clicks_ahead import RECENT, ClicksAhead
from .event_clock import EventClock

LATE_IN_A_ROW = 3
"""Late clicks of a session in a row after which its latest time counts as the wrong one."""


@dataclass(slots=True)
class Assigned:
    """The sessions of a batch of n clicks.

    Parameters
    ----------
    handles
        int64, shape (n,): the session's number, never used again for another; -1 where the click
        is late or too far ahead.
    first
        bool, shape (n,): the click starts its session.
    late
        bool, shape (n,): the click came too late to be used.
    ended
        Handles of the sessions that ended before or among these clicks, in the order in which
        they ended. One may have clicks in this very batch, or even have started in it.
    ahead
        bool, shape (n,): the click was too far ahead of the stream to be used.

    """

    handles: NDArray[np.int64]
    first: NDArray[np.bool_]
    late: NDArray[np.bool_]
    ended: list[int]
    ahead: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))


class Sessionizer:
    """Assigns every click to a session, by key and event time.

    A click continues its key's session unless more than `gap` seconds lie between it and the
    session's latest click; then that session has ended and a new one starts. A click more than
    `lateness` seconds older than its session's latest one is late, and changes nothing.

    Sessions that nobody continues end, too, though a little later. Time is read off the stream:
    its clock is the highest median so far of the times of 1,024 accepted clicks in a row, so a
    few clicks with absurd times, far ahead or far behind, move it nowhere and end nobody's
    session. A session ends as idle when, after a whole block of 1,024 accepted clicks without
    one of its own, the clock has moved on by `gap + lateness` (at most an eighth more). So one
    partition or one visitor that lags far behind the others keeps its sessions while it clicks.

    Clocks may be wrong, and one that is must not cost its session more than its own clicks:

    - A click is too far ahead, and changes nothing, if it is more than `max_ahead` seconds later
      than half of the 8 clicks before it, of whatever sessions. If more than half of them are as
      late as it, and from three sessions or more, or if all of them are, then the stream has moved
      on: a silence longer than `max_ahead` costs 5 to 8 clicks.
    - A session's latest time may be wrong all the same. It is set back by a click that would be
      late by more than `max_ahead`, where most of the clicks accepted last do not bear it out, and
      by the third late click in a row.
    - The clock does not follow a block that begins more than `max_ahead` after the end of the one
      before, or lies so far behind that its sessions would be idle, unless 8 blocks in a row do;
      then it may also go back.

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
    max_ahead
        Seconds that a click may be ahead of the stream; ``math.inf`` for as far as it likes, and
        then every time is taken for right.

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

    def __init__(
        self, gap: float, lateness: float, max_sessions: int, max_ahead: float = np.inf
    ) -> None:
        self.gap = seconds("gap", gap, endless=True)
        self.lateness = seconds("lateness", lateness, endless=True)
        self.max_ahead = seconds("max_ahead", max_ahead, endless=True)
        self.max_sessions = at_least(max_sessions, "max_sessions", 1)
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
        self._next_handle = 0
        # By slot: late clicks in a row, and the session's `touched` meanwhile.
        self._late: dict[int, tuple[int, int]] = {}
        self._clock = EventClock(self.gap + self.lateness, self.max_ahead)
        self._clicks_ahead = ClicksAhead(self.max_ahead)

    @property
    def clock(self) -> float:
        """How far event time has come; see the class."""
        return self._clock.time

    @property
    def live(self) -> int:
        """The number of live sessions."""
        return len(self._sessions)

    def number_of(self, key: Id) -> int | None:
        """Return the number of a key's live session, None where there is none."""
        slot = self._sessions.get(key)
        return None if slot is None else self._handles[slot]

    def assign(self, keys: Sequence[Id], times: NDArray[np.float64]) -> Assigned:
        """Assign each of n clicks to a session.

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
                f"there are {len(keys):,} keys and times of shape {times.shape}: give one time "
                "for each key"
            )
        if not np.isfinite(times).all():
            raise ValueError("a time is not finite: give epoch seconds")
        keys = id_list(keys, "keys")
        handles: list[int] = []
        starts: list[int] = []
        ended: list[int] = []
        moments: list[float] = times.tolist()
        ahead = np.zeros(len(moments), dtype=np.bool_)
        ahead[self._clicks_ahead.find(keys, moments)] = True
        if ahead.any():
            kept = np.flatnonzero(~ahead).tolist()
            keys, moments = [keys[at] for at in kept], [moments[at] for at in kept]
        begin = 0
        while begin < len(moments):
            # No more clicks than the block can take, so that the loop need not count.
            end = begin + self._clock.room
            self._assign(keys[begin:end], moments[begin:end], handles, starts, ended)
            if not self._clock.room:
                self._end_idle(self._clock.end_block(), ended)
            begin = end
        numbers = np.full(len(ahead), -1, dtype=np.int64)
        numbers[~ahead] = handles
        first = np.zeros(len(ahead), dtype=np.bool_)
        first[np.flatnonzero(~ahead)[starts]] = True
        return Assigned(numbers, first, (numbers < 0) & ~ahead, ended, ahead)

    def _assign(
        self,
        keys: Sequence[Id],
        times: list[float],
        handles: list[int],
        starts: list[int],
        ended: list[int],
    ) -> None:
        """Append to the three lists what becomes of clicks that all fit into the block."""
        sessions, gap, lateness, block = self._sessions, self.gap, self.lateness, self._clock.block
        latest, known, blocks, touched = self._latest, self._handles, self._blocks, self._touched
        find, touch = sessions.get, sessions.move_to_end
        accept, give = self._clock.times.append, handles.append
        accepted = self._clock.accepted
        for key, time in zip(keys, times, strict=True):
            slot = find(key)
            if slot is not None:
                quiet = time - latest[slot]
                if quiet < -lateness and not self._set_back(slot, time):
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

    def _set_back(self, slot: int, time: float) -> bool:
        """Set a session's latest time back to that of a late click, if it is the wrong one."""
        if self.max_ahead == np.inf:
            return False
        touched, count = self._late.get(slot, (-1, 0))
        count = count + 1 if touched == self._touched[slot] else 1
        far = self._latest[slot] - time > self.max_ahead
        if count < LATE_IN_A_ROW and not (far and not self._borne_out(slot)):
            self._late[slot] = self._touched[slot], count
            return False
        self._late.pop(slot, None)
        self._latest[slot] = time
        return True

    def _borne_out(self, slot: int) -> bool:
        """Whether most clicks accepted last are not far behind a session's latest time."""
        accepted = self._clock.latest(RECENT + 1)
        if accepted and self._touched[slot] == self._clock.accepted - 1:
            del accepted[-1]  # Its own.
        accepted = accepted[-RECENT:]
        bar = self._latest[slot] - self.max_ahead
        return 2 * sum(time >= bar for time in accepted) > len(accepted)

    def _slot(self, key: Id) -> int:
        """Return a slot that no session has."""
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
        """End the session least recently clicked, and return its handle."""
        _, slot = self._sessions.popitem(last=False)
        self._keys[slot] = None
        self._free.append(slot)
        return self._handles[slot]

    def _end_idle(self, idle_since: int, ended: list[int]) -> None:
        """End the sessions last clicked before a block."""
        # In the order of their last clicks the idle ones come first.
        sessions = self._sessions
        while sessions and self._blocks[next(iter(sessions.values()))] < idle_since:
            ended.append(self._end_first())

    def shrink(self) -> list[int]:
        """End the sessions that are beyond the bound, where a state with more was restored.

        Returns
        -------
        list of int
            Their handles, that of the least recently clicked first.

        """
        return [self._end_first() for _ in range(len(self._sessions) - self.max_sessions)]

    def state(self) -> State:
        """Copy all that the next click's session depends on.

        The stream waits meanwhile, so the sessions are copied as they lie, free slots among them.
        """
        clock = self._clock.state()
        return State(
            arrays={name: column.copy() for name, column in self._columns().items()} | clock.arrays,
            values={
                "keys": self._keys.copy(),
                "next_handle": self._next_handle,
                "late": [[slot, *seen] for slot, seen in self._late.items()],
                "recent": self._clicks_ahead.state(),
                **clock.values,
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
        """Go back to what `state` returned, with the gap, lateness and bounds of today."""
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
        self._next_handle = values["next_handle"]
        # Older snapshots do not have it.
        self._late = {slot: (touched, n) for slot, touched, n in values.get("late", [])}
        self._clock.restore(state)
        self._clicks_ahead.restore(values.get("recent", []))
