"""The network's probabilities of the special items of clicks: compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compute.jit import compiled
from .layout import Real, Whole


@compiled
def share_scores(
    spans: Whole,
    special: NDArray[Any],
    highest: NDArray[Any],
    total: Real,
    broken: NDArray[np.bool_],
) -> tuple[Real, Real, Real]:
    """Return the softmax of the special items' scores.

    Parameters
    ----------
    spans, special
        int64 (c, 2) and (distinct,): where the scores of each click's special items are, and these.
    highest, total
        (c,): the highest of all other scores, and the sum of their ``exp(score - highest)``.
    broken
        bool (c,): a score is not a number, or is infinite.

    Returns
    -------
    probabilities
        (distinct,): where these are items of other clicks, anything.
    top
        (c,): the highest probability in the catalogue; not a number where a score is none.
    norm
        (c,): the logarithm of the sum of ``exp(score)``; minus infinity where there is no item.

    """
    probabilities = np.zeros(len(special))
    top, norm = np.ones(len(spans)), np.full(len(spans), -np.inf)
    for click in range(len(spans)):
        begin, end = spans[click]
        most = float(highest[click])
        for at in range(begin, end):
            most = max(most, float(special[at]))
        if broken[click]:
            top[click] = norm[click] = np.nan
        elif most > -np.inf:
            whole = 0.0
            if highest[click] > -np.inf:
                whole = total[click] * np.exp(highest[click] - most)
            for at in range(begin, end):
                probabilities[at] = np.exp(special[at] - most)
                whole += probabilities[at]
            for at in range(begin, end):
                probabilities[at] /= whole
            top[click], norm[click] = 1 / whole, most + np.log(whole)
    return probabilities, top, norm
