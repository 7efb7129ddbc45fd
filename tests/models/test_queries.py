from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors import open_source
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, Query
from nextclick.models.items import best_items as best_items_file
from nextclick.models.items.best_items import best_items
from nextclick.models.queries import Exclude
from nextclick.models.recommender import Id

KINDS = {"memory": 4096, "network alone": 0}
Best = list[tuple[Id, float]]


def learned(memory: int, **options: Any) -> OnlineGRU4Rec:
    """A small model that has learned a shop's clicks."""
    config = GRU4RecConfig(hidden=8, n_negatives=16, window=3, memory=memory, **options)
    model = OnlineGRU4Rec(config, seed=1, device="cpu")
    source = open_source("sim:clicks=900,items=60,seed=1")
    while (clicks := source.poll(64)) is not None:
        model.learn_many(clicks.sessions, clicks.items, times=clicks.times)
    return model


@pytest.fixture(scope="module", params=list(KINDS.values()), ids=list(KINDS))
def model(request: pytest.FixtureRequest) -> OnlineGRU4Rec:
    return learned(request.param)


@pytest.fixture(scope="module")
def items(model: OnlineGRU4Rec) -> list[Id]:
    return sorted((item for item, _ in model.recommend(range(60), 60)), key=str)


def close(one: Best, other: Best) -> None:
    """Assert that two lists are the same but for rounding."""
    assert [item for item, _ in one] == [item for item, _ in other]
    scores = np.array([[score for _, score in best] for best in (one, other)])
    assert np.allclose(scores[0], scores[1], rtol=1e-4, atol=1e-6)


def ask(model: OnlineGRU4Rec, **query: Any) -> Best:
    return model.recommend_each([Query(**query)])[0].best


def test_a_list_for_items_is_what_recommend_gives(model: OnlineGRU4Rec, items: list[Id]) -> None:
    for length in (1, 2, 4, 9):
        session = items[:length] + items[:1]
        close(ask(model, items=session, k=7), model.recommend(session, 7))


def test_a_list_for_a_session_goes_by_what_the_model_has_learned_of_it(
    model: OnlineGRU4Rec, items: list[Id]
) -> None:
    for session in list(model.sessions)[:5]:
        foreseen = model.test([session], items[:1], 5).recommended[0]
        close(ask(model, session=session, k=5), foreseen)


def test_clicks_not_learned_yet_count(model: OnlineGRU4Rec, items: list[Id]) -> None:
    session = next(iter(model.sessions))
    wanted = model.recommend_after([session] * 4, items[:4], 6, [1.0, 2.0, 3.0, 4.0])[-1]
    times = [1.0, 2.0, 3.0, 4.0]
    close(ask(model, session=session, items=items[:4], times=times, k=6), wanted)


def test_what_is_asked_together_is_answered_as_if_alone(
    model: OnlineGRU4Rec, items: list[Id]
) -> None:
    queries = [
        *(Query(session=session, k=4) for session in list(model.sessions)[:3]),
        *(Query(items=items[at : at + 5], k=9) for at in range(4)),
        Query(session="nobody", k=3),
    ]
    for query, answer in zip(queries, model.recommend_each(queries), strict=True):
        alone = model.recommend_each([query])[0]
        close(answer.best, alone.best)
        assert answer.popular == alone.popular == (query.session == "nobody")


def test_asking_changes_nothing(model: OnlineGRU4Rec, items: list[Id]) -> None:
    before = model.state()
    session = next(iter(model.sessions))
    model.recommend_each(
        [
            Query(session=session, items=[*items, "new"], exclude="session"),
            Query(items=items * 3, k=60),
            Query(without=items[:3], among=items[:9]),
        ]
    )
    after = model.state()
    assert before.values == after.values
    assert all(np.array_equal(before.arrays[name], after.arrays[name]) for name in before.arrays)


@settings(max_examples=40)
@given(data=st.data())
def test_a_filtered_list_is_the_k_best_of_what_is_left(
    model: OnlineGRU4Rec, items: list[Id], data: st.DataObject
) -> None:
    some = st.lists(st.sampled_from([*items, "unknown"]), max_size=12)
    session = data.draw(st.none() | st.sampled_from(list(model.sessions)[:9]))
    clicked = data.draw(some)
    query = Query(
        session,
        clicked,
        k=data.draw(st.integers(1, 70)),
        without=data.draw(some),
        among=data.draw(st.none() | some),
    )
    whole = model.recommend_each([Query(session, clicked, k=100)])[0].best
    allowed = set(items if query.among is None else query.among) - set(query.without)
    close(
        model.recommend_each([query])[0].best,
        [(item, score) for item, score in whole if item in allowed][: query.k],
    )


