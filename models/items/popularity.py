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
from .sampling_table import SamplingTable
from .table import pick
from .vocabulary import NO_ITEM

REFRESH = 1024
"""Clicks after which the sampling table is refreshed. While there are fewer clicks than that, it is
refreshed whenever they have doubled."""

LARGEST_BATCH = 1 << 16
"""Clicks of a batch at most: each is scored against all items of the batch and its negatives, so a
batch takes memory by the square of its clicks."""

LARGEST = 512
"""Counts, and their power if that is higher, are scaled down when the scale reaches 2 to this
power: far below what float64 holds."""


class Popularity:
    """How often each item has been clicked, and samples of items by that.

    Items are drawn with probability proportional to ``clicks ** alpha``, from a table that is
    refreshed every 1,024 clicks (and at the first batch), counted along the stream.

    Counts may decay: a click counts half after `half_life` further clicks. No count is touched for
    that: each new click adds more than the one before, by a scale that all counts share.

    Parameters
    ----------
    alpha
        1 draws by popularity, 0 uniformly.
    items
        The item tables, on the device where clicks are counted.
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
        self.clicks = 0
        self.mass = 0.0
        # The clock, in half-lives: today's counts are the kept ones times 2 to the power of -age.
        self._age = 0.0
        self._generator = generator
        self._refreshed = 0
        self._counts = torch.zeros(1, dtype=torch.float64, device=device)
        self._table = SamplingTable(device)
        # The sum of the table's weights, as the counts were on the day of its refresh.
        self._total = self._counts.new_zeros(())

    def learn(self, rows: Tensor, used: int) -> None:
        """Count a batch of clicks.

        Parameters
        ----------
        rows
            int64 (n,): the clicked rows, those of items in the catalogue.
        used
            Rows in use after the batch.

        """
        room = self._counts.shape[0]
        if used > room:
            grown = self._counts.new_zeros(max(1024, 2 * room, used))
            grown[:room] = self._counts
            self._counts = grown
        # Without an item there is no table.
        if used > 1:
            self._table.reserve(used)
        self._count(rows)
        self._table.note(rows)
        self.clicks += rows.shape[0]
        if self.clicks - self._refreshed >= min(REFRESH, self._refreshed) and len(self._table):
            self._refreshed = self.clicks
            self._table.refresh()
            self._total = self._table.total * math.exp2(-self._age * self.alpha)

    def _count(self, rows: Tensor) -> None:
        """Add a batch of clicks to the counts, and set the table's weights accordingly."""
        counts, weights = self._counts, self._table.weights
        increments = self._increments(rows.shape[0])
        if on_host(rows):
            of = (rows.numpy(), increments, counts.numpy(), weights.numpy())
            _count(*of, self.alpha)
        else:
            # Of ones nothing is sent.
            alike = counts.new_ones(len(rows))
            added = to_device(increments, counts.device) if self.half_life else alike
            counts.index_add_(0, rows, added)
            weights[rows] = self._weights(pick(counts, rows))

    def _increments(self, clicks: int) -> NDArray[np.float64]:
        """Advance the clock by some clicks; return what each of them adds to a count."""
        if not self.half_life:
            self.mass += clicks
            return np.ones(clicks)
        self._age += clicks / self.half_life
        if self._age * max(1.0, self.alpha) >= LARGEST:
            self._scale_down()
        passed = torch.arange(clicks - 1, -1, -1, dtype=torch.float64) / self.half_life
        weights = torch.exp2(-passed)
        self.mass = self.mass * math.exp2(-clicks / self.half_life) + float(weights.sum())
        return (weights * math.exp2(self._age)).numpy()

    def _scale_down(self) -> None:
        """Bring the scale back to 1, or below 2; in the whole catalogue, once in many clicks."""
        whole = math.floor(self._age)
        self._counts *= math.exp2(-whole)  # A power of two changes no digit.
        self._age -= whole
        self._weigh_all()

    def _weigh_all(self) -> None:
        """Set all of the table's weights by the counts."""
        size = min(len(self._counts), len(self._table))
        self._table.weights[:size] = self._weights(self._counts[:size])
        self._table.note_all()

    def forget(self, rows: Tensor) -> None:
        """Forget the clicks of items that have left the catalogue."""
        self._counts[rows] = 0
        self._table.drop(rows)

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
        `NO_ITEM` stands for an item that has left the catalogue since the table was refreshed.
        There are none before the first batch is learned.
        """
        if not len(self._table):
            return torch.zeros(0, dtype=torch.int64, device=self._counts.device)
        if draws is None:
            draws = to_device(self.draw(count), self._counts.device)
        return self._table.draw(draws)

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
        # By the scale that the weights are kept in.
        total = self._total / math.exp2(-self._age * self.alpha)
        if on_host(rows):
            arrays = rows.numpy(), self._counts.numpy(), self._table.weights.numpy()
            today = math.exp2(-self._age)
            of = _expected(*arrays, samples, total.item(), batch, today, self.mass)
            return torch.from_numpy(of)
        known = rows.masked_fill(rows >= len(self._counts), NO_ITEM)
        sampled = pick(self._table.weights, known) / total
        return samples * sampled + batch * self.counts(rows) / self.mass

    def _weights(self, counts: Tensor) -> Tensor:
        if on_host(counts):
            return torch.from_numpy(_powers(counts.numpy(), self.alpha))
        # Zero to the power of zero is one, but a row without clicks is never to be drawn.
        return counts.pow(self.alpha) if self.alpha else (counts > 0).to(counts.dtype)

    def state(self, copies: SnapshotBuffer) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Copy the counts and the table."""
        arrays = {"counts": copies.copy(self._counts), **self._table.state(copies)}
        values = {
            "clicks": self.clicks,
            "refreshed": self._refreshed,
            "mass": self.mass,
            "age": self._age,
            "total": float(self._total),
        }
        return arrays, values

    def restore(self, arrays: dict[str, Tensor], values: dict[str, float]) -> None:
        """Restore what `state` returned."""
        device = self._counts.device
        self._counts = arrays["counts"].to(device).clone()
        self._table.restore(arrays)
        self.clicks = int(values["clicks"])
        self._refreshed = int(values["refreshed"])
        self.mass = values["mass"]
        self._age = values["age"]
        self._total = self._counts.new_full((), values["total"])
        self._weigh_all()


@compiled
def _count(
    rows: NDArray[np.int64],
    increments: NDArray[np.float64],
    counts: NDArray[np.float64],
    weights: NDArray[np.float64],
    alpha: float,
) -> None:
    """Do what `Popularity._count` says."""
    for at in range(len(rows)):
        counts[rows[at]] += increments[at]
    for at in range(len(rows)):
        weights[rows[at]] = _power(counts[rows[at]], alpha)


@compiled
def _powers(counts: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    powers = np.empty_like(counts)
    for at in range(len(counts)):
        powers[at] = _power(counts[at], alpha)
    return powers


@compiled
def _power(count: float, alpha: float) -> float:
    # Zero to the power of zero is one, but a row without clicks is never to be drawn.
    return count**alpha if count > 0 else 0.0


@compiled
def _expected(
    rows: NDArray[np.int64],
    counts: NDArray[np.float64],
    weights: NDArray[np.float64],
    samples: int,
    total: float,
    batch: int,
    today: float,
    mass: float,
) -> NDArray[np.float64]:
    """Do what `Popularity.expected` says."""
    expected = np.zeros(len(rows), np.float64)
    for at in range(len(rows)):
        row = rows[at]
        if row < len(counts) and counts[row] > 0:
            count = counts[row] * today
            expected[at] = samples * (weights[row] / total) + batch * count / mass
    return expected
