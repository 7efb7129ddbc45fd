"""Ranks as counts, and what a click at a rank adds to each figure.

These are the figures of every run and comparison. `metrics` has them as river's metrics, which
take a second to import.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Gain = Callable[[float, int], float]
"""What a number of clicks whose items came at a rank, from 1 on, add to the sum."""


def recall(count: float, rank: int) -> float:
    """Return 1 for each hit."""
    return count


def reciprocal_rank(count: float, rank: int) -> float:
    """Return 1 / rank for each hit."""
    return count / rank


def discounted_gain(count: float, rank: int) -> float:
    """Return 1 / log2(1 + rank) for each hit."""
    return count / math.log2(1 + rank)


GAINS: dict[str, Gain] = {
    "recall": recall,
    "mrr": reciprocal_rank,
    "ndcg": discounted_gain,
}
"""The gains of the figures of every run and comparison, by their names in the results."""


def mean_gain(gain: Gain, counts: NDArray[Any]) -> float:
    """Return the mean for clicks per bin; beyond k, and for unseen items, the gain is 0.

    Parameters
    ----------
    gain
        The gain of a click.
    counts
        Clicks per bin of `bins_of`, shape (k + 2,); whole numbers or faded ones.

    Examples
    --------
    >>> mean_gain(reciprocal_rank, np.array([1, 1, 1, 1]))
    0.375

    """
    total = float(counts.sum())
    gains = (gain(count, rank) for rank, count in enumerate(counts[1:-1].tolist(), 1))
    return math.fsum(gains) / total if total else 0.0


def bins_of(ranks: ArrayLike, k: int) -> NDArray[np.int64]:
    """Check ranks and put each in its bin: 0 is unseen, 1 to k is a hit, k + 1 is beyond k.

    Parameters
    ----------
    ranks
        Whole numbers, shape (n,): 1 is best, 0 is an item that was not ranked at all.
    k
        The longest list that counts.

    Returns
    -------
    NDArray[np.int64]
        Shape (n,), between 0 and k + 1.

    Raises
    ------
    ValueError
        A rank is negative, NaN, or no whole number.

    Examples
    --------
    >>> bins_of([1, 20, 21, 5000, 0], k=20).tolist()
    [1, 20, 21, 21, 0]

    """
    if isinstance(ranks, str | bytes):
        raise ValueError(f"ranks must be a sequence of whole numbers, not {ranks!r:.80}")
    given = np.asarray(ranks)
    if not given.size:
        return np.zeros(0, np.int64)
    if given.dtype.kind not in "iu":
        raise ValueError(f"ranks must be whole numbers, and never NaN; got {given.dtype}")
    if given.ndim != 1:
        raise ValueError(f"ranks must lie in one dimension; got the shape {given.shape}")
    if given.min() < 0:
        raise ValueError(f"the rank {given.min()} is negative; 1 is best, 0 is never ranked")
    if given.dtype != np.uint64:
        # In a narrow type there may be no k + 1 to compare with.
        given = given.astype(np.int64, copy=False)
    bins: NDArray[np.int64] = np.minimum(given, k + 1).astype(np.int64, copy=False)
    return bins