@pytest.mark.parametrize("exclude", ["current", "session", "none"])
def test_what_the_visitor_has_seen_is_left_out(
    model: OnlineGRU4Rec, items: list[Id], exclude: Exclude
) -> None:
    clicked = [items[3], items[1], items[7]]
    out = {"current": {items[7]}, "session": set(clicked), "none": set()}[exclude]
    whole = ask(model, items=clicked, k=100)
    wanted = [(item, score) for item, score in whole if item not in out]
    close(ask(model, items=clicked, k=100, exclude=exclude), wanted)
    assert len(wanted) == model.n_items - len(out)


def test_the_items_of_a_learned_session_are_left_out(model: OnlineGRU4Rec, items: list[Id]) -> None:
    model = learned(model.config.memory)
    clicked = items[2:5]
    model.learn_many(["anna"] * 3, clicked)
    for exclude, out in (("current", {items[4]}), ("session", set(clicked))):
        best = ask(model, session="anna", k=100, exclude=exclude)
        assert {item for item, _ in best} == set(items) - out


def test_nobody_known_gets_what_is_popular_of_late() -> None:
    for memory in KINDS.values():
        model = OnlineGRU4Rec(GRU4RecConfig(hidden=4, n_negatives=4, memory=memory), device="cpu")
        assert model.recommend_each([Query()])[0].best == []
        model.learn_many(range(12), ["hat"] * 3 + ["tie"] * 2 + ["sock"] + ["belt"] * 6)
        queries = [Query(k=2), Query(session="nobody", without=["belt"]), Query(items=["unknown"])]
        answers = model.recommend_each(queries)
        assert all(answer.popular for answer in answers)
        found = [[item for item, _ in answer.best] for answer in answers]
        assert found == [["belt", "hat"], ["hat", "tie", "sock"], ["belt", "hat", "tie", "sock"]]


@settings(max_examples=60)
@given(data=st.data())
def test_the_best_items_are_those_of_a_sort(data: st.DataObject) -> None:
    rows, visitors = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 4))
    draw = np.random.default_rng(data.draw(st.integers(0, 1000)))
    scores = draw.integers(0, 6, (visitors, rows)) / 4
    blocked = draw.random((visitors, rows)) < 0.3
    counts = draw.integers(0, rows + 2, visitors)
    scale = draw.integers(1, 3, visitors).astype(np.float64)
    lengths = draw.integers(0, rows + 1, visitors)
    ends = np.cumsum(lengths)
    spans = np.stack([ends - lengths, ends], axis=1)
    special = np.concatenate([draw.permutation(rows)[:length] for length in lengths])
    final = draw.integers(0, 6, len(special)) / 4
    table = scores * scale[:, None]
    for at, (begin, end) in enumerate(spans):
        table[at, special[begin:end]] = final[begin:end]
    for on_host in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(best_items_file, "on_host", lambda tensor: on_host)  # noqa: B023
            found, values = best_items(
                torch.from_numpy(scores),
                blocked.copy(),
                counts,
                scale,
                spans,
                special.astype(np.int32),
                final,
            )
        for at in range(visitors):
            order = [row for row in np.argsort(-table[at], kind="stable") if not blocked[at, row]]
            wanted = order[: counts[at]]
            assert found[at][: len(wanted)].tolist() == wanted
            assert (found[at][len(wanted) :] == -1).all()
            assert values[at][: len(wanted)].tolist() == table[at, wanted].tolist()


@pytest.mark.parametrize(
    "query",
    [
        {"k": 0},
        {"k": True},
        {"exclude": "all"},
        {"items": "hat"},
        {"items": [1.5]},
        {"session": None, "items": ["hat"], "times": []},
        {"without": [None]},
        {"among": 7},
    ],
)
def test_a_wrong_query_is_refused(query: dict[str, Any]) -> None:
    model = OnlineGRU4Rec(GRU4RecConfig(hidden=4), device="cpu")
    with pytest.raises((TypeError, ValueError)):
        model.recommend_each([Query(**query)])
