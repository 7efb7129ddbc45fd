"""Queries answered from the scores of the whole catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..queries import Answer, Query
from ..recommender import Id
from .best_items import Blocked, Whole, best_items

POPULAR_CLICKS = 10_000
"""Latest clicks among whose items the recently popular ones are."""

OF_ALL_TIMES = 0.001
"""How much the clicks on items that were not clicked lately count: they come after the others."""

MOST_SCORES = 1 << 23
"""Scores that are held at a time, at most about (64 MiB in float64)."""


class Catalogue(Protocol):
    """The items of a model, by the rows of its tables; row 0 has none."""

    @property
    def admissions(self) -> NDArray[np.int64]:
        """int64 (rows,): 0 where a row has no item."""
        ...

    def id_of(self, row: int) -> Id:
        """Return the item of a row."""
        ...

    def rows_of(self, items: Sequence[Id]) -> NDArray[np.int64]:
        """Return the rows of items; 0 for those that are not there."""
        ...


@dataclass(slots=True)
class Scored:
    """The scores of all items for some visitors.

    Parameters
    ----------
    catalogue
        The items.
    scores
        (q, rows): of every row. Of a visitor of whom nothing is known, those of the recently
        popular items.
    known
        bool (q,): whether something is known of the visitor.
    own
        For each visitor, int64: the rows of the session's clicks, oldest first, as far as the model
        keeps them; 0 for an item that is not known.
    likely
        int64: rows, each once, that are looked at first, since they are likely to be among the
        best; the others are passed over the faster then.

    """

    catalogue: Catalogue
    scores: Tensor
    known: NDArray[np.bool_]
    own: Sequence[Whole]
    likely: Whole = field(default_factory=lambda: np.zeros(0, np.int64))


def best_answers(queries: Sequence[Query], scored: Scored) -> list[Answer]:
    """Answer queries by the scores of the catalogue: each list holds the k best that it may hold.

    Ties go to the lower row.
    """
    blocked = left_out(queries, scored)
    rows = blocked.shape[1]
    counts = np.array([min(query.k, rows) for query in queries], np.int64)
    scores, likely = scored.scores.contiguous(), scored.likely
    ends = len(likely) * np.arange(1, len(queries) + 1)
    best, values = best_items(
        scores,
        blocked,
        counts,
        spans=np.stack([ends - len(likely), ends], axis=1),
        rows=np.tile(likely.astype(np.int32), len(queries)),
        final=scores[:, likely].double().cpu().numpy().reshape(-1),
    )
    id_of = scored.catalogue.id_of
    return [
        Answer(
            [(id_of(row), score) for row, score in zip(*pair, strict=True) if row >= 0], not known
        )
        for *pair, known in zip(best.tolist(), values.tolist(), scored.known.tolist(), strict=True)
    ]


def left_out(queries: Sequence[Query], scored: Scored) -> Blocked:
    """Return what each query leaves out: bool (q, rows)."""
    catalogue = scored.catalogue
    absent = catalogue.admissions == 0
    blocked = np.repeat(absent[None], len(queries), axis=0)
    for barred, query, own in zip(blocked, queries, scored.own, strict=True):
        if query.among is not None:
            among = catalogue.rows_of(query.among)
            barred[:] = True
            barred[among] = absent[among]
        if query.without:
            barred[catalogue.rows_of(query.without)] = True
        if query.exclude == "current":
            barred[own[-1:]] = True
        elif query.exclude == "session":
            barred[own] = True
    return blocked


def popular_scores(counts: NDArray[np.float64], lately: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each row's share of the clicks, where it was clicked lately; much less elsewhere.

    Parameters
    ----------
    counts
        float64 (rows,): what each row's clicks count.
    lately
        bool (rows,): whether its item was clicked among the latest `POPULAR_CLICKS` clicks.

    Examples
    --------
    >>> popular_scores(np.array([6.0, 2.0, 2.0]), np.array([False, True, True]))
    array([0.0006, 0.2   , 0.2   ])

    """
    shares: NDArray[np.float64] = counts / max(counts.sum(), 1e-300)
    shares[~lately] *= OF_ALL_TIMES
    return shares


def chunks(queries: Sequence[Query], rows: int) -> list[Sequence[Query]]:
    """Cut queries so that not too many scores are held at a time."""
    size = max(1, MOST_SCORES // max(1, rows))
    return [queries[start : start + size] for start in range(0, len(queries), size)]
