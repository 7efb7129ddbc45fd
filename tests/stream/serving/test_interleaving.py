"""Lists of two models merged in a served engine, and visitors who click them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nextclick.models import Query
from nextclick.models.base import CheckedModel
from nextclick.stream import RunConfig
from nextclick.stream.comparison.trials import Trials, make_trials
from nextclick.stream.engine import Engine
from nextclick.stream.recommendations.interleaving import Interleaving
from tests.stream.serving.asking import CATALOGUE, Served, served, until


@contextmanager
def interleaved(other: str = "markov", **options: Any) -> Iterator[Served]:
    """Serve an engine whose lists are merged with those of another model from the start."""

    def begin(engine: Engine, config: RunConfig) -> None:
        engine.trials = make_trials(config, engine.model.name, engine.notify)

    with served(begin=begin, interleave=other, **options) as shop:
        yield shop


def lists(shop: Served, body: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shop.client.json("/v1/recommend", body)["items"]
    return found


def models_of(shop: Served) -> tuple[CheckedModel, CheckedModel]:
    """The model in service, and the one whose lists are merged with its."""
    own, other = shop.engine.model, shop.engine.trials.shadows["markov"].model
    assert isinstance(own, CheckedModel)
    assert isinstance(other, CheckedModel)
    return own, other


def metrics(shop: Served) -> dict[tuple[str, frozenset[str]], float]:
    _, page, _ = shop.client.ask("GET", "/metrics")
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_a_session_is_shown_items_of_both_models_and_a_repeated_request_the_same() -> None:
    with interleaved() as shop:
        shop.feed(("anna", CATALOGUE[3]), ("anna", CATALOGUE[8]))
        found = lists(shop, {"session": "anna", "k": 6})
        assert {each["by"] for each in found} == {"gru4rec", "markov"}
        assert len({each["item"] for each in found}) == 6
        assert lists(shop, {"session": "anna", "k": 6}) == found
        assert lists(shop, {"session": "anna", "k": 2}) == found[:2]
        again = shop.client.json(
            "/v1/recommend", {"requests": [{"session": "old 1"}, {"session": "anna", "k": 6}]}
        )
        origins = [(each["item"], each["by"]) for each in again["answers"][1]["items"]]
        assert origins == [(each["item"], each["by"]) for each in found]
        # The scores are those that the models themselves give.
        number = shop.engine.sessionizer.number_of("anna")
        query = Query(number, [CATALOGUE[3], CATALOGUE[8]], [192.0, 193.0], k=12)
        own, other = (dict(model.recommend_each([query])[0].best) for model in models_of(shop))
        for each in found:
            scores = own if each["by"] == "gru4rec" else other
            assert each["score"] == pytest.approx(scores[each["item"]])


@pytest.mark.parametrize(
    "wanted",
    [
        {"exclude": "session", "k": 12},
        {"exclude": "current", "k": 12},
        {"without": CATALOGUE[:5], "k": 12},
        {"among": CATALOGUE[2:7], "k": 12},
        {"among": CATALOGUE[2:9], "without": CATALOGUE[4:6], "exclude": "session", "k": 3},
        {"exclude": "none", "k": 1},
    ],
)
def test_a_merged_list_obeys_the_request(wanted: dict[str, Any]) -> None:
    with interleaved() as shop:
        shop.feed(("anna", CATALOGUE[3]), ("anna", CATALOGUE[8]))
        items = [each["item"] for each in lists(shop, {"session": "anna", **wanted})]
        assert 0 < len(items) <= wanted["k"]
        banned = set(wanted.get("without", []))
        if wanted.get("exclude", "current") != "none":
            banned.add(CATALOGUE[8])
        if wanted.get("exclude") == "session":
            banned.add(CATALOGUE[3])
        assert banned.isdisjoint(items)
        assert set(items) <= set(wanted.get("among", CATALOGUE))


def test_what_is_not_of_a_session_is_answered_by_the_model_in_service() -> None:
    with interleaved() as shop:
        for body in ({"items": [CATALOGUE[3]]}, {"session": "nobody"}, {}):
            assert all("by" not in each for each in lists(shop, {"k": 5, **body}))
        assert shop.client.json("/v1/stats")["interleaved"]["shown"] == 0


def test_the_next_click_decides_and_stats_and_metrics_tell() -> None:
    with interleaved() as shop:
        shop.feed(*[(f"visitor {visitor}", CATALOGUE[visitor % 12]) for visitor in range(40)])
        clicked = {"gru4rec": 0, "markov": 0}
        for visitor in range(40):
            found = lists(shop, {"session": f"visitor {visitor}", "k": 4})
            best = next(
                each for each in found if each["by"] == ("gru4rec", "markov")[visitor % 4 == 0]
            )
            shop.feed((f"visitor {visitor}", best["item"]))
            clicked[best["by"]] += 1
        shop.feed(*[("bert", item) for item in CATALOGUE * 12])
        until(lambda: shop.engine.learned > 192 + 80)
        found = shop.client.json("/v1/stats")["interleaved"]
        assert (
            (found["wins"], found["losses"]) == (clicked["gru4rec"], clicked["markov"]) == (30, 10)
        )
        assert found["model"] == "markov"
        assert found["shown"] == 40
        assert found["preference"] == 0.75
        assert 0.5 < found["low"] < 0.75 < found["high"] < 1
        values = metrics(shop)
        assert values["nextclick_interleaved_lists", frozenset({"markov", "win"})] == 30
        assert values["nextclick_interleaved_lists", frozenset({"markov", "loss"})] == 10
        assert values["nextclick_interleaved_preference", frozenset({"markov", "value"})] == 0.75
        assert (
            values["nextclick_interleaved_preference", frozenset({"markov", "low"})] == found["low"]
        )
        assert values["nextclick_shadow_dropped", frozenset({"markov"})] == 0
        assert values["nextclick_shadow_seconds_per_click", frozenset({"markov"})] > 0
        # They are computed anew every few seconds.
        until(lambda: shop.engine.trials.stats()["shadows"][0]["scored"] > 100)
        values = metrics(shop)
        (shadow,) = shop.client.json("/v1/stats")["shadows"]
        assert shadow["model"] == "markov"
        assert set(shadow["differences"]) == {"recall@20", "mrr@20", "ndcg@20"}
        for figure, value in shadow["figures"].items():
            assert values["nextclick_shadow_figure", frozenset({"markov", figure})] == value


def test_a_model_that_fails_when_asked_is_dropped_and_nobody_waits_in_vain() -> None:
    with interleaved() as shop:
        shop.feed(("anna", CATALOGUE[3]))

        def fail(queries: list[Query]) -> Any:
            raise FloatingPointError("a score is not a number")

        shadow = shop.engine.trials.shadows["markov"]
        models_of(shop)[1]._recommend_each = fail  # type: ignore[method-assign]
        assert lists(shop, {"session": "anna", "k": 4})
        found = lists(shop, {"session": "anna", "k": 4})
        assert all(each["by"] == "gru4rec" for each in found if "by" in each)
        assert shadow.dropped is not None
        assert "not a number" in shadow.dropped["why"]
        shop.feed(*[("bert", item) for item in CATALOGUE * 12])  # It learns on.
        until(lambda: shop.client.json("/v1/stats")["shadows"][0]["dropped"] == shadow.dropped)


def test_without_interleaving_no_item_names_a_model() -> None:
    with served() as shop:
        shop.feed(("anna", CATALOGUE[3]))
        assert all("by" not in each for each in lists(shop, {"session": "anna"}))
        stats = shop.client.json("/v1/stats")
        assert "shadows" not in stats
        assert "interleaved" not in stats


def test_the_interface_describes_where_an_item_is_from() -> None:
    with served() as shop:
        item = shop.client.json("/openapi.json")["components"]["schemas"]["Item"]
        assert "by" in item["properties"]
        assert "by" not in item["required"]


def test_requests_change_no_figure_of_shadows_or_of_the_model_in_service() -> None:
    results = []
    for asked in (False, True):
        with interleaved("vstan") as shop:
            for at in range(300):
                shop.source.feed((f"visitor {at % 31}", CATALOGUE[(at * 7 + at // 5) % 12]))
                if asked and at % 3 == 0:
                    lists(shop, {"session": f"visitor {at % 37}", "exclude": "session"})
            engine = shop.engine
        found = engine.results()
        shown = found.pop("interleaved")["shown"]
        assert (shown > 50) == asked
        for shadow in found["shadows"]:
            del shadow["seconds_per_click"]
        results.append(found)
    assert results[0] == results[1]


def test_only_one_model_is_asked_of_a_run_without_trials() -> None:
    assert not Trials()
    assert Trials().served([], []) == []
    assert isinstance(
        make_trials(RunConfig(interleave="markov", serve="0"), "x").interleaving, Interleaving
    )
