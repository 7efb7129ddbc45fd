"""Visitors who click what they are shown, and models that know more or less of their taste."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nextclick.connectors import Id
from nextclick.models import Answer, BatchResult, Query, Recommender, State
from nextclick.models.base import CheckedModel, Request
from nextclick.stream.recommendations.interleaving import Interleaving


class Guess(CheckedModel):
    """Puts what a visitor wants among its first items as often as it is told, else nowhere."""

    def __init__(self, name: str, quality: float, seed: int) -> None:
        self.name = name
        self.quality = quality
        self.wanted: Id = 0
        self.draw = np.random.default_rng(seed)

    def _recommend_each(self, queries: list[Query]) -> list[Answer]:
        answers = []
        for query in queries:
            items = [int(item) for item in self.draw.choice(1000, query.k, replace=False) + 1000]
            if self.draw.random() < self.quality:
                items[int(self.draw.integers(len(items)))] = int(self.wanted)
            answers.append(Answer([(item, 1 / place) for place, item in enumerate(items, 1)]))
        return answers

    @property
    def n_items(self) -> int:
        return 2000

    def _knows(self, item: Id) -> bool:
        return True

    def _forget(self, sessions: list[Id]) -> None:
        pass

    def _run(self, request: Request) -> BatchResult:
        raise AssertionError("only lists are asked for")

    def state(self) -> State:
        return State({}, {})

    def _restore(self, state: State) -> None:
        pass


class Beside:
    """The other model, as a shadow is given."""

    def __init__(self, model: CheckedModel) -> None:
        self.name = model.name
        self.model: Recommender | None = model
        self.failure: Exception | None = None

    def drop(self, error: Exception) -> None:
        self.model, self.failure = None, error


def visit(
    service: Guess, other: Guess, seed: int, sessions: int = 80, clicks: int = 4
) -> Interleaving:
    """Ask for lists as visitors do, and click what they want where it is in the list."""
    interleaving = Interleaving(service.name, Beside(other), seed)
    draw = np.random.default_rng(seed)
    for session in range(sessions):
        interleaving.learn([session], [0], [])
        for _ in range(clicks):
            wanted = service.wanted = other.wanted = int(draw.integers(1, 900))
            query = Query(session, k=10)
            (answer,) = interleaving.served([query], service.recommend_each([query]))
            shown = [item for item, _ in answer.best]
            interleaving.learn([session], [wanted if wanted in shown else 999], [])
        interleaving.learn([], [], [session])
    return interleaving


def items_of(answers: Sequence[Answer]) -> list[list[Id]]:
    return [[item for item, _ in answer.best] for answer in answers]
