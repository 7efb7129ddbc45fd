from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from typing import Any

import pytest

from nextclick.connectors import Lag
from nextclick.stream import RunConfig, run
from nextclick.stream.config.options import ConfigError, build
from nextclick.stream.serving.engine_service import EngineService
from tests.stream.serving.asking import (
    CATALOGUE,
    HISTORY,
    Client,
    Fed,
    Served,
    query,
    served,
    small_engine,
)


@pytest.fixture(scope="module")
def shop() -> Iterator[Served]:
    with served() as made:
        yield made


def test_a_list_is_json_with_its_origin_and_the_age_of_the_model(shop: Served) -> None:
    answer = shop.client.json(query(session="old 1", k=3))
    assert answer.keys() == {"items", "from", "model"}
    assert [each.keys() for each in answer["items"]] == [{"item", "score"}] * 3
    scores = [each["score"] for each in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["from"] == "session"
    assert answer["model"]["clicks"] == len(HISTORY)
    assert answer["model"]["behind_seconds"] >= 0


@pytest.mark.parametrize(
    ("wanted", "origin"),
    [
        ({"session": "old 1"}, "session"),
        ({"items": CATALOGUE[0]}, "items"),
        ({"session": "nobody"}, "popular"),
        ({"session": ""}, "popular"),
        ({"items": ""}, "popular"),
        ({"items": "unknown,things"}, "popular"),
        ({}, "popular"),
    ],
)
def test_the_answer_says_what_it_goes_by(shop: Served, wanted: dict[str, str], origin: str) -> None:
    answer = shop.client.json(query(**wanted))
    assert answer["from"] == origin
    assert answer["items"]


def test_clicks_that_were_read_and_not_learned_count() -> None:
    with served() as shop:
        assert shop.client.json(query(session="anna"))["from"] == "popular"
        clicked: list[str] = []
        for item in (CATALOGUE[5], CATALOGUE[2], CATALOGUE[9]):
            clicked.append(item)
            shop.feed(("anna", item))
            answer = shop.client.json(query(session="anna", exclude="none"))
            assert answer["from"] == "session"
            assert answer["model"]["behind_clicks"] == len(clicked)
            assert [each["item"] for each in answer["items"]] == after(shop, "anna", clicked)
            assert shop.client.best(session="anna", k=99).count(item) == 0
        assert set(shop.client.best(session="anna", exclude="session")).isdisjoint(clicked)
        assert shop.engine.learned == len(HISTORY)


def after(shop: Served, session: str, clicked: list[str]) -> list[Any]:
    """What the model itself recommends after the clicks that a test has just fed."""
    number = shop.engine.sessionizer.number_of(session)
    assert number is not None
    times = [float(len(HISTORY) + at) for at in range(len(clicked))]
    with shop.service.queue.held():
        best = shop.engine.model.recommend_after([number] * len(clicked), clicked, 20, times)
    return [item for item, _ in best[-1]]


def test_what_is_looked_at_is_left_out_unless_it_is_asked_for(shop: Served) -> None:
    clicked = CATALOGUE[:3]
    best = {
        exclude: shop.client.best(items=clicked, k=99, exclude=exclude)
        for exclude in ("current", "session", "none")
    }
    assert set(best["none"]) == set(CATALOGUE)
    assert set(best["current"]) == set(CATALOGUE) - {clicked[-1]}
    assert set(best["session"]) == set(CATALOGUE) - set(clicked)
    assert shop.client.best(items=clicked, k=99) == best["current"]


def test_a_filtered_list_is_the_best_of_what_is_left(shop: Served) -> None:
    whole = shop.client.best(session="old 2", k=99, exclude="none")
    without, among = [*whole[:3], "unknown"], whole[1:9:2]
    for ask in (shop.client.best, lambda **wanted: posted(shop.client, wanted)):
        assert ask(session="old 2", k=4, exclude="none", without=without) == whole[3:7]
        assert ask(session="old 2", k=3, exclude="none", among=among) == among[:3]
        assert ask(session="old 2", exclude="none", among=among, without=among[:1]) == among[1:]
        assert ask(session="nobody", among=[]) == []


def posted(client: Client, wanted: dict[str, Any]) -> list[Any]:
    return [each["item"] for each in client.json("/v1/recommend", wanted)["items"]]


def test_many_are_answered_in_their_order(shop: Served) -> None:
    wanted = [{"session": f"old {at}", "k": at + 1} for at in range(7)] + [{"session": "nobody"}]
    answers = shop.client.json("/v1/recommend", {"requests": wanted})["answers"]
    alone = [shop.client.json("/v1/recommend", one) for one in wanted]
    for answer, one in zip(answers, alone, strict=True):
        assert answer["from"] == one["from"]
        assert [each["item"] for each in answer["items"]] == [each["item"] for each in one["items"]]


def test_ids_that_are_numbers_are_found_as_texts_and_texts_as_numbers() -> None:
    with served() as shop:
        shop.feed((7, 1001), ("8", "1002"))
        for session in (7, "7", 8, "8"):
            assert shop.client.json("/v1/recommend", {"session": session})["from"] == "popular"
        # A new item is known once it has been learned.
        shop.feed(*HISTORY[:62])
        for session, item in ((7, 1001), ("7", 1001), (8, "1002"), ("8", "1002")):
            body = {"session": session, "exclude": "none", "k": 99}
            assert shop.client.json("/v1/recommend", body)["from"] == "session"
            assert item in posted(shop.client, body)
            other = str(item) if isinstance(item, int) else int(item)
            assert item not in posted(shop.client, body | {"without": [other]})
            assert posted(shop.client, body | {"among": [other]}) == [item]


def test_health_readiness_figures_and_description_are_there(shop: Served) -> None:
    assert shop.client.ask("GET", "/healthz")[:2] == (200, b"ok\n")
    status, words, _ = shop.client.ask("GET", "/readyz")
    assert (status, words.startswith(b"ok")) == (200, True)
    stats = shop.client.json("/v1/stats")
    assert stats["catalogue"] == len(CATALOGUE)
    assert stats["requests"]["answered"] > 0
    shop.client.json(query(session="x", wrong=1), status=400)
    _, page, headers = shop.client.ask("GET", "/metrics")
    assert headers["content-type"].startswith("text/plain")
    for line in (
        'nextclick_http_requests_total{path="/v1/recommend",status="400"}',
        "nextclick_answer_seconds_count",
        "nextclick_clicks_total",
    ):
        assert line.encode() in page


def test_an_engine_is_not_ready_before_it_reads_nor_while_its_source_is_away() -> None:
    engine = small_engine(Fed())
    service = EngineService(engine)
    assert service.ready() == (False, "the source has not been read yet")
    engine.begun = True
    assert service.ready()[0]
    engine.source.away = "the brokers do not answer"  # type: ignore[attr-defined]
    assert service.ready() == (False, "the brokers do not answer")


def test_the_figures_tell_how_far_the_model_and_the_source_are_behind() -> None:
    source = Fed()
    service = EngineService(small_engine(source))
    assert service.stats()["learned_seconds_ago"] >= 0
    assert "lag" not in service.stats()
    source.lag = lambda: [Lag(partition=3, records=7, seconds=1.5, topic="clicks")]  # type: ignore[attr-defined]
    lag = {"topic": "clicks", "partition": 3, "records": 7, "seconds": 1.5}
    assert service.stats()["lag"] == [lag]


def test_the_description_fits_the_answers(shop: Served) -> None:
    described = shop.client.json("/openapi.json")
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) >= {"/v1/recommend", "/v1/stats", "/healthz", "/readyz"}
    text = json.dumps(described)
    schemas = described["components"]["schemas"]
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(schemas)
    answer = shop.client.json(query(session="old 1"))
    assert set(schemas["Recommended"]["required"]) == set(answer)
    parameters = {one["name"] for one in described["paths"]["/v1/recommend"]["get"]["parameters"]}
    assert parameters == {"session", "items", "k", "exclude", "without", "among", "filter"}


