from __future__ import annotations

import copy
import pickle
import random
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import checks, evaluate
from river.reco.base import Ranker

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.recommender import Id
from nextclick.models.river_ranker import NextClickRanker
from nextclick.stream.evaluation.metrics import MRR, Recall

Pairs = list[Any]
"""Of sessions and items; river would have dicts in the place of sessions."""


def small(**options: Any) -> NextClickRanker:
    return NextClickRanker(**{"hidden": 8, "n_negatives": 32, "device": "cpu", **options})


def stream(clicks: int, sessions: int = 12, items: int = 30, seed: int = 0) -> Pairs:
    draw = random.Random(seed)
    return [(draw.randrange(sessions), f"i{draw.randrange(items)}") for _ in range(clicks)]


def taught(pairs: Pairs, **options: Any) -> NextClickRanker:
    ranker = small(**options)
    for session, item in pairs:
        ranker.learn_one(session, item)
    return ranker


@pytest.mark.parametrize("options", [{}, {"hidden": [6, 4], "cell": "lstm", "bias": True}])
def test_it_keeps_rivers_conventions(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # River imports scikit-learn for every estimator, and uses its data sets for none that ranks.
    unused = ModuleType("sklearn")
    unused.datasets = ModuleType("sklearn.datasets")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sklearn", unused)
    ranker = small(**options)
    names = [check.__name__ for check in checks.yield_checks(ranker)]
    assert {"check_reco_routine", "check_pickling_supports_roundtrip"} <= set(names)
    checks.check_estimator(ranker)
    assert isinstance(ranker, Ranker)


def test_a_clone_has_the_options_and_has_learned_nothing() -> None:
    ranker = taught(stream(20), window=3, k=5)
    clone = ranker.clone({"hidden": 5, "seed": 4})
    assert clone._get_params() == {**ranker._get_params(), "hidden": 5, "seed": 4}
    assert clone.config == {"hidden": 5, "n_negatives": 32, "window": 3}
    assert clone.recommend(0) == []
    assert ranker.clone().predict_one(0, "i1") == small().predict_one(0, "i1")


def test_rivers_evaluation_gives_the_figures_of_the_learner_itself() -> None:
    pairs = stream(400)
    metrics = Recall(3) + MRR(20)
    evaluate.progressive_val_score(pairs, small(), metrics)

    model = OnlineGRU4Rec(GRU4RecConfig(hidden=8, n_negatives=32, memory=0), device="cpu")
    expected = [Recall(3), MRR(20)]
    for session, item in pairs:
        tested = model.test_then_learn([session], [item])
        for metric in expected:
            metric.update_many(tested.ranks[tested.scored])
    assert [metric.get() for metric in metrics] == [metric.get() for metric in expected]
    assert expected[0].get() > 0


def test_rivers_evaluation_reports_on_the_way_and_finds_what_can_be_learned() -> None:
    items = ("shoes", "socks", "hat")
    pairs: Pairs = [(visit, item) for visit in range(80) for item in items]
    steps = list(evaluate.iter_progressive_val_score(pairs, small(), Recall(1), step=120))
    assert [step["Step"] for step in steps] == [120, 240]
    ranker = taught(pairs, hidden=16, learning_rate=0.1, loss="full-cross-entropy")
    pairs = [(visit, item) for visit in range(80, 90) for item in items]
    assert evaluate.progressive_val_score(pairs, ranker, Recall(1)).get() == 1.0


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=40),
    st.integers(0, 5),
    st.sampled_from(
        [
            {},
            {"cell": "lstm", "hidden": [6, 5], "embedding": "separate", "bias": True},
            {"embedding": "one-hot", "feed_forward": [7], "window": 2},
            {"min_count": 2, "max_items": 5},
        ]
    ),
)
@settings(max_examples=40)
def test_scores_are_those_the_learner_ranks_by(
    pairs: Pairs, session: int, options: dict[str, Any]
) -> None:
    ranker = taught(pairs, dtype="float64", **options)
    model = ranker._model
    known: list[Id] = [item for item in range(10) if model.knows(item)]
    if session not in model.sessions or not known:
        return
    best = model.test([session], [known[0]], k=len(known)).recommended[0]
    assert ranker.recommend(session, len(known)) == [item for item, _ in best]
    for item, score in best:
        assert ranker.predict_one(session, item) == pytest.approx(score, rel=1e-9, abs=1e-12)
    assert ranker.rank(session, known) == sorted(
        known, key=lambda item: ranker.predict_one(session, item), reverse=True
    )


