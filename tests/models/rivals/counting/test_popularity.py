from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.rivals.counting.popularity import Popularity
from tests.models.rivals import plain


@given(plain.histories, st.floats(1, 100))
def test_it_ranks_by_clicks_that_fade(history: plain.History, half_life: float) -> None:
    plain.follow(
        Popularity(half_life=half_life), history, lambda past, _: plain.popularity(past, half_life)
    )


def test_scores_are_in_clicks_made_now() -> None:
    model = Popularity(half_life=10)
    model.learn_many([1], ["shoes"])
    model.learn_many(list(range(2, 12)), ["socks"] * 10)
    scores = dict(model.recommend(["socks"], k=2))
    assert scores["shoes"] == pytest.approx(2 ** (-12 / 10))


def test_nothing_overflows_however_long_the_stream() -> None:
    """Half-lives of one click: weights would pass any float after a thousand clicks."""
    model = Popularity(half_life=1)
    for _ in range(2000):
        model.learn_many([1, 1, 1], ["shoes", "socks", "shoes"])
    # The test's own click makes all others worth half.
    scores = dict(model.recommend(["socks"]))
    assert scores == pytest.approx({"socks": 9 / 14, "shoes": 5 / 14})


def test_a_test_may_cross_a_renewal_and_leaves_no_trace() -> None:
    model = Popularity(half_life=1)
    model.learn_many([1] * 510, ["shoes", "socks"] * 255)
    before = model.parts()["weights"]
    model.test([1] * 10, ["shoes"] * 10)
    assert (model.parts()["weights"] == before).all()


def test_a_half_life_below_a_click_is_refused() -> None:
    with pytest.raises(ValueError, match="half_life is at least 1 click"):
        Popularity(half_life=0)
