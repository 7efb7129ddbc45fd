"""The scores of a rank's own items, and what their ranking needs of them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..items.table import pick
from ..ranking import ranks_above

BLOCK = 1024
"""Rows whose scores are computed at once, so that they are in the cache while they are counted."""

MOST_KEPT = 1 << 26
"""Scores are kept between two passes over them where there are no more."""


class ShardRanker:
    """Scores of clicks over the rank's own items, block by block.

    Parameters
    ----------
    outputs
        (m, size): of the network.
    embedding, bias
        (rows, size) and (rows,): of the rank's own places.
    new_places
        int64 (b,): where the batch's new items are.
    unknown
        bool (m, b): for which clicks each of them is not known yet.
    keep
        Whether the scores are passed over more than once.

    """

    def __init__(
        self,
        outputs: Tensor,
        embedding: Tensor,
        bias: Tensor,
        new_places: Tensor,
        unknown: Tensor,
        keep: bool,
    ) -> None:
        self._outputs = outputs
        self._embedding = embedding
        self._bias = bias
        self._new_places = new_places
        self._unknown = unknown
        self._kept: Tensor | None = None
        if keep and len(outputs) * len(bias) <= MOST_KEPT:
            self._kept = outputs.new_empty((len(outputs), len(bias)))
            for start in range(0, len(bias), BLOCK):
                self._compute(start, self._kept[:, start : start + BLOCK])

    def _blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Yield the scores of some rows at a time, and where these begin; they may be changed."""
        rows, room = len(self._bias), self._outputs.new_empty((len(self._outputs), BLOCK))
        for start in range(0, rows, BLOCK):
            if self._kept is not None:
                yield start, self._kept[:, start : start + BLOCK]
            else:
                short = rows - start < BLOCK
                into = room[:, : rows - start].contiguous() if short else room
                yield start, self._compute(start, into)

    def _compute(self, start: int, into: Tensor) -> Tensor:
        part = slice(start, start + into.shape[1])
        torch.addmm(self._bias[part], self._outputs, self._embedding[part].T, out=into)
        inside = (self._new_places >= start) & (self._new_places < part.stop)
        if len(self._new_places) and bool(inside.any()):
            at = self._new_places[inside] - start
            into[:, at] = into[:, at].masked_fill(self._unknown[:, inside], -torch.inf)
        return into

    def softmax(self) -> tuple[Tensor, Tensor]:
        """Return each click's highest score, and the sum of ``exp(score - highest)``: (m,)."""
        highest = self._outputs.new_full((len(self._outputs),), -torch.inf)
        sums = torch.zeros_like(highest, dtype=torch.float64)
        least = torch.finfo(highest.dtype).min
        for _, block in self._blocks():
            higher = torch.maximum(highest, block.amax(dim=1))
            peak = higher.clamp(min=least)
            sums.mul_((highest - peak).exp())
            sums.add_((block - peak[:, None]).exp_().sum(dim=1))
            highest = higher
        return highest, sums

    def at(self, clicks: Tensor, places: Tensor) -> Tensor:
        """Return the scores of some clicks at some places."""
        if self._kept is not None:
            return self._kept[clicks, places]
        scores = (pick(self._outputs, clicks) * pick(self._embedding, places)).sum(dim=1)
        scores += pick(self._bias, places)
        if len(self._new_places):
            of_new, order = self._new_places.sort()
            at = torch.searchsorted(of_new, places).clamp_(max=len(of_new) - 1)
            new = of_new[at] == places
            scores.masked_fill_(new & self._unknown[clicks, order[at]], -torch.inf)
        return scores

    def count(self, least: Tensor) -> Tensor:
        """Count each click's scores that reach a number; -1 where one is not a number: (m,)."""
        counts = torch.zeros(len(least), dtype=torch.int64, device=least.device)
        broken = torch.zeros_like(counts, dtype=torch.bool)
        for _, block in self._blocks():
            found = ranks_above(block, least[:, None])
            broken |= found < 0
            counts += found
        return counts.masked_fill_(broken, -1)

    def best(
        self, k: int, left_out: tuple[Tensor, Tensor], barred: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return each click's k best places and their scores, best first: (m, k).

        Parameters
        ----------
        k
            How many; a score of minus infinity means that there are fewer.
        left_out
            int64: clicks and places that are left out.
        barred
            bool (rows,): places that are left out for all clicks.

        """
        clicks, places = left_out
        m = len(self._outputs)
        best = torch.zeros((m, k), dtype=torch.int64, device=self._outputs.device)
        scores = self._outputs.new_full((m, k), -torch.inf)
        for start, block in self._blocks():
            inside = (places >= start) & (places < start + block.shape[1])
            block = block.clone()
            block[clicks[inside], places[inside] - start] = -torch.inf
            if barred is not None:
                block.masked_fill_(barred[start : start + block.shape[1]], -torch.inf)
            values, at = torch.cat([scores, block], dim=1).topk(k, dim=1)
            columns = torch.arange(start, start + block.shape[1], device=best.device)
            rows = torch.cat([best, columns.expand(m, -1)], dim=1)
            best, scores = rows.gather(1, at), values
        return best, scores
