from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from nextclick.connectors import FullError, RecordedLog, RecordError, SourceError
from nextclick.stream import RunConfig, run
from nextclick.stream.config.options import ConfigError
from nextclick.stream.engine import Engine
from nextclick.stream.notes import Info
from nextclick.stream.serving import clicks as endpoint
from nextclick.stream.serving.requests import LARGEST_BODY
from nextclick.stream.serving.run import serve_engine
from tests.stream.serving.asking import SMALL, Client, served, small_engine, until
from tests.stream.serving.hostile import odd_value, talk


class Shop:
    """An engine that reads the log which clicks are recorded in over HTTP."""

    def __init__(self, engine: Engine, log: RecordedLog, client: Client, told: list[str]) -> None:
        self.engine, self.log, self.client, self.told = engine, log, client, told

    def post(self, body: Any, status: int = 200) -> Any:
        return self.client.json("/v1/clicks", body, status)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.path.read_text().splitlines()]


@contextmanager
def recording(path: Path, **options: Any) -> Iterator[Shop]:
    told: list[str] = []
    config = RunConfig(serve="0", device="cpu", model=SMALL, **options)
    with closing(RecordedLog(path)) as log:
        engine = small_engine(log)
        with serve_engine(engine, config, told.append):
            thread = threading.Thread(target=engine.run)
            thread.start()
            try:
                address = told[0].split()[-1].removesuffix("/v1/recommend")
                with closing(Client(address)) as client:
                    yield Shop(engine, log, client, told)
            finally:
                engine.stop()
                thread.join()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with recording(tmp_path_factory.mktemp("shop") / "clicks.jsonl") as made:
        yield made


def click(session: str, item: Any, **more: Any) -> dict[str, Any]:
    return {"session_id": session, "item_id": item, **more}


def test_one_click_or_several_are_recorded_in_their_order_and_counted(shop: Shop) -> None:
    before = len(shop.lines())
    assert shop.post(click("anna", 1)) == {"recorded": 1, "repeated": 0}
    assert shop.post([click("anna", 2), click("bert", 3, page="/")])["recorded"] == 2
    assert shop.post({"clicks": [click("anna", 4, timestamp=5)]})["recorded"] == 1
    added = shop.lines()[before:]
    assert [line["item_id"] for line in added] == [1, 2, 3, 4]
    assert (added[2]["page"], added[3]["timestamp"]) == ("/", 5)
    assert any("clicks sent to" in told for told in shop.told)
    # None of the addresses is a warning.
    assert all(isinstance(told, Info) for told in shop.told)


def test_a_list_asked_for_after_a_click_reflects_it(shop: Shop) -> None:
    shop.post([click(f"old {at % 7}", at * at % 11) for at in range(200)])
    until(lambda: shop.engine.learned)
    for number in range(30):
        asked = f"/v1/recommend?session=new{number}"
        assert shop.client.json(asked)["from"] == "popular"
        shop.post(click(f"new{number}", number * number % 11))
        until(lambda asked=asked: shop.client.json(asked)["from"] == "session")


def test_a_click_that_is_sent_again_is_not_recorded_again(shop: Shop) -> None:
    before = shop.client.json("/v1/stats")["posted"]
    assert shop.post(click("anna", 1, event_id="e"))["recorded"] == 1
    assert shop.post([click("anna", 1, event_id="e")]) == {"recorded": 0, "repeated": 1}
    after = shop.client.json("/v1/stats")["posted"]
    assert after["recorded"] == before["recorded"] + 1
    assert after["repeated"] == before["repeated"] + 1
    assert after["seconds"] > 0
    page = shop.client.ask("GET", "/metrics")[1].decode()
    assert f"nextclick_posted_clicks_total {after['recorded']}.0" in page
    assert f"nextclick_post_seconds_count {after['requests']}.0" in page


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "not valid JSON"),
        (b"[]", 400, "is empty"),
        (b'{"session_id": "anna"}', 400, "no 'item_id'"),
        (b'{"session_id": ["anna"], "item_id": 1}', 400, "must be int | str"),
        (json.dumps([click("a", 1)] * 10_001).encode(), 400, "10,000 are allowed"),
    ],
)
def test_a_wrong_body_gets_a_sentence_and_never_reaches_the_log(
    shop: Shop, body: bytes, status: int, words: str
) -> None:
    before = shop.log.path.stat().st_size
    with closing(Client(shop.client.host)) as client:
        found, answer, _ = client.ask("POST", "/v1/clicks", body)
    assert found == status
    assert words in json.loads(answer)["error"]
    assert shop.log.path.stat().st_size == before


def test_a_body_that_is_too_large_is_refused(shop: Shop) -> None:
    head = f"POST /v1/clicks HTTP/1.1\r\nhost: x\r\ncontent-length: {LARGEST_BODY + 1}\r\n\r\n"
    assert talk(shop.client.host, head.encode()).startswith(b"HTTP/1.1 413")


