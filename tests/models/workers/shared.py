"""Models of one process and of several, of the same options, and what they have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, State
from nextclick.models.recommender import Id
from nextclick.models.workers import Group, ShardedGRU4Rec

SMALL: dict[str, Any] = {"hidden": 12, "window": 4, "n_negatives": 16, "memory": 0}
BOUNDS = {"max_sessions": 40, "max_items": 12}
DEEP: dict[str, Any] = {"hidden": [12, 7], "feed_forward": [5]}

Stream = tuple[list[Id], list[Id]]
Found = tuple[list[int], list[list[tuple[Id, float]]]]


def config(**options: Any) -> GRU4RecConfig:
    return GRU4RecConfig(**{**SMALL, **options})


def one_process(dtype: str = "float64", **options: Any) -> OnlineGRU4Rec:
    return OnlineGRU4Rec(config(**options), device="cpu", dtype=dtype, seed=1, **BOUNDS)


def sharded(group: Group, dtype: str = "float64", **options: Any) -> ShardedGRU4Rec:
    return ShardedGRU4Rec(config(**options), group, device="cpu", dtype=dtype, seed=1, **BOUNDS)


def stream(clicks: int, seed: int = 0) -> Stream:
    """Sessions with numbers, texts, repeats and returns; more items than the bound."""
    draw = np.random.default_rng(seed)
    sessions: list[Id] = [
        int(number) if number % 3 else f"s{number}" for number in draw.integers(40, size=clicks)
    ]
    return sessions, [int(number) for number in draw.zipf(1.3, size=clicks) % 20]


def part(clicks: Stream, begin: int, end: int) -> Stream:
    return clicks[0][begin:end], clicks[1][begin:end]


def drive(model: Any, clicks: Stream, batch: int = 16, k: int = 3, start: float = 0.0) -> Found:
    """Test and learn; return ranks, -1 for what is not scored, and lists."""
    ranks: list[int] = []
    lists: list[list[tuple[Id, float]]] = []
    for begin in range(0, len(clicks[0]), batch):
        sessions, items = part(clicks, begin, begin + batch)
        time = start + begin
        tested = model.test_then_learn(
            sessions, items, k, time, [time + n for n in range(len(items))]
        )
        ranks += np.where(tested.scored, tested.ranks, -1).tolist()
        lists += tested.recommended
    return ranks, lists


def assert_same_lists(
    one: list[list[tuple[Id, float]]], other: list[list[tuple[Id, float]]]
) -> None:
    """Assert that lists have the same items, with scores that differ by rounding."""
    assert [[item for item, _ in best] for best in one] == [
        [item for item, _ in best] for best in other
    ]
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(
            [score for _, score in left], [score for _, score in right], rtol=1e-8, atol=1e-9
        )


def assert_same_states(one: State, other: State, tolerance: float = 1e-9) -> None:
    """Assert that two states differ by rounding only, or by nothing where that is 0."""
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        found = other.arrays[name]
        assert found.dtype == array.dtype, name
        if tolerance:
            np.testing.assert_allclose(found, array, rtol=tolerance, atol=tolerance, err_msg=name)
        else:
            np.testing.assert_array_equal(found, array, err_msg=name)
    assert one.values == other.values
