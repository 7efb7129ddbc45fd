"""Live sessions on the device: their last clicks, and the state before these."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .base import fits, within_bounds
from .compute.device import on_host
from .compute.jit import compiled
from .compute.snapshot_buffer import SnapshotBuffer
from .compute.transfer import to_device
from .items.table import pick
from .items.vocabulary import NO_ITEM
from .windows import Id, Places, Whole, Windows, align_windows


class SessionStore:
    """The last K clicks of every live session, and the hidden state at the window's start.

    Clicks are kept as keys (see `ItemTable`), since an item may leave the catalogue
    before the session ends.

    Bounded: where a new session finds no room, the one least recently clicked is dropped.

    Parameters
    ----------
    window
        K, the number of clicks kept of a session.
    width
        Size of a session's hidden state.
    bound
        At most this many sessions are kept.
    device, dtype
        Where the windows and states live, and the states' type.

    """

    def __init__(
        self, window: int, width: int, bound: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.window = window
        self.bound = bound
        self._slots: dict[Id, int] = {}
        # By slot; the last one, that of no slot, is never filled.
        self._kept = np.zeros(1, np.int64)
        self._free: list[int] = []
        self._windows = torch.full((1, window), NO_ITEM, dtype=torch.int64, device=device)
        self._states = torch.zeros((1, width), dtype=dtype, device=device)

    def __len__(self) -> int:
        """Return the number of live sessions."""
        return len(self._slots)

    def __iter__(self) -> Iterator[Id]:
        """Return the live sessions, the least recently clicked first."""
        return iter(self._slots)

    def __contains__(self, session: object) -> bool:
        """Whether a session is live."""
        return session in self._slots

    def align_windows(self, sessions: Sequence[Id], after: bool = False) -> Windows:
        """Find the window of every click of a batch, see `align_windows`; changes nothing.

        Raises
        ------
        ValueError
            The batch holds more sessions than the store may keep.

        """
        windows = align_windows(sessions, self.find, self.window, after)
        self.check_room(len(windows.sessions))
        windows.places = self._place(windows)
        return windows

    def check_room(self, sessions: int) -> None:
        """Check that a batch holds no more sessions than may be kept.

        Raises
        ------
        ValueError
            It does.

        """
        if sessions > self.bound:
            raise ValueError(
                f"a batch of {sessions} sessions does not fit a bound of "
                f"{self.bound} live sessions: raise max_sessions or lower the batch"
            )

    def find(self, sessions: Sequence[Id | None]) -> tuple[Whole, Whole]:
        """Return where sessions are kept, -1 for None and those not live, and how many clicks."""
        slots: Mapping[Any, int] = self._slots
        found = np.fromiter(map(slots.get, sessions, repeat(-1)), np.int64, len(sessions))
        return found, self._kept[found]

    def kept_at(self, slots: Whole) -> tuple[Tensor, Tensor]:
        """Return the last K clicks kept in slots, stamped and right-aligned, and the states before.

        A slot of -1 holds none, and a state of zero.
        """
        held = to_device(slots % len(self._kept), self._windows.device)
        return pick(self._windows, held), pick(self._states, held)

    @property
    def held(self) -> Whole:
        """The slots of the live sessions, from the least to the most recently clicked."""
        return np.fromiter(self._slots.values(), np.int64, len(self._slots))

    def histories(self, windows: Windows, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Gather the batch's histories and the states that they start from.

        Parameters
        ----------
        windows
            What `align_windows` returned.
        keys
            int64 (n,), of the clicked items, on the device.

        Returns
        -------
        histories
            int64 (u, windows.width): stored clicks right-aligned in the first K columns, then the
            clicks of this batch.
        states
            (u, width): hidden states before the stored clicks; zero for a new session.

        """
        device = keys.device
        if on_host(device):
            of = windows.slots, windows.group, windows.turn, keys.numpy(), windows.width
            histories, states = _gather(self._windows.numpy(), self._states.numpy(), *of)
            return torch.from_numpy(histories), torch.from_numpy(states)
        there = windows.on(device)
        held = there.slots.remainder(len(self._kept))
        clicks = keys.new_full((len(held), windows.width - self.window), NO_ITEM)
        clicks[there.group, there.turn] = keys
        return torch.cat([pick(self._windows, held), clicks], dim=1), pick(self._states, held)

    def advance(self, windows: Windows, histories: Tensor, states: Tensor) -> Whole:
        """Keep the batch's sessions as they stand after it, and return their slots.

        Parameters
        ----------
        windows, histories
            What `align_windows` and `histories` returned.
        states
            (u, width): hidden states before the last K clicks of each history.

        """
        slots = self._keep(windows)
        self._kept[slots] = np.minimum(windows.kept + windows.count, self.window)
        if on_host(histories):
            arrays = histories.numpy(), states.numpy(), self._windows.numpy(), self._states.numpy()
            _keep(slots, windows.count, *arrays)
            return slots
        there = windows.on(histories.device)
        columns = torch.arange(self.window, device=histories.device)
        last = histories.gather(1, there.counts[:, None] + columns)
        self._windows.index_copy_(0, there.slots_after, last)
        self._states.index_copy_(0, there.slots_after, states)
        return slots

    def _place(self, windows: Windows) -> Places:
        """Find where the sessions of a batch will be kept; change nothing.

        Each in turn, by its last click, becomes the most recently clicked one.
        """
        slots = windows.slots.copy()
        new = windows.latest[slots[windows.latest] < 0]
        if len(self) + len(new) <= self.bound:
            taken = min(len(new), len(self._free))
            slots[new[:taken]] = self._free[: -taken - 1 : -1]
            slots[new[taken:]] = len(self._kept) - 1 + np.arange(len(new) - taken)
            return Places(slots, [], [], taken, len(new) - taken)
        # The oldest make room, also those that the batch has further clicks of.
        live, touched, gone = len(self), set[Id](), dict[Id, int]()
        oldest, left, free = iter(self._slots.items()), list[int](), iter(reversed(self._free))
        taken, beyond = 0, 0
        for place in windows.latest.tolist():
            session = windows.sessions[place]
            touched.add(session)
            if slots[place] >= 0 and session not in gone:
                continue
            # More than one where a state of a larger bound was restored.
            while live >= self.bound:
                name, slot = next(pair for pair in oldest if pair[0] not in touched)
                gone[name] = slot
                left.append(slot)
                live -= 1
            live += 1
            if left:
                slots[place] = left.pop()
            elif taken < len(self._free):
                slots[place] = next(free)
                taken += 1
            else:
                slots[place] = len(self._kept) - 1 + beyond
                beyond += 1
        return Places(slots, list(gone), left, taken, beyond)

    def _keep(self, windows: Windows) -> Whole:
        """Make the sessions of a batch the most recently clicked, and return their slots."""
        places = windows.places
        assert places is not None
        for session in places.dropped:
            del self._slots[session]
        del self._free[len(self._free) - places.taken :]
        left = places.beyond
        while left:
            self._grow()
            used = min(left, len(self._free))
            del self._free[len(self._free) - used :]
            left -= used
        self._free.extend(places.left)
        latest = list(map(windows.sessions.__getitem__, windows.latest.tolist()))
        deque(map(self._slots.pop, latest, repeat(None)), maxlen=0)
        self._slots.update(zip(latest, places.slots[windows.latest].tolist(), strict=True))
        return places.slots

    def _grow(self) -> None:
        old = len(self._kept) - 1
        new = min(self.bound, max(1024, 2 * old))
        windows = self._windows.new_full((new + 1, self.window), NO_ITEM)
        windows[:old] = self._windows[:old]
        states = self._states.new_zeros((new + 1, self._states.shape[1]))
        states[:old] = self._states[:old]
        kept = np.zeros(new + 1, np.int64)
        kept[:old] = self._kept[:old]
        self._windows, self._states, self._kept = windows, states, kept
        self._free.extend(range(new - 1, old - 1, -1))

    def forget(self, sessions: Iterable[Id]) -> None:
        """Drop sessions; those that are not live are ignored."""
        for session in sessions:
            slot = self._slots.pop(session, None)
            if slot is not None:
                self._free.append(slot)

    @property
    def size(self) -> int:
        """How many bytes `state` copies."""
        return len(self) * self._row_size

    @cached_property
    def _row_size(self) -> int:
        return self._windows[0].nbytes + self._states[0].nbytes

    def state(self, copies: SnapshotBuffer) -> tuple[list[Id], dict[str, Tensor]]:
        """Copy the live sessions, from the least to the most recently clicked."""
        slots = self.held
        kept = torch.from_numpy(self._kept[slots])
        windows, states = copies.copy(self._windows, slots), copies.copy(self._states, slots)
        return list(self._slots), {"windows": windows, "states": states, "kept": kept}

    def restore(self, sessions: Sequence[Id], arrays: dict[str, Tensor]) -> None:
        """Restore what `state` returned."""
        fits(
            all(len(array) == len(sessions) for array in arrays.values())
            and len(set(sessions)) == len(sessions)
            and within_bounds(arrays["kept"].numpy(), 0, self.window + 1),
            "the sessions and their windows",
        )
        self._slots = {session: slot for slot, session in enumerate(sessions)}
        self._kept = np.append(arrays["kept"].numpy(), 0)
        self._free = []
        windows, states = arrays["windows"].to(self._windows), arrays["states"].to(self._states)
        self._windows = torch.cat([windows, self._windows.new_full((1, self.window), NO_ITEM)])
        self._states = torch.cat([states, self._states.new_zeros((1, states.shape[1]))])


