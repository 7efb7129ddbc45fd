"""The items' rows: embeddings and biases, stamped by birth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.device import on_host
from ..compute.jit import compiled
from ..compute.snapshot_buffer import SnapshotBuffer
from ..optim import Optimizer
from ..recommender import within
from .table import Table, pick
from .vocabulary import NO_ITEM

SHIFT = 31
ROWS = 1 << SHIFT
"""No table has that many rows: a key is ``generation · ROWS + row``."""


class ItemKeys:
    """Which item each row holds.

    Rows are used again when items leave the catalogue. Whoever keeps rows for long keeps them
    as *keys*, with the row's generation: how many items had been given a row when its item was. A
    key of an earlier generation then stands for no item, not for the new one.

    Parameters
    ----------
    device
        Where rows and keys are.

    """

    def __init__(self, device: torch.device) -> None:
        self.n_generations = self.ended = 0
        self.generation = torch.zeros(1, dtype=torch.int64, device=device)

    def give(self, rows: Tensor, used: int) -> None:
        """Give distinct rows below `used` to new items."""
        if used > len(self.generation):
            generation = self.generation.new_zeros(max(1024, 2 * len(self.generation), used))
            generation[: len(self.generation)] = self.generation
            self.generation = generation
        count = len(rows)
        self.generation[rows] = (
            torch.arange(self.n_generations, self.n_generations + count, device=rows.device) + 1
        )
        self.n_generations += count

    def clear(self, rows: Tensor) -> None:
        """End the items of these rows."""
        self.generation[rows] = 0
        self.ended += len(rows)

    def keys_of(self, rows: Tensor) -> Tensor:
        """Return the keys of rows, see above."""
        if on_host(rows):
            return torch.from_numpy(_keys_of(rows.numpy(), self.generation.numpy()))
        return pick(self.generation, rows) * ROWS + rows

    def rows_of(self, keys: Tensor) -> Tensor:
        """Return the rows of keys, `NO_ITEM` for items that have left since."""
        if on_host(keys):
            found = _rows_of(keys.reshape(-1).numpy(), self.generation.numpy())
            return torch.from_numpy(found).view(keys.shape)
        rows = keys & (ROWS - 1)
        return rows.masked_fill_(pick(self.generation, rows) != keys >> SHIFT, NO_ITEM)

    def restore_keys(self, generation: Tensor, n_generations: int, rows: int) -> None:
        """Restore the generations of the first rows, with room for `rows`."""
        self.n_generations = n_generations
        self.generation = self.generation.new_zeros(rows)
        self.generation[: len(generation)] = generation.to(self.generation)


class ItemVectors:
    """What is learned of every item: embeddings, with what the optimizer keeps, and biases.

    Row 0 stands for no item: its embeddings are zero and its score minus infinity, as is the score
    of every row not given to an item.

    Parameters
    ----------
    size
        Length of an embedding, as the scores use it.
    input_size
        Length of the embedding that the network reads; None where it reads the same (tied).
    spread
        A new item's embeddings are uniform in ±spread, its bias zero.
    rule
        How rows move along their gradients.
    device, dtype
        Of the tables.

    """

    def __init__(
        self,
        size: int,
        input_size: int | None,
        spread: float,
        rule: Optimizer,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.spread = spread
        self.embedding = Table(size, 0.0, rule, device, dtype)
        self.tied = input_size is None
        self.inputs = (
            self.embedding if input_size is None else Table(input_size, 0.0, rule, device, dtype)
        )
        self.bias = Table(0, -torch.inf, rule, device, dtype)

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by name."""
        tables = {"embedding": self.embedding, "bias": self.bias}
        return tables if self.tied else {**tables, "inputs": self.inputs}

    @property
    def embeddings(self) -> list[Table]:
        """The table of the scores, and that of the inputs where it is another."""
        return [self.embedding] if self.tied else [self.embedding, self.inputs]

    def begin(self, rows: Tensor, drawn: Tensor) -> None:
        """Begin new items in distinct rows: nothing of earlier items is left there.

        Parameters
        ----------
        rows
            int64 (b,): there is room for them.
        drawn
            float64 (b, sum of the embeddings' lengths): uniform in [0, 1).

        """
        self.bias.begin(rows, 0.0)
        sizes = [table.values.shape[1] for table in self.embeddings]
        for table, own in zip(self.embeddings, drawn.split(sizes, dim=1), strict=True):
            table.begin(rows, ((2 * own - 1) * self.spread).to(table.values))

    def clear_vectors(self, rows: Tensor) -> None:
        """Leave nothing of the items of these rows: their scores are minus infinity."""
        for table in self.tables.values():
            table.begin(rows, table.empty)

    def scoring(self, used: int) -> tuple[Tensor, Tensor]:
        """Return what scores the first `used` rows: (used, size) embeddings, and (used,) biases."""
        return self.embedding.values[:used], self.bias.values[:used]