def test_half_a_body_never_reaches_the_log(shop: Shop) -> None:
    before = shop.log.path.stat().st_size
    body = json.dumps(click("anna", 1)).encode()
    for more in (1, 1000):
        head = f"POST /v1/clicks HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body) + more}\r\n\r\n"
        assert b" 200 " not in talk(shop.client.host, head.encode() + body, half_close=True)
    assert shop.client.ask("GET", "/healthz")[0] == 200
    assert shop.log.path.stat().st_size == before


def test_other_methods_and_queries_are_refused(shop: Shop) -> None:
    status, _, headers = shop.client.ask("GET", "/v1/clicks")
    assert (status, headers["allow"]) == (405, "POST")
    body = json.dumps(click("anna", 1)).encode()
    assert shop.client.ask("POST", "/v1/clicks?session_id=anna", body)[0] == 400


def test_odd_clicks_get_no_5xx_and_all_that_is_in_the_log_is_usable(shop: Shop) -> None:
    draw = random.Random(3)
    names = ["session_id", "item_id", "timestamp", "event_id", "clicks", "x", "", "\0"]
    before, recorded = len(shop.lines()), 0
    for _ in range(500):
        several = [
            {draw.choice(names): odd_value(draw) for _ in range(4)}
            for _ in range(draw.randrange(1, 3))
        ]
        body = json.dumps(draw.choice([several, several[0], {"clicks": several}])).encode()
        body = body[: draw.randrange(len(body))] if draw.random() < 0.2 else body
        status, answer, _ = shop.client.ask("POST", "/v1/clicks", body)
        assert status in (200, 400), (body, answer)
        recorded += json.loads(answer).get("recorded", 0)
    assert len(shop.lines()) == before + recorded
    until(lambda: shop.engine.clicks == len(shop.lines()))
    assert not shop.engine.rejected


def test_the_description_has_the_names_of_the_fields(shop: Shop) -> None:
    described = shop.client.json("/openapi.json")["paths"]["/v1/clicks"]["post"]
    kinds = described["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert kinds[0]["required"] == ["session_id", "item_id"]
    assert set(described["responses"]) >= {"200", "400", "401", "413", "503", "507"}


@pytest.mark.parametrize(("kind", "status"), [(FullError, 507), (RecordError, 503)])
def test_what_cannot_be_recorded_is_told(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, kind: type[Exception], status: int
) -> None:
    def fail(*arguments: Any) -> None:
        raise kind("the disk is full")

    monkeypatch.setattr(shop.log, "record", fail)
    assert shop.post(click("anna", 1), status) == {"error": "the disk is full"}


def test_a_disk_that_does_not_answer_is_not_waited_for_for_ever(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "LONGEST_WAIT", 0.05)
    monkeypatch.setattr(shop.log, "record", lambda clicks: Future())
    assert "with the same event_id" in shop.post(click("anna", 1), 503)["error"]


def test_the_key_is_needed_here_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    with recording(tmp_path / "clicks.jsonl", api_key="env:SHOP_KEY") as shop:
        body = json.dumps(click("anna", 1)).encode()
        assert shop.client.ask("POST", "/v1/clicks", body)[0] == 401
        assert shop.client.ask("POST", "/v1/clicks", body, x_api_key="s3cret")[0] == 200
        assert len(shop.lines()) == 1


def test_an_engine_that_reads_something_else_names_the_source_that_takes_clicks() -> None:
    with served() as shop:
        error = shop.client.json("/v1/clicks", click("anna", 1), 409)["error"]
        assert "http:clicks.jsonl --serve 8080" in error
        assert "/v1/clicks" not in shop.client.json("/openapi.json")["paths"]


@pytest.mark.parametrize("topics", ["clicks,views", "^clicks-"])
def test_an_engine_that_reads_several_topics_takes_no_clicks_and_says_so(topics: str) -> None:
    def begin(engine: Engine, config: RunConfig) -> None:
        engine.about["source"] = f"kafka://localhost:9092/{topics}"

    with served(begin=begin) as shop:
        error = shop.client.json("/v1/clicks", click("anna", 1), 409)["error"]
        assert "reads several topics" in error
        assert not any("are recorded in" in told for told in shop.told)


def test_without_a_place_to_serve_at_such_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nextclick run http:.*clicks.jsonl --serve 8080"):
        run(f"http:{tmp_path}/clicks.jsonl", RunConfig())
    assert not (tmp_path / "clicks.jsonl").exists()


def test_an_output_may_not_be_the_log(tmp_path: Path) -> None:
    log = tmp_path / "clicks.jsonl"
    with pytest.raises(ConfigError, match="is the source too"):
        run(f"http:{log}", RunConfig(serve="0", recommendations=str(log)))


def test_a_log_that_is_taken_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    with (
        closing(RecordedLog(tmp_path / "clicks.jsonl")),
        pytest.raises(SourceError, match="another process takes clicks into"),
    ):
        run(f"http:{tmp_path}/clicks.jsonl", RunConfig(serve="0", device="cpu", model=SMALL))
