"""Which differences between models are real: a paired block bootstrap over time.

Clicks that are near each other are alike: the same sessions, the same hour. Resampling single
clicks would take them for independent, and find differences real that are not. So whole runs of
neighbouring blocks are drawn (H. R. Künsch: The jackknife and the bootstrap for general stationary
observations. Annals of Statistics 17, 1989), here runs of random length, round the end of the
stream to its beginning: the stationary bootstrap of D. N. Politis and J. P. Romano (Journal of the
American Statistical Association 89, 1994). All models are drawn at the same places, so that what
they share, a hard hour for instance, does not blur their difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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

    """

    figure: str
    model: str
    other: str
    difference: float
    low: float | None
    high: float | None
    run: float | None

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
) -> list[Difference]:
    """Return the difference of every two models in every figure, with its interval.

    Parameters
    ----------
    gains
        Sums of gains, shape (blocks, models, figures), in stream order.
    clicks
        Scored clicks, shape (blocks,); the last block may have fewer than the others.
    models, figures
        Their names. Differences are those of each model from all that come after it.
    draws
        How many streams to draw.

    Returns
    -------
    list of Difference
        One for each two models and each figure.

    """
    found = gains.sum(axis=0) / max(1, clicks.sum())
    drawn: dict[float, NDArray[np.float64]] = {}
    table = []
    for first in range(len(models)):
        for second in range(first + 1, len(models)):
            apart = gains[:, first] - gains[:, second]
            for at, figure in enumerate(figures):
                run, low, high = None, None, None
                if len(clicks) >= LEAST_BLOCKS:
                    run = _run(apart[:, at], clicks)
                    if run not in drawn:
                        drawn[run] = _draw(gains, clicks, run, draws)
                    spread = drawn[run][:, first, at] - drawn[run][:, second, at]
                    low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
                value = float(found[first, at] - found[second, at])
                table.append(
                    Difference(figure, models[first], models[second], value, low, high, run)
                )
    return table


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
