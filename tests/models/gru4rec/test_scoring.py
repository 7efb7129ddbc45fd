from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from tests.models.gru4rec.learners import EMBEDDINGS, drive, model, stream


def test_a_first_click_is_not_scored_and_a_new_item_has_no_rank() -> None:
    tested = model().test_then_learn(["a", "a", "b", "a"], ["x", "x", "x", "y"])
    assert tested.scored.tolist() == [False, True, False, True]
    assert tested.ranks.tolist() == [0, 1, 0, 0]


def test_an_item_first_seen_earlier_in_the_batch_is_known_and_a_later_one_is_not() -> None:
    learner = model()
    # At its own click z is unknown; at the next one it competes, with w still unborn.
    tested = learner.test_then_learn(["a"] * 5, ["x", "y", "z", "z", "w"], k=10)
    assert tested.ranks[2] == 0
    assert 1 <= tested.ranks[3] <= 3
    assert [sorted(str(item) for item, _ in best) for best in tested.recommended] == [
        [],
        ["x"],
        ["x", "y"],
        ["x", "y", "z"],
        ["x", "y", "z"],
    ]


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize(("dropout", "memory"), [(0.0, 0), (0.5, 0), (0.0, 12), (0.5, 1000)])
@given(st.integers(0, 10_000), st.integers(1, 39), st.sampled_from([1, 7, 16]))
@settings(max_examples=8)
def test_changing_the_future_changes_no_past_figure(
    embedding: str, dropout: float, memory: int, seed: int, cut: int, batch: int
) -> None:
    sessions, items = stream(40, seed)
    others, else_items = stream(40, seed + 1)
    changed = (sessions[:cut] + others[cut:], items[:cut] + else_items[cut:])
    past, other = (
        drive(model(embedding=embedding, dropout=dropout, memory=memory), clicks, batch)[:cut]
        for clicks in ((sessions, items), changed)
    )
    assert past == other


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"memory": 50},
        {"memory": 50, "min_count": 2},
        {"embedding": "separate", "dropout": 0.5, "optimizer": "adam", "momentum": 0.5},
        {"embedding": "one-hot", "cell": "lstm", "bias": True, "input_dropout": 0.3},
    ],
)
def test_scoring_alone_gives_the_same_ranks_and_changes_nothing(
    options: dict[str, Any],
) -> None:
    clicks = stream(200)
    watched, alone = model(**options), model(**options)
    for start in range(0, 200, 16):
        sessions, items = clicks[0][start : start + 16], clicks[1][start : start + 16]
        tested = watched.test(sessions, items, k=3)
        again = watched.test(sessions, items, k=3)
        learned = watched.test_then_learn(sessions, items, k=3)
        plain = alone.test_then_learn(sessions, items)
        assert tested.recommended == again.recommended == learned.recommended
        for other in (again, learned, plain):
            assert tested.ranks.tolist() == other.ranks.tolist()
    for name, array in alone.state().arrays.items():
        np.testing.assert_array_equal(array, watched.state().arrays[name], err_msg=name)


def test_on_random_items_recall_is_k_over_the_catalogue() -> None:
    draw = np.random.default_rng(5)
    clicks = 12_000
    sessions: list[str | int] = [int(s) for s in draw.integers(300, size=clicks)]
    items: list[str | int] = [int(i) for i in draw.integers(200, size=clicks)]
    ranks = np.array(drive(model(), (sessions, items), 64)[2000:])
    ranks = ranks[ranks > 0]
    hits = (ranks <= 20).mean()
    assert abs(hits - 0.1) < 4 * np.sqrt(0.1 * 0.9 / len(ranks))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"embedding": "separate", "cell": "lstm", "hidden": [12, 5], "bias": True},
        {"embedding": "one-hot", "feed_forward": [7], "dropout": 0.5},
    ],
)
def test_recommendations_agree_with_the_ranks(options: dict[str, Any]) -> None:
    learner = model(**options)
    drive(learner, stream(400), 16)
    items: list[str | int] = [3, 1, 2]
    learner.learn_many(["new", "new"], items[:2])
    tested = learner.test(["new"], items[2:], k=15)
    best = learner.recommend(items[:2], k=15)
    assert [item for item, _ in best] == [item for item, _ in tested.recommended[0]]
    assert best[tested.ranks[0] - 1][0] == 2


def test_unknown_items_are_ignored_when_recommending() -> None:
    learner = model()
    drive(learner, stream(100), 16)
    assert learner.recommend(["nobody", 1], k=3) == learner.recommend([1], k=3)
    assert learner.recommend(["nobody"]) == []
    assert not learner.knows("nobody")


def test_ids_come_back_as_they_went_in() -> None:
    learner = model()
    learner.learn_many(["a"] * 4, ["7", 7, "7", 7])
    assert {item for item, _ in learner.recommend(["7"], k=5)} == {"7", 7}


def test_a_score_that_is_not_a_number_is_an_error() -> None:
    learner = model()
    drive(learner, stream(100), 16)
    learner.items.embedding.values[2] = torch.nan
    with pytest.raises(FloatingPointError, match="diverged"):
        drive(learner, stream(100), 16)


@pytest.mark.parametrize("k", [0, -1])
def test_a_recommendation_is_of_one_item_at_least(k: int) -> None:
    learner = OnlineGRU4Rec(GRU4RecConfig(hidden=8), device="cpu")
    learner.learn_many(["a", "a"], ["x", "y"])
    with pytest.raises(ValueError, match="k must be at least 1"):
        learner.recommend(["x"], k=k)


def test_a_forgotten_session_starts_anew() -> None:
    learner = model()
    learner.learn_many(["a", "b"], ["x", "y"])
    learner.forget(["a", "never seen"])
    assert learner.test(["a", "b"], ["x", "x"]).scored.tolist() == [False, True]
