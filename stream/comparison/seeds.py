"""Models that take part in a comparison with several seeds, and their figures together."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from nextclick.models import Recommender


def by_seed(
    models: Mapping[str, Recommender | Sequence[Recommender]],
) -> dict[str, Recommender]:
    """Return every model of every seed by a name of its own.

    Examples
    --------
    >>> from nextclick.models.rivals import RIVALS
    >>> make = RIVALS["markov"]
    >>> list(by_seed({"a": make(), "b": [make(), make()]}))
    ['a', 'b, seed 1', 'b, seed 2']

    """
    found: dict[str, Recommender] = {}
    for name, of in models.items():
        if isinstance(of, Sequence):
            found |= {label_of(name, at, len(of)): one for at, one in enumerate(of)}
        else:
            found[name] = of
    return found


def label_of(name: str, at: int, count: int) -> str:
    """Return what tells a seed of a model from its others.

    Examples
    --------
    >>> label_of("gru4rec", 0, 5), label_of("gru4rec", 0, 1)
    ('gru4rec, seed 1', 'gru4rec')

    """
    return name if count == 1 else f"{name}, seed {at + 1}"


def over_seeds(
    each: Sequence[dict[str, Any]], seeds: Mapping[str, int], figures: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the results of models that take part with several seeds: their means.

    Parameters
    ----------
    each
        The results of every seed of every model.
    seeds
        How many seeds each model has.
    figures
        The names of the figures. Where there are several seeds, ``seeds`` among a model's results
        has for each of these the values by seed, and ``spread`` their standard deviation.

    Examples
    --------
    >>> both = over_seeds([{"recall@20": 0.5}, {"recall@20": 0.7}], {"a": 2}, ["recall@20"])
    >>> round(both["a"]["recall@20"], 9), both["a"]["seeds"]["recall@20"]
    (0.6, [0.5, 0.7])

    """
    found, start = {}, 0
    for name, count in seeds.items():
        own = each[start : start + count]
        start += count
        found[name] = mean_of(own)
        if count > 1:
            values = {figure: [one[figure] for one in own] for figure in figures}
            spread = {figure: statistics.stdev(of) for figure, of in values.items()}
            found[name] |= {"seeds": values, "spread": spread}
    return found


def mean_of(values: Sequence[Any]) -> Any:
    """Return the mean of numbers, entry by entry in lists and tables that are alike.

    What is no number, and lists of unequal lengths, such as alarms, are those of the first seed.

    Examples
    --------
    >>> mean_of([{"a": 1, "b": [1.0, 2.0]}, {"a": 1, "b": [3.0, 4.0]}])
    {'a': 1, 'b': [2.0, 3.0]}

    """
    first = values[0]
    if len(values) == 1 or all(value == first for value in values):
        return first
    if isinstance(first, Mapping):
        return {key: mean_of([value[key] for value in values]) for key in first}
    if isinstance(first, list):
        numbers = all(
            len(value) == len(first) and all(isinstance(one, int | float) for one in value)
            for value in values
        )
        return [mean_of(row) for row in zip(*values, strict=True)] if numbers else first
    if isinstance(first, int | float):
        return math.fsum(values) / len(values)
    return first
