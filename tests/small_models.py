from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nextclick.models import BatchResult, State
from nextclick.models.recommender import Id, Times


class Recent:
    """A small model: foresees the items in the order of their latest clicks.

    `worse` is the number of items that do not exist to put before them.
    """

    name = "recent"

    def __init__(
        self, *, worse: int = 0, max_sessions: int = 100, max_items: int = 100, seed: int = 0
    ) -> None:
        if worse < 0:
            raise ValueError(f"worse must not be negative, but is {worse}")
        self.worse = worse
        self.latest: list[Id] = []
        self.sessions: set[Id] = set()

    @property
    def n_items(self) -> int:
        return len(self.latest)

    def test_then_learn(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        k: int = 0,
        time: float = -math.inf,
        times: Times = None,
    ) -> BatchResult:
        scored, ranks, best = [], [], []
        for session, item in zip(sessions, items, strict=True):
            scored.append(session in self.sessions)
            known = self.latest.index(item) + 1 + self.worse if item in self.latest else 0
            ranks.append(known if scored[-1] else 0)
            best.append(self.recommend([], k) if scored[-1] and k else [])
            self.learn_many([session], [item])
        return BatchResult(
            np.array(scored, np.bool_), np.array(ranks, np.int64), best, learning=1e-6
        )

    def test(
        self, sessions: Sequence[Id], items: Sequence[Id], k: int = 0, times: Times = None
    ) -> BatchResult:
        kept = self.state()
        tested = self.test_then_learn(sessions, items, k)
        self.restore(kept)
        return tested

    def learn_many(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        time: float = -math.inf,
        times: Times = None,
    ) -> None:
        for item in items:
            if item in self.latest:
                self.latest.remove(item)
            self.latest.insert(0, item)
        self.sessions |= set(sessions)

    def recommend_after(
        self, sessions: Sequence[Id], items: Sequence[Id], k: int = 20, times: Times = None
    ) -> list[list[tuple[Id, float]]]:
        return [self.recommend([item], k) for item in items]

    def recommend(self, items: Sequence[Id], k: int = 20) -> list[tuple[Id, float]]:
        return [(item, 1 / place) for place, item in enumerate(self.latest[:k], 1)]

    def forget(self, sessions: Sequence[Id]) -> None:
        self.sessions -= set(sessions)

    def state(self) -> State:
        values: dict[str, Any] = {"latest": list(self.latest), "sessions": list(self.sessions)}
        return State({"worse": np.array([self.worse])}, values)

    def restore(self, state: State) -> None:
        self.latest = list(state.values["latest"])
        self.sessions = set(state.values["sessions"])
