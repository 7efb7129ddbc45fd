"""Which rank has an item's row, and a session's state."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from ..items.vocabulary import NO_ITEM

Whole = NDArray[np.int64]

BUCKETS = 64
"""Rows and sessions fall into so many buckets, whatever the number of ranks."""


class Buckets:
    """Where rows lie among the ranks, and among a rank's own.

    Row r is in bucket ``r % BUCKETS``, and a rank has all rows of its buckets, in the order of the
    rows. Its place 0 is that of no item, which every rank has.

    Parameters
    ----------
    size
        Number of ranks.
    rank
        Whose own places are meant.

    Examples
    --------
    >>> buckets = Buckets(2, rank=1)
    >>> buckets.owners(np.array([1, 2, 3, 64])), buckets.places(np.array([0, 1, 3, 65]))
    (array([1, 0, 1, 0]), array([ 0,  1,  2, 33]))

    """

    def __init__(self, size: int, rank: int) -> None:
        self.size = size
        self._rank_of = np.arange(BUCKETS) % size
        self._own = np.flatnonzero(self._rank_of == rank)
        self._place_of = np.cumsum(self._rank_of == rank) - 1

    def of(self, rank: int) -> Buckets:
        """Return the same buckets with another rank's places."""
        return Buckets(self.size, rank)

    def owners(self, rows: Whole) -> Whole:
        """Return the ranks that have rows."""
        owners: Whole = self._rank_of[rows % BUCKETS]
        return owners

    def ranks_of(self, buckets: Whole) -> Whole:
        """Return the ranks that have buckets."""
        ranks: Whole = self._rank_of[buckets]
        return ranks

    def places(self, rows: Whole) -> Whole:
        """Return the places of the rank's own rows, and of no item."""
        held = len(self._own)
        places = rows // BUCKETS * held + self._place_of[rows % BUCKETS] + 1
        return np.where(rows == NO_ITEM, 0, places)

    def rows(self, places: Whole) -> Whole:
        """Return the rows at some of the rank's places."""
        turn, bucket = np.divmod(places - 1, len(self._own))
        return np.where(places == 0, NO_ITEM, turn * BUCKETS + self._own[bucket])

    def used(self, rows: int) -> int:
        """Return the number of places that the rank's rows below a number reach, with place 0."""
        whole, rest = divmod(rows, BUCKETS)
        return 1 + whole * len(self._own) + int((self._own < rest).sum())


def bucket_of(session: object) -> int:
    """Return a session's bucket, which follows from its number or text alone."""
    if isinstance(session, int):
        return session % BUCKETS
    return zlib.crc32(session.encode()) % BUCKETS if isinstance(session, str) else 0


def buckets_of(sessions: Sequence[object]) -> Whole:
    """Return the buckets of sessions.

    Examples
    --------
    >>> buckets_of([1, 65, "a"])
    array([1, 1, 3])

    """
    if set(map(type, sessions)) == {int}:
        with suppress(OverflowError):
            return np.array(sessions, np.int64) % BUCKETS
    return np.array([bucket_of(session) for session in sessions], np.int64)
