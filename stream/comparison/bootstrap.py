"""Which differences between models are real: a paired block bootstrap over time.

Clicks that are near each other are alike: the same sessions, the same hour. Resampling single
clicks would take them for independent, and find differences real that are not. So whole runs of
neighbouring blocks are drawn (H. R. Künsch: The jackknife and the bootstrap for general stationary
observations. Annals of Statistics 17, 1989), here runs of random length, round the end of the
stream to its beginning: the stationary bootstrap of D. N. Politis and J. P. Romano (Journal of the
American Statistical Association 89, 1994). All models are drawn at the same places, so that what
they share, a hard hour for instance, does not blur their difference.

Where a model takes part with several seeds, its figures are their means, and each draw draws from
its seeds, too. So an interval is over time and seeds together. A draw of n from n seeds spreads
less than their means do, by the factor (n − 1) / n of the variance: deviations are scaled up for
that (J. N. K. Rao, C. F. J. Wu: Resampling inference with complex survey data. Journal of the
American Statistical Association 83, 1988).

Of many comparisons some look real by chance. `with_holm` corrects for that (S. Holm: A simple
sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6, 1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
"""Streams drawn."""

LEVEL = 0.95
"""Of the intervals."""

LEAST_BLOCKS = 100
"""Blocks below which no uncertainty is reported."""


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one model's figure exceeds another's, and what chance makes of that.

    Parameters
    ----------
    figure, model, other
        The figure, and the models: that of `model` less that of `other`.
    difference
        Over all scored clicks.
    low, high
        The ends of the 95 % interval; None where the stream is too short for an interval.
    run
        The mean length of the runs drawn for it, in blocks.
    p
        The probability of a difference at least as large if there were none, by the normal
        distribution with the spread of the draws; None where there is no interval.
    holm
        Whether it is still real when all differences in this figure are corrected for their number.

    """

    figure: str
    model: str
    other: str
    difference: float
    low: float | None
    high: float | None
    run: float | None
    p: float | None = None
    holm: bool = False

    @property
    def real(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def differences(
    gains: NDArray[np.float64],
    clicks: NDArray[np.int64],
    models: Sequence[str],
    figures: Sequence[str],
    draws: int = DRAWS,
    seeds: Sequence[int] | None = None,
) -> list[Difference]:
    """Return the difference of every two models in every figure, with its interval.

    Parameters
    ----------
    gains
        Sums of gains, shape (blocks, seeds of all models, figures), in stream order.
    clicks
        Scored clicks, shape (blocks,); the last block may have fewer than the others.
    models, figures
        Their names. Differences are those of each model from all that come after it.
    draws
        How many streams to draw.
    seeds
        With how many seeds each model takes part; by default with one.

    Returns
    -------
    list of Difference
        One for each two models and each figure.

    """
    seeds = [1] * len(models) if seeds is None else seeds
    single = gains
    gains = seed_means(gains, seeds)
    found = gains.sum(axis=0) / max(1, clicks.sum())
    drawn: dict[float, NDArray[np.float64]] = {}
    table = []
    for first in range(len(models)):
        for second in range(first + 1, len(models)):
            apart = gains[:, first] - gains[:, second]
            for at, figure in enumerate(figures):
                run, low, high, p = None, None, None, None
                value = float(found[first, at] - found[second, at])
                if len(clicks) >= LEAST_BLOCKS:
                    run = _run(apart[:, at], clicks)
                    if run not in drawn:
                        drawn[run] = draw_seeds(_draw(single, clicks, run, draws), seeds)
                    spread = drawn[run][:, first, at] - drawn[run][:, second, at]
                    low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
                    p = _probability(value, float(spread.std()))
                table.append(
                    Difference(figure, models[first], models[second], value, low, high, run, p)
                )
    return with_holm(table)


def _probability(difference: float, spread: float) -> float:
    """Return the probability of a difference at least as large, by the normal distribution."""
    if not spread:
        return float(difference == 0)
    return math.erfc(abs(difference) / spread / math.sqrt(2))


def with_holm(table: Sequence[Difference]) -> list[Difference]:
    """Return differences with the mark of those that are real after Holm's correction.

    The differences in one figure are a family: the k-th smallest p of m is held against
    .05 / (m − k + 1), up to the first that is larger.

    Examples
    --------
    >>> def apart(p):
    ...     return Difference("recall@20", "a", "b", 0.1, 0.0, 0.2, 1.0, p)
    >>> [each.holm for each in with_holm([apart(0.02), apart(0.04), apart(0.001)])]
    [True, True, True]
    >>> [each.holm for each in with_holm([apart(0.03), apart(0.04), apart(0.001)])]
    [False, False, True]

    """
    marked = list(table)
    families: dict[str, list[tuple[float, int]]] = {}
    for at, each in enumerate(table):
        if each.p is not None:
            families.setdefault(each.figure, []).append((each.p, at))
    for family in families.values():
        for place, (p, at) in enumerate(sorted(family)):
            if p > (1 - LEVEL) / (len(family) - place):
                break
            marked[at] = replace(marked[at], holm=True)
    return marked


def seed_means(values: NDArray[np.float64], seeds: Sequence[int]) -> NDArray[np.float64]:
    """Return the means over each model's seeds: from shape (n, seeds of all models, figures).

    Examples
    --------
    >>> seed_means(np.array([[[1.0], [3.0], [5.0]]]), [2, 1]).tolist()
    [[[2.0], [5.0]]]

    """
    parts = np.split(values, np.cumsum(seeds)[:-1], axis=1)
    return np.stack([part.mean(axis=1) for part in parts], axis=1)


def draw_seeds(
    drawn: NDArray[np.float64], seeds: Sequence[int], seed: int = 0
) -> NDArray[np.float64]:
    """Return the means over seeds that are drawn anew for each of the streams.

    Parameters
    ----------
    drawn
        Shape (draws, seeds of all models, figures).
    seeds
        How many seeds each model has.
    seed
        Of the draws.

    Returns
    -------
    NDArray[np.float64]
        Shape (draws, models, figures).

    """
    means = seed_means(drawn, seeds)
    draw, start = np.random.default_rng(seed), 0
    for model, count in enumerate(seeds):
        if count > 1:
            own = drawn[:, start : start + count]
            times = draw.multinomial(count, [1 / count] * count, size=len(drawn)) / count
            apart = (times[:, :, None] * own).sum(axis=1) - means[:, model]
            means[:, model] += math.sqrt(count / (count - 1)) * apart
        start += count
    return means


def _draw(
    gains: NDArray[np.float64], clicks: NDArray[np.int64], run: float, draws: int
) -> NDArray[np.float64]:
    """Return every figure of every model in each of the streams drawn."""
    times = draw_blocks(len(clicks), run, draws).astype(np.float64)
    flat = times @ gains.reshape(len(clicks), -1)
    return (flat / (times @ clicks)[:, None]).reshape(-1, *gains.shape[1:])


def _run(apart: NDArray[np.float64], clicks: NDArray[np.int64]) -> float:
    """Return the mean length of runs for a difference: a power of 2, to keep the draws few.

    The last block may hold few clicks, and so more of chance than the others: it is left out.
    """
    return float(2 ** math.ceil(math.log2(expected_run(apart[:-1] / clicks[:-1]))))


def draw_blocks(blocks: int, run: float, draws: int = DRAWS, seed: int = 0) -> NDArray[np.int64]:
    """Draw streams of as many blocks, in runs of neighbours of random length.

    A run's length is geometric: after each block a new run begins somewhere else with the
    probability 1 / run (Politis & Romano 1994, section 2).

    Parameters
    ----------
    blocks
        How many the stream has.
    run
        The mean length of a run, at least 1.
    draws
        How many streams to draw.
    seed
        Of the draws.

    Returns
    -------
    NDArray[np.int64]
        Shape (draws, blocks): how often each stream holds each block.

    """
    draw = np.random.default_rng(seed)
    steps = np.arange(blocks)
    begins = draw.random((draws, blocks)) < 1 / run
    begins[:, 0] = True
    latest = np.maximum.accumulate(np.where(begins, steps, 0), axis=1)
    starts = draw.integers(blocks, size=(draws, blocks))
    places = (np.take_along_axis(starts, latest, axis=1) + steps - latest) % blocks
    places += np.arange(draws)[:, None] * blocks
    counts = np.bincount(places.ravel(), minlength=draws * blocks)
    return np.asarray(counts.reshape(draws, blocks), np.int64)


def expected_run(series: NDArray[np.float64]) -> float:
    """Choose the mean length of runs for a series by its autocorrelation.

    References
    ----------
    D. N. Politis, H. White: Automatic block-length selection for the dependent bootstrap.
    Econometric Reviews 23, 2004, section 3, with the correction by A. Patton, D. N. Politis,
    H. White (Econometric Reviews 28, 2009).

    """
    count = len(series)
    centred = series - series.mean()
    least: float = count ** (1 / 3)
    most = math.ceil(min(3 * math.sqrt(count), count / 3))
    enough = max(5, math.ceil(math.sqrt(math.log10(count))))
    reach = math.ceil(math.sqrt(count)) + enough
    products = np.array([centred[lag:] @ centred[: count - lag] for lag in range(reach + 1)])
    covariances = products / count
    if covariances[0] <= 0:
        return least
    alike = np.abs(covariances[1:] / covariances[0]) >= 2 * math.sqrt(math.log10(count) / count)
    # The last lag before as many in a row are no more than chance.
    quiet = [not alike[lag : lag + enough].any() for lag in range(reach - enough + 1)]
    last = quiet.index(True) if True in quiet else reach - enough
    lags = np.arange(1, min(2 * max(last, 1), reach) + 1)
    taper = np.minimum(1, 2 * (1 - lags / lags[-1]))
    weighted = 2 * taper * covariances[lags]
    spectrum = covariances[0] + weighted.sum()
    if spectrum <= 0:
        return least
    bend = (lags * weighted).sum()
    return float(np.clip(((bend / spectrum) ** 2 * count) ** (1 / 3), 1, most))
