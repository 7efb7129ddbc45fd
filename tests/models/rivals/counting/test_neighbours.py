from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.rivals.counting.stan import STAN
from nextclick.models.rivals.counting.vsknn import VSkNN
from nextclick.models.rivals.counting.vstan import VSTAN
from tests.models.rivals import plain

bounds = st.fixed_dictionaries(
    {
        "neighbours": st.integers(1, 5),
        "sample": st.integers(1, 5),
        "kept": st.integers(1, 6),
        "window": st.integers(1, 5),
        "own": st.booleans(),
    }
)
DECAYS: dict[str, Any] = {"decay": 1.3, "age": 20.0, "distance": 1.7}


def stan_like(bounds: dict[str, Any], **more: Any) -> Any:
    return partial(
        plain.neighbours,
        **bounds,
        importance=lambda far, count: math.exp(-far / 1.3),
        nearness=lambda overlap, length, age: overlap / length**0.5 * math.exp(-age / 20),
        closeness=lambda distance: math.exp(-distance / 1.7),
        **more,
    )


@given(plain.histories, bounds, st.sampled_from([0.0, 2.0]))
def test_v_sknn_ranks_by_the_nearest_sessions(
    history: plain.History, bounds: dict[str, Any], idf: float
) -> None:
    reference = partial(
        plain.neighbours,
        **bounds,
        importance=lambda far, count: (count - far) / count,
        trust=lambda far: 1 / (far + 1),
        idf=idf,
    )
    plain.follow(VSkNN(idf=idf, **bounds), history, reference)


@given(plain.histories, bounds)
def test_stan_ranks_by_the_nearest_sessions(history: plain.History, bounds: dict[str, Any]) -> None:
    plain.follow(STAN(**DECAYS, **bounds), history, stan_like(bounds))


@given(plain.histories, bounds)
def test_vstan_ranks_by_the_nearest_sessions(
    history: plain.History, bounds: dict[str, Any]
) -> None:
    reference = stan_like(bounds, trust=lambda far: math.exp(-far / 0.8), idf=1.5)
    plain.follow(VSTAN(share=0.8, idf=1.5, **DECAYS, **bounds), history, reference)


def test_one_session_is_evidence_enough_and_at_once() -> None:
    model = VSkNN()
    model.learn_many(["a", "a"], ["camera", "tripod"])
    assert {item for item, score in model.recommend(["camera"]) if score} == {"camera", "tripod"}


def test_the_session_s_own_items_count_by_how_lately_they_were_clicked() -> None:
    model = VSkNN()
    model.learn_many(["a"] * 3, ["camera", "tripod", "hat"])
    assert [item for item, _ in model.recommend_after(["a"], ["camera"], k=3)[0]] == [
        "camera",
        "hat",
        "tripod",
    ]


def test_without_own_clicks_only_others_are_asked() -> None:
    model = VSkNN(own=False)
    model.learn_many(["a", "a"], ["camera", "tripod"])
    assert model.recommend_after(["a"], ["camera"], k=1)[0][0][1] == 0
    assert model.recommend(["camera"], k=1)[0][1] > 0


def test_a_session_that_was_pushed_out_comes_back_with_all_of_its_clicks() -> None:
    model = VSkNN(kept=2)
    model.learn_many(["a", "b", "c"], ["camera", "hat", "coat"])
    model.learn_many(["a"], ["tripod"])
    scores = dict(model.recommend(["camera"]))
    assert scores["tripod"] > 0
    assert scores["hat"] == 0


def test_an_item_that_decay_leaves_nothing_of_finds_no_session() -> None:
    model = STAN(decay=1e-3)
    model.learn_many(["a", "a", "b", "b"], ["camera", "tripod", "hat", "coat"])
    found = {item for item, score in model.recommend(["camera", "hat"]) if score}
    assert found == {"camera", "hat", "coat"}


@pytest.mark.parametrize("option", ["neighbours", "sample", "kept", "window"])
def test_bounds_below_one_are_refused(option: str) -> None:
    options: dict[str, Any] = {option: 0}
    with pytest.raises(ValueError, match="at least 1"):
        VSkNN(**options)


@pytest.mark.parametrize("option", ["decay", "age", "distance", "share"])
def test_a_decay_without_length_is_refused(option: str) -> None:
    options: dict[str, Any] = {option: 0}
    with pytest.raises(ValueError, match="more than 0"):
        VSTAN(**options)
