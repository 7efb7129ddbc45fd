from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.rivals.counting.item_knn import ItemKNN
from tests.models.rivals import plain


@given(
    plain.histories,
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 5.0]),
    st.sampled_from([0.0, 0.5]),
    st.integers(1, 5),
)
def test_it_ranks_by_shared_sessions(
    history: plain.History, alpha: float, shrink: float, decay: float, window: int
) -> None:
    reference = partial(plain.item_knn, alpha=alpha, shrink=shrink, decay=decay, window=window)
    model = ItemKNN(alpha=alpha, shrink=shrink, decay=decay, window=window)
    plain.follow(model, history, reference)


def test_an_item_bought_with_everything_is_less_like_each() -> None:
    model = ItemKNN(alpha=0.5, shrink=0)
    for session in range(10):
        model.learn_many([session] * 2, [f"item {session}", "bag"])
    model.learn_many(["a"] * 3, ["shoes", "socks", "bag"])
    scores = dict(model.recommend(["shoes"]))
    assert scores["socks"] == pytest.approx(1 / 2**0.5)
    assert scores["bag"] == pytest.approx(1 / (2 * 11) ** 0.5)


def test_an_item_clicked_again_is_like_itself() -> None:
    model = ItemKNN(alpha=0.5, shrink=0)
    model.learn_many(["a"] * 5, ["shoes"] * 5)
    assert dict(model.recommend_after(["a"], ["shoes"])[0])["shoes"] == pytest.approx(5)
    # A session of its own holds it once, and was not clicked again.
    assert dict(model.recommend(["shoes"]))["shoes"] == pytest.approx(2)
