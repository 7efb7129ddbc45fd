from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.stream.evaluation.gains import bins_of
from nextclick.stream.evaluation.metrics import METRICS, RankingMetric, Recall

KINDS = list(METRICS.values())
every_kind = pytest.mark.parametrize("kind", KINDS)
ids = st.one_of(st.integers(-3, 8), st.text(max_size=2))


@every_kind
@given(st.lists(ids, unique=True, max_size=8), ids)
def test_pairs_of_id_and_score_count_as_the_ids_do(
    kind: type[RankingMetric], recommended: list[Any], clicked: Any
) -> None:
    by_ids, by_pairs, by_lists = kind(3), kind(3), kind(3)
    pairs = [(item, 1.0 / place) for place, item in enumerate(recommended, 1)]
    by_ids.update(clicked, recommended)
    by_pairs.update(clicked, pairs)
    lists: Any = [list(pair) for pair in pairs]
    by_lists.update(clicked, lists)
    assert by_ids.get() == by_pairs.get() == by_lists.get()
    by_pairs.revert(clicked, recommended)
    assert by_pairs.get() == 0


def test_what_recommend_gives_can_be_counted_as_it_is() -> None:
    model = OnlineGRU4Rec(GRU4RecConfig(hidden=8), device="cpu")
    for session in range(30):
        model.learn_many([session] * 2, ["a", "b"])
    metric = Recall(1)
    metric.update("b", model.recommend(["a"], k=3))
    assert metric.get() == 1


@every_kind
@pytest.mark.parametrize(
    "recommended",
    [
        np.array([7, 3]),
        pa.array([7, 3]),
        (7, 3),
        dict.fromkeys([7, 3]).keys(),
        [np.int64(7), np.int64(3)],
        np.array([7.0, 3.0]).astype(int),
        [(7, np.float32(0.5)), (np.int64(3), 0)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_recommended_items_come_in_every_kind_of_sequence(
    kind: type[RankingMetric], recommended: Any
) -> None:
    metric, expected = kind(5), kind(5)
    clicked: Any = np.int64(7)
    metric.update(clicked, recommended)
    expected.update(7, [7, 3])
    assert metric.get() == expected.get() == 1


@every_kind
@pytest.mark.parametrize(
    ("clicked", "recommended"),
    [
        ("a", "abc"),
        ("a", b"abc"),
        ("a", None),
        ("a", 7),
        ("a", {"a": 0.9}),
        ("a", {"a"}),
        ("a", ["a", ("b", 0.9)]),
        ("a", [("a", 0.9), "b"]),
        ("a", [("a", "b")]),
        ("a", [("a", 0.9, 1)]),
        ("a", [("a", None)]),
        ("a", ["a", None]),
        ("a", [1.5]),
        ("a", np.array([["a", "0.9"]])),
        (None, ["a"]),
        (math.nan, ["a"]),
        (("a", 0.9), [("a", 0.9)]),
        (True, [1]),
    ],
    ids=repr,
)
def test_what_is_no_list_of_items_is_refused_and_not_counted(
    kind: type[RankingMetric], clicked: Any, recommended: Any
) -> None:
    metric = kind(5)
    metric.update("b", ["b"])
    for method in (metric.update, metric.revert):
        with pytest.raises((TypeError, ValueError), match=r"y_true|y_pred"):
            method(clicked, recommended)
    assert metric.get() == 1
    metric.revert("b", ["b"])
    assert metric.get() == 0


@every_kind
@pytest.mark.parametrize("k", [0, -1, True, 2.0, "20", None])
def test_k_is_a_whole_number_from_one_on(kind: type[RankingMetric], k: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="k must be"):
        kind(k)
    assert kind(np.int64(7)).name == f"{kind.__name__}@7"  # type: ignore[arg-type]


@every_kind
@pytest.mark.parametrize(
    "ranks",
    [
        [-1],
        [1, math.nan],
        [1.0, 2.0],
        [True],
        ["1"],
        "123",
        None,
        5,
        [[1, 2]],
        [None],
        np.array([1.5]),
        [10**30],
    ],
    ids=repr,
)
def test_ranks_that_are_none_are_refused_and_not_counted(
    kind: type[RankingMetric], ranks: Any
) -> None:
    metric = kind(5)
    metric.update_many([1])
    with pytest.raises(ValueError, match="rank"):
        metric.update_many(ranks)
    assert metric.get() == 1


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "int64", "uint64"])
def test_ranks_of_every_whole_type_are_counted_alike(kind: str) -> None:
    assert bins_of(np.array([1, 100, 0], kind), k=1000).tolist() == [1, 100, 0]
    assert bins_of(np.array([1, 100, 0], kind), k=20).tolist() == [1, 21, 0]
    most = np.iinfo(kind).max
    assert bins_of(np.array([most], kind), k=20).tolist() == [21]
