"""Models that a protocol freezes: they learn up to the test, and then only follow the sessions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nextclick.models import BatchResult, Recommender
from nextclick.models.recommender import Id, Times, test_apart

from .protocol import Protocol, TestedBatch


class FrozenModel:
    """Drives a model by a protocol: after the test has begun nothing is learned any more.

    In the test a session is the clicks that it had before, as the model has learned them, and
    those since, which the model is given again each time. Clicks on items that the model had not
    seen before the test move no session; their rank is 0.

    Parameters
    ----------
    model
        The model.
    protocol
        The protocol; its batch is the one that the model is given.

    """

    def __init__(self, model: Recommender, protocol: Protocol) -> None:
        self.model = model
        self._protocol = protocol

    def test_then_learn(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        k: int = 0,
        time: float = -math.inf,
        times: Times = None,
    ) -> BatchResult:
        """Score a batch, and learn what of it comes before the test."""
        batch = self._protocol.batch
        if batch is None or batch.learned == len(items):
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

    def forget(self, sessions: Sequence[Id]) -> None:
        """Drop sessions that have ended."""
        self.model.forget(sessions)


def _tested(model: Recommender, batch: TestedBatch, k: int) -> BatchResult:
    """Test a frozen model; one without a method for it is given the sessions one by one."""
    if hasattr(model, "test_frozen"):
        found: BatchResult = model.test_frozen(batch.sessions, batch.items, k, batch.times)
        return found
    return test_apart(model, batch.sessions, batch.items, k, batch.times)