def draw_embeddings(count: int, sizes: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw what new items' embeddings begin with: one draw an item, whatever comes after it."""
    return torch.rand((count, sum(sizes)), generator=generator, dtype=torch.float64)


class ItemTable(ItemKeys, ItemVectors):
    """The items of a model in one process: which they are, and what is learned of them.

    Parameters
    ----------
    size, input_size, spread, rule, device, dtype
        See `ItemVectors`.
    generator
        Source of the random numbers, on the CPU, so that all devices draw the same.

    """

    def __init__(
        self,
        size: int,
        input_size: int | None,
        spread: float,
        rule: Optimizer,
        device: torch.device,
        dtype: torch.dtype,
        generator: torch.Generator,
    ) -> None:
        ItemKeys.__init__(self, device)
        ItemVectors.__init__(self, size, input_size, spread, rule, device, dtype)
        self._generator = generator

    def draw(self, rows: Tensor, used: int) -> None:
        """Begin new items in distinct rows below `used`: nothing of earlier items is left there."""
        for table in self.tables.values():
            table.reserve(used)
        sizes = [table.values.shape[1] for table in self.embeddings]
        self.begin(rows, draw_embeddings(len(rows), sizes, self._generator))
        self.give(rows, used)

    def clear(self, rows: Tensor) -> None:
        """End the items of these rows: nothing of them is left, their scores are minus infinity."""
        self.clear_vectors(rows)
        super().clear(rows)

    def size(self, used: int) -> int:
        """How many bytes `state` copies."""
        return used * self._row_size

    @cached_property
    def _row_size(self) -> int:
        return self.generation[0].nbytes + sum(table.row_size for table in self.tables.values())

    def state(self, used: int, copies: SnapshotBuffer) -> dict[str, Tensor]:
        """Copy the first `used` rows."""
        arrays = {
            f"{name}.{part}": array
            for name, table in self.tables.items()
            for part, array in table.state(used, copies).items()
        }
        return {**arrays, "births": copies.copy(self.generation[:used])}

    def restore(self, arrays: dict[str, Tensor], n_generations: int) -> None:
        """Restore what `state` returned."""
        for name, table in self.tables.items():
            table.restore(within(f"{name}.", arrays))
        self.restore_keys(arrays["births"], n_generations, len(self.bias.values))


@compiled
def _keys_of(rows: NDArray[np.int64], generation: NDArray[np.int64]) -> NDArray[np.int64]:
    keys = np.empty_like(rows)
    for at in range(len(rows)):
        keys[at] = generation[rows[at]] * ROWS + rows[at]
    return keys


@compiled
def _rows_of(keys: NDArray[np.int64], generation: NDArray[np.int64]) -> NDArray[np.int64]:
    rows = np.empty_like(keys)
    for at in range(len(keys)):
        row = keys[at] & (ROWS - 1)
        rows[at] = row if generation[row] == keys[at] >> SHIFT else NO_ITEM
    return rows
