"""What `check_recommender` finds, in models that each break the contract in one place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nextclick.models import BatchResult, GRU4RecConfig, OnlineGRU4Rec, State
from nextclick.models.recommender import Id
from nextclick.models.rivals import RIVALS
from nextclick.models.rivals.counting.markov import Markov
from nextclick.models.rivals.gru4rec.retrained import GRU4RecRetrained
from nextclick.testing import check_recommender


@pytest.mark.parametrize("name", ["markov", "popularity", "session-popularity", "vstan"])
def test_the_models_that_are_built_in_pass(name: str) -> None:
    check_recommender(RIVALS[name])


def test_the_network_with_its_memory_passes() -> None:
    check_recommender(lambda: OnlineGRU4Rec(GRU4RecConfig(hidden=4), device="cpu"))


def test_a_model_that_knows_only_an_older_catalogue_passes() -> None:
    check_recommender(lambda: GRU4RecRetrained(hidden=4, epochs=1))


class Wrapped(Markov):
    """Passes everything on, and is one mistake away from `Markov`."""

    def test_then_learn(
        self,
        sessions: Any,
        items: Any,
        k: int = 0,
        time: float = -math.inf,
        times: Any = None,
    ) -> BatchResult:
        return self.changed(super().test_then_learn(sessions, items, k, time, times))

    def changed(self, result: BatchResult) -> BatchResult:
        return result


class NoMethods:
    name = "none"
    n_items = 0


class WrongType(Wrapped):
    def changed(self, result: BatchResult) -> BatchResult:
        result.ranks = result.ranks.astype(np.float64)
        return result


class TooGood(Wrapped):
    def changed(self, result: BatchResult) -> BatchResult:
        result.ranks = np.minimum(result.ranks, 1)
        return result


class WorstFirst(Wrapped):
    def changed(self, result: BatchResult) -> BatchResult:
        result.recommended = [best[::-1] for best in result.recommended]
        return result


class AllScored(Wrapped):
    def changed(self, result: BatchResult) -> BatchResult:
        result.scored = np.ones_like(result.scored)
        return result


class NamesAsTexts(Wrapped):
    def changed(self, result: BatchResult) -> BatchResult:
        named = [[(f"<{item}>", score) for item, score in best] for best in result.recommended]
        result.recommended = named  # type: ignore[assignment]
        return result


class LearnsInTests(Markov):
    def test(self, sessions: Any, items: Any, k: int = 0, times: Any = None) -> BatchResult:
        return self.test_then_learn(sessions, items, k)


class LearnsWhenAsked(Markov):
    def recommend(self, items: Any, k: int = 20) -> list[tuple[Id, float]]:
        if self.n_items:
            self.learn_many(["asked"], list(items)[:1])
        return super().recommend(items, k)


class LooksAhead(Markov):
    """Scores a batch with what it has learned from the whole batch."""

    def test(self, sessions: Any, items: Any, k: int = 0, times: Any = None) -> BatchResult:
        kept, honest = self.state(), super().test(sessions, items, k)
        self.learn_many(sessions, items)
        tested = super().test(sessions, items)
        self.restore(kept)
        known = honest.ranks > 0
        honest.ranks[known] = np.maximum(tested.ranks, honest.ranks)[known]
        return honest

    def test_then_learn(self, sessions: Any, items: Any, k: int = 0, *more: Any) -> BatchResult:
        tested = self.test(sessions, items, k)
        self.learn_many(sessions, items)
        return tested


class LearnsHalf(Markov):
    def learn_many(self, sessions: Any, items: Any, *more: Any) -> None:
        super().learn_many(sessions[: len(sessions) // 2], items[: len(items) // 2])


class StaysAsItIs(Markov):
    def restore(self, state: State) -> None:
        pass


class NotJson(Markov):
    def state(self) -> State:
        state = super().state()
        return State(state.arrays, {**state.values, "more": {1, 2}})


class NeverForgets(Markov):
    def forget(self, sessions: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (NoMethods, "the model has no test_then_learn"),
        (WrongType, "ranks are int64, not float64"),
        (TooGood, "has at least that rank, not 1: ties count against the model"),
        (WorstFirst, "test_then_learn lists the best score first"),
        (AllScored, "scored exactly if its session has a click before it"),
        (NamesAsTexts, "ids come back as given"),
        (LearnsInTests, "test changes nothing"),
        (LearnsWhenAsked, "recommend changes nothing"),
        (LooksAhead, "depends on clicks after it"),
        (LearnsHalf, "learn_many learns what test_then_learn does"),
        (StaysAsItIs, "a restored model goes on"),
        (NotJson, "the values of a state are of JSON's types"),
        (NeverForgets, "the first click after forget begins a session"),
    ],
)
def test_a_mistake_is_found_and_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_recommender(make)
