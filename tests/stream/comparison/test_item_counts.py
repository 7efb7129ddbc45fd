from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.recommender import Id
from nextclick.stream.comparison.item_counts import LOOK, POPULAR, RARE, ItemCounts


@given(st.lists(st.integers(0, 12)))
def test_it_tells_the_clicks_before_each_click(items: list[int]) -> None:
    catalogue, counts = ItemCounts(1, 100), Counter[int]()
    for item in items:
        assert catalogue.click(item) == counts[item]
        counts[item] += 1
    assert len(catalogue) == len(counts)
    assert catalogue.clicks == len(items)


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 10))
def test_it_stays_bounded_and_forgets_what_was_least_recently_clicked(
    items: list[int], most: int
) -> None:
    catalogue = ItemCounts(1, most)
    latest: list[int] = []
    counts: dict[int, int] = {}
    for item in items:
        assert catalogue.click(item) == counts.get(item, 0)
        counts[item] = counts.get(item, 0) + 1
        latest = [*(other for other in latest if other != item), item]
        if len(latest) > most:
            del counts[latest.pop(0)]
    assert len(catalogue) == len(latest) <= most


def test_popular_items_are_the_most_clicked_hundredth_as_of_the_last_look() -> None:
    draw = np.random.default_rng(1)
    catalogue, counts = ItemCounts(1, 10_000), Counter[int]()
    stream = (draw.zipf(1.3, size=5 * LOOK) % 3000).tolist()
    assert not catalogue.popular(10**9)
    for at, item in enumerate(stream, 1):
        catalogue.click(item)
        counts[item] += 1
        if at % LOOK == 0:
            ordered = sorted(counts.values(), reverse=True)
            bar = max(RARE, ordered[max(1, round(POPULAR * len(ordered))) - 1])
    assert bar > RARE
    assert catalogue.popular(bar)
    assert not catalogue.popular(bar - 1)


def test_coverage_and_popularity_against_plain_sums() -> None:
    draw = np.random.default_rng(2)
    catalogue = ItemCounts(2, 1000)
    counts: Counter[int] = Counter()
    shown: list[set[int]] = [set(), set()]
    shares: list[list[float]] = [[], []]
    for item in (draw.zipf(1.5, size=900) % 300).tolist():
        catalogue.click(item)
        counts[item] += 1
        if catalogue.clicks % 100 == 0:
            for model in range(2):
                lists = draw.choice(list(counts), size=(4, 5)).tolist()
                catalogue.show(model, lists)
                shown[model] |= {each for best in lists for each in best}
                shares[model] += [
                    counts[each] / catalogue.clicks for best in lists for each in best
                ]
    assert catalogue.coverage() == [len(own) / len(counts) for own in shown]
    assert catalogue.popularity() == pytest.approx([float(np.mean(own)) for own in shares])


def test_an_item_that_made_room_is_no_longer_covered() -> None:
    catalogue = ItemCounts(1, 2)
    for item in ("a", "b"):
        catalogue.click(item)
    catalogue.show(0, [["a", "gone"]])
    assert catalogue.coverage() == [0.5]
    catalogue.click("c")
    assert catalogue.coverage() == [0.0]


@given(st.lists(st.integers(0, 40), max_size=300), st.integers(0, 300))
def test_restored_it_goes_on_as_if_never_stopped(items: list[int], cut: int) -> None:
    def go(catalogue: ItemCounts, clicks: list[int]) -> None:
        for item in clicks:
            catalogue.click(item)
            shown: list[Id] = [item, item // 2, 99]
            catalogue.show(item % 2, [shown])

    whole, first, resumed = (ItemCounts(2, 20) for _ in range(3))
    go(whole, items)
    go(first, items[:cut])
    resumed.restore(first.state())
    go(resumed, items[cut:])
    for catalogue in (whole, resumed):
        assert catalogue.clicks == len(items)
    assert resumed.coverage() == whole.coverage()
    assert resumed.popularity() == whole.popularity()
    assert [resumed.click(item) for item in range(41)] == [whole.click(item) for item in range(41)]