def test_what_is_not_known_comes_last_in_the_given_order_with_a_finite_score() -> None:
    pairs = stream(100)
    ranker = taught(pairs)
    known = list({item for _, item in pairs})
    asked = ["zebra", *known[:15], "ape", *known[15:], "cat"]
    ranked = ranker.rank(3, asked)
    assert ranked == [*ranker.rank(3, known), "zebra", "ape", "cat"]
    scores = [ranker.predict_one(3, item) for item in ranked]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == pytest.approx(-3.4028235e38)
    assert ranker.rank(3, []) == []


def test_before_a_sessions_first_click_items_keep_the_given_order() -> None:
    ranker = taught(stream(60))
    asked = ["i3", "unknown", "i1", "i2"]
    assert ranker.rank("new", asked) == ["i3", "i1", "i2", "unknown"]
    assert ranker.predict_one("new", "i3") == 0.0
    assert ranker.predict_one("new") is None


def test_asking_changes_nothing() -> None:
    ranker, other = taught(stream(60)), taught(stream(60))
    ranker.rank(1, ["i1", "unheard of"])
    ranker.predict_one("never seen", "i1", {"hour": 3})
    ranker.recommend(2)
    assert pickle.dumps(ranker) == pickle.dumps(other)


@pytest.mark.parametrize("reward", [False, 0, 0.0, -1.5, float("nan")])
def test_what_was_not_clicked_is_not_learned(reward: float) -> None:
    ranker, other = taught(stream(60)), taught(stream(60))
    ranker.learn_one(1, "i2", reward)
    ranker.learn_one("new", "new", y=reward, x={"hour": 3})
    assert pickle.dumps(ranker) == pickle.dumps(other)


@pytest.mark.parametrize("reward", [True, 1, 0.5, 8])
def test_every_other_reward_is_one_click(reward: float) -> None:
    ranker, other = taught(stream(60)), taught(stream(60))
    ranker.learn_one(1, "i2", reward, {"hour": 3})
    other.learn_one(1, "i2")
    assert pickle.dumps(ranker) == pickle.dumps(other)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda ranker: pickle.loads(pickle.dumps(ranker))])
def test_a_copy_goes_on_as_the_original_and_apart_from_it(how: Any) -> None:
    pairs = stream(160)
    ranker, straight = taught(pairs[:80], min_count=2), taught(pairs, min_count=2)
    before = pickle.dumps(ranker)
    copied = how(ranker)
    for session, item in pairs[80:]:
        copied.learn_one(session, item)
    assert pickle.dumps(copied) == pickle.dumps(straight)
    assert pickle.dumps(ranker) == before


def test_sessions_and_items_stay_in_their_bounds() -> None:
    ranker = taught(stream(200), max_sessions=3, max_items=7)
    assert len(ranker._model.sessions) == 3
    assert len(ranker.recommend(0, 100)) == 7


def test_a_score_that_is_not_a_number_is_an_error() -> None:
    ranker = taught(stream(60))
    ranker._model.items.embedding.values[:] = float("nan")
    with pytest.raises(FloatingPointError, match="diverged; lower learning_rate"):
        ranker.predict_one(1, "i1")
    with pytest.raises(FloatingPointError, match="diverged; lower learning_rate"):
        ranker.predict_one(1)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(TypeError, match="hiden"):
        small(hiden=3)
    with pytest.raises(ValueError, match="window must be at least 1, not 0"):
        small(window=0)
    with pytest.raises(ValueError, match="k must be at least 1, not 0"):
        small(k=0)
