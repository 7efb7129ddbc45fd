"""Weighted draws of rows, from sums that are renewed only where weights have changed."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.device import on_host
from ..compute.jit import compiled
from ..compute.snapshot_buffer import SnapshotBuffer
from .table import pick
from .vocabulary import NO_ITEM

BLOCK = 64
"""Rows of a block, and blocks of a group."""

GROUP = BLOCK * BLOCK
"""Rows of a group."""


class SamplingTable:
    """Draws rows with probability proportional to their weights as of the last `refresh`.

    A number of [0, 1) draws the first row up to which the weights, summed from row 0 on, exceed
    that share of all. The sums are kept on three levels: within each block of 64 rows, over the
    blocks within each group of 64 blocks, and over the groups. So a refresh costs 64 additions on
    two levels for each row whose weight has changed, and one for each 4,096 rows; a draw compares
    64 sums on two levels. All sums follow from the weights alone, not from those before.

    Parameters
    ----------
    device
        Where the weights are, and the rows that are drawn.

    Attributes
    ----------
    weights
        float64 (n,): by row, as they will be in the next refresh. Whoever changes them calls
        `note`.

    Examples
    --------
    >>> table = SamplingTable(torch.device("cpu"))
    >>> table.reserve(4)
    >>> table.weights[1], table.weights[3] = 3.0, 1.0
    >>> table.note(torch.tensor([1, 3]))
    >>> table.refresh()
    >>> table.draw(torch.tensor([0.0, 0.74, 0.76], dtype=torch.float64))
    tensor([1, 1, 3])

    """

    def __init__(self, device: torch.device) -> None:
        self.weights = torch.zeros(0, dtype=torch.float64, device=device)
        # The sum up to each row within its block, and up to each block within its group.
        self._sums, self._blocks = self.weights.clone(), self.weights.clone()
        self._groups = self.weights.clone()
        # Those noted since the last refresh.
        self._changed = [torch.zeros(0, dtype=torch.int64, device=device)]
        # Rows that were dropped since then, and whether there are any.
        self._dropped = torch.zeros(0, dtype=torch.bool, device=device)
        self._any_dropped = False

    def __len__(self) -> int:
        """Return how many rows there is room for."""
        return self.weights.shape[0]

    @property
    def total(self) -> Tensor:
        """The sum of all weights as of the last refresh, without dimensions."""
        return self._groups[-1]

    def reserve(self, rows: int) -> None:
        """Make room for at least this many rows; new ones have no weight."""
        if rows <= len(self):
            return
        groups = max(-(-rows // GROUP), 2 * len(self._groups))
        self.weights = _grown(self.weights, groups * GROUP)
        self._sums = _grown(self._sums, groups * GROUP)
        self._dropped = _grown(self._dropped, groups * GROUP)
        self._blocks = _grown(self._blocks, groups * BLOCK)
        self._sum_groups()

    def note(self, rows: Tensor) -> None:
        """Note that the weights of rows have changed."""
        self._changed.append(rows)

    def note_all(self) -> None:
        """Note that all weights have changed."""
        self._changed = [torch.arange(len(self), device=self.weights.device)]

    def drop(self, rows: Tensor) -> None:
        """Take their weight from rows; until the next refresh `NO_ITEM` is drawn in their place."""
        self.weights[rows] = 0
        self._dropped[rows] = self._any_dropped = True
        self.note(rows)

    def refresh(self) -> None:
        """Draw by the present weights from now on."""
        rows = torch.cat(self._changed)
        self._changed = [rows[:0]]
        if self._any_dropped:
            self._dropped[rows] = self._any_dropped = False
        self._sum(rows // BLOCK)

    def _sum(self, blocks: Tensor) -> None:
        """Renew the sums of some blocks, of their groups, and over all groups."""
        if on_host(blocks):
            arrays = (self.weights.numpy(), self._sums.numpy(), self._blocks.numpy())
            _renew(np.unique(blocks.numpy()), *arrays)
        else:
            groups, sums = blocks // BLOCK, _in_blocks(self._sums)
            sums[blocks] = pick(_in_blocks(self.weights), blocks).cumsum(1)
            _in_blocks(self._blocks)[groups] = _in_blocks(sums[:, -1])[groups].cumsum(1)
        self._sum_groups()

    def _sum_groups(self) -> None:
        self._groups = _in_blocks(self._blocks)[:, -1].cumsum(0)

    def draw(self, numbers: Tensor) -> Tensor:
        """Return the rows that numbers of [0, 1) draw, see above; `NO_ITEM` if all weights are 0.

        Parameters
        ----------
        numbers
            float64 (n,), on the device.

        Returns
        -------
        Tensor
            int64 (n,).

        """
        if on_host(numbers):
            sums = (of.numpy() for of in (self._groups, self._blocks, self._sums, self._dropped))
            return torch.from_numpy(_draw(numbers.numpy(), *sums))
        shares = numbers * self.total
        groups = torch.searchsorted(self._groups, shares, right=True)
        # As below.
        groups = groups.minimum(torch.searchsorted(self._groups, self.total))
        before = torch.nn.functional.pad(self._groups, (1, 0))
        rows, rest = groups, shares - pick(before, groups)
        for level in (self._blocks, self._sums):
            own = pick(_in_blocks(level), rows)
            places = (own <= rest[:, None]).sum(1)
            places = places.minimum((own < own[:, -1:]).sum(1))
            before = torch.nn.functional.pad(own, (1, 0))
            rows, rest = (
                rows * BLOCK + places,
                rest - before.gather(1, places[:, None])[:, 0],
            )
        return rows.masked_fill_(pick(self._dropped, rows), NO_ITEM)

    def state(self, copies: SnapshotBuffer) -> dict[str, Tensor]:
        """Copy what is drawn by until the next refresh."""
        return {"sums": copies.copy(self._sums), "dropped": copies.copy(self._dropped)}

    def restore(self, arrays: dict[str, Tensor]) -> None:
        """Restore what `state` returned, with new weights of zero."""
        device = self.weights.device
        self._sums = arrays["sums"].to(device).clone()
        self._dropped = arrays["dropped"].to(device).clone()
        self._any_dropped = bool(self._dropped.any())
        self.weights = torch.zeros_like(self._sums)
        self._blocks = _in_blocks(_in_blocks(self._sums)[:, -1]).cumsum(1).view(-1)
        self._sum_groups()
        self.note_all()


def _in_blocks(part: Tensor) -> Tensor:
    """Return a view of one row a block."""
    blocks: Tensor = part.unflatten(0, (part.shape[0] // BLOCK, BLOCK))
    return blocks


def _grown(part: Tensor, size: int) -> Tensor:
    grown = part.new_zeros(size)
    grown[: len(part)] = part
    return grown


@compiled
def _renew(
    changed: NDArray[np.int64],
    weights: NDArray[np.float64],
    sums: NDArray[np.float64],
    blocks: NDArray[np.float64],
) -> None:
    """Sum the weights of some rising blocks, and these blocks' groups."""
    for block in changed:
        total = 0.0
        for row in range(block * BLOCK, (block + 1) * BLOCK):
            total += weights[row]
            sums[row] = total
    last = -1
    for block in changed:
        group = block // BLOCK
        if group == last:
            continue
        last, total = group, 0.0
        for of_group in range(group * BLOCK, (group + 1) * BLOCK):
            total += sums[of_group * BLOCK + BLOCK - 1]
            blocks[of_group] = total


