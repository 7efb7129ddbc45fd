"""Recall, MRR and NDCG at k: from single recommendations, or from many ranks at once.

A click has one right answer, so everything these metrics say follows from how many right answers
came at rank 1, 2, ... k. Those whole numbers are the state: adding, taking back and merging them
is exact, in any order and in batches of any size.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from river.metrics.base import Metric, Metrics

from nextclick.models.argument_checks import at_least, check_sequence, id_list, is_number, one_id
from nextclick.models.recommender import Id

from .gains import bins_of, discounted_gain, mean_gain, recall, reciprocal_rank

Recommended = Iterable[Id] | Iterable[tuple[Id, float]]
"""Recommended items, best first: by ids, or by pairs of id and score."""


def first_ids(recommended: Recommended, k: int) -> list[Id]:
    """Return the first k of the recommended items, without their scores.

    Raises
    ------
    TypeError, ValueError
        They are no sequence of ids, or of pairs of id and score.

    Examples
    --------
    >>> first_ids([("hat", 0.5), ("coat", 0.4)], 1), first_ids(["hat", "coat"], 2)
    (['hat'], ['hat', 'coat'])

    """
    check_sequence(recommended, "y_pred")
    first: list[Any] = list(islice(recommended, k))
    if not any(isinstance(each, tuple | list) for each in first):
        return id_list(first, "y_pred")
    ids = []
    for at, pair in enumerate(first):
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and is_number(pair[1])):
            raise TypeError(
                f"y_pred[{at}] is {pair!r:.80}: give ids, or pairs of id and score, for all items"
            )
        ids.append(one_id(pair[0], f"y_pred[{at}]"))
    return ids


class RankingMetric(Metric):
    """Mean gain of a click by the rank of its item, as a river metric: the base of all here.

    A metric is its `gain`; add that to `GAINS` to have it among the figures of every run.

    Parameters
    ----------
    k
        How many recommendations count, from the first.

    """

    def __init__(self, k: int = 20) -> None:
        self.k = at_least(k, "k", 1)
        self._counts = np.zeros(self.k + 2, np.int64)

    def update(self, y_true: Id, y_pred: Recommended, w: float = 1.0) -> None:
        """Count one click.

        Parameters
        ----------
        y_true
            The item that was clicked.
        y_pred
            The items recommended before the click, best first: ids, or pairs of id and score as
            `recommend` returns them. Those past k are not looked at.
        w
            Must be 1: a click is a click. (River's containers of metrics pass it.)

        Raises
        ------
        TypeError, ValueError
            An argument is none of this. Nothing was counted.

        """
        self._counts[self._bin(y_true, y_pred, w)] += 1

    def revert(self, y_true: Id, y_pred: Recommended, w: float = 1.0) -> None:
        """Undo exactly what `update` did with the same arguments.

        Raises
        ------
        ValueError
            No such click was counted.

        """
        place = self._bin(y_true, y_pred, w)
        if not self._counts[place]:
            raise ValueError("cannot take back a click that was not counted")
        self._counts[place] -= 1

    def update_many(self, ranks: ArrayLike) -> None:
        """Count many clicks by their ranks: as `update` for each, to the last bit.

        Parameters
        ----------
        ranks
            Whole numbers, shape (n,): 1 is best, 0 is a miss because the item was never ranked.

        Raises
        ------
        ValueError
            A rank is negative, NaN, or no whole number.

        """
        bins = bins_of(ranks, self.k)
        bins[bins == 0] = self.k + 1
        self._counts += np.bincount(bins, minlength=self.k + 2)

    def get(self) -> float:
        """Return the metric's value; 0.0 where nothing was counted."""
        return mean_gain(self.gain, self._counts)

    @property
    def name(self) -> str:
        """The metric with its k, such as ``Recall@20``."""
        return f"{type(self).__name__}@{self.k}"

    @property
    def bigger_is_better(self) -> bool:
        """Always true."""
        return True

    @property
    def works_with_weights(self) -> bool:
        """Always false: clicks are counted whole."""
        return False

    def works_with(self, model: object) -> bool:
        """Whether a model returns ranked lists, that is, has a method ``recommend``."""
        return callable(getattr(model, "recommend", None))

    def __repr__(self) -> str:
        """Show name and value."""
        return f"{self.name}: {self.get():.6f}"

    def __add__(self, other: RankingMetric) -> Metrics:
        """Put two metrics into one of river's containers."""
        if not isinstance(other, RankingMetric):
            raise ValueError(f"{self.name} and {type(other).__name__} are not compatible")
        return Metrics([self, other])

    def _bin(self, y_true: Id, y_pred: Recommended, w: float) -> int:
        if w != 1:
            raise ValueError(f"{self.name} takes no weights; got {w}")
        clicked = one_id(y_true, "y_true")
        recommended = first_ids(y_pred, self.k)
        return recommended.index(clicked) + 1 if clicked in recommended else self.k + 1

    @staticmethod
    @abstractmethod
    def gain(count: float, rank: int) -> float:
        """Return what a number of clicks whose items came at this rank, 1 to k, add to the sum."""


class Recall(RankingMetric):
    """Recall at k: the share of clicks whose item was among the k first recommendations.

    With one right answer it is also the hit rate.

    Parameters
    ----------
    k
        How many recommendations count, from the first.

    Examples
    --------
    >>> metric = Recall(2)
    >>> metric.update("shoes", ["socks", "shoes", "hat"])
    >>> metric.update("hat", ["socks", "shoes", "hat"])
    >>> metric
    Recall@2: 0.500000

    It rolls, as river's metrics do:

    >>> from river.utils import Rolling
    >>> rolling = Rolling(Recall, window_size=1, k=2)
    >>> rolling.update("hat", ["hat", "shoes"])
    >>> rolling.update("hat", ["socks", "shoes"])
    >>> rolling.get()
    0.0

    """

    gain = staticmethod(recall)


class MRR(RankingMetric):
    """Mean reciprocal rank at k: 1 / rank of the clicked item, 0 beyond k, on average.

    Parameters
    ----------
    k
        How many recommendations count, from the first.

    References
    ----------
    E. M. Voorhees: The TREC-8 Question Answering Track Report. TREC 1999.

    Examples
    --------
    >>> metric = MRR(20)
    >>> metric.update_many([1, 4, 21, 0])
    >>> metric.get()
    0.3125

    """

    gain = staticmethod(reciprocal_rank)


class NDCG(RankingMetric):
    """Normalised discounted cumulative gain at k, for one right answer: 1 / log2(1 + rank).

    The best possible list has the right answer first, a gain of 1, so nothing is left to divide
    by.

    Parameters
    ----------
    k
        How many recommendations count, from the first.

    References
    ----------
    K. Järvelin, J. Kekäläinen: Cumulated gain-based evaluation of IR techniques. ACM TOIS 20(4),
    2002, with the logarithmic discount taken from rank 1 on.

    Examples
    --------
    >>> metric = NDCG(20)
    >>> metric.update_many([1, 3, 50, 0])
    >>> metric.get()
    0.375

    """

    gain = staticmethod(discounted_gain)


METRICS: dict[str, type[RankingMetric]] = {"recall": Recall, "mrr": MRR, "ndcg": NDCG}
"""The metrics of `GAINS`, by their names in the results of runs."""
