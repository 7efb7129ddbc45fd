"""The item tables: one row an item, grown as the catalogue grows."""

from __future__ import annotations

import torch
from torch import Tensor


class ItemTable:
    """Embedding and bias of every item, with the optimizer's memory of each row.

    Row 0 stands for no item: its embedding is zero and its score minus infinity, as is the score
    of every row not given to an item.

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
        self.used = 1
        self._generator = generator
        self.embedding = torch.zeros((1, size), dtype=dtype, device=device)
        self.embedding_memory = torch.zeros_like(self.embedding)
        self.bias = torch.full((1,), -torch.inf, dtype=dtype, device=device)
        self.bias_memory = torch.zeros_like(self.bias)

    def append(self, count: int) -> None:
        """Draw the rows of `count` new items."""
        if self.used + count > len(self.bias):
            self._reserve(max(1024, 2 * len(self.bias), self.used + count))
        rows = slice(self.used, self.used + count)
        draw = torch.rand((count, self.size), generator=self._generator, dtype=torch.float64)
        self.embedding[rows] = ((2 * draw - 1) * self.spread).to(self.embedding)
        self.bias[rows] = 0
        self.embedding_memory[rows] = 0
        self.bias_memory[rows] = 0
        self.used += count

    def withdraw(self, used: int) -> None:
        """Take back the newest rows until `used` are left."""
        self.bias[used : self.used] = -torch.inf
        self.used = used

    def _reserve(self, rows: int) -> None:
        for name, empty in (
            ("embedding", 0.0),
            ("embedding_memory", 0.0),
            ("bias", -torch.inf),
            ("bias_memory", 0.0),
        ):
            old = getattr(self, name)
            new = torch.full((rows, *old.shape[1:]), empty, dtype=old.dtype, device=old.device)
            new[: len(old)] = old
            setattr(self, name, new)

    def state(self) -> dict[str, Tensor]:
        """Copy the rows in use."""
        return {
            name: getattr(self, name)[: self.used].clone()
            for name in ("embedding", "embedding_memory", "bias", "bias_memory")
        }

    def restore(self, arrays: dict[str, Tensor]) -> None:
        """Take back what `state` gave."""
        self.used = 1
        rows = len(arrays["bias"])
        self._reserve(max(len(self.bias), rows))
        for name, saved in arrays.items():
            table = getattr(self, name)
            table[:rows] = saved.to(table)
        self.used = rows
