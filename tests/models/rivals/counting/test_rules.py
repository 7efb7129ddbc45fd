from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.rivals.counting.markov import Markov
from nextclick.models.rivals.counting.rules import Rules
from tests.models.rivals import plain


@given(plain.histories, st.integers(1, 5), st.floats(1, 100))
def test_it_ranks_by_what_follows_within_some_steps(
    history: plain.History, steps: int, half_life: float
) -> None:
    reference = partial(plain.rules, steps=steps, half_life=half_life)
    plain.follow(Rules(steps=steps, half_life=half_life), history, reference)


@given(plain.histories)
def test_a_markov_chain_is_rules_of_one_step(history: plain.History) -> None:
    plain.follow(Markov(half_life=20), history, partial(plain.rules, steps=1, half_life=20))


def test_scores_are_in_clicks_made_now() -> None:
    model = Rules(steps=3, half_life=1e9)
    model.learn_many(["a"] * 3, ["shoes", "socks", "hat"])
    assert dict(model.recommend(["shoes"])) == pytest.approx({"socks": 1, "hat": 1 / 2, "shoes": 0})


def test_a_new_rule_takes_the_place_of_the_weakest() -> None:
    model = Rules(steps=1, followers=2)
    for session, follower in enumerate(["socks", "socks", "hat", "coat"]):
        model.learn_many([session, session], ["shoes", follower])
    scores = dict(model.recommend(["shoes"]))
    assert scores["socks"] > scores["coat"] > 0
    assert scores["hat"] == 0


def test_rules_outlive_a_renewal() -> None:
    model = Rules(steps=1, half_life=1)
    for _ in range(2000):
        model.learn_many([1, 1], ["shoes", "socks"])
    # The last time two clicks ago, a quarter; and so on.
    assert dict(model.recommend(["shoes"]))["socks"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("options", [{"steps": 0}, {"followers": 0}])
def test_bounds_below_one_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Rules(**options)
