"""Item tables and counts of clicks for the tests of this folder."""

from __future__ import annotations

import torch

from nextclick.models.items.item_table import ItemTable
from nextclick.models.items.popularity import Popularity
from nextclick.models.optim import make_rule


def catalogue(items: int = 50) -> ItemTable:
    """Make a table with items in the rows from 1."""
    generator = torch.Generator().manual_seed(0)
    cpu = torch.device("cpu")
    table = ItemTable(1, None, 0.2, make_rule("adagrad", 0.1), cpu, torch.float32, generator)
    table.draw(torch.arange(1, items + 1), items + 1)
    return table


def popularity(
    alpha: float, seed: int = 0, table: ItemTable | None = None, half_life: float = 0.0
) -> Popularity:
    generator = torch.Generator().manual_seed(seed)
    return Popularity(alpha, table or catalogue(), generator, half_life)


def learn(model: Popularity, rows: list[int], used: int = 0) -> None:
    model.learn(torch.tensor(rows, dtype=torch.int64), used or max(rows) + 1)


def clicks_of(counts: list[int]) -> list[int]:
    """List row 1 as often as the first count says, row 2 as the second, …."""
    return [row for row, count in enumerate(counts, start=1) for _ in range(count)]


def leave(model: Popularity, table: ItemTable, row: int) -> None:
    table.clear(torch.tensor([row]))
    model.forget(torch.tensor([row]))
