"""A table that grows by rows, with the optimizer's state of each row."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.device import on_host
from ..compute.jit import compiled
from ..compute.snapshot_buffer import SnapshotBuffer
from ..optim import Optimizer
from .vocabulary import NO_ITEM

FEW_TERMS = 3
"""A product of at most this many terms is summed on a CPU without being written out first."""


class Product(NamedTuple):
    """A gradient that is not multiplied yet: ``leftᵀ @ right``.

    Parameters
    ----------
    left, right
        (m, n) and (m, size), where n gradients are meant.

    """

    left: Tensor
    right: Tensor


class Table:
    """One number or one vector a row; rows are initialised, updated, and initialised again.

    Parameters
    ----------
    size
        Length of a row; 0 for single numbers.
    empty
        What a row holds that was never begun.
    rule
        How rows move along their gradients.
    device, dtype
        Of the numbers.

    """

    def __init__(
        self, size: int, empty: float, rule: Optimizer, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.empty = empty
        self.rule = rule
        shape = (1, size) if size else (1,)
        self.values = torch.full(shape, empty, dtype=dtype, device=device)
        self.optimizer_state = rule.state(self.values)
        # Where a row stands among those that are being summed; -1 between calls.
        self._slots = np.full(1, -1, np.int32)

    def reserve(self, rows: int) -> None:
        """Make room for at least this many rows."""
        old = len(self.values)
        if rows <= old:
            return
        values = self.values.new_full(
            (max(1024, 2 * old, rows), *self.values.shape[1:]), self.empty
        )
        values[:old] = self.values
        state = self.rule.state(values)
        for new, part in zip(state, self.optimizer_state, strict=True):
            new[:old] = part
        self.values, self.optimizer_state = values, state
        self._slots = np.full(len(values), -1, np.int32)

    def begin(self, rows: Tensor, values: Tensor | float) -> None:
        """Begin rows: nothing of what they held before is left."""
        self.values[rows] = values
        for part in self.optimizer_state:
            part[rows] = 0

    def sum(self, *found: tuple[Tensor, Tensor | Product]) -> tuple[Tensor, Tensor]:
        """Sum gradients by row: a rule must see the sum of a row's gradients, not each of them.

        Parameters
        ----------
        *found
            Rows, int64 (n,), and as many gradients, (n, …); both with repetitions.

        Returns
        -------
        tuple of Tensor
            The u distinct rows, and their gradients, (u, …). `NO_ITEM` is left out, or, on a GPU,
            has zero, as often as other rows come again.

        Examples
        --------
        >>> from nextclick.models.optim import make_rule
        >>> table = Table(0, 0.0, make_rule("adagrad", 0.1), torch.device("cpu"), torch.float32)
        >>> table.reserve(6)
        >>> table.sum((torch.tensor([5, 2]), torch.ones(2)), (torch.tensor([5]), torch.ones(1)))
        (tensor([5, 2]), tensor([2., 1.]))

        """
        rows = torch.cat([rows for rows, _ in found])
        shape = self.values.shape[1:]
        if on_host(rows):
            distinct, slots = _distinct(rows.numpy(), self._slots)
            sums = np.empty((len(distinct), math.prod(shape)), self.values.numpy().dtype)
            begin = seen = 0
            for part, gradient in found:
                end = begin + part.shape[0]
                if isinstance(gradient, Product) and gradient.left.shape[0] <= FEW_TERMS:
                    left, right = (of.numpy() for of in gradient)
                    seen = _add_products(left, right, slots[begin:end], sums, seen)
                else:
                    slopes = multiplied(gradient).contiguous().view(-1, sums.shape[1])
                    seen = _add_by_slot(slopes.numpy(), slots[begin:end], sums, seen)
                begin = end
            return torch.from_numpy(distinct), torch.from_numpy(sums).view(len(sums), *shape)
        return sum_sorted(rows, torch.cat([multiplied(gradient) for _, gradient in found]))

    def step(self, rows: Tensor, gradient: Tensor) -> None:
        """Move distinct rows along their gradients; the others are neither read nor written."""
        self.rule.step_rows(self.values, self.optimizer_state, rows, gradient)

    @property
    def row_size(self) -> int:
        """How many bytes a row takes, with what the rule remembers of it."""
        return sum(of[0].nbytes for of in (self.values, *self.optimizer_state))

    def state(self, used: int, copies: SnapshotBuffer) -> dict[str, Tensor]:
        """Copy the first `used` rows."""
        state = {f"memory.{n}": part for n, part in enumerate(self.optimizer_state)}
        tensors = {"values": self.values, **state}
        return {name: copies.copy(tensor[:used]) for name, tensor in tensors.items()}

    def restore(self, arrays: dict[str, Tensor]) -> None:
        """Restore what `state` returned."""
        used = len(arrays["values"])
        self.reserve(used)
        self.values[used:] = self.empty
        self.values[:used] = arrays["values"].to(self.values)
        for number, part in enumerate(self.optimizer_state):
            part[:used] = arrays[f"memory.{number}"].to(part)


def multiplied(gradient: Tensor | Product) -> Tensor:
    """Return the gradient, multiplied if it has not been."""
    return gradient.left.T @ gradient.right if isinstance(gradient, Product) else gradient


def pick(column: Tensor, rows: Tensor) -> Tensor:
    """Return rows by their numbers, in whatever shape: ``column[rows]``, but four times faster.

    Examples
    --------
    >>> pick(torch.tensor([10, 20, 30]), torch.tensor([[2, 0]]))
    tensor([[30, 10]])

    """
    if rows.ndim == 1:
        return column.index_select(0, rows)
    return column.index_select(0, rows.reshape(-1)).view(*rows.shape, *column.shape[1:])


def sum_sorted(rows: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Do what `Table.sum` does, by torch alone: the rows rise.

    As many rows as were given: the host need not wait to hear how many are distinct. After these
    comes `NO_ITEM`, with zero.

    Examples
    --------
    >>> sum_sorted(torch.tensor([5, 0, 5]), torch.tensor([1.0, 10.0, 2.0]))
    (tensor([0, 5, 0]), tensor([0., 3., 0.]))

    """
    rising, order = rows.sort()
    # Where another row begins.
    begins = torch.ones_like(rising)
    begins[1:] = rising[1:] != rising[:-1]
    place = begins.cumsum(0) - 1
    distinct = torch.full_like(rows, NO_ITEM).scatter_(0, place, rising)
    place = torch.empty_like(order).scatter_(0, order, place)
    sums = torch.zeros_like(gradient).index_add_(0, place, gradient)
    # No item comes first.
    sums[:1].masked_fill_((distinct[:1] == NO_ITEM).view(-1, *[1] * (sums.ndim - 1)), 0)
    return distinct, sums


