"""What every model answers to the queries of visitors, whatever it is made of."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models import Query
from nextclick.models.queries import Exclude
from nextclick.models.recommender import Id
from tests.models.rivals.every import NAMES, make
from tests.models.rivals.learned import stream
from tests.models.rivals.neural.test_contract import same, stored

DAY = 86_400.0
Best = list[tuple[Id, float]]
MODELS: dict[str, Any] = {}
"""Each model once it has learned a stream; to be asked only."""

every_model = pytest.mark.parametrize("name", NAMES)


def learn(model: Any, clicks: int = 240, seed: int = 0) -> None:
    """Learn a stream of some days, for the model that learns at midnight."""
    sessions, items = stream(clicks, seed=seed)
    for start in range(0, clicks, 16):
        part = slice(start, start + 16)
        model.learn_many(sessions[part], items[part], start / clicks * 5 * DAY)


def taught(name: str) -> Any:
    if name not in MODELS:
        model = make(name)
        learn(model)
        MODELS[name] = model
    return MODELS[name]


def sessions_of(model: Any) -> list[Id]:
    """Live sessions of a model."""
    return [one for one in dict.fromkeys(reversed(stream(240)[0])) if is_live(model, one)][:6]


def is_live(model: Any, session: Id) -> bool:
    return bool(model.test([session], catalogue(model)[:1]).scored[0])


def catalogue(model: Any) -> list[Id]:
    known = [item for item in dict.fromkeys(stream(240)[1]) if model.knows(item)]
    assert len(known) == model.n_items
    return known


def ask(model: Any, **query: Any) -> Best:
    best: Best = model.recommend_each([Query(**query)])[0].best
    return best


def close(one: Best, other: Best) -> None:
    """Assert that two lists are the same, but for rounding and for the order of equal scores."""
    assert len(one) == len(other)
    scores = [[score for _, score in best] for best in (one, other)]
    assert np.allclose(scores[0], scores[1], rtol=1e-4, atol=1e-5)
    least = scores[0][-1] if one else 0.0
    sure = [{i for i, s in best if s > least + 1e-4 * (1 + abs(least))} for best in (one, other)]
    assert sure[0] == sure[1]


@every_model
def test_a_list_for_items_is_what_is_recommended_after_them(name: str) -> None:
    model = taught(name)
    items = catalogue(model)
    for length in (1, 2, 5, 9):
        session = items[:length] + items[:1]
        for k in (1, 6, 1000):
            close(ask(model, items=session, k=k), model.recommend(session, k))


@every_model
def test_a_list_for_a_session_goes_by_what_was_learned_of_it(name: str) -> None:
    model = taught(name)
    items, sessions = catalogue(model), sessions_of(model)
    assert len(sessions) > 2
    for session in sessions:
        foreseen = model.test([session], items[:1], 7).recommended[0]
        close(ask(model, session=session, k=7), foreseen)
        clicks = items[3:5] + items[:2]
        times = [1.0, 2.0, 3.0, 4.0]
        after = model.recommend_after([session] * 4, clicks, 7, times)[-1]
        close(ask(model, session=session, items=clicks, times=times, k=7), after)


@every_model
def test_a_session_that_is_not_live_and_unknown_items_change_nothing(name: str) -> None:
    model = taught(name)
    items = catalogue(model)
    for query in (
        {"session": "nobody", "items": items[:3]},
        {"items": ["unknown", *items[:2], "x", items[2]]},
    ):
        close(ask(model, k=5, **query), model.recommend(items[:3], 5))


@every_model
def test_what_is_asked_together_is_answered_as_if_alone(name: str) -> None:
    model = taught(name)
    items, sessions = catalogue(model), sessions_of(model)
    queries = [
        *(Query(session=session, k=4) for session in sessions),
        Query(session=sessions[0], items=items[:2], k=3, exclude="session"),
        Query(session=sessions[0], items=items[:2], k=30),
        *(Query(items=items[at : at + 5], k=9) for at in range(4)),
        *(Query(session=session, k=2, without=items[:3]) for session in ("nobody", None)),
    ]
    together = model.recommend_each(queries)
    for query, answer in zip(queries, together, strict=True):
        alone = model.recommend_each([query])[0]
        close(answer.best, alone.best)
        assert (
            answer.popular
            == alone.popular
            == (query.session in ("nobody", None) and not query.items)
        )
    assert model.recommend_each([]) == []


@every_model
def test_asking_changes_nothing(name: str) -> None:
    model, other = make(name), make(name)
    for each in (model, other):
        learn(each)
    before = model.state()
    items, session = catalogue(model), sessions_of(model)[0]
    model.recommend_each(
        [
            Query(session=session, items=[*items, "new"], exclude="session"),
            Query(session="new", items=items * 3, k=60),
            Query(items=items[:4] * 9, k=60),
            Query(without=items[:3], among=items[:9]),
        ]
    )
    same(model.state(), before)
    learn(model, 96, seed=7)
    learn(other, 96, seed=7)
    same(model.state(), other.state())


@every_model
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_filtered_list_is_the_k_best_of_what_is_left(name: str, data: st.DataObject) -> None:
    model = taught(name)
    items = catalogue(model)
    some = st.lists(st.sampled_from([*items, "unknown"]), max_size=12)
    session = data.draw(st.none() | st.sampled_from(["nobody", *sessions_of(model)]))
    clicked = data.draw(some)
    query = Query(
        session,
        clicked,
        k=data.draw(st.integers(1, 70)),
        without=data.draw(some),
        among=data.draw(st.none() | some),
    )
    whole = ask(model, session=session, items=clicked, k=100)
    assert len(whole) == len(items)
    allowed = set(items if query.among is None else query.among) - set(query.without)
    wanted = [(item, score) for item, score in whole if item in allowed][: query.k]
    assert model.recommend_each([query])[0].best == wanted


@every_model
@pytest.mark.parametrize("exclude", ["current", "session", "none"])
def test_what_the_visitor_has_seen_is_left_out(name: str, exclude: Exclude) -> None:
    model = taught(name)
    items = catalogue(model)
    clicked = [items[3], items[1], items[7]]
    out = {"current": {items[7]}, "session": set(clicked), "none": set()}[exclude]
    whole = ask(model, items=clicked, k=100)
    wanted = [(item, score) for item, score in whole if item not in out]
    assert ask(model, items=clicked, k=100, exclude=exclude) == wanted


@every_model
def test_the_items_of_a_learned_session_are_left_out(name: str) -> None:
    model = make(name)
    learn(model)
    items = catalogue(model)
    model.learn_many(["anna"] * 3, items[2:5])
    for asked in (model, restored(name, model)):
        # What a model keeps of a session is for it to say, but its last click is known to all.
        best = ask(asked, session="anna", k=100, exclude="current")
        assert {item for item, _ in best} == set(items) - {items[4]}
        left = set(items) - {
            item for item, _ in ask(asked, session="anna", k=100, exclude="session")
        }
        assert items[4] in left <= set(items[2:5])
        # An item that was clicked since is the current one, known or not.
        best = ask(asked, session="anna", items=[items[0]], k=100, exclude="current")
        assert {item for item, _ in best} == set(items) - {items[0]}
        assert len(ask(asked, session="anna", items=["new"], k=100, exclude="current")) == len(
            items
        )


def restored(name: str, model: Any) -> Any:
    """Another model of the same state, by way of the disk."""
    other = make(name)
    other.restore(stored(model.state()))
    return other


@every_model
def test_nobody_known_gets_what_is_popular_of_late(name: str) -> None:
    model = make(name)
    old, new = ["old"] * 40, ["hat"] * 9 + ["tie"] * 6 + ["sock"] * 3
    model.learn_many(range(40), old, 0.0)
    model.learn_many(range(40, 58), new, 1.0)
    model.learn_many(["anna", "bert"], ["tie", "hat"], 2 * DAY)
    for asked in (model, restored(name, model)):
        answers = asked.recommend_each(
            [Query(k=2, without=["old"]), Query(session="nobody"), Query(items=["unknown"], k=1)]
        )
        assert all(answer.popular for answer in answers)
        first, whole, one = ([item for item, _ in answer.best] for answer in answers)
        assert first == ["hat", "tie"]
        assert set(whole) == {"old", "hat", "tie", "sock"}
        assert one == whole[:1]
        scores = [score for _, score in answers[1].best]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize("name", ["markov", "vstan"])
def test_a_state_from_before_the_latest_clicks_were_kept_counts_each_item_once(name: str) -> None:
    model, state = make(name), taught(name).state()
    del state.arrays["recent.stamps"], state.values["form"]
    model.restore(state)
    assert sorted(score for _, score in ask(model, k=5)) == pytest.approx([1 / model.n_items] * 5)


@every_model
def test_a_model_that_knows_nothing_answers_with_nothing(name: str) -> None:
    model = make(name)
    queries = [Query(), Query(session=1, items=["hat"]), Query(among=["hat"], exclude="session")]
    for answer in model.recommend_each(queries):
        assert answer.best == []
        assert answer.popular
    assert not model.knows("hat")


@every_model
def test_more_may_be_wanted_than_there_is(name: str) -> None:
    model = taught(name)
    items = catalogue(model)
    for query in (Query(items=items[:2], k=10**30), Query(k=10**30)):
        assert len(model.recommend_each([query])[0].best) == len(items)
    assert ask(model, items=items[:2], among=[]) == []
    assert ask(model, items=items[:2], among=["unknown"]) == []
    assert ask(model, items=items[:2], without=items) == []


@every_model
def test_queries_are_copied_nowhere_and_left_as_they_are(name: str) -> None:
    model = taught(name)
    query = Query(items=catalogue(model)[:3], exclude="session", without=["x"], times=[1, 2, 3])
    before = copy.deepcopy(query)
    model.recommend_each([query])
    assert query == before
