from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.memory.layout import RECENT

Id = str | int


def model(**options: object) -> OnlineGRU4Rec:
    config = GRU4RecConfig(**{"hidden": 8, "n_negatives": 16, "window": 4, **options})  # type: ignore[arg-type]
    return OnlineGRU4Rec(config, seed=1, device="cpu", dtype="float64")


def taught(seed: int, **options: object) -> OnlineGRU4Rec:
    draw = np.random.default_rng(seed)
    learner = model(**options)
    for _ in range(30):
        sessions: list[Id] = draw.integers(9, size=8).tolist()
        learner.learn_many(sessions, draw.zipf(1.4, size=8).clip(max=20).tolist())
    return learner


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_scores_are_probabilities_over_the_catalogue(seed: int) -> None:
    learner = taught(seed)
    found = learner.recommend([1, 2], k=1000)
    assert len(found) == learner.n_items
    assert sum(score for _, score in found) == pytest.approx(1)
    assert all(score >= 0 for _, score in found)


@given(st.integers(0, 10_000))
@settings(max_examples=10)
def test_ranks_are_those_of_the_recommended(seed: int) -> None:
    learner = taught(seed)
    tested = learner.test([0, 1, 2, 3], [1, 2, 1, 3], k=1000)
    for place in np.flatnonzero(tested.scored & (tested.ranks > 0)).tolist():
        _, score = tested.recommended[place][tested.ranks[place] - 1]
        own = dict(tested.recommended[place])[[1, 2, 1, 3][place]]
        assert score == pytest.approx(own)  # Where two tie, the other may stand there.


def test_what_a_click_brings_into_the_catalogue_is_not_recommended_before_it() -> None:
    learner = model()
    tested = learner.test(["a", "a", "a"], ["shoes", "hat", "socks"], k=10)
    known = [{item for item, _ in best} for best in tested.recommended]
    assert known == [set(), {"shoes"}, {"shoes", "hat"}]


def test_what_followed_once_is_predicted_at_once() -> None:
    """One session is evidence enough; a network needs many."""
    with_memory, without = model(), model(memory=0)
    for learner in (with_memory, without):
        learner.learn_many(["s"] * 40, [f"filler {number}" for number in range(40)])
        learner.learn_many(["a", "a"], ["camera", "tripod"])
        learner.learn_many(
            ["f"] * (RECENT + 10), [f"more {number}" for number in range(RECENT + 10)]
        )
    ranks = [
        learner.test(["b", "b"], ["camera", "tripod"]).ranks[1]
        for learner in (with_memory, without)
    ]
    assert ranks[0] <= 3
    assert ranks[0] < ranks[1]


def test_evidence_counts_within_the_batch_from_the_click_after_it() -> None:
    learner = model()
    learner.learn_many(["s"] * 300, [f"filler {number}" for number in range(300)])
    sessions: list[Id] = ["a", "b", "a", "b"]
    tested = learner.test(sessions, ["camera", "camera", "tripod", "tripod"])
    assert tested.ranks[2] == 0
    assert 1 <= tested.ranks[3] <= 5


def test_what_lies_beyond_the_bound_is_out_of_sight() -> None:
    short, long = model(memory=50), model(memory=5000)
    for learner in (short, long):
        learner.learn_many(["a", "a"], ["camera", "tripod"])
        for start in range(0, 400, 50):
            learner.learn_many(
                ["f"] * 50, [f"more {number}" for number in range(start, start + 50)]
            )
    ranks = [learner.test(["b", "b"], ["camera", "tripod"]).ranks[1] for learner in (short, long)]
    assert ranks[1] < ranks[0]


def test_the_gates_learn_whom_to_trust() -> None:
    """Where sessions only repeat their item, trust goes to the session's own clicks."""
    learner = model()
    draw = np.random.default_rng(0)
    for start in range(150):
        items: list[Id] = draw.integers(40, size=8).tolist()
        sessions: list[Id] = [f"{start} {place}" for place in range(8)]
        learner.learn_many(sessions * 3, items * 3)
    assert learner.memory is not None
    tested = learner.test(["x"] * 3, [7, 7, 7], k=1)
    assert tested.recommended[2][0][0] == 7
    assert tested.recommended[2][0][1] > 0.9


def test_a_diverged_score_teaches_the_memory_nothing() -> None:
    learner = taught(0)
    assert learner.memory is not None
    before = learner.memory.vector.clone()
    learner.items.embedding.values[1:] = torch.nan
    with pytest.raises(FloatingPointError):
        learner.test_then_learn([0, 1, 2], [1, 2, 3])
    assert torch.equal(learner.memory.vector, before)


def test_a_diverged_batch_is_not_in_the_log() -> None:
    learner, other = taught(0), taught(0)
    for one in (learner, other):
        one.items.embedding.values[1:] = torch.nan
    with pytest.raises(FloatingPointError):
        learner.test_then_learn([0, 1, "new"], [1, 2, "new"])
    kept, untouched = learner.state(), other.state()
    assert kept.values == untouched.values
    for name, array in untouched.arrays.items():
        np.testing.assert_array_equal(array, kept.arrays[name], err_msg=name)


@given(st.integers(0, 10_000))
@settings(max_examples=10)
def test_an_answer_is_what_the_next_click_is_scored_against(seed: int) -> None:
    """In a session that is live, and in one that is new."""
    learner = taught(seed)
    items: list[Id] = [1, 2, 3, 1, 4]
    items = [item for item in items if learner.knows(item)]
    for session in (0, "new"):
        sessions: list[Id] = [session] * len(items)
        answers = learner.recommend_after(sessions, items, k=1000)
        assert answers == learner.recommend_after(sessions, items, k=1000)  # It changed nothing.
        tested = learner.test(sessions, items, k=1000)
        for answer, scored in zip(answers, tested.recommended[1:], strict=False):
            assert dict(answer) == pytest.approx(dict(scored))


def test_a_batch_beyond_all_measure_is_refused_and_changes_nothing() -> None:
    learner = model()
    with pytest.raises(ValueError, match="too large"):
        learner.learn_many([1] * 65_537, [2] * 65_537)
    assert learner.n_items == 0


def test_without_memory_an_answer_is_the_networks_scores() -> None:
    """No probabilities: scores of any size and sign, as the exported network returns them."""
    learner = taught(3, memory=0)
    answer = learner.recommend_after(["x", "x"], [1, 2], k=1000)[1]
    assert sum(score for _, score in answer) != pytest.approx(1)
    assert min(score for _, score in answer) < 0