def test_what_is_not_there_is_told(shop: Served) -> None:
    assert "openapi" in shop.client.json("/nothing", status=404)["error"]
    status, _, headers = shop.client.ask("DELETE", "/v1/recommend")
    assert (status, "POST" in headers["allow"]) == (405, True)
    assert shop.client.ask("HEAD", "/v1/recommend")[:2] == (200, b"")
    assert "no parameter" in shop.client.json(query(sesion="a"), status=400)["error"]
    assert shop.client.ask("POST", "/v1/recommend?k=3", b"{}")[0] == 400


def test_a_request_keeps_its_number(shop: Served) -> None:
    assert shop.client.ask("GET", "/healthz", x_request_id="mine-1")[2]["x-request-id"] == "mine-1"
    made = {shop.client.ask("GET", "/healthz")[2]["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    odd = shop.client.ask("GET", "/healthz", x_request_id="two words")[2]["x-request-id"]
    assert odd != "two words"


def test_with_a_key_all_but_health_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    with served(api_key="env:SHOP_KEY") as shop:
        client = Client(shop.address)
        assert client.ask("GET", "/healthz")[0] == 200
        for path in ("/v1/recommend", "/v1/stats", "/metrics", "/readyz", "/openapi.json", "/no"):
            status, words, headers = client.ask("GET", path)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
            assert b"key" in words
        for name, key, wanted in (
            ("authorization", "Bearer s3cret", 200),
            ("x-api-key", "s3cret", 200),
            ("authorization", "Bearer s3cre", 401),
            ("authorization", "Basic s3cret", 401),
        ):
            own = Client(shop.address, **{name: key})
            assert own.ask("GET", "/v1/recommend")[0] == wanted
            own.close()
        client.close()
        shop.client = Client(shop.address, authorization="Bearer s3cret")


def test_pages_of_other_sites_may_ask_only_where_they_are_named() -> None:
    origin = "https://shop.example"
    with served() as shop:
        headers = shop.client.ask("GET", "/v1/recommend", origin=origin)[2]
        assert "access-control-allow-origin" not in headers
    with served(allow_origins=origin) as shop:
        headers = shop.client.ask("GET", "/v1/recommend", origin=origin)[2]
        assert headers["access-control-allow-origin"] == origin
        headers = shop.client.ask("GET", "/v1/recommend", origin="https://else.example")[2]
        assert "access-control-allow-origin" not in headers
        asked = Client(shop.address, origin=origin, access_control_request_method="POST")
        assert asked.ask("OPTIONS", "/v1/recommend")[0] == 200
        asked.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"serve": "many"}, "--serve 'many'"),
        ({"serve": "70000"}, "--serve"),
        ({"serve": "http://x:80"}, "--serve"),
        ({"serve": ""}, "--serve"),
        ({"api_key": "env:KEY"}, "give --serve too"),
        ({"allow_origins": "https://x.example"}, "give --serve too"),
    ],
)
def test_an_option_that_makes_no_sense_is_told(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RunConfig(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api_key": "s3cret"}, "write env:NAME"),
        ({"api_key": "env:NO_SUCH_KEY"}, "NO_SUCH_KEY is not set"),
        ({"allow_origins": "shop.example"}, "write an origin"),
        ({"serve": "no.such.host.invalid:80"}, "cannot be opened"),
    ],
)
def test_a_run_that_cannot_be_served_does_not_begin(options: dict[str, Any], words: str) -> None:
    common = {"serve": "0", "device": "cpu", "model": {"hidden": 4}}
    with pytest.raises(ConfigError, match=words):
        run("sim:clicks=10", RunConfig(**{**common, **options}))


def test_without_the_libraries_one_line_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "uvicorn" else find(name),
    )
    with pytest.raises(ConfigError, match=r"needs uvicorn: pip install 'nextclick\[serve\]'"):
        run("sim:clicks=10", RunConfig(serve="0", device="cpu"))


def test_the_options_stay_in_the_figures_without_the_key() -> None:
    public = RunConfig(serve="8080", api_key="env:KEY").public()
    assert (public["serve"], public["api_key"]) == ("8080", "env:KEY")
    assert build(RunConfig, public).serve == "8080"
