from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors.clicks import Clicks
from nextclick.connectors.simulator import Shop, SimulatedShop, parse_shop
from nextclick.connectors.source import SourceError


def read(source: SimulatedShop, limit: int = 10_000) -> list[Clicks]:
    polls = []
    while (clicks := source.poll(limit)) is not None:
        polls.append(clicks)
    return polls


def rows(polls: list[Clicks]) -> list[tuple[object, object, float]]:
    return [
        row
        for clicks in polls
        for row in zip(clicks.sessions, clicks.items, clicks.times.tolist(), strict=True)
    ]


SHOPS = st.sampled_from(
    [
        Shop(clicks=60_000),
        Shop(clicks=60_000, items=7, sessions=3, length=1.5, life=0.01, seed=9),
        Shop(clicks=60_000, items=1000, uniform=1),
        Shop(clicks=60_000, items=1, length=40.0, life=0.0),
    ]
)


@settings(max_examples=20)
@given(SHOPS, st.lists(st.integers(1, 30_000), min_size=1, max_size=4))
def test_poll_sizes_and_resuming_change_no_click(shop: Shop, sizes: list[int]) -> None:
    whole = rows(read(SimulatedShop(shop)))
    assert len(whole) == 60_000
    source = SimulatedShop(shop)
    pieces: list[Clicks] = []
    for size in sizes:
        clicks = source.poll(size)
        if clicks is None:
            break
        pieces.append(clicks)
    resumed = SimulatedShop(shop)
    resumed.seek(pieces[-1].position)
    assert rows(pieces) + rows(read(resumed)) == whole


def test_time_never_goes_back_and_sessions_overlap() -> None:
    polls = read(SimulatedShop(Shop(clicks=100_000)))
    times = np.concatenate([clicks.times for clicks in polls])
    assert (np.diff(times) >= 0).all()
    sessions = [row[0] for row in rows(polls)][50_000:51_000]
    assert sum(a != b for a, b in itertools.pairwise(sessions)) > 900
    # Sessions do not last so long that half an hour without a click would part one.
    first: dict[object, float] = {}
    for session, _, time in rows(polls):
        assert time - first.setdefault(session, time) < 1500.01


def test_sessions_and_items_come_and_go_for_ever() -> None:
    clicks = rows(read(SimulatedShop(Shop(clicks=200_000, items=500, life=0.1))))
    early, late = clicks[:20_000], clicks[-20_000:]
    assert not {row[0] for row in early} & {row[0] for row in late}
    assert not {row[1] for row in early} & {row[1] for row in late}
    assert len({row[1] for row in late}) < 2500


def test_session_lengths_and_popularity_are_skewed() -> None:
    clicks = rows(read(SimulatedShop(Shop(clicks=100_000, life=0.0))))
    lengths = Counter(Counter(row[0] for row in clicks).values())
    assert 4.0 < 100_000 / sum(lengths.values()) < 5.5
    assert lengths[1] > lengths[5] > lengths[12]
    popular = [count for _, count in Counter(row[1] for row in clicks).most_common()]
    assert popular[0] > 20 * popular[len(popular) // 2]


def test_the_next_item_can_be_foretold_from_the_last() -> None:
    last: dict[object, object] = {}
    pairs: Counter[tuple[object, object]] = Counter()
    clicks = rows(read(SimulatedShop(Shop(clicks=200_000, items=500, life=0.0))))
    hits = tried = 0
    for session, item, _ in clicks:
        if session in last:
            followers = pairs[last[session], item]
            hits += followers >= 10
            tried += 1
            pairs[last[session], item] += 1
        last[session] = item
    assert hits / tried > 0.6


def test_uniform_items_are_uniform_and_independent() -> None:
    clicks = rows(read(SimulatedShop(Shop(clicks=200_000, items=50, uniform=1, life=0.001))))
    counts = np.array(list(Counter(row[1] for row in clicks).values()))
    assert len(counts) == 50
    assert ((counts - 4000) ** 2 / 4000).sum() < 100  # chi square, 49 degrees of freedom
    last: dict[object, object] = {}
    same = tried = 0
    for session, item, _ in clicks:
        same += last.get(session) == item
        tried += session in last
        last[session] = item
    assert same / tried == pytest.approx(0.02, abs=0.002)


def test_another_seed_is_another_stream() -> None:
    one, two = (rows(read(SimulatedShop(Shop(clicks=1000, seed=seed)))) for seed in (1, 2))
    assert one != two


def test_without_a_number_of_clicks_it_never_ends() -> None:
    source = SimulatedShop()
    for _ in range(5):
        clicks = source.poll(50_000)
        assert clicks is not None
        assert len(clicks) == 50_000


def test_a_position_of_another_shop_is_refused_and_of_a_longer_run_not() -> None:
    clicks = SimulatedShop(Shop(clicks=10)).poll(10)
    assert clicks is not None
    longer = SimulatedShop(Shop(clicks=20))
    longer.seek(clicks.position)
    assert len(rows(read(longer))) == 10
    with pytest.raises(SourceError, match="--fresh"):
        SimulatedShop(Shop(seed=2)).seek(clicks.position)


def test_parameters_are_read() -> None:
    assert parse_shop("sim:") == Shop()
    assert parse_shop("sim:clicks=5, length=2.5,uniform=1") == Shop(clicks=5, length=2.5, uniform=1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sim:click=5", "did you mean 'clicks'"),
        ("sim:clicks", "'clicks' must be a whole number"),
        ("sim:clicks=many", "'clicks=many' must be a whole number"),
        ("sim:clicks=1.5", "'clicks=1.5' must be a whole number"),
        ("sim:items=0", "'items=0' must be a whole number from 1 to"),
        ("sim:length=nan", "'length=nan' must be a number from 1 to 40"),
        ("sim:life=-1", "'life=-1' must be a number from 0"),
        ("sim:uniform=2", "'uniform=2'"),
    ],
)
def test_a_wrong_parameter_is_named(spec: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse_shop(spec)
