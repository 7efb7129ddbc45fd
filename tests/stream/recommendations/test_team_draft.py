from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nextclick.stream.recommendations.team_draft import draft, toss

ITEMS = st.lists(st.integers(0, 30), unique=True, max_size=12)


def scored(items: list[int]) -> list[tuple[int | str, float]]:
    return [(item, 1 / place) for place, item in enumerate(items, 1)]


@given(ITEMS, ITEMS, st.integers(1, 15), st.integers(0, 1000))
def test_each_model_picks_its_best_item_that_is_left_and_the_coin_says_who_is_first(
    one: list[int], other: list[int], k: int, seed: int
) -> None:
    coins = toss(seed, 7, 3, k)
    merged, teams = draft((scored(one), scored(other)), k, coins)
    items = [item for item, _ in merged]
    assert len(items) == len(set(items)) == min(k, len({*one, *other}))
    lists = (one, other)
    for place, (item, score) in enumerate(merged):
        own = lists[teams[place]]
        assert item == next(each for each in own if each not in items[:place])
        assert score == 1 / (own.index(item) + 1)
    # As long as both have items left, both have the same number of picks after each round.
    rounds = 0
    while 2 * rounds + 1 < len(items):
        before = items[: 2 * rounds]
        if any(set(own) <= {*before, items[2 * rounds]} for own in lists):
            break
        assert teams[2 * rounds : 2 * rounds + 2] == [coins[rounds], 1 - coins[rounds]]
        rounds += 1


@given(ITEMS, st.integers(1, 12), st.integers())
def test_two_equal_lists_are_merged_into_the_same_list(items: list[int], k: int, seed: int) -> None:
    merged, teams = draft((scored(items), scored(items)), k, toss(seed, "anna", 1, k))
    assert merged == scored(items)[:k]
    assert abs(sum(teams) * 2 - len(teams)) <= 1


@given(st.integers(), st.integers(0), st.integers(0, 50), st.integers(0, 40), st.integers(0, 40))
def test_coins_are_the_same_when_asked_again_and_however_many_are_asked_for(
    seed: int, session: int, clicks: int, few: int, more: int
) -> None:
    assert toss(seed, session, clicks, few + more)[:few] == toss(seed, session, clicks, few)


def test_coins_are_fair_and_differ_between_sessions_and_clicks() -> None:
    tossed = np.array(
        [toss(0, session, clicks, 16) for session in range(80) for clicks in range(5)]
    )
    # 6,400 coins: the standard deviation of their mean is 0.00625.
    assert abs(tossed.mean() - 0.5) < 0.025
    assert (abs(tossed.mean(axis=0) - 0.5) < 0.1).all()
    assert max(Counter(map(tuple, tossed.tolist())).values()) < 4
