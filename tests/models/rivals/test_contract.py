"""What all counting rivals promise, in bounds so tight that a short stream meets them all."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models import State
from nextclick.models.rivals import RIVALS
from nextclick.models.rivals.counting.base import CountingModel

Id = str | int
Clicks = list[tuple[Id, Id]]

TIGHT: dict[str, dict[str, Any]] = {
    "popularity": {"half_life": 1},
    "session-popularity": {"half_life": 20, "window": 3},
    "markov": {"half_life": 20, "followers": 2},
    "rules": {"half_life": 1, "steps": 3, "followers": 3},
    "item-knn": {"neighbours": 3, "window": 3},
    "vsknn": {"neighbours": 2, "sample": 3, "kept": 4, "window": 3, "idf": 1},
    "stan": {"neighbours": 2, "sample": 3, "kept": 4, "window": 3, "own": False},
    "vstan": {"neighbours": 2, "sample": 3, "kept": 4, "window": 3},
    "context-tree": {"depth": 3, "contexts": 5, "followers": 2, "half_life": 20},
}
rivals = st.sampled_from(sorted(TIGHT))
ids: st.SearchStrategy[Id] = st.one_of(st.integers(0, 4), st.integers(0, 2).map(str))
streams: st.SearchStrategy[Clicks] = st.lists(st.tuples(ids, ids), max_size=40)


def make(rival: str, **options: Any) -> Any:
    bounds = {"max_sessions": 3, "max_items": 5}
    return RIVALS[rival](**{**bounds, **TIGHT[rival], **options})


def columns(clicks: Clicks) -> tuple[list[Id], list[Id]]:
    return [session for session, _ in clicks], [item for _, item in clicks]


def drive(model: Any, clicks: Clicks, batch: int = 64) -> list[Any]:
    found: list[Any] = []
    for start in range(0, len(clicks), batch):
        tested = model.test_then_learn(*columns(clicks[start : start + batch]), k=10)
        scored = tested.scored.tolist()
        found += zip(scored, tested.ranks.tolist(), tested.recommended, strict=True)
    return found


def through_a_file(state: State) -> State:
    return State(
        {name: array.copy() for name, array in state.arrays.items()},
        json.loads(json.dumps(state.values)),
    )


def facts(model: Any) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    state = model.state()
    return {name: array.tolist() for name, array in state.arrays.items()}, state.values


def test_every_counting_rival_is_tested_here() -> None:
    counting = {name for name, kind in RIVALS.items() if issubclass(kind, CountingModel)}
    assert counting == set(TIGHT)
    assert all(make(name).name == name for name in counting)


@given(rivals, streams, st.integers(0, 40))
@settings(max_examples=300)
def test_a_restored_model_goes_on_as_if_nothing_had_been(
    rival: str, clicks: Clicks, cut: int
) -> None:
    whole = make(rival)
    expected = drive(whole, clicks)
    first = make(rival)
    found = drive(first, clicks[:cut])
    second = make(rival)
    second.restore(through_a_file(first.state()))
    assert found + drive(second, clicks[cut:]) == expected
    assert facts(second) == facts(whole)


@given(rivals, streams, st.integers(1, 9))
@settings(max_examples=200)
def test_how_the_stream_is_cut_changes_nothing(rival: str, clicks: Clicks, batch: int) -> None:
    one, other = make(rival), make(rival)
    assert drive(one, clicks, 1) == drive(other, clicks, batch)
    assert facts(one) == facts(other)


@given(rivals, streams, streams)
@settings(max_examples=300)
def test_testing_ranks_the_same_and_learns_nothing(
    rival: str, clicks: Clicks, more: Clicks
) -> None:
    model = make(rival)
    drive(model, clicks)
    before = facts(model)
    tested = model.test(*columns(more), k=10)
    model.recommend_after(*columns(more), k=10)
    model.recommend([item for _, item in more])
    assert facts(model) == before
    assert tested.learning >= 0
    found = zip(tested.scored.tolist(), tested.ranks.tolist(), tested.recommended, strict=True)
    assert list(found) == drive(model, more)


@given(rivals, streams)
@settings(max_examples=200)
def test_a_rank_is_where_the_item_stands_in_the_recommended_at_the_latest(
    rival: str, clicks: Clicks
) -> None:
    model = make(rival)
    known: set[Id] = set()
    for (_, item), (scored, rank, best) in zip(clicks, drive(model, clicks), strict=True):
        ids = [other for other, _ in best]
        scores = [score for _, score in best]
        assert scored == bool(best)
        if scored:
            assert (rank > 0) == (item in ids)
            assert len(ids) == len(set(ids)) <= 5
            assert set(ids) <= known
            assert scores == sorted(scores, reverse=True)
            assert all(score >= 0 for score in scores)
        if rank:
            # Ties count against the model: behind the rank nothing scores as high.
            own = scores[ids.index(item)]
            assert rank == sum(score >= own * (1 - 1e-9) for score in scores)
        known.add(item)


@given(rivals, streams)
def test_an_answer_is_what_the_next_click_is_scored_against(rival: str, clicks: Clicks) -> None:
    model = make(rival)
    drive(model, clicks)
    session, item = clicks[-1] if clicks else (0, 0)
    [answer] = model.recommend_after([session], [item], k=10)
    model.learn_many([session], [item])
    assert model.test([session], [item], k=10).recommended[0] == answer


@given(rivals, streams)
@settings(max_examples=200)
def test_sessions_and_items_least_recently_clicked_are_dropped(rival: str, clicks: Clicks) -> None:
    model = make(rival)
    sessions: list[Id] = []
    items: list[Id] = []
    for (session, item), (scored, rank, _) in zip(clicks, drive(model, clicks), strict=True):
        assert scored == (session in sessions)
        assert (rank > 0) == (scored and item in items)
        sessions = [*(other for other in sessions if other != session), session][-3:]
        items = [*(other for other in items if other != item), item][-5:]
        assert len(items) <= 5
    assert model.n_items == len(items)


@pytest.mark.parametrize("rival", TIGHT)
def test_memory_is_bounded_however_long_the_stream(rival: str) -> None:
    draw = np.random.default_rng(0)
    model = make(rival)

    def sizes() -> dict[str, int]:
        return {name: array.size for name, array in model.state().arrays.items()}

    def learn() -> None:
        sessions = draw.integers(10_000, size=1500).tolist()
        model.learn_many(np.repeat(sessions, 2).tolist(), draw.integers(12, size=3000).tolist())

    learn()
    first = sizes()
    learn()
    assert all(size <= 2 * first[name] + 64 for name, size in sizes().items())


@pytest.mark.parametrize("rival", TIGHT)
def test_an_item_that_left_comes_back_as_one_never_seen(rival: str) -> None:
    slowly = {"half_life": 1000} if "half_life" in TIGHT[rival] else {}

    def scores_of_the_tripod(named_before: str) -> dict[str, float]:
        model = make(rival, max_items=3, max_sessions=100, **slowly)
        for session in range(20):
            model.learn_many([session] * 2, ["camera", named_before])
        assert model.recommend(["camera"], k=3)[0][1] > 0
        model.learn_many(["camera session"], ["camera"])
        model.learn_many(["x", "y"], ["hat", "coat"])  # What the camera was followed by leaves.
        assert model.recommend([named_before]) == []
        model.learn_many(["camera session", "new"], ["camera", "tripod"])  # And the hat.
        [best] = model.recommend_after(["camera session"], ["camera"], k=3)
        return dict(best)

    found = scores_of_the_tripod("tripod")
    assert set(found) == {"camera", "tripod", "coat"}
    assert found == scores_of_the_tripod("tent")


@pytest.mark.parametrize("rival", TIGHT)
def test_a_forgotten_session_begins_anew(rival: str) -> None:
    model = make(rival)
    model.learn_many(["a", "b"], [1, 2])
    model.forget(["a", "never seen"])
    assert model.test(["a", "b"], [1, 2]).scored.tolist() == [False, True]


@pytest.mark.parametrize("rival", TIGHT)
def test_of_what_is_not_known_nothing_is_recommended(rival: str) -> None:
    model = make(rival)
    assert model.recommend([]) == model.recommend(["shoes"]) == []
    model.learn_many(["a"], ["shoes"])
    assert model.recommend(["hat"]) == []
    assert [item for item, _ in model.recommend(["hat", "shoes"], k=3)] == ["shoes"]


@pytest.mark.parametrize("bound", ["max_sessions", "max_items"])
def test_bounds_below_one_are_refused(bound: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        make("rules", **{bound: 0})
