from __future__ import annotations

import math
import pickle
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river.metrics.base import Metrics
from river.utils import Rolling

from nextclick.stream.evaluation.gains import GAINS
from nextclick.stream.evaluation.metrics import METRICS, MRR, NDCG, RankingMetric, Recall

KINDS = list(METRICS.values())
every_kind = pytest.mark.parametrize("kind", KINDS)

ranks_lists = st.lists(st.integers(0, 40), max_size=60)


def click(rank: int, length: int = 30) -> tuple[str, list[str]]:
    """Make a click whose item has a rank in a list; past its end, or 0, it is missing."""
    names = [f"item {place}" for place in range(1, length + 1)]
    return (names[rank - 1] if 1 <= rank <= length else "another"), names


def by_hand(kind: type[RankingMetric], ranks: list[int], k: int) -> float:
    gains: dict[type[RankingMetric], Callable[[int], float]] = {
        Recall: lambda rank: 1.0,
        MRR: lambda rank: 1 / rank,
        NDCG: lambda rank: math.log(2) / math.log(1 + rank),
    }
    gain = gains[kind]
    return sum(gain(rank) for rank in ranks if 1 <= rank <= k) / len(ranks) if ranks else 0.0


@every_kind
@given(ranks=ranks_lists, k=st.integers(1, 25))
def test_the_value_is_the_formula(kind: type[RankingMetric], ranks: list[int], k: int) -> None:
    metric = kind(k)
    for rank in ranks:
        metric.update(*click(rank))
    assert metric.get() == pytest.approx(by_hand(kind, ranks, k), rel=1e-12)


@every_kind
@given(ranks=ranks_lists, seed=st.integers(0, 5))
def test_many_at_once_equals_one_by_one_in_any_order_to_the_last_bit(
    kind: type[RankingMetric], ranks: list[int], seed: int
) -> None:
    one_by_one, at_once = kind(20), kind(20)
    shuffled = random.Random(seed).sample(ranks, len(ranks))
    for rank in shuffled:
        one_by_one.update(*click(rank))
    cut = len(ranks) // 3
    at_once.update_many(np.array(ranks[:cut], np.int64))
    at_once.update_many(np.array(ranks[cut:], np.int64))
    assert at_once.get() == one_by_one.get()


@every_kind
@given(kept=ranks_lists, taken_back=ranks_lists)
def test_revert_undoes_update_exactly(
    kind: type[RankingMetric], kept: list[int], taken_back: list[int]
) -> None:
    plain, reverted = kind(7), kind(7)
    plain.update_many(kept)
    reverted.update_many(kept)
    for rank in taken_back:
        reverted.update(*click(rank))
    for rank in taken_back[::-1]:
        reverted.revert(*click(rank))
    assert reverted.get() == plain.get()


def test_a_click_counted_by_its_rank_can_be_taken_back_by_its_list() -> None:
    metric = Recall(20)
    metric.update_many([3, 0, 25])
    for rank in (0, 25):
        metric.revert(*click(rank))
    assert metric.get() == 1.0


def test_what_was_not_counted_cannot_be_taken_back() -> None:
    metric = MRR(20)
    metric.update(*click(1))
    with pytest.raises(ValueError, match="not counted"):
        metric.revert(*click(2))
    assert metric.get() == 1.0


@every_kind
def test_a_rolling_metric_is_the_metric_of_the_window(kind: type[RankingMetric]) -> None:
    ranks = random.Random(1).choices(range(30), k=200)
    rolling = Rolling(kind, window_size=17, k=20)
    for count, rank in enumerate(ranks, 1):
        rolling.update(*click(rank))
        window = kind(20)
        window.update_many(ranks[max(0, count - 17) : count])
        assert rolling.obj.get() == window.get()


def test_a_container_holds_metrics_under_distinct_names() -> None:
    together = Metrics([Recall(20), Recall(10), MRR(20)])
    together.update(*click(12))
    together.update(*click(1))
    together.revert(*click(1))
    assert together.get() == [1.0, 0.0, 1 / 12]
    assert repr(together).splitlines() == [
        "Recall@20: 1.000000",
        "Recall@10: 0.000000",
        "MRR@20: 0.083333",
    ]
    assert together.clone().get() == [0.0, 0.0, 0.0]
    assert [metric.name for metric in Recall(5) + NDCG(5)] == ["Recall@5", "NDCG@5"]


@every_kind
def test_it_pickles_and_clones(kind: type[RankingMetric]) -> None:
    metric = kind(3)
    metric.update_many([1, 2, 3, 4])
    again = pickle.loads(pickle.dumps(metric))
    again.update_many([2])
    metric.update_many([2])
    assert again.get() == metric.get()
    assert metric.clone().get() == 0.0
    assert metric.clone().name == metric.name
    assert metric.clone(include_attributes=True).get() == metric.get()


def test_more_is_better() -> None:
    good, bad = NDCG(20), NDCG(20)
    good.update(*click(1))
    bad.update(*click(2))
    assert good.bigger_is_better
    assert good.is_better_than(bad)


def test_it_works_with_what_recommends() -> None:
    class Model:
        def recommend(self) -> None: ...

    assert Recall(20).works_with(Model())
    assert not Recall(20).works_with(object())


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ([3, -1], "-1 is negative"),
        ([1.0, math.nan], "never NaN"),
        ([True], "whole numbers"),
        ([[1, 2]], "one dimension"),
        (["1"], "whole numbers"),
    ],
)
def test_what_is_no_rank_is_an_error_and_nothing_is_counted(
    ranks: list[object], message: str
) -> None:
    metric = Recall(20)
    metric.update_many([1])
    with pytest.raises(ValueError, match=message):
        metric.update_many(ranks)  # type: ignore[arg-type]
    assert metric.get() == 1.0


def test_ranks_of_any_whole_type_count_without_being_changed() -> None:
    for kind in (np.int64, np.int32, np.uint8, np.uint64):
        ranks = np.array([1, 0, 200], kind)
        metric = Recall(20)
        metric.update_many(ranks)
        assert metric.get() == pytest.approx(1 / 3)
        assert ranks.tolist() == [1, 0, 200]


def test_weights_and_an_empty_list_length_are_refused() -> None:
    with pytest.raises(ValueError, match="takes no weights"):
        Recall(20).update("a", ["a"], 2.0)
    with pytest.raises(ValueError, match="at least 1"):
        Recall(0)


def test_every_figure_of_a_run_is_a_metric_of_river_too() -> None:
    assert {name: kind.gain for name, kind in METRICS.items()} == GAINS
