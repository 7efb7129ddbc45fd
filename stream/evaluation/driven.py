"""Models driven by a protocol: where it freezes them, they only follow the sessions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextclick.models import BatchResult, Recommender
from nextclick.models.recommender import Id, Times, score_apart

from .protocol import Protocol
from .tested_batch import TestedBatch


class DrivenModel:
    """Drives a model by a protocol, batch by batch; see `Protocol.begin`.

    Where the protocol freezes models, nothing is learned any more after the test has begun. Then a
    session is the clicks that it had before, as the model has learned them, and those since, which
    the model is given again each time. Clicks on items that were not seen before the test move no
    session; their rank is 0.

    Parameters
    ----------
    model
        The model. One whose ``protocol`` this is follows it by itself: a comparison of models.
    protocol
        The protocol; its batch is the one that the model is given.

    """

    def __init__(self, model: Recommender, protocol: Protocol) -> None:
        self.model = model
        self.protocol = protocol
        self._follows = getattr(model, "protocol", None) is protocol

    def test_then_learn(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        k: int = 0,
        time: float = -math.inf,
        times: Times = None,
    ) -> BatchResult:
        """Score a batch, and learn what of it comes before the test."""
        batch = self.protocol.batch
        if (
            batch is None
            or self._follows
            or not self.protocol.frozen
            or batch.learned == len(items)
        ):
            return self.model.test_then_learn(sessions, items, k, time, times)
        result = BatchResult.empty(len(items), k)
        if first := batch.learned:
            early = None if times is None else times[:first]
            tested = self.model.test_then_learn(sessions[:first], items[:first], k, time, early)
            result.scored[:first], result.ranks[:first] = tested.scored, tested.ranks
            result.recommended[:first] = tested.recommended
            result.learning = tested.learning
        result.scored[first:] = batch.preceded[first:]
        if batch.items:
            self._test(batch, k, result)
        return result

    def _test(self, batch: TestedBatch, k: int, result: BatchResult) -> None:
        """Score the clicks of a batch that are in the test."""
        tested = _tested(self.model, batch, k)
        known = np.flatnonzero(np.array(batch.places) >= 0)
        places = np.array(batch.places)[known]
        result.ranks[known] = tested.ranks[places]
        if k:
            for at, place in zip(known.tolist(), places.tolist(), strict=True):
                result.recommended[at] = tested.recommended[place]

    def ranked(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        k: int,
        time: float,
        times: Times,
    ) -> tuple[BatchResult, NDArray[np.int64]]:
        """Score and learn a batch; return the ranks by the protocol, too.

        The lists are as long as was asked for, whatever the protocol needs.
        """
        longest = k if self._follows else max(k, self.protocol.list_length)
        tested = self.test_then_learn(sessions, items, longest, time, times)
        ranks = tested.ranks if self._follows else self.protocol.ranks(tested)
        if longest > k:
            tested.recommended = [best[:k] for best in tested.recommended] if k else []
        return tested, ranks

    def counted(
        self,
        sessions: Sequence[Id],
        tested: BatchResult,
        ranks: NDArray[np.int64],
        positions: NDArray[np.int64],
        times: NDArray[np.float64],
    ) -> Sequence[NDArray[Any]]:
        """Return ranks, positions and times of the clicks that count now."""
        counted = tested.scored if self._follows else self.protocol.counted(tested.scored)
        of_each = ranks[counted], positions[counted], times[counted]
        return of_each if self._follows else self.protocol.settle(sessions, counted, of_each)

    def forget(self, sessions: Sequence[Id]) -> None:
        """Drop sessions that have ended."""
        self.model.forget(sessions)


def _tested(model: Recommender, batch: TestedBatch, k: int) -> BatchResult:
    """Test a frozen model; one without a method for it is given the sessions one by one."""
    if hasattr(model, "test_frozen"):
        found: BatchResult = model.test_frozen(batch.sessions, batch.items, k, batch.times)
        return found
    return score_apart(model, batch.sessions, batch.items, k, batch.times)
