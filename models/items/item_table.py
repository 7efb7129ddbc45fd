"""The items' rows: embeddings and biases, stamped by birth."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.device import on_host
from ..compute.jit import compiled
from ..compute.snapshot_buffer import SnapshotBuffer
from ..compute.transfer import to_device
from ..optim import Optimizer
from ..recommender import within
from .table import Table, pick
from .vocabulary import NO_ITEM

SHIFT = 31
ROWS = 1 << SHIFT
"""No table has that many rows: a key is ``generation · ROWS + row``."""


class ItemTable:
    """What is learned of every item.

    Row 0 stands for no item: its embeddings are zero and its score minus infinity, as is the score
    of every row not given to an item.

    Rows are used again when items leave the catalogue. Whoever keeps rows for long keeps them
    as *keys*, with the row's generation: how many items had been given a row when its item was. A
    key of an earlier generation then stands for no item, not for the new one.

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
        self.spread = spread
        self.n_generations = self.ended = 0
        self._generator = generator
        self.embedding = Table(size, 0.0, rule, device, dtype)
        self.tied = input_size is None
        self.inputs = (
            self.embedding if input_size is None else Table(input_size, 0.0, rule, device, dtype)
        )
        self.bias = Table(0, -torch.inf, rule, device, dtype)
        self.generation = torch.zeros(1, dtype=torch.int64, device=device)

    @property
    def _tables(self) -> dict[str, Table]:
        tables = {"embedding": self.embedding, "bias": self.bias}
        return tables if self.tied else {**tables, "inputs": self.inputs}

    @property
    def _embeddings(self) -> list[Table]:
        return list(dict.fromkeys([self.embedding, self.inputs]))

    def draw_numbers(self, items: int) -> Tensor:
        """Draw what new items' embeddings begin with, on the host: float64 (items, …)."""
        size = sum(table.values.shape[1] for table in self._embeddings)
        # One draw an item, whatever comes after it in the batch.
        return torch.rand((items, size), generator=self._generator, dtype=torch.float64)

    def draw(self, rows: Tensor, used: int, drawn: Tensor | None = None) -> None:
        """Begin new items in distinct rows below `used`: nothing of earlier items is left there.

        `drawn` is what `draw_numbers` returned, on the device; if not given, it is drawn.
        """
        if drawn is None:
            drawn = to_device(self.draw_numbers(len(rows)).numpy(), rows.device)
        for table in self._tables.values():
            table.reserve(used)
        if used > len(self.generation):
            generation = self.generation.new_zeros(max(1024, 2 * len(self.generation), used))
            generation[: len(self.generation)] = self.generation
            self.generation = generation
        self.bias.begin(rows, 0.0)
        count, tables = len(rows), self._embeddings
        sizes = [table.values.shape[1] for table in tables]
        for table, own in zip(tables, drawn.split(sizes, dim=1), strict=True):
            table.begin(rows, ((2 * own - 1) * self.spread).to(table.values))
        self.generation[rows] = (
            torch.arange(self.n_generations, self.n_generations + count, device=rows.device) + 1
        )
        self.n_generations += count

    def clear(self, rows: Tensor) -> None:
        """End the items of these rows: nothing of them is left, their scores are minus infinity."""
        for table in self._tables.values():
            table.begin(rows, table.empty)
        self.generation[rows] = 0
        self.ended += len(rows)

    def scoring(self, used: int) -> tuple[Tensor, Tensor]:
        """Return what scores the first `used` rows: (used, size) embeddings, and (used,) biases."""
        return self.embedding.values[:used], self.bias.values[:used]

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

    def size(self, used: int) -> int:
        """How many bytes `state` copies."""
        return used * self._row_size

    @cached_property
    def _row_size(self) -> int:
        return self.generation[0].nbytes + sum(table.row_size for table in self._tables.values())

    def state(self, used: int, copies: SnapshotBuffer) -> dict[str, Tensor]:
        """Copy the first `used` rows."""
        arrays = {
            f"{name}.{part}": array
            for name, table in self._tables.items()
            for part, array in table.state(used, copies).items()
        }
        return {**arrays, "births": copies.copy(self.generation[:used])}

    def restore(self, arrays: dict[str, Tensor], n_generations: int) -> None:
        """Restore what `state` returned."""
        self.n_generations = n_generations
        for name, table in self._tables.items():
            table.restore(within(f"{name}.", arrays))
        used = len(arrays["births"])
        self.generation = self.generation.new_zeros(len(self.bias.values))
        self.generation[:used] = arrays["births"].to(self.generation)


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
