"""The latest clicks of a stream, kept to be learned again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...recommender import Arrays, Id


class ReplayBuffer:
    """A bounded log: the latest clicks in stream order, by session and item.

    Parameters
    ----------
    bound
        Number of clicks kept. Room is taken for up to twice as many, so that the oldest are
        dropped in bulk.

    Examples
    --------
    >>> kept = ReplayBuffer(2)
    >>> kept.add([7, 8, 7], ["shoes", "hat", "socks"])
    >>> list(kept.batches(10))
    [([8, 7], ['hat', 'socks'])]

    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._sessions = np.zeros(0, np.int64)
        self._items = np.zeros(0, np.int64)
        self._count = 0
        self._codes: dict[Id, int] = {}
        self._names: list[Id] = []

    def __len__(self) -> int:
        """Return the number of clicks kept."""
        return min(self._count, self.bound)

    def add(self, sessions: Sequence[int], items: Sequence[Id]) -> None:
        """Keep a batch of clicks, their sessions given by numbers."""
        codes = []
        for item in items:
            code = self._codes.setdefault(item, len(self._names))
            if code == len(self._names):
                self._names.append(item)
            codes.append(code)
        end = self._count + len(codes)
        if end > len(self._items):
            room = np.zeros(max(1024, end), np.int64)
            self._sessions = np.concatenate([self._sessions[: self._count], room])
            self._items = np.concatenate([self._items[: self._count], room])
        self._sessions[self._count : end] = sessions
        self._items[self._count : end] = codes
        self._count = end
        if self._count > 2 * self.bound:
            self._drop()

    def _drop(self) -> None:
        """Drop the clicks beyond the bound, and the names of items that only they had."""
        kept = slice(self._count - len(self), self._count)
        self._sessions = self._sessions[kept].copy()
        codes, self._items = np.unique(self._items[kept], return_inverse=True)
        self._count = len(self._items)
        self._names = [self._names[code] for code in codes.tolist()]
        self._codes = {name: code for code, name in enumerate(self._names)}

    def batches(self, size: int) -> Iterator[tuple[list[int], list[Id]]]:
        """Return the clicks again, oldest first, in batches."""
        for start in range(self._count - len(self), self._count, size):
            part = slice(start, min(start + size, self._count))
            codes = self._items[part].tolist()
            yield self._sessions[part].tolist(), [self._names[code] for code in codes]

    def state(self) -> tuple[Arrays, list[Any]]:
        """Copy the clicks and the items' names."""
        self._drop()
        return {"sessions": self._sessions.copy(), "items": self._items.copy()}, list(self._names)

    def restore(self, arrays: Arrays, names: Sequence[Id]) -> None:
        """Restore what `state` returned."""
        self._sessions, self._items = arrays["sessions"].copy(), arrays["items"].copy()
        self._count = len(self._items)
        self._names = list(names)
        self._codes = {name: code for code, name in enumerate(self._names)}
