"""All that a model can be asked is answered as by one process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nextclick.models import GRU4RecConfig, Query, State
from nextclick.models.queries import Exclude
from nextclick.models.workers import Group, ShardedGRU4Rec
from tests.models.workers.pool import Pool
from tests.models.workers.shared import (
    assert_same_lists,
    assert_same_states,
    drive,
    one_process,
    part,
    sharded,
    stream,
)

Both = tuple[Any, Any]
CLICKS = stream(600, seed=5)


def of_queries(model: Any, exclude: Exclude) -> list[Any]:
    known = [item for item in range(20) if model.knows(item)]
    queries = [
        Query(session=1, k=4, exclude=exclude),
        Query(session="s3", items=known[:2], times=[700.0, 710.0], k=5, exclude=exclude),
        Query(items=[*known[:6], "never seen"], k=3, exclude=exclude),
        Query(session="nobody", k=5, exclude=exclude),
        Query(session=2, k=6, among=known[:4], exclude=exclude),
        Query(session=2, k=6, without=known[2:9], exclude=exclude),
        Query(items=known[3:4], k=50, exclude=exclude),
    ]
    found: list[Any] = model.recommend_each(queries)
    return found


def test_a_random_mix_of_calls_gives_what_one_process_gives(pool: Pool) -> None:
    for memory, size, seed in ((0, 2, 1), (300, 3, 2), (300, 5, 3)):
        with pool.group(size) as group:
            both = one_process(memory=memory), sharded(group, memory=memory)
            mix(both, np.random.default_rng(seed))


def mix(both: Both, draw: np.random.Generator) -> None:
    """Call both models' methods in a random order, and compare what they return."""
    for model in both:
        drive(model, part(CLICKS, 0, 120))
    for call in draw.integers(len(CALLS), size=60):
        begin = int(draw.integers(120, 580))
        clicks = part(CLICKS, begin, begin + int(draw.integers(1, 20)))
        one, other = (CALLS[call](model, *clicks) for model in both)
        if one and isinstance(one[0], list):
            assert_same_lists(one, other)
        else:
            assert one == other
        assert both[0].n_items == both[1].n_items
    assert_same_states(both[0].state(), both[1].state())


def scored(model: Any, sessions: Any, items: Any) -> list[Any]:
    result = model.test(sessions, items, 3)
    assert len(result.recommended) == len(items)
    return [*result.ranks.tolist(), *result.scored.tolist()]


def answers(model: Any, sessions: Any, items: Any) -> list[Any]:
    found = [
        answer
        for exclude in ("none", "current", "session")
        for answer in of_queries(model, exclude)
    ]
    return [answer.best for answer in found]


def kinds(model: Any, sessions: Any, items: Any) -> list[Any]:
    return [answer.popular for answer in of_queries(model, "none")]


def learned(model: Any, sessions: Any, items: Any) -> None:
    model.learn_many(sessions, items, 900.0, None)


def forgotten(model: Any, sessions: Any, items: Any) -> None:
    model.forget(sessions[:3])


CALLS: list[Callable[[Any, Any, Any], Any]] = [
    scored,
    answers,
    kinds,
    learned,
    forgotten,
    lambda model, sessions, items: [model.recommend(items, 5)],
    lambda model, sessions, items: model.recommend_after(sessions, items, 4),
    lambda model, sessions, items: drive(model, (sessions, items))[0],
    lambda model, sessions, items: [model.knows(item) for item in items],
]


def test_being_asked_changes_nothing(pool: Pool) -> None:
    with pool.group(3) as group:
        model = sharded(group, memory=300)
        drive(model, part(CLICKS, 0, 200))
        before = model.state()
        for call in (scored, answers):
            call(model, *part(CLICKS, 200, 230))
        model.recommend([1, 2], 5)
        model.recommend_after(*part(CLICKS, 200, 230), 4)
        assert_same_states(before, model.state(), tolerance=0)


@pytest.mark.parametrize("memory", [0, 300])
def test_a_damaged_state_is_refused_and_changes_nothing(memory: int, pool: Pool) -> None:
    with pool.group(2) as group:
        model = sharded(group, memory=memory)
        drive(model, part(CLICKS, 0, 100))
        before = model.state()
        for name in ("sessions.states", "items.embedding.values", "sessions.windows"):
            arrays = {**before.arrays, name: before.arrays[name][:-1]}
            with pytest.raises(ValueError, match="does not fit"):
                model.restore(State(arrays, before.values))
        assert_same_states(before, model.state(), tolerance=0)


def test_a_wrong_argument_is_refused_before_any_worker_hears_of_it(pool: Pool) -> None:
    with pool.group(2) as group:
        model = sharded(group)
        drive(model, part(CLICKS, 0, 100))
        before = model.state()
        many = list(range(1000))
        with pytest.raises(ValueError, match="does not fit a bound of 40 live sessions"):
            model.test_then_learn(many, many)
        with pytest.raises((TypeError, ValueError)):
            model.learn_many([1.5], [2])  # type: ignore[list-item]
        assert_same_states(before, model.state(), tolerance=0)


def test_scores_that_are_no_numbers_end_the_learning_for_good(pool: Pool) -> None:
    with pool.group(2) as group:
        model = sharded(group, learning_rate=1e200, item_learning_rate=1e200, optimizer="rmsprop")
        with pytest.raises(FloatingPointError, match="lower learning_rate"):
            drive(model, CLICKS)
        for method in (model.state, lambda: model.recommend([1, 2]), lambda: drive(model, CLICKS)):
            with pytest.raises(FloatingPointError, match="lower learning_rate"):
                method()


def test_only_the_learner_s_own_config_is_taken() -> None:
    with pytest.raises(TypeError, match="GRU4RecConfig"):
        ShardedGRU4Rec({"hidden": 3}, Group())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dtype must be one of"):
        ShardedGRU4Rec(GRU4RecConfig(hidden=4), device="cpu", dtype="int8")
