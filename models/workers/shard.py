"""What one rank has of the sessions and of the windows of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.jit import compiled
from ..items.table import pick

Whole = NDArray[np.int64]


class SessionStates:
    """The states of the rank's own sessions, by the slots that rank 0 gives to all sessions.

    Parameters
    ----------
    width
        Size of a state.
    device, dtype
        Of the states.

    """

    def __init__(self, width: int, device: torch.device, dtype: torch.dtype) -> None:
        # By slot: where its state is, 0 where this rank has none. There stands a state of zero.
        self._place_of = np.zeros(0, np.int64)
        self._free = np.zeros(0, np.int64)
        self._states = torch.zeros((1, width), dtype=dtype, device=device)

    def read(self, slots: Whole) -> Tensor:
        """Return the states of own sessions, zero where the slot is -1."""
        places = np.zeros(len(slots), np.int64)
        live = slots >= 0
        places[live] = self._place_of[slots[live]]
        return pick(self._states, torch.from_numpy(places).to(self._states.device))

    @torch.no_grad()
    def keep(self, slots: Whole, own: NDArray[np.bool_], states: Tensor) -> None:
        """Keep states of sessions after a batch.

        Parameters
        ----------
        slots
            int64 (u,): of all the batch's sessions.
        own
            bool (u,): which are this rank's.
        states
            Of these.

        """
        most = int(slots.max(initial=-1)) + 1
        if most > len(self._place_of):
            longer = np.zeros(max(1024, 2 * len(self._place_of), most), np.int64)
            longer[: len(self._place_of)] = self._place_of
            self._place_of = longer
        places = self._place_of[slots]
        # Slots that another rank's session has now.
        left = slots[~own & (places > 0)]
        if len(left):
            self._free = np.append(self._free, self._place_of[left])
            self._place_of[left] = 0
        new = slots[own & (places == 0)]
        if len(new):
            self._place_of[new] = self._take(len(new))
        at = torch.from_numpy(self._place_of[slots[own]]).to(self._states.device)
        self._states.index_copy_(0, at, states)

    def _take(self, count: int) -> Whole:
        if len(self._free) < count:
            old = len(self._states)
            grown = max(1024, 2 * old, old + count)
            states = self._states.new_zeros((grown, self._states.shape[1]))
            states[:old] = self._states
            self._states = states
            self._free = np.append(np.arange(grown - 1, old - 1, -1), self._free)
        cut = len(self._free) - count
        taken, self._free = self._free[cut:], self._free[:cut]
        return taken

    def restore(self, slots: Whole, states: Tensor) -> None:
        """Have these sessions only."""
        self.__init__(  # type: ignore[misc]
            self._states.shape[1], self._states.device, self._states.dtype
        )
        self.keep(slots, np.ones(len(slots), np.bool_), states)


@compiled
def part_of(sizes: Whole, own: NDArray[np.bool_]) -> tuple[Whole, Whole]:
    """Return some of packed sequences: their sizes, and the places of their steps.

    Parameters
    ----------
    sizes
        How many of all the sequences have a first, second, … step: falling.
    own
        bool (first of sizes,): which of them.

    """
    found, places = np.zeros(len(sizes), np.int64), np.empty(sizes.sum(), np.int64)
    begin = used = steps = 0
    for step in range(len(sizes)):
        for number in range(sizes[step]):
            if own[number]:
                places[used] = begin + number
                used += 1
                found[step] += 1
        begin += sizes[step]
        steps += found[step] > 0
    return found[:steps], places[:used]


def in_order_of(ranks: Whole, size: int) -> tuple[Whole, list[int]]:
    """Return the order that puts what rank 0 has first, and so on, and how much each rank has."""
    counts: Sequence[int] = np.bincount(ranks, minlength=size).tolist()
    return np.argsort(ranks, kind="stable"), list(counts)
