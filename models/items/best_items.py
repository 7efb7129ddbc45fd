"""The best items of some visitors, without those that they are not to be shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.device import on_host
from ..compute.jit import compiled

Whole = NDArray[np.int64]
Blocked = NDArray[np.bool_]


def best_items(
    scores: Tensor,
    blocked: Blocked,
    counts: Whole,
    scale: NDArray[np.float64] | None = None,
    spans: Whole | None = None,
    rows: NDArray[np.int32] | None = None,
    final: NDArray[np.float64] | None = None,
) -> tuple[Whole, NDArray[np.float64]]:
    """Return each visitor's best rows and their scores, best first; ties go to the lower row.

    Parameters
    ----------
    scores
        (c, n): of every row, for c visitors.
    blocked
        bool (c, n): rows that are not to be listed. Written to.
    counts
        int64 (c,): how many items each visitor wants.
    scale
        (c,): what the scores are times; 1 where not given.
    spans, rows, final
        Rows whose scores are others: those of visitor i are ``rows[spans[i, 0] : spans[i, 1]]``,
        each once, and `final` has their scores. None where not given.

    Returns
    -------
    rows, scores
        int64 and float64 (c, max of counts): row -1 where there are no more items.

    """
    c = len(scores)
    factor = np.ones(c) if scale is None else scale
    if spans is None or rows is None or final is None:
        spans, rows, final = np.zeros((c, 2), np.int64), np.zeros(0, np.int32), np.zeros(0)
    most = int(counts.max(initial=0))
    best, values = np.full((c, most), -1, np.int64), np.zeros((c, most))
    if on_host(scores):
        _select(scores.numpy(), factor, blocked, counts, spans, rows, final, best, values)
    else:
        _select_on_device(scores, factor, blocked, counts, spans, rows, final, best, values)
    return best, values


def best_listed(
    scores: NDArray[Any],
    rows: NDArray[np.int32],
    k: int,
    special: tuple[Whole, NDArray[np.int32], NDArray[np.float64]] | None = None,
) -> tuple[Whole, NDArray[np.float64]]:
    """Return each click's k best rows and their scores, best first; ties go to the lower row.

    Parameters
    ----------
    scores, rows
        (c, l): of the items that are listed; minus infinity where there is none.
    k
        How many are wanted.
    special
        Further items: ``rows[spans[i, 0] : spans[i, 1]]`` are those of click i, and their scores.

    Returns
    -------
    rows, scores
        int64 and float64 (c, k): minus infinity where there are no more items.

    """
    best = np.zeros((len(scores), k), np.int64)
    values = np.full((len(scores), k), -np.inf)
    if special is None:
        special = np.zeros((len(scores), 2), np.int64), np.zeros(0, np.int32), np.zeros(0)
    _select_listed(scores, rows, *special, best, values)
    return best, values


def limited(
    rows: Whole, scores: NDArray[np.float64], counts: Whole
) -> tuple[Whole, NDArray[np.float64]]:
    """Return what `best_listed` found as `best_items` does: row -1 where there is no item."""
    there = (scores > -np.inf) & (np.arange(rows.shape[1]) < counts[:, None])
    return np.where(there, rows, -1), np.where(there, scores, 0.0)


@compiled
def _select_listed(
    scores: NDArray[Any],
    rows: NDArray[np.int32],
    spans: Whole,
    special_rows: NDArray[np.int32],
    special_scores: NDArray[np.float64],
    best: Whole,
    values: NDArray[np.float64],
) -> None:
    k = best.shape[1]
    for click in range(len(scores)):
        used = 0
        for at in range(scores.shape[1]):
            if scores[click, at] > -np.inf:
                row, value = rows[click, at], float(scores[click, at])
                used = _offer(best[click], values[click], used, k, row, value)
        for at in range(spans[click, 0], spans[click, 1]):
            if special_scores[at] > -np.inf:
                value = special_scores[at]
                used = _offer(best[click], values[click], used, k, special_rows[at], value)
        _put_in_order(best[click], values[click], used)


@compiled
def _select(
    scores: NDArray[Any],
    scale: NDArray[np.float64],
    blocked: Blocked,
    counts: Whole,
    spans: Whole,
    rows: NDArray[np.int32],
    final: NDArray[np.float64],
    best: Whole,
    values: NDArray[np.float64],
) -> None:
    for at in range(len(scores)):
        k, factor, barred = counts[at], scale[at], blocked[at]
        found, kept = best[at], values[at]
        used = 0
        for place in range(spans[at, 0], spans[at, 1]):
            row = rows[place]
            if not barred[row]:
                used = _offer(found, kept, used, k, row, final[place])
                barred[row] = True
        least = kept[0] if used == k else -np.inf
        own = scores[at]
        for row in range(len(own)):
            value = own[row] * factor
            if value >= least and not barred[row]:
                used = _offer(found, kept, used, k, row, value)
                if used == k:
                    least = kept[0]
        _put_in_order(found, kept, used)


@compiled
def _worse(value: float, row: int, other_value: float, other_row: int) -> bool:
    return value < other_value or (value == other_value and row > other_row)


@compiled
def _offer(
    found: Whole, kept: NDArray[np.float64], used: int, k: int, row: int, value: float
) -> int:
    """Put a row into a heap of at most k, the worst on top; return how many it holds then."""
    if used < k:
        at = used
        while at > 0:
            above = (at - 1) // 2
            if not _worse(value, row, kept[above], found[above]):
                break
            kept[at], found[at] = kept[above], found[above]
            at = above
        kept[at], found[at] = value, row
        return used + 1
    if k > 0 and _worse(kept[0], found[0], value, row):
        _sink(found, kept, used, row, value)
    return used


@compiled
def _sink(found: Whole, kept: NDArray[np.float64], used: int, row: int, value: float) -> None:
    """Replace the top of a heap."""
    at = 0
    while True:
        below = 2 * at + 1
        if below >= used:
            break
        if below + 1 < used and _worse(
            kept[below + 1], found[below + 1], kept[below], found[below]
        ):
            below += 1
        if not _worse(kept[below], found[below], value, row):
            break
        kept[at], found[at] = kept[below], found[below]
        at = below
    kept[at], found[at] = value, row


@compiled
def _put_in_order(found: Whole, kept: NDArray[np.float64], used: int) -> None:
    """Turn a heap into a list, best first."""
    for left in range(used - 1, 0, -1):
        row, value = found[left], kept[left]
        found[left], kept[left] = found[0], kept[0]
        _sink(found, kept, left, row, value)


def _select_on_device(
    scores: Tensor,
    scale: NDArray[np.float64],
    blocked: Blocked,
    counts: Whole,
    spans: Whole,
    rows: NDArray[np.int32],
    final: NDArray[np.float64],
    best: Whole,
    values: NDArray[np.float64],
) -> None:
    """Do what `_select` does, in operations of torch."""
    device = scores.device
    ends = spans[:, 1] - spans[:, 0]
    visitors = np.repeat(np.arange(len(spans)), ends)
    places = [np.arange(begin, end) for begin, end in spans.tolist()]
    at = np.concatenate(places) if places else np.zeros(0, np.int64)
    where = torch.from_numpy(visitors).to(device), torch.from_numpy(rows[at]).to(device).long()
    table = scores * torch.from_numpy(scale).to(scores)[:, None]
    table[where] = torch.from_numpy(final[at]).to(table)
    table.masked_fill_(torch.from_numpy(blocked).to(device), -torch.inf)
    most = min(best.shape[1], table.shape[1])
    # A stable sort, so that ties go to the lower row.
    found_values, found = (of[:, :most] for of in table.sort(dim=1, descending=True, stable=True))
    wanted = np.arange(most) < counts[:, None]
    kept = (found_values > -torch.inf).cpu().numpy() & wanted
    best[:, :most] = np.where(kept, found.cpu().numpy(), -1)
    values[:, :most] = np.where(kept, found_values.double().cpu().numpy(), 0.0)
