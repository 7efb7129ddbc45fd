from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.rivals.counting.context_tree import ContextTree
from tests.models.rivals import plain


@given(
    plain.histories,
    st.integers(1, 4),
    st.sampled_from([0.1, 1.0, 5.0]),
    st.sampled_from([0.2, 0.5, 0.9]),
)
def test_it_ranks_by_the_mixture_of_all_contexts(
    history: plain.History, depth: int, prior: float, trust: float
) -> None:
    reference = partial(plain.context_tree, depth=depth, prior=prior, trust=trust, half_life=20)
    model = ContextTree(depth=depth, prior=prior, trust=trust, half_life=20)
    plain.follow(model, history, reference)


def test_scores_are_probabilities_over_the_catalogue() -> None:
    model = ContextTree(depth=2)
    for session in range(20):
        model.learn_many([session] * 3, ["shoes", "socks", "hat" if session % 2 else "coat"])
    scores = dict(model.recommend(["shoes", "socks"]))
    assert sum(scores.values()) == pytest.approx(1)


def test_the_longer_context_decides_where_it_knows_better() -> None:
    model = ContextTree(depth=2)
    for session in range(40):
        first, last = [("shoes", "laces"), ("feet", "towel")][session % 2]
        model.learn_many([session] * 3, [first, "socks", last])
    for first, last in [("shoes", "laces"), ("feet", "towel")]:
        assert model.recommend([first, "socks"], k=1)[0][0] == last


def test_contexts_least_recently_met_are_dropped() -> None:
    model = ContextTree(depth=1, contexts=2)
    model.learn_many(["a", "a"], ["shoes", "socks"])
    model.learn_many(["b"] * 6, ["hat", "coat", "hat", "coat", "hat", "coat"])
    scores = dict(model.recommend(["shoes"]))
    assert scores["socks"] < scores["coat"]


@pytest.mark.parametrize("options", [{"depth": 0}, {"contexts": 1}, {"prior": 0}, {"trust": 1}])
def test_options_that_make_no_sense_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ContextTree(**options)
