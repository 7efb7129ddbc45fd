"""The sessions of some queries: what a model keeps of them, and the clicks that come after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..queries import Query
from ..sessions import SessionStore
from ..windows import Whole
from .vocabulary import NO_ITEM, Vocabulary


class Visitors:
    """The sessions of some queries.

    Parameters
    ----------
    sessions
        The live sessions.
    vocabulary
        The catalogue.
    queries
        The queries.

    Attributes
    ----------
    slots, kept
        int64 (q,): where the live sessions are, -1 for none, and how many clicks are kept of each.
    clicks
        For each query, int64: the rows of the clicks that come after; 0 for an item that is not
        known.

    """

    def __init__(
        self, sessions: SessionStore, vocabulary: Vocabulary, queries: Sequence[Query]
    ) -> None:
        self.slots, self.kept = sessions.find([query.session for query in queries])
        self.clicks = [vocabulary.rows_of(query.items) for query in queries]

    def own(self, stored: Whole) -> list[Whole]:
        """Return the rows of each session's clicks, the oldest first.

        Parameters
        ----------
        stored
            int64 (q, K): the rows of the last clicks that are kept, right-aligned.

        """
        window = stored.shape[1]
        return [
            np.concatenate([rows[window - kept :], after])
            for rows, kept, after in zip(stored, self.kept.tolist(), self.clicks, strict=True)
        ]

    def windows(self, stored: Whole) -> tuple[Whole, NDArray[np.bool_]]:
        """Return the last K clicks of each session, without those on items that are not known.

        A click that is kept counts though its item has left the catalogue, as row 0.

        Returns
        -------
        rows, there
            int64 and bool (q, k), right-aligned, with k the longest window, at least 1; and which
            of the clicks exist.

        """
        window = stored.shape[1]
        found = [
            np.concatenate([rows[window - kept :], after[after != NO_ITEM]])[-window:]
            for rows, kept, after in zip(stored, self.kept.tolist(), self.clicks, strict=True)
        ]
        longest = max([1, *map(len, found)])
        padded = np.full((len(found), longest), NO_ITEM, np.int64)
        there = np.zeros((len(found), longest), np.bool_)
        for at, clicks in enumerate(found):
            padded[at, longest - len(clicks) :] = clicks
            there[at, longest - len(clicks) :] = True
        return padded, there
