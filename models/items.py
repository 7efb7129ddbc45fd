"""The item tables: one row an item, grown as the catalogue grows."""

from __future__ import annotations

import torch
from torch import Tensor

from .vocabulary import NO_ITEM

TABLES = {
    "embedding": 0.0,
    "embedding_memory": 0.0,
    "bias": -torch.inf,
    "bias_memory": 0.0,
    "births": 0,
}
"""What each table holds in a row without an item."""

ROWS = 1 << 31
"""No table has so many rows: a stamp is ``births · ROWS + row``."""


class ItemTable:
    """Embedding and bias of every item, with the optimizer's memory of each row.

    Row 0 stands for no item: its embedding is zero and its score minus infinity, as is the score
    of every row not given to an item.

    Rows are used again when items leave the catalogue. Whoever keeps rows for long keeps them
    *stamped*, with the number of births so far when the item got the row: a stamp from before
    the row's last birth then stands for no item, not for the new one.

    Parameters
    ----------
    size
        Length of an embedding.
    spread
        A new item's embedding is uniform in ±spread, its bias zero.
    device, dtype
        Of the tables.
    generator
        Source of the random numbers, on the CPU, so that all devices draw the same.

    """

    embedding: Tensor
    embedding_memory: Tensor
    bias: Tensor
    bias_memory: Tensor
    births: Tensor

    def __init__(
        self,
        size: int,
        spread: float,
        device: torch.device,
        dtype: torch.dtype,
        generator: torch.Generator,
    ) -> None:
        self.size = size
        self.spread = spread
        self.born = 0
        self._generator = generator
        for name, empty in TABLES.items():
            shape = (1, size) if name.startswith("embedding") else (1,)
            kind = torch.int64 if name == "births" else dtype
            setattr(self, name, torch.full(shape, empty, dtype=kind, device=device))

    def draw(self, rows: Tensor, used: int) -> None:
        """Begin new items in distinct rows below `used`: nothing of earlier items is left there."""
        count = len(rows)
        self._reserve(used)
        drawn = torch.rand((count, self.size), generator=self._generator, dtype=torch.float64)
        self.embedding[rows] = ((2 * drawn - 1) * self.spread).to(self.embedding)
        self.embedding_memory[rows] = 0
        self.bias[rows] = 0
        self.bias_memory[rows] = 0
        self.births[rows] = torch.arange(self.born, self.born + count).to(rows.device) + 1
        self.born += count

    def clear(self, rows: Tensor) -> None:
        """End the items of these rows: their scores are minus infinity from now on."""
        self.bias[rows] = -torch.inf
        self.births[rows] = 0

    def stamp(self, rows: Tensor) -> Tensor:
        """Stamp rows for keeping."""
        return self.births[rows] * ROWS + rows

    def unstamp(self, stamps: Tensor) -> Tensor:
        """Give the rows of stamps, `NO_ITEM` for items that have left since."""
        rows = stamps % ROWS
        return rows.masked_fill(self.births[rows] * ROWS + rows != stamps, NO_ITEM)

    def _reserve(self, rows: int) -> None:
        old = len(self.bias)
        if rows <= old:
            return
        for name, empty in TABLES.items():
            table = getattr(self, name)
            grown = table.new_full((max(1024, 2 * old, rows), *table.shape[1:]), empty)
            grown[:old] = table
            setattr(self, name, grown)

    def state(self, used: int) -> dict[str, Tensor]:
        """Copy the first `used` rows."""
        return {name: getattr(self, name)[:used].clone() for name in TABLES}

    def restore(self, arrays: dict[str, Tensor], born: int) -> None:
        """Take back what `state` gave."""
        self.born = born
        for name, empty in TABLES.items():
            saved, table = arrays[name], getattr(self, name)
            grown = table.new_full((max(len(table), len(saved)), *table.shape[1:]), empty)
            grown[: len(saved)] = saved.to(table)
            setattr(self, name, grown)
