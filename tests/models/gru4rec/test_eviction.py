from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models.optim import RULES
from tests.models.gru4rec.learners import EMBEDDINGS, bounded, drive, model, stream


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"memory": 12},
        {"memory": 1000},
        *(
            {"optimizer": name, "momentum": 0.5, "bias": True, "learning_rate": 0.01}
            for name in RULES
        ),
    ],
    ids=str,
)
@given(st.integers(0, 10_000), st.sampled_from([1, 7, 16]), st.integers(1, 12))
@settings(max_examples=3)
def test_an_evicted_item_that_comes_back_is_new(
    embedding: str, options: dict[str, Any], seed: int, batch: int, bound: int
) -> None:
    """Under its own name or another: no figure shows the difference."""
    clicks = 80
    sessions, items = stream(clicks, seed)
    learner, named = (bounded(bound, embedding=embedding, **options) for _ in range(2))
    lives: dict[str | int, int] = {}
    for start in range(0, clicks, batch):
        part = slice(start, start + batch)
        names: list[str | int] = [f"{item} of life {lives.get(item, 0)}" for item in items[part]]
        before = learner.n_items
        tested = learner.test_then_learn(sessions[part], items[part])
        other = named.test_then_learn(sessions[part], names)
        assert tested.ranks.tolist() == other.ranks.tolist()
        assert learner.n_items <= bound
        assert learner.n_items >= min(before, bound)
        for item in set(items):
            if learner.knows(item) != named.knows(f"{item} of life {lives.get(item, 0)}"):
                raise AssertionError(item)
            if not learner.knows(item) and item in items[: start + batch]:
                lives[item] = start + batch  # Gone: its next name is another.
    for table in (learner.items.embedding, learner.items.inputs):
        assert not table.values[0].any()  # What clicks on items that have left are read as.
    assert learner.items.bias.values[0] == -torch.inf


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(max_examples=20)
def test_the_least_recently_clicked_items_leave(seed: int, bound: int) -> None:
    sessions, items = stream(60, seed)
    learner = bounded(bound)
    recent: list[str | int] = []
    for session, item in zip(sessions, items, strict=True):
        learner.learn_one(session, item)
        recent = [other for other in recent if other != item] + [item]
        assert {other for other in set(items) if learner.knows(other)} == set(recent[-bound:])


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_a_restored_model_goes_on_to_the_last_bit_while_items_come_and_go(embedding: str) -> None:
    sessions, items = stream(300, items=40)
    unbroken, restored = (
        bounded(10, embedding=embedding, optimizer="adam", momentum=0.5, bias=True)
        for _ in range(2)
    )
    drive(unbroken, (sessions[:160], items[:160]), 16)
    restored.restore(unbroken.state())
    rest = (sessions[160:], items[160:])
    tested = restored.test(sessions[160:176], items[160:176])
    ranks = drive(restored, rest, 16)
    assert ranks == drive(unbroken, rest, 16)
    assert np.where(tested.scored, tested.ranks, -1).tolist() == ranks[:16]
    assert restored.state().values == unbroken.state().values


def test_an_item_enters_the_catalogue_once_it_was_seen_often_enough() -> None:
    learner = model(min_count=3)
    learner.learn_many(["a"] * 4, ["x", "y", "x", "y"])
    assert learner.n_items == 0
    tested = learner.test_then_learn(["a"] * 4, ["x", "x", "y", "x"], k=5)
    assert tested.scored.tolist() == [True] * 4
    assert tested.ranks.tolist() == [0, 1, 0, 1] or tested.ranks.tolist() == [0, 1, 0, 2]
    assert [len(best) for best in tested.recommended] == [0, 1, 1, 2]
    assert (learner.knows("x"), learner.knows("y"), learner.knows("z")) == (True, True, False)


def test_clicks_count_the_same_however_the_stream_is_cut() -> None:
    sessions, items = stream(80)
    entered = []
    for batch in (1, 7, 80):
        learner = model(min_count=4)
        drive(learner, (sessions, items), batch)
        entered.append({item for item in items if learner.knows(item)})
    assert entered[0] == entered[1] == entered[2] == {i for i in items if items.count(i) >= 4}


def test_an_item_that_nobody_clicks_leaves_after_its_time() -> None:
    learner = model(max_idle=100.0)
    learner.learn_many(["a"] * 3, ["x", "y", "z"], time=1000.0)
    learner.learn_many(["a"] * 2, ["x", "z"], time=1090.0)
    learner.learn_many(["a"], ["z"], time=1150.0)
    assert [learner.knows(item) for item in "xyz"] == [True, False, True]
    restored = model(max_idle=100.0)
    restored.restore(learner.state())
    restored.learn_many(["a"], ["z"], time=1200.0)
    assert [restored.knows(item) for item in "xyz"] == [False, False, True]