@compiled
def _distinct(
    rows: NDArray[np.int64], slots: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct rows but `NO_ITEM`, and which of them each is; -1 for `NO_ITEM`.

    `slots` has a place for every row, -1 before and after.
    """
    distinct, slot_of = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    count = 0
    for at in range(len(rows)):
        row = rows[at]
        if row != NO_ITEM and slots[row] < 0:
            slots[row] = count
            distinct[count] = row
            count += 1
        slot_of[at] = slots[row]
    for at in range(count):
        slots[distinct[at]] = -1
    return distinct[:count], slot_of


@compiled
def _add_by_slot(
    gradient: NDArray[Any], slots: NDArray[np.int64], sums: NDArray[Any], seen: int
) -> int:
    """Add each row of a gradient to the sum of its slot, if it has one.

    The first `seen` slots hold sums; the others come in order, and hold nothing yet. Gives how many
    hold sums afterwards.
    """
    for at in range(len(slots)):
        slot = slots[at]
        if slot == seen:
            sums[slot] = gradient[at]
            seen += 1
        elif slot >= 0:
            into, slopes = sums[slot], gradient[at]
            for place in range(len(slopes)):
                into[place] += slopes[place]
    return seen


@compiled
def _add_products(
    left: NDArray[Any],
    right: NDArray[Any],
    slots: NDArray[np.int64],
    sums: NDArray[Any],
    seen: int,
) -> int:
    """Do what `_add_by_slot` does with the rows of ``leftᵀ @ right``."""
    for at in range(len(slots)):
        slot = slots[at]
        if slot >= 0:
            into = sums[slot]
            if slot == seen:
                into[:] = 0
                seen += 1
            for term in range(len(left)):
                factor, slopes = left[term, at], right[term]
                for place in range(len(into)):
                    into[place] += factor * slopes[place]
    return seen
