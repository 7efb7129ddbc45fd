"""The items of a stream as a comparison knows them: clicks of each, and who recommended it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nextclick.models import State
from nextclick.models.recommender import Id

LOOK = 1024
"""Clicks after which the popular items are determined again."""

POPULAR = 0.01
"""The share of the items, those with most clicks, that is popular."""

RARE = 5
"""An item with fewer clicks than this is rare."""


class ItemCounts:
    """Counts the clicks of each item, and notes which models have recommended it.

    Parameters
    ----------
    models
        How many there are.
    max_items
        Items known at most; those least recently clicked make room.

    Attributes
    ----------
    clicks
        Clicks counted.

    Examples
    --------
    >>> catalogue = ItemCounts(models=1, max_items=10)
    >>> [catalogue.click(item) for item in ("shoes", "hat", "shoes")]
    [0, 0, 1]
    >>> catalogue.show(0, [["shoes"]])
    >>> catalogue.coverage(), catalogue.popularity()
    ([0.5], [0.6666666666666666])

    """

    def __init__(self, models: int, max_items: int) -> None:
        self.max_items = max_items
        self.clicks = 0
        # Item -> its row of the arrays below, least recently clicked first.
        self._rows: OrderedDict[Id, int] = OrderedDict()
        self._counts = np.zeros(64, np.int64)
        self._shown = np.zeros((64, models), np.bool_)
        self._bar: int | None = None
        self._recommended = np.zeros(models, np.int64)
        self._shares = np.zeros(models)

    def __len__(self) -> int:
        """Return the number of items known."""
        return len(self._rows)

    def click(self, item: Id) -> int:
        """Count a click; return how many the item had before it."""
        row = self._rows.get(item)
        if row is None:
            row = self._new_row()
            self._rows[item] = row
        else:
            self._rows.move_to_end(item)
        before = int(self._counts[row])
        self._counts[row] = before + 1
        self.clicks += 1
        if self.clicks % LOOK == 0:
            self._look()
        return before

    def popular(self, clicks: int) -> bool:
        """Whether an item with this number of clicks is among the most clicked hundredth.

        They were last looked for at the latest whole 1,024 clicks; before, none is popular.
        """
        return self._bar is not None and clicks >= self._bar

    def show(self, model: int, lists: Sequence[Sequence[Id]]) -> None:
        """Note which items a model has recommended, one list a click."""
        rows = [self._rows.get(item, -1) for items in lists for item in items]
        self._recommended[model] += len(rows)
        known = np.array([row for row in rows if row >= 0], np.int64)
        if len(known):
            self._shown[known, model] = True
            self._shares[model] += self._counts[known].sum() / self.clicks

    def coverage(self) -> list[float]:
        """Return for each model what share of the items known it has recommended at least once."""
        used = self._counts > 0
        return [float(own) for own in self._shown[used].sum(axis=0) / max(1, len(self))]

    def popularity(self) -> list[float]:
        """Return for each model the mean share of all clicks that an item it recommended had."""
        return [float(own) for own in self._shares / np.maximum(1, self._recommended)]

    def state(self) -> State:
        """Copy all of it."""
        rows = np.array(list(self._rows.values()), np.int64)
        return State(
            arrays={
                "counts": self._counts[rows],
                "shown": self._shown[rows],
                "recommended": self._recommended.copy(),
                "shares": self._shares.copy(),
            },
            values={"items": list(self._rows), "clicks": self.clicks, "bar": self._bar},
        )

    def restore(self, state: State) -> None:
        """Restore what `state` returned."""
        items = state.values["items"]
        self.clicks, self._bar = state.values["clicks"], state.values["bar"]
        self._rows = OrderedDict((item, row) for row, item in enumerate(items))
        self._counts = np.append(state.arrays["counts"], np.zeros(64, np.int64))
        room = np.zeros((64, len(self._recommended)), np.bool_)
        self._shown = np.concatenate([state.arrays["shown"], room])
        self._recommended = state.arrays["recommended"].astype(np.int64)
        self._shares = state.arrays["shares"].astype(np.float64)

    def _new_row(self) -> int:
        """Return a row for a new item: a fresh one, or that of the item that makes room."""
        if len(self._rows) >= self.max_items:
            row = self._rows.popitem(last=False)[1]
            self._counts[row] = 0
            self._shown[row] = False
            return row
        row = len(self._rows)
        if row == len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
            self._shown = np.concatenate([self._shown, np.zeros_like(self._shown)])
        return row

    def _look(self) -> None:
        """Find how many clicks the least clicked of the popular items has."""
        counts: NDArray[np.int64] = self._counts[: len(self)]
        most = max(1, round(POPULAR * len(counts)))
        self._bar = max(RARE, int(np.partition(counts, -most)[-most]))