@compiled
def _gather(
    kept: NDArray[np.int64],
    states: NDArray[Any],
    slots: NDArray[np.int64],
    group: NDArray[np.int64],
    turn: NDArray[np.int64],
    keys: NDArray[np.int64],
    width: int,
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Do what `SessionStore.histories` says; the last row of the kept ones is that of no slot."""
    window = kept.shape[1]
    histories = np.full((len(slots), width), NO_ITEM, np.int64)
    before = np.empty((len(slots), states.shape[1]), states.dtype)
    for session in range(len(slots)):
        slot = slots[session] if slots[session] >= 0 else len(kept) - 1
        histories[session, :window] = kept[slot]
        before[session] = states[slot]
    for click in range(len(keys)):
        histories[group[click], window + turn[click]] = keys[click]
    return histories, before


@compiled
def _keep(
    slots: NDArray[np.int64],
    count: NDArray[np.int64],
    histories: NDArray[np.int64],
    ends: NDArray[Any],
    kept: NDArray[np.int64],
    states: NDArray[Any],
) -> None:
    """Keep the last clicks of histories, and the states before these, in their sessions' slots."""
    window = kept.shape[1]
    for session in range(len(slots)):
        kept[slots[session]] = histories[session, count[session] : count[session] + window]
        states[slots[session]] = ends[session]
