"""Data of the items, over HTTP: what is available, what is shown, and what is filtered by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from nextclick.stream.serving.requests import MOST_FIELDS, MOST_VALUES
from tests.stream.serving.asking import CATALOGUE, HISTORY, Client, Served, query, served, until

KINDS = ("hats", "shoes", "a, b")
DATA = {
    item: {"category": KINDS[at % 3], "price": at, "sizes": [at, "xl"], "new": at > 8, "k": at % 2}
    for at, item in enumerate(CATALOGUE)
}


def write(path: Path, *records: dict[str, Any], mode: str = "a") -> None:
    with path.open(mode) as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("items") / "items.jsonl"
    write(path, *({"item_id": item, **named} for item, named in DATA.items()))
    return path


@pytest.fixture(scope="module")
def shop(file: Path) -> Iterator[Served]:
    with served(items=str(file)) as made:
        yield made


@pytest.fixture
def client(shop: Served) -> Client:
    return shop.client


def items_of(answer: Any) -> list[Any]:
    return [each["item"] for each in answer["items"]]


def unavailable(client: Client) -> int:
    return int(client.json("/v1/stats")["items"]["unavailable"])


def test_lists_come_with_the_data_of_their_items(client: Client) -> None:
    for wanted in ({"session": "old 1"}, {"items": CATALOGUE[2]}, {}):
        answer = client.json(query(**wanted, k=5))
        assert len(answer["items"]) == 5
        for each in answer["items"]:
            assert each == {"item": each["item"], "score": each["score"], **DATA[each["item"]]}


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("category=shoes", {"category": ["shoes"]}),
        ("category=shoes,hats", {"category": ["shoes", "hats"]}),
        ("category=shoes&category=hats", {"category": ["shoes", "hats"]}),
        ("category=a%2C%20b", {"category": ["a, b"]}),
        ("category=a%2C+b&new=false", {"category": ["a, b"], "new": [False]}),
        ("price=3,4.0,05", {"price": [3, 4]}),
        ("sizes=xl&new=true", {"new": [True]}),
        ("sizes=7", {"sizes": [7]}),
        ("price=3&category=shoes", {"price": [-1]}),
        ("category=gloves", {"category": ["gloves"]}),
    ],
)
def test_a_filtered_list_is_the_best_of_what_passes(
    client: Client, address: str, wanted: dict[str, list[Any]]
) -> None:
    def passes(item: str) -> bool:
        return all(
            any(one in (value if isinstance(value, list) else [value]) for one in values)
            for name, values in wanted.items()
            for value in [DATA[item][name]]
        )

    visitors: list[dict[str, Any]] = [{"session": "old 2"}, {"items": [CATALOGUE[3]]}, {}]
    for asked in visitors:
        whole = items_of(client.json("/v1/recommend", {**asked, "k": 99, "exclude": "none"}))
        best = [item for item in whole if passes(item)]
        session = "&".join(f"{k}={quote(v[0] if k == 'items' else v)}" for k, v in asked.items())
        answer = client.json(f"/v1/recommend?{session}&k=3&exclude=none&{address}")
        assert items_of(answer) == best[:3]
        filtered = {**asked, "k": 3, "exclude": "none", "filter": wanted}
        assert items_of(client.json("/v1/recommend", filtered)) == best[:3]
    many = client.json("/v1/recommend", {"requests": [{"filter": wanted, "k": 99}, {"k": 99}]})
    assert [len(answer["items"]) for answer in many["answers"]] == [len(best), len(CATALOGUE)]


def test_a_field_called_like_a_parameter_is_reached_by_a_body(client: Client) -> None:
    answer = client.json("/v1/recommend", {"filter": {"k": [1]}, "k": 99})
    assert {DATA[item]["k"] for item in items_of(answer)} == {1}


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("colour=red", "there are session, items, k, exclude, without, among, and the fields"),
        ("categry=red", "did you mean 'category'"),
        ("category=", "the parameter category has no value"),
        ("category", "the parameter category has no value"),
        ("category=%ff", "not valid UTF-8"),
        ("category=" + "x" * 1025, "length <= 1024"),
        ("category=" + ",".join(["x"] * (MOST_VALUES + 1)), f"length <= {MOST_VALUES}"),
    ],
)
def test_a_wrong_filter_in_an_address_is_told(client: Client, address: str, words: str) -> None:
    assert words in client.json(f"/v1/recommend?{address}", status=400)["error"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"colour": ["red"]}, "no item has a field 'colour': there are the fields category, k"),
        ({"item_id": [1]}, "no item has a field"),
        ({"category": []}, "length >= 1"),
        ({"category": "shoes"}, "expected array"),
        ({"category": [None]}, "expected"),
        ({str(at): [1] for at in range(MOST_FIELDS + 1)}, f"length <= {MOST_FIELDS}"),
        ({"category": [1] * (MOST_VALUES + 1)}, f"length <= {MOST_VALUES}"),
    ],
)
def test_a_wrong_filter_in_a_body_is_told(client: Client, wanted: Any, words: str) -> None:
    assert words in client.json("/v1/recommend", {"filter": wanted}, 400)["error"]
    many = {"requests": [{}, {"filter": wanted}]}
    assert words in client.json("/v1/recommend", many, 400)["error"]


def test_the_interface_describes_filters_and_fields(client: Client) -> None:
    described = client.json("/openapi.json")
    parameters = described["paths"]["/v1/recommend"]["get"]["parameters"]
    (one,) = (each for each in parameters if each["name"] == "filter")
    assert (one["style"], one["explode"], one["schema"]["type"]) == ("form", True, "object")
    assert "filter" in described["components"]["schemas"]["Request"]["properties"]
    assert "additionalProperties" in described["components"]["schemas"]["Item"]


def test_without_data_there_is_nothing_to_filter_by() -> None:
    with served() as shop:
        error = shop.client.json("/v1/recommend", {"filter": {"x": [1]}}, 400)["error"]
        assert "start it with --items" in error
        error = shop.client.json("/v1/recommend?category=shoes", status=400)["error"]
        assert error.endswith("there are session, items, k, exclude, without, among")
        assert "items" not in shop.client.json("/v1/stats")


def test_what_is_not_available_is_never_recommended(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    write(path, {"item_id": CATALOGUE[4], "available": False, "title": "four"})
    with served(items=str(path)) as shop:
        client = shop.client
        assert unavailable(client) == 1
        barred = {CATALOGUE[4]}
        # It may become unavailable, and available again, at any moment.
        for item, available in ((7, False), (2, False), (4, True), (7, True)):
            write(path, {"item_id": CATALOGUE[item], "available": available})
            barred = barred ^ {CATALOGUE[item]}
            until(lambda: unavailable(client) == len(barred))  # noqa: B023
            among = {"among": CATALOGUE}
            for asked in ({"session": "old 1"}, {"items": CATALOGUE[5]}, {}, among):
                for more in ({}, {"k": 3}):
                    assert barred.isdisjoint(client.best(**asked, **more))
            assert set(client.best(k=99)) == set(CATALOGUE) - barred
            assert client.best(among=sorted(barred), k=9) == []
        # Data of an item that nobody has clicked yet count from its first click.
        write(path, {"item_id": "coming", "available": False})
        until(lambda: unavailable(client) == 2)
        shop.feed(*(("someone", "coming") for _ in range(64)))
        until(lambda: "coming" in shop.engine.model.vocabulary)  # type: ignore[attr-defined]
        assert set(client.best(k=99)) == set(CATALOGUE) - {CATALOGUE[2]}
        write(path, {"item_id": "coming"})
        until(lambda: unavailable(client) == 1)
        assert "coming" in client.best(k=99)


def test_a_file_that_takes_the_place_of_another_is_served(tmp_path: Path) -> None:
    path, other = tmp_path / "items.jsonl", tmp_path / "other"
    write(path, {"item_id": CATALOGUE[0], "available": False}, {"item_id": CATALOGUE[1], "x": 1})
    with served(items=str(path)) as shop:
        write(other, {"item_id": CATALOGUE[1], "available": False}, {"item_id": 9, "y": 1})
        other.rename(path)
        until(lambda: set(shop.client.best(k=99)) == set(CATALOGUE) - {CATALOGUE[1]})
        stats = shop.client.json("/v1/stats")["items"]
        assert stats == {"with_data": 2, "unavailable": 1, "wrong_records": 0}
        assert "the fields y of" in shop.client.json("/v1/recommend?x=1", status=400)["error"]


def test_a_wrong_line_is_counted_and_told_once(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    write(path, {"item_id": 1, "x": 1})
    with served(items=str(path)) as shop:
        write(path, {"x": 1}, {"item_id": []}, {"item_id": 2, "x": 2})
        until(lambda: shop.client.json("/v1/stats")["items"]["wrong_records"] == 2)
        until(lambda: shop.client.json("/v1/stats")["items"]["with_data"] == 2)
        told = [each for each in shop.told if str(path) in each]
        assert len(told) == 1
        assert told[0].startswith(f"{path}, line 2: there is no 'item_id'")
        metrics = shop.client.ask("GET", "/metrics")[1].decode()
        assert "nextclick_wrong_item_records_total 2.0" in metrics
        assert "nextclick_items_with_data 2.0" in metrics
        assert "nextclick_items_unavailable 0.0" in metrics
        path.unlink()
        until(lambda: shop.client.ask("GET", "/readyz")[0] == 503)
        assert (
            "the items keep the data read before" in shop.client.ask("GET", "/readyz")[1].decode()
        )
        assert shop.client.best(k=3)


def test_being_asked_by_filters_changes_no_figure(file: Path) -> None:
    with served() as plain, served(items=str(file)) as shop:
        for _ in range(3):
            assert shop.client.best(session="old 1", category="hats")
            for each in (plain, shop):
                each.feed(*HISTORY[:64])
        until(lambda: shop.engine.learned == plain.engine.learned)
        figures = [each.engine.figures.results() for each in (plain, shop)]
        assert figures[0] == figures[1]
