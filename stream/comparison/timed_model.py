"""A model whose work is timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from nextclick.models import BatchResult
from nextclick.models.recommender import Id, Times

from ..evaluation.tested_batch import TestedBatch


class TimedModel:
    """Drives a model batch by batch, and counts the seconds that it takes.

    Parameters
    ----------
    model
        The model, or what drives it by a protocol.

    Attributes
    ----------
    model
        As given.
    seconds
        Seconds of scoring and of learning, shape (2,).

    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.seconds = np.zeros(2)

    def test_then_learn(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        k: int,
        time: float,
        times: Times,
        count_scoring: bool = True,
    ) -> BatchResult:
        """Score a batch, then learn it; see `CheckedModel.test_then_learn`.

        The seconds of scoring are left out without `count_scoring`, for a batch whose
        recommendations are wanted: it takes longer.
        """
        began = perf_counter()
        tested: BatchResult = self.model.test_then_learn(sessions, items, k, time, times)
        took = perf_counter() - began
        self.seconds += took - tested.learning if count_scoring else 0, tested.learning
        return tested

    def forget(self, sessions: Sequence[Id]) -> None:
        """Drop sessions that have ended; it is part of learning."""
        began = perf_counter()
        self.model.forget(sessions)
        self.seconds[1] += perf_counter() - began


class Away(Protocol):
    """The models of a comparison that are in other processes."""

    @property
    def timed(self) -> Mapping[str, TimedModel]:
        """Each by name, as it is driven from here."""
        ...

    def begin(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        wanted: Mapping[str, int],
        time: float,
        times: Times,
        count_scoring: bool,
        tested: TestedBatch | None,
    ) -> None:
        """Begin to score and learn a batch, with `wanted` items to recommend for each model.

        `tested` is how the protocol of the comparison sees the batch.
        """
