"""Negatives by streaming popularity."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.device import on_host
from ..compute.jit import compiled
from ..compute.snapshot_buffer import SnapshotBuffer
from ..compute.transfer import to_device
from .item_table import ItemTable
from .table import pick
from .vocabulary import NO_ITEM

REFRESH = 1024
"""Clicks after which the sampling table is rebuilt: a cost linear in the catalogue. While there
are fewer clicks than that, it is rebuilt whenever they have doubled."""

LARGEST_BATCH = 1 << 16
"""Clicks of a batch at most: each is scored against all items of the batch and its negatives, so a
batch takes memory by the square of its clicks."""

LARGEST = 512
"""Counts are scaled down when the scale reaches 2 to this power: far below what float64 holds."""


class Popularity:
    """How often each item has been clicked, and samples of items by that.

    Items are drawn with probability proportional to ``clicks ** alpha``, from a table that is made
    anew every 1,024 clicks (and at the first batch), counted along the stream.

    Counts may decay: a click counts half after `half_life` further clicks. No count is touched for
    that: each new click adds more than the one before, by a scale that all counts share.

    Parameters
    ----------
    alpha
        1 draws by popularity, 0 uniformly.
    items
        The item tables, whose keys tell which item a row held when the table was made.
    generator
        Source of the random numbers, on the CPU, so that all devices draw the same.
    half_life
        In clicks; 0: counts never decay.

    Attributes
    ----------
    clicks
        How many clicks have been counted.
    mass
        What they count today, all together.

    """

    def __init__(
        self,
        alpha: float,
        items: ItemTable,
        generator: torch.Generator,
        half_life: float = 0.0,
    ) -> None:
        device = items.generation.device
        self.alpha = alpha
        self.half_life = half_life
        self._items = items
        self.clicks = 0
        self.mass = 0.0
        self._age = 0.0
        self._generator = generator
        self._refreshed = 0
        self._counts = torch.zeros(1, dtype=torch.float64, device=device)
        self._table = torch.zeros(0, dtype=torch.float64, device=device)
        self._stamps = torch.zeros(0, dtype=torch.int64, device=device)
        self._guide = np.zeros(0, np.int32)
        # With no item's end since the table was made, its places are the rows from 1 on.
        self._ended = -1

    def learn(self, rows: Tensor, used: int) -> None:
        """Count a batch of clicks.

        Parameters
        ----------
        rows
            int64 (n,): the clicked rows, those of items in the catalogue.
        used
            Rows in use after the batch.

        """
        if used > len(self._counts):
            grown = self._counts.new_zeros(max(1024, 2 * len(self._counts), used))
            grown[: len(self._counts)] = self._counts
            self._counts = grown
        self._counts.index_add_(0, rows, self._increments(len(rows)))
        self.clicks += len(rows)
        if self.clicks - self._refreshed >= min(REFRESH, self._refreshed):
            self._refreshed = self.clicks
            rows = torch.arange(1, used, device=self._counts.device)
            self._table = self._weights(self.counts(rows)).cumsum(0)
            self._stamps, self._ended = self._items.keys_of(rows), self._items.ended
            self._guide = self._guide[:0]

    def _increments(self, clicks: int) -> Tensor:
        """Advance the clock by some clicks; return what each of them adds to a count."""
        if not self.half_life:
            self.mass += clicks
            return self._counts.new_ones(clicks)
        self._age += clicks / self.half_life
        if self._age >= LARGEST:
            whole = math.floor(self._age)
            self._counts *= math.exp2(-whole)  # A power of two changes no digit.
            self._age -= whole
        passed = torch.arange(clicks - 1, -1, -1, dtype=torch.float64) / self.half_life
        weights = torch.exp2(-passed)
        self.mass = self.mass * math.exp2(-clicks / self.half_life) + float(weights.sum())
        return to_device((weights * math.exp2(self._age)).numpy(), self._counts.device)

    def forget(self, rows: Tensor) -> None:
        """Forget the clicks of items that have left the catalogue."""
        self._counts[rows] = 0

    def counts(self, rows: Tensor) -> Tensor:
        """Return what the clicks on rows count today, in float64; 0 for rows never counted."""
        # No item is never counted.
        counted = rows.masked_fill(rows >= len(self._counts), NO_ITEM)
        return pick(self._counts, counted) * math.exp2(-self._age)

    def draw(self, count: int) -> NDArray[np.float64]:
        """Draw what `sample` takes, on the host: none before the first batch is learned."""
        count = count if len(self._table) else 0
        return torch.rand(count, dtype=torch.float64, generator=self._generator).numpy()

    def sample(self, count: int, draws: Tensor | None = None) -> Tensor:
        """Draw rows, with replacement: int64 (count,).

        `draws` is what `draw` returned, on the device; if not given, it is drawn.
        `NO_ITEM` stands for an item that has left the catalogue since the table was made. There
        are none before the first batch is learned.
        """
        if not len(self._table):
            return self._stamps
        if draws is None:
            draws = to_device(self.draw(count), self._table.device)
        places = self._places(draws)
        if self._items.ended == self._ended:
            return places.add_(1)
        return self._items.rows_of(pick(self._stamps, places))

    def _places(self, draws: Tensor) -> Tensor:
        """Return for each draw of [0, 1) the first place beyond that share of the table's sum."""
        table = self._table.numpy() if on_host(draws) else None
        if table is None or not table[-1]:
            draws = draws * self._table[-1]
            places = torch.searchsorted(self._table, draws, right=True)
            return places.clamp_(max=len(self._table) - 1)
        if len(self._guide) != len(table):
            self._guide = _make_guide(table)
        return torch.from_numpy(_look_up(table, self._guide, draws.numpy()))

    def expected(self, rows: Tensor, samples: int, batch: int) -> Tensor:
        """Return how often rows are expected among the candidates.

        Parameters
        ----------
        rows
            int64 (c,).
        samples
            Number of sampled candidates.
        batch
            Number of candidates that are the batch's own targets: they come by popularity.

        Returns
        -------
        Tensor
            float64 (c,): ``samples · P_alpha + batch · P_1``; 0 for a row never counted.

        """
        if not len(self._table):
            return self._counts.new_zeros(len(rows))
        if on_host(rows):
            of = rows.numpy(), self._counts.numpy(), math.exp2(-self._age), self.alpha
            total = self._table.numpy()[-1]
            return torch.from_numpy(_expected(*of, samples, total, batch, self.mass))
        counts = self.counts(rows)
        sampled = self._weights(counts) / self._table[-1]
        return samples * sampled + batch * counts / self.mass

    def _weights(self, counts: Tensor) -> Tensor:
        # Zero to the power of zero is one, but a row without clicks is never to be drawn.
        return counts.pow(self.alpha) if self.alpha else (counts > 0).to(counts.dtype)

    def state(self, copies: SnapshotBuffer) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Copy the counts and the table."""
        arrays = {
            "counts": copies.copy(self._counts),
            "table": copies.copy(self._table),
            "stamps": copies.copy(self._stamps),
        }
        values = {
            "clicks": self.clicks,
            "refreshed": self._refreshed,
            "mass": self.mass,
            "age": self._age,
        }
        return arrays, values

    def restore(self, arrays: dict[str, Tensor], values: dict[str, float]) -> None:
        """Restore what `state` returned."""
        device = self._counts.device
        self._counts = arrays["counts"].to(device).clone()
        self._table = arrays["table"].to(device).clone()
        self._stamps, self._ended = arrays["stamps"].to(device).clone(), -1
        self._guide = self._guide[:0]
        self.clicks = int(values["clicks"])
        self._refreshed = int(values["refreshed"])
        self.mass = values["mass"]
        self._age = values["age"]


@compiled
def _make_guide(table: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return for each of as many equal parts of the table's range the place to look from.

    Chen and Asau, 1974, "On Generating Random Variates from an Empirical Distribution": so a draw
    reads about two places, where halving the table reads one far from the other many times.
    """
    size, at = len(table), 0
    guide = np.empty(size, np.int32)
    for part in range(size):
        while at < size - 1 and table[at] <= table[-1] * (part / size):
            at += 1
        guide[part] = at
    return guide


@compiled
def _look_up(
    table: NDArray[np.float64], guide: NDArray[np.int32], draws: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return what ``searchsorted`` returns from the right, the last place at most."""
    size = len(table)
    places = np.empty(len(draws), np.int64)
    for number in range(len(draws)):
        draw = draws[number] * table[-1]
        at = int(guide[min(int(draws[number] * size), size - 1)])
        while at > 0 and table[at - 1] > draw:
            at -= 1
        while at < size - 1 and table[at] <= draw:
            at += 1
        places[number] = at
    return places


@compiled
def _expected(
    rows: NDArray[np.int64],
    counts: NDArray[np.float64],
    today: float,
    alpha: float,
    samples: int,
    total: float,
    batch: int,
    mass: float,
) -> NDArray[np.float64]:
    """Do what `Popularity.expected` says."""
    expected = np.zeros(len(rows), np.float64)
    for at in range(len(rows)):
        if rows[at] < len(counts) and counts[rows[at]] > 0:
            count = counts[rows[at]] * today
            expected[at] = samples * (count**alpha / total) + batch * count / mass
    return expected
