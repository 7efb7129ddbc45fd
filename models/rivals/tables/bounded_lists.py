"""Many short lists of numbers in few long arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...base import fits, within_bounds
from ...recommender import Arrays
from .columns import Columns
from .undo_log import UndoLog

SHORTEST = 4
"""Room that a list begins with."""


class BoundedLists:
    """A list for each owner, the oldest entry first, bounded in length.

    The lists share arrays. A list that is full moves to where it has twice the room; the place
    that it leaves is given to the next list that needs one of that size.

    Parameters
    ----------
    journal
        Keeps what was changed.
    bound
        Number of entries that a list may have.
    **kinds
        The types of an entry's numbers by name; ``keys`` is int64.

    """

    def __init__(self, journal: UndoLog, bound: int, **kinds: DTypeLike) -> None:
        self.bound = bound
        self._journal = journal
        self._pool = Columns(journal, keys=np.int64, **kinds)
        self._end = 0
        self._free: dict[int, list[int]] = {}
        # By owner: where the list begins, how long it is, and how much room it has.
        self._spans: list[tuple[int, int, int]] = []

    def span(self, owner: int) -> tuple[int, int]:
        """Return where a list begins in the arrays, and how long it is."""
        if owner >= len(self._spans):
            return 0, 0
        start, size, _ = self._spans[owner]
        return start, size

    def get(self, owner: int, name: str = "keys") -> NDArray[Any]:
        """Look at one column of a list; the view holds until the next change."""
        start, size = self.span(owner)
        return self._pool.arrays[name][start : start + size]

    def put(self, name: str, index: int, value: float) -> None:
        """Write one number, at an index into the arrays."""
        self._pool.put(name, index, value)

    def append(self, owner: int, **entry: Any) -> None:
        """Add an entry at the end; where the list is as long as it may be, its oldest one goes."""
        while owner >= len(self._spans):
            self._spans.append((0, 0, 0))
        start, size, room = self._spans[owner]
        if size == self.bound:
            self.remove(owner, 0)
            size -= 1
        elif size == room:
            start, room = self._move(start, size, room)
        self._journal.place(self._spans, owner, (start, size + 1, room))
        for name, value in entry.items():
            self._pool.put(name, start + size, value)

    def remove(self, owner: int, place: int) -> None:
        """Take out the entry at a place of a list."""
        start, size, room = self._spans[owner]
        for name, array in self._pool.arrays.items():
            later = array[start + place + 1 : start + size].copy()
            self._pool.put(name, slice(start + place, start + size - 1), later)
        self._journal.place(self._spans, owner, (start, size - 1, room))

    def clear(self, owner: int) -> None:
        """Empty a list."""
        if self.span(owner)[1]:
            start, _, room = self._spans[owner]
            self._journal.place(self._spans, owner, (0, 0, 0))
            self._leave(start, room)

    def _move(self, start: int, size: int, room: int) -> tuple[int, int]:
        """Return a list more room; return its new start and room."""
        wider = min(self.bound, max(SHORTEST, 2 * room))
        free = self._free.setdefault(wider, [])
        if free:
            new = free.pop()
        else:
            new = self._end
            self._end += wider
            self._pool.reach(self._end)
        self._journal.note(free.append, new)
        for name, array in self._pool.arrays.items():
            self._pool.put(name, slice(new, new + size), array[start : start + size])
        if room:
            self._leave(start, room)
        return new, wider

    def _leave(self, start: int, room: int) -> None:
        free = self._free.setdefault(room, [])
        free.append(start)
        self._journal.note(free.pop)

    def state(self) -> Arrays:
        """Copy all lists, one behind the other, and their lengths by owner."""
        spans = np.array(self._spans, np.int64).reshape(-1, 3)
        # A test may have left room for owners that never came to be.
        spans = spans[: int(spans[:, 1].nonzero()[0].max(initial=-1)) + 1]
        starts, sizes = spans[:, 0], spans[:, 1]
        before = np.cumsum(sizes) - sizes
        index = np.repeat(starts - before, sizes) + np.arange(sizes.sum())
        return {"sizes": sizes.copy()} | {
            name: array[index] for name, array in self._pool.arrays.items()
        }

    def restore(self, arrays: Arrays) -> None:
        """Restore what `state` returned."""
        sizes = arrays["sizes"]
        fits(
            within_bounds(sizes, 0, self.bound + 1)
            and all(len(arrays[name]) == sizes.sum() for name in self._pool.arrays),
            "the lists and their lengths",
        )
        rooms = np.minimum(self.bound, SHORTEST * (1 << _doublings(sizes)))
        rooms[sizes == 0] = 0
        starts = np.cumsum(rooms) - rooms
        before = np.cumsum(sizes) - sizes
        index = np.repeat(starts - before, sizes) + np.arange(sizes.sum())
        self._end, self._free = int(rooms.sum()), {}
        spans = zip(starts.tolist(), sizes.tolist(), rooms.tolist(), strict=True)
        self._spans = list(spans)
        for name, array in self._pool.arrays.items():
            pool = np.zeros(max(64, self._end), array.dtype)
            pool[index] = arrays[name]
            self._pool.arrays[name] = pool


def _doublings(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often the shortest room is doubled until a list of this length fits."""
    wanted = np.maximum(1, -(-sizes // SHORTEST))
    return np.ceil(np.log2(wanted)).astype(np.int64)


class TopCounts(BoundedLists):
    """Weighted keys for each owner.

    Where an owner has as many keys as the bound allows, a new one takes the place of the key with
    the least weight (of those the oldest).
    """

    def __init__(self, journal: UndoLog, bound: int) -> None:
        super().__init__(journal, bound, weights=np.float64)

    def add(self, owner: int, key: int, weight: float) -> None:
        """Add to the weight of a key."""
        start, size = self.span(owner)
        keys, weights = self._pool.arrays["keys"], self._pool.arrays["weights"]
        found = (keys[start : start + size] == key).nonzero()[0]
        if len(found):
            index = start + int(found[0])
            self.put("weights", index, weights[index] + weight)
        else:
            if size == self.bound:
                self.remove(owner, int(weights[start : start + size].argmin()))
            self.append(owner, keys=key, weights=weight)

    def weight(self, owner: int, key: int) -> float:
        """Return the weight of a key, 0 where the owner has it not."""
        return float(self.get(owner, "weights")[self.get(owner) == key].sum())

    def scale(self, factor: float) -> None:
        """Multiply all weights; a key whose weight becomes zero stays."""
        self._pool.put("weights", slice(None), self._pool.arrays["weights"] * factor)
