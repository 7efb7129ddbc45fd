"""Visitors who click what they are shown by a learning engine, with real models interleaved."""

from __future__ import annotations

from typing import Any

import numpy as np

from nextclick.connectors import Clicks, Position
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.stream import RunConfig
from nextclick.stream.comparison.trials import make_trials
from nextclick.stream.engine import Engine
from nextclick.stream.serving.engine_answers import EngineAnswers
from nextclick.stream.serving.requests import Request
from nextclick.stream.sessions.sessionizer import Sessionizer

ITEMS, SHOWN, CLICKS, SEEDS = 40, 6, 600, 3


class Visitors:
    """A source of visitors who want the item after their latest one, and ask before they click."""

    gap = None

    def __init__(self, seed: int) -> None:
        self.warnings: list[str] = []
        self.answers: EngineAnswers | None = None
        self._draw = np.random.default_rng(seed)
        self._latest: dict[str, int] = {}
        self._given = 0

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        if self._given == CLICKS:
            return None
        self._given += 1
        visitor = f"visitor {self._draw.integers(25)}"
        item = int(self._draw.integers(ITEMS))
        if visitor in self._latest:
            assert self.answers is not None
            self.answers.answer([Request(session=visitor, k=SHOWN)])
            if self._draw.random() < 0.8:
                item = (self._latest[visitor] + 1) % ITEMS
        self._latest[visitor] = item
        return Clicks([visitor], [item], np.array([float(self._given)]), {"at": self._given})

    def seek(self, position: Position) -> None:
        raise AssertionError("nothing resumes")

    def commit(self, position: Position) -> None:
        pass

    def close(self) -> None:
        pass


def preference(seed: int, other: str, **options: Any) -> dict[str, Any]:
    """Return the preference between the default model and another after some visits."""
    config = RunConfig(
        serve="0", device="cpu", seed=seed, interleave=other, shadow={other: options}, batch=16
    )
    source = Visitors(seed)
    model = OnlineGRU4Rec(GRU4RecConfig(**SMALL), seed=seed, device="cpu")
    engine = Engine(source, model, Sessionizer(1e6, 60.0, 1000), batch=16)
    engine.trials = make_trials(config, model.name)
    source.answers = EngineAnswers(engine)
    engine.run()
    found: dict[str, Any] = engine.results()["interleaved"]
    assert found["shown"] > 0.9 * CLICKS
    return found


SMALL: dict[str, Any] = {"hidden": 8, "n_negatives": 16, "memory": 2048}


def test_between_a_model_and_itself_there_is_no_preference() -> None:
    found = [preference(seed, "gru4rec", **SMALL) for seed in range(SEEDS)]
    assert all(each["wins"] + each["losses"] > 150 for each in found)
    # Of twenty intervals one may exclude 0.5 by chance.
    assert sum(not each["low"] <= 0.5 <= each["high"] for each in found) <= 1


def test_a_model_that_has_learned_more_is_preferred_to_one_that_counts_clicks() -> None:
    for seed in range(SEEDS):
        found = preference(seed, "popularity")
        assert found["low"] > 0.5
