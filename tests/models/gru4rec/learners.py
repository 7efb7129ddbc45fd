"""Small learners and streams for the tests of this folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec

EMBEDDINGS = ["tied", "separate", "one-hot"]
DEEP: dict[str, Any] = {"hidden": [12, 7], "feed_forward": [5]}

Stream = tuple[list[str | int], list[str | int]]


def model(seed: int = 1, max_items: int = 1_000_000, **options: Any) -> OnlineGRU4Rec:
    small: dict[str, Any] = {"hidden": 12, "window": 4, "n_negatives": 16, "memory": 0}
    config = GRU4RecConfig(**{**small, **options})
    return OnlineGRU4Rec(config, max_items=max_items, seed=seed, device="cpu", dtype="float64")


def bounded(max_items: int, **options: Any) -> OnlineGRU4Rec:
    return model(max_items=max_items, **options)


def stream(clicks: int, seed: int = 0, sessions: int = 8, items: int = 15) -> Stream:
    draw = np.random.default_rng(seed)
    return (
        [f"s{number}" for number in draw.integers(sessions, size=clicks)],
        [int(number) for number in draw.zipf(1.3, size=clicks) % items],
    )


def drive(learner: OnlineGRU4Rec, clicks: Stream, batch: int) -> list[int]:
    ranks = []
    for start in range(0, len(clicks[0]), batch):
        part = slice(start, start + batch)
        tested = learner.test_then_learn(clicks[0][part], clicks[1][part])
        ranks += np.where(tested.scored, tested.ranks, -1).tolist()
    return ranks
