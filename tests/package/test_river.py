from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from river import compose, linear_model, metrics, multiclass, preprocessing, reco
from river.naive_bayes import MultinomialNB

from nextclick.connectors import open_source
from nextclick.river import RiverClassifier, RiverModel, RiverRecommender, iter_next, iter_rewards
from nextclick.stream import CompareConfig, ConfigError, compare
from nextclick.testing import check_recommender

SPEC = "sim:clicks=600,items=40,seed=2"


def pipeline() -> Any:
    """Return a pipeline that ends with a classifier."""
    one_by_one = multiclass.OneVsRestClassifier(linear_model.LogisticRegression())
    return compose.Pipeline(preprocessing.StandardScaler(), one_by_one)


MODELS: dict[str, Callable[[], RiverModel]] = {
    "BiasedMF": lambda: RiverRecommender(model="reco.BiasedMF"),
    "FunkMF": lambda: RiverRecommender(model="reco.FunkMF", options={"n_factors": 4}),
    "Baseline": lambda: RiverRecommender(model="reco.Baseline", negatives=0),
    "MultinomialNB": lambda: RiverClassifier(model="naive_bayes.MultinomialNB"),
    "tree": lambda: RiverClassifier(model="tree.HoeffdingTreeClassifier"),
    "pipeline": lambda: RiverClassifier(model=f"{__name__}:pipeline"),
}


@pytest.fixture(autouse=True)
def findable(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _self())


def _self() -> Any:
    import types

    module = types.ModuleType(__name__)
    module.pipeline = pipeline  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize("name", MODELS)
def test_models_of_river_meet_the_contract(name: str) -> None:
    check_recommender(MODELS[name])


def test_they_take_part_in_a_comparison() -> None:
    models: dict[str, dict[str, Any]] = {
        "mf": {
            "kind": "nextclick.river:RiverRecommender",
            "model": "reco.BiasedMF",
            "options": {"n_factors": 5},
        },
        "bayes": {"kind": RiverClassifier, "model": "naive_bayes.MultinomialNB"},
        "markov": {},
    }
    result = compare(SPEC, CompareConfig(models=models))
    assert set(result["models"]) == set(models)
    # A chain of single clicks is what the classifier learns.
    assert result["models"]["bayes"]["recall@20"] > result["models"]["mf"]["recall@20"]


def test_a_comparison_with_them_goes_on_from_a_snapshot(tmp_path: Any) -> None:
    models = {"bayes": {"kind": RiverClassifier, "model": "naive_bayes.MultinomialNB"}}
    whole = compare(SPEC, CompareConfig(models=models))
    for stop in (100, 333, None):
        config = CompareConfig(models=models, snapshots=str(tmp_path / "s"), max_clicks=stop)
        part = compare(SPEC, config)
    assert part["models"]["bayes"]["mrr@20"] == whole["models"]["bayes"]["mrr@20"]


def test_the_score_of_a_click_is_the_one_that_river_gives() -> None:
    model = RiverClassifier(model="naive_bayes.MultinomialNB")
    plain: Any = MultinomialNB()
    model.learn_many(["a", "a", "a", "b", "b"], [1, 2, 1, 1, 2])
    for last, item in ((1, 2), (1, 2)):
        plain.learn_one({f"item={last}": 1}, str(item))
    plain.learn_one({"item=2": 1, "before=1": 1}, "1")
    found = {str(item): score for item, score in model.recommend_after(["c"], [1], 2)[0]}
    expected = plain.predict_proba_one({"item=1": 1})
    assert found == pytest.approx(expected)


def test_without_negatives_rewards_are_all_that_a_recommender_learns() -> None:
    model, plain = RiverRecommender(model="reco.Baseline", negatives=0), reco.Baseline()
    for x, y in iter_rewards("sim:clicks=50,items=9,seed=1"):
        model.learn_one(x["user"], x["item"])
        plain.learn_one(x["user"], x["item"], y)
    assert model.river.predict_one(0, 1) == plain.predict_one(0, 1)


def test_a_frozen_model_is_not_changed_by_a_test() -> None:
    for make in MODELS.values():
        model = make()
        model.learn_many(["a", "a", "b"], ["hat", "bag", "hat"])
        sessions, items = ["new", "new", "new"], ["hat", "bag", "hat"]
        one = model.test_frozen(sessions, items)
        assert one.scored.tolist() == [False, True, True]
        assert np.array_equal(model.test_frozen(sessions, items).ranks, one.ranks)


def test_a_longer_run_than_a_state_holds_says_so() -> None:
    model, other = (
        RiverClassifier(model="naive_bayes.MultinomialNB", state_clicks=3) for _ in range(2)
    )
    model.learn_many(["a"] * 5, [1, 2, 3, 1, 2])
    with pytest.raises(ValueError, match="state_clicks=3"):
        other.restore(model.state())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "reco.Unheard"}, "cannot be made"),
        ({"model": "nowhere.Unheard"}, "cannot be made"),
        ({"model": "reco.BiasedMF", "options": {"factors": 3}}, "factors"),
        ({"model": "linear_model.LinearRegression"}, "cannot|no RiverRecommender|learn"),
    ],
)
def test_what_is_no_model_is_refused(options: dict[str, Any], said: str) -> None:
    models = {"one": {"kind": "nextclick.river:RiverClassifier", **options}}
    with pytest.raises(ConfigError, match=f"model one.*({said}|predict_proba_one)"):
        compare(SPEC, CompareConfig(models=models))


def test_the_stream_is_one_that_river_evaluates_on() -> None:
    model, metric = MultinomialNB(), metrics.Accuracy()
    pairs = list(iter_next("sim:clicks=500,items=20,seed=3"))
    for x, y in pairs:
        guess = model.predict_one(dict[Any, Any](x))
        if guess is not None:
            metric.update(y, guess)
        model.learn_one(x, y)
    assert metric.get() > 0.1
    source = open_source("sim:clicks=500,items=20,seed=3").poll(500)
    assert source is not None
    firsts = len(set(source.sessions))
    assert len(pairs) == 500 - firsts
    assert {name.partition("=")[0] for x, _ in pairs for name in x} == {
        *("item", "before", "earlier")
    }
    rewards = list(iter_rewards("sim:clicks=500,items=20,seed=3"))
    assert [x["item"] for x, _ in rewards] == source.items
