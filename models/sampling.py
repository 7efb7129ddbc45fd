"""Negatives by streaming popularity."""

from __future__ import annotations

import torch
from torch import Tensor

from .items import ItemTable

REFRESH = 1024
"""Clicks after which the sampling table is made anew: a cost linear in the catalogue. While there
are fewer clicks than that, it is made anew whenever they have doubled."""


class Popularity:
    """How often each item has been clicked, and samples of items by that.

    Items are drawn with probability proportional to ``clicks ** alpha``, from a table that is made
    anew every 1,024 clicks (and at the first batch), counted along the stream.

    Parameters
    ----------
    alpha
        1 draws by popularity, 0 uniformly.
    items
        The item tables: they tell which item a row held when the table was made.
    generator
        Source of the random numbers, on the CPU, so that all devices draw the same.

    """

    def __init__(self, alpha: float, items: ItemTable, generator: torch.Generator) -> None:
        device = items.births.device
        self.alpha = alpha
        self._items = items
        self.clicks = 0
        self._generator = generator
        self._refreshed = 0
        self.counts = torch.zeros(1, dtype=torch.float64, device=device)
        self._table = torch.zeros(0, dtype=torch.float64, device=device)
        self._stamps = torch.zeros(0, dtype=torch.int64, device=device)

    def learn(self, rows: Tensor, used: int) -> None:
        """Count a batch of clicks.

        Parameters
        ----------
        rows
            int64 (n,): the clicked rows, those of items in the catalogue.
        used
            Rows in use after the batch.

        """
        if used > len(self.counts):
            grown = self.counts.new_zeros(max(1024, 2 * len(self.counts), used))
            grown[: len(self.counts)] = self.counts
            self.counts = grown
        self.counts.index_add_(0, rows, self.counts.new_ones(len(rows)))
        self.clicks += len(rows)
        if self.clicks - self._refreshed >= min(REFRESH, self._refreshed):
            self._refreshed = self.clicks
            self._table = self._weights(self.counts[1:used]).cumsum(0)
            rows = torch.arange(1, used, device=self._table.device)
            self._stamps = self._items.stamp(rows)

    def forget(self, rows: Tensor) -> None:
        """Forget the clicks of items that have left the catalogue."""
        self.counts[rows] = 0

    def sample(self, count: int) -> Tensor:
        """Draw rows, with replacement: int64 (count,).

        `NO_ITEM` stands for an item that has left the catalogue since the table was made. There
        are none before the first batch is learned.
        """
        if not len(self._table):
            return self._stamps
        draw = torch.rand(count, dtype=torch.float64, generator=self._generator)
        draw = draw.to(self._table.device) * self._table[-1]
        place = torch.searchsorted(self._table, draw, right=True)
        return self._items.unstamp(self._stamps[place.clamp_(max=len(self._table) - 1)])

    def expected(self, rows: Tensor, samples: int, batch: int) -> Tensor:
        """Tell how often rows are expected among the candidates.

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
            return self.counts.new_zeros(len(rows))
        inside = rows < len(self.counts)
        counts = self.counts[rows.where(inside, 0)].where(inside, 0)
        sampled = self._weights(counts) / self._table[-1]
        return samples * sampled + batch * counts / self.clicks

    def _weights(self, counts: Tensor) -> Tensor:
        # Zero to the power of zero is one, but a row without clicks is never to be drawn.
        return counts.pow(self.alpha).masked_fill(counts == 0, 0)

    def state(self) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Copy the counts and the table."""
        arrays = {
            "counts": self.counts.clone(),
            "table": self._table.clone(),
            "stamps": self._stamps,
        }
        return arrays, {"clicks": self.clicks, "refreshed": self._refreshed}

    def restore(self, arrays: dict[str, Tensor], values: dict[str, int]) -> None:
        """Take back what `state` gave."""
        device = self.counts.device
        self.counts = arrays["counts"].to(device).clone()
        self._table = arrays["table"].to(device).clone()
        self._stamps = arrays["stamps"].to(device).clone()
        self.clicks = values["clicks"]
        self._refreshed = values["refreshed"]
