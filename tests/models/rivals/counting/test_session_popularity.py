from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.rivals.counting.session_popularity import SessionPopularity
from tests.models.rivals import plain


@given(plain.histories, st.integers(1, 9))
def test_the_session_decides_and_popularity_between_equals(
    history: plain.History, window: int
) -> None:
    def scores(past: plain.History, session: int) -> plain.Scores:
        popular = plain.popularity(past, 20)
        own = Counter(plain.clicks_of(past, session)[-window:])
        # Whole clicks in the session outweigh any popularity, which is less than 40 here.
        return {item: own[item] + popular[item] / 100 for item in popular}

    plain.follow(SessionPopularity(window=window, half_life=20), history, scores)


def test_one_click_in_the_session_outweighs_all_of_the_others() -> None:
    model = SessionPopularity(half_life=10_000)
    model.learn_many(["others"] * 5000, ["shoes"] * 5000)
    assert [item for item, _ in model.recommend(["shoes", "socks", "socks"])] == ["shoes"]
    model.learn_many(["one", "one"], ["socks", "hat"])
    best = model.recommend_after(["one"], ["socks"], k=3)[0]
    assert [item for item, _ in best] == ["socks", "hat", "shoes"]