@compiled
def _draw(
    numbers: NDArray[np.float64],
    groups: NDArray[np.float64],
    blocks: NDArray[np.float64],
    sums: NDArray[np.float64],
    dropped: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Do what `SamplingTable.draw` says."""
    rows = np.empty(len(numbers), np.int64)
    # Rounding may take a share to the total: it is then the last row's that has a weight.
    last = np.searchsorted(groups, groups[-1])
    for number in range(len(numbers)):
        share = numbers[number] * groups[-1]
        group, end = 0, last
        while group < end:
            middle = (group + end) // 2
            if groups[middle] <= share:
                group = middle + 1
            else:
                end = middle
        share -= groups[group - 1] if group else 0.0
        of_group = blocks[group * BLOCK : (group + 1) * BLOCK]
        place = _place(of_group, share)
        share -= of_group[place - 1] if place else 0.0
        begin = (group * BLOCK + place) * BLOCK
        row = begin + _place(sums[begin : begin + BLOCK], share)
        rows[number] = NO_ITEM if dropped[row] else row
    return rows


@compiled
def _place(sums: NDArray[np.float64], share: float) -> int:
    """Return the first place whose sum exceeds a share, at most the last one with a weight."""
    place = 0
    # All are compared: that is sooner done than halving, which the processor cannot foresee.
    for at in range(len(sums)):
        place += sums[at] <= share
    if place == len(sums):
        place = 0
        for at in range(len(sums)):
            place += sums[at] < sums[-1]
    return place
