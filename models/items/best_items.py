"""The best items of some visitors, without those that they are not to be shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..compute.device import on_host
from ..compute.jit import compiled
from ..compute.transfer import fetch, send

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
    at, counted = places_of(spans)
    visitors = np.repeat(np.arange(len(spans)), counted)
    factor, hidden, *where, own = send([scale, blocked, visitors, rows[at], final[at]], device)
    table = scores * factor.to(scores)[:, None]
    table[where[0], where[1].long()] = own.to(table)
    table.masked_fill_(hidden, -torch.inf)
    most = min(best.shape[1], table.shape[1])
    # A stable sort, so that ties go to the lower row.
    found_values, found = (of[:, :most] for of in table.sort(dim=1, descending=True, stable=True))
    wanted = np.arange(most) < counts[:, None]
    listed, listed_values = fetch([found, found_values.double()])
    kept = (listed_values > -np.inf) & wanted
    best[:, :most] = np.where(kept, listed, -1)
    values[:, :most] = np.where(kept, listed_values, 0.0)


def places_of(spans: Whole) -> tuple[Whole, Whole]:
    """Return the places within some spans, one span after the other, and how many each has.

    Examples
    --------
    >>> places_of(np.array([[4, 6], [0, 1]]))
    (array([4, 5, 0]), array([2, 1]))

    """
    begins, counts = spans[:, 0], spans[:, 1] - spans[:, 0]
    ends = counts.cumsum()
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(begins - ends + counts, counts), counts
