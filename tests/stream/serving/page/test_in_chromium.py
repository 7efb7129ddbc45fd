from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import DESKTOP, PHONE, Opened, chromium, opened_at
from tests.stream.serving.asking import CATALOGUE, HISTORY, Served, served, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

WICKED = '</script><img src=x onerror="alert(1)"><script>alert(2)</script>'
LONG = "a very long id that goes on and on " * 25
ODD = [WICKED, LONG, "x" * 900, "=1+1", "\u202eright to left", "日本語の商品"]
KEY = "s3cret"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def shop() -> Iterator[Served]:
    with served() as made:
        yield made


@pytest.fixture(scope="module")
def odd_shop() -> Iterator[Served]:
    """An engine whose stream has the ids that nobody expects."""
    with served([(WICKED, ODD[at % len(ODD)]) for at in range(192)]) as made:
        yield made


@pytest.fixture(scope="module")
def new_shop() -> Iterator[Served]:
    """An engine that has read nothing."""
    with served([]) as made:
        yield made


def shadows(count: int, name: str = "vstan") -> dict[str, Any]:
    """Return what an engine tells of shadows and of interleaving."""

    def apart(at: int) -> dict[str, Any]:
        ends = {"difference": 0.01 * (at - 2), "low": 0.01 * (at - 3), "high": 0.01 * (at - 1)}
        return {**ends, "real": abs(at - 2) > 1}

    one = {"recall@20": 0.5123, "mrr@20": 0.2345}
    return {
        "shadows": [
            {
                "model": f"{name} {at}" if at else name,
                "figures": one,
                "differences": {
                    "recall@20": apart(at),
                    "mrr@20": {"difference": 0.001, "low": None, "high": None, "real": False},
                },
            }
            for at in range(count)
        ],
        "interleaved": {
            "model": name,
            "shown": 150,
            "wins": 90,
            "losses": 40,
            "ties": 20,
            "preference": 0.6923,
            "low": 0.61,
            "high": 0.76,
        },
    }


@contextmanager
def watched(browser: Browser, shop: Served, width: int, scheme: str = "light") -> Iterator[Opened]:
    """Open the page of an engine, and wait for its first events."""
    with opened_at(browser, f"{shop.address}/", width, scheme) as found:
        live(found.page)
        yield found


def live(page: Page) -> None:
    page.wait_for_selector("#connection.live")
    page.locator("#heads div").nth(5).wait_for()
    page.locator("#basis:not(:empty)").wait_for()


def eventually(page: Page, true: Callable[[], bool]) -> None:
    """Wait until something holds of a page."""
    until(lambda: true() or page.wait_for_timeout(50))


def inside(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def head(page: Page, name: str) -> str:
    """Return a number of the page by its name."""
    return (
        page.locator("#heads div", has=page.get_by_text(name, exact=True)).locator("b").inner_text()
    )


def listed(page: Page) -> list[str]:
    return page.locator("#list .name").all_text_contents()


def chosen(page: Page) -> list[str]:
    return page.locator("#clicked button").all_text_contents()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("kind", ["one", "shadows", "twelve", "odd", "new"])
def test_the_page_opens_without_complaint_or_foreign_request(
    browser: Browser,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    width: int,
    scheme: str,
) -> None:
    fixture = {"odd": "odd_shop", "new": "new_shop"}.get(kind, "shop")
    shop: Served = request.getfixturevalue(fixture)
    more = {"shadows": shadows(2), "twelve": shadows(12, "gru4rec-retrained-daily")}.get(kind, {})
    stats = shop.service.stats
    monkeypatch.setattr(shop.service, "stats", lambda: stats() | more)
    with watched(browser, shop, width, scheme) as found:
        page = found.page
        if kind != "new":
            page.wait_for_selector(".suggestions button")
            page.locator(".suggestions button").first.click()
            eventually(page, lambda: len(listed(page)) > 1)
        assert inside(page)
        assert page.locator("#shadows tbody tr").count() == len(more.get("shadows", []))
        assert page.locator("#interleaved").is_visible() == bool(more)
        assert found.complaints == []
        assert {url.split("/")[2] for url in found.requests} == {shop.client.host}


def test_numbers_and_curves_move_as_clicks_come(browser: Browser) -> None:
    with served() as shop, watched(browser, shop, DESKTOP) as found:
        page = found.page
        assert head(page, "clicks read") == str(len(HISTORY))
        before = numbers(page)
        assert len(before) > 2
        for part in range(4):
            shop.feed(*((f"{part} {at % 9}", CATALOGUE[at % 12]) for at in range(192)))
            wanted = f"{len(HISTORY) + 192 * (part + 1):,}"
            eventually(page, lambda wanted=wanted: head(page, "clicks read") == wanted)
        eventually(page, lambda: len(numbers(page)) > len(before) + 3)
        after = numbers(page)
        assert int(after[-1]["click"]) == shop.engine.clicks
        assert float(after[-1]["Recall@20"]) > 0
        sliding = shop.engine.figures.sliding()
        assert head(page, "Recall@20") == f"{sliding['recall@20']:.4f}"
        assert head(page, "items") == str(len(CATALOGUE))
        assert found.complaints == []


def numbers(page: Page) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(saved(page, "CSV").decode())))


def saved(page: Page, kind: str) -> bytes:
    with page.expect_download() as download:
        page.get_by_role("button", name=kind, exact=True).click()
    return Path(download.value.path()).read_bytes()


def test_a_page_opened_late_shows_the_whole_curve(browser: Browser, shop: Served) -> None:
    with watched(browser, shop, DESKTOP) as found:
        first = int(numbers(found.page)[0]["click"])
        assert first < 60
        assert saved(found.page, "PNG").startswith(b"\x89PNG")
        assert saved(found.page, "SVG").startswith(b"<svg")
        assert found.complaints == []


def test_alarms_of_drift_are_listed_and_those_of_the_warm_up_are_named(
    browser: Browser, shop: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    rise = {"clicks": 100, "time": 1.4e9, "since": 60, "before": 0.1, "after": 0.4}
    fall = {"clicks": 150, "time": 1.4e9, "since": 120, "before": 0.4, "after": 0.2}
    monkeypatch.setattr(shop.engine.figures.drift, "alarms", [rise, fall])
    with watched(browser, shop, DESKTOP) as found:
        rows = found.page.locator("#alarms tbody tr").all_text_contents()
        assert ["fall" in row for row in rows] == [True, False]
        assert "warm-up" in rows[1]
        assert head(found.page, "drift alarms") == "1"
        assert "hit rate 0.400 → 0.200" in saved(found.page, "SVG").decode()


def test_a_tried_session_answers_and_an_item_of_the_list_continues_it(
    browser: Browser, shop: Served
) -> None:
    with watched(browser, shop, PHONE) as found:
        page = found.page
        page.wait_for_selector(".suggestions button")
        assert page.locator("#basis").inner_text().startswith("Popular items")
        first = page.locator(".suggestions button").first.inner_text()
        page.locator(".suggestions button").first.click()
        eventually(page, lambda: listed(page) == shop.client.best(items=[first], k=10))
        assert page.locator("#basis").inner_text().startswith("By the clicked items")
        second = listed(page)[2]
        page.locator("#list .choose").nth(2).click()
        eventually(page, lambda: listed(page) == shop.client.best(items=[first, second], k=10))
        assert chosen(page) == [first, second]
        page.select_option("#exclude", "session")
        page.fill("#k", "4")
        page.locator("#k").blur()
        best = shop.client.best(items=[first, second], k=4, exclude="session")
        eventually(page, lambda: listed(page) == best)
        page.locator("#clicked button").first.click()
        eventually(page, lambda: chosen(page) == [second])
        page.get_by_role("button", name="Clear").click()
        eventually(page, lambda: "Popular" in page.locator("#basis").inner_text())
        assert found.complaints == []


def test_a_session_of_the_stream_is_asked_for_by_its_id(browser: Browser, shop: Served) -> None:
    with watched(browser, shop, DESKTOP) as found:
        page = found.page
        page.get_by_label("a session of the stream").check()
        page.get_by_label("Id of the session").fill("old 3")
        page.keyboard.press("Enter")
        eventually(page, lambda: listed(page) == shop.client.best(session="old 3", k=10))
        assert page.locator("#basis").inner_text().startswith("By the session’s clicks")


def test_the_keyboard_alone_tries_a_session(browser: Browser, shop: Served) -> None:
    with watched(browser, shop, DESKTOP) as found:
        page = found.page
        page.get_by_label("Id of a clicked item").focus()
        for item in CATALOGUE[:2]:
            page.keyboard.type(item)
            page.keyboard.press("Enter")
        eventually(page, lambda: listed(page) == shop.client.best(items=CATALOGUE[:2], k=10))
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.classList.contains('choose')"):
                break
        third = listed(page)[0]
        page.keyboard.press("Enter")
        eventually(page, lambda: chosen(page) == [*CATALOGUE[:2], third])


def test_every_control_has_a_name(browser: Browser, shop: Served) -> None:
    with watched(browser, shop, DESKTOP) as found:
        found.page.wait_for_selector(".suggestions button")
        unnamed = found.page.evaluate(
            """() => [...document.querySelectorAll("input, select, button, a")].filter(one =>
              !one.labels?.length && !one.textContent.trim() && !one.ariaLabel
            ).map(one => one.outerHTML)"""
        )
        assert unnamed == []


def test_an_error_is_shown_as_the_sentence_of_the_api(browser: Browser, shop: Served) -> None:
    with watched(browser, shop, DESKTOP) as found:
        page = found.page
        page.get_by_label("a session of the stream").check()
        page.evaluate("document.getElementById('session').maxLength = 9999")
        page.get_by_label("Id of the session").fill("x" * 2000)
        page.get_by_role("button", name="Recommend").click()
        status, content, _ = shop.client.ask(
            "POST", "/v1/recommend", json.dumps({"session": "x" * 2000}).encode()
        )
        sentence = json.loads(content)["error"]
        assert status == 400
        eventually(page, lambda: page.locator("#basis.wrong").inner_text() == sentence)
        assert listed(page) == []


def test_ids_of_the_stream_are_shown_as_text(browser: Browser, odd_shop: Served) -> None:
    with watched(browser, odd_shop, DESKTOP) as found:
        page = found.page
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        page.wait_for_selector(".suggestions button")
        page.get_by_label("Id of a clicked item").fill(WICKED)
        page.keyboard.press("Enter")
        eventually(page, lambda: chosen(page) == [WICKED])
        page.select_option("#exclude", "none")
        eventually(page, lambda: WICKED in listed(page))
        assert sorted(listed(page)) == sorted(ODD)
        assert page.locator("main script, main img, header img").count() == 0
        assert found.complaints == []


def test_an_item_is_shown_with_its_data_and_no_other_machine_is_asked(
    browser: Browser, shop: Served
) -> None:
    dot = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    items = [
        {"item": 1, "score": 0.5, "title": "Blue shoes", "picture": dot, "category": "shoes",
         "url": "https://shop.example/1", "price": 3.5},
        {"item": 2, "score": 0.25, "title": WICKED, "picture": "https://shop.example/2.png",
         "url": "javascript:alert(3)", "category": None},
        {"item": 3, "score": 0, "picture": "👟", "title": 7},
        {"item": 4, "score": -1.5, "picture": [1], "url": "data:text/html,x"},
    ]  # fmt: skip

    def answer(route: Route) -> None:
        model = {"clicks": 5, "behind_clicks": 2, "behind_seconds": 0.1}
        route.fulfill(json={"items": items, "from": "items", "model": model})

    with opened_at(browser, "about:blank", DESKTOP) as found:
        page = found.page
        page.route("**/v1/recommend", answer)
        page.goto(f"{shop.address}/")
        live(page)
        assert listed(page) == ["Blue shoes", WICKED, "3", "4"]
        assert page.locator("#list img").count() == 1
        assert page.locator("#list .more").first.inner_text() == "1 · category: shoes · price: 3.5"
        assert [one.get_attribute("href") for one in page.locator("#list a").all()] == [
            "https://shop.example/1"
        ]
        assert page.locator("#list span.picture").all_text_contents() == ["👟"]
        page.locator("#list .choose").first.click()
        eventually(page, lambda: chosen(page) == ["Blue shoes"])
        assert {url.split("/")[2] for url in found.requests} == {shop.client.host}
        assert found.complaints == []


def test_the_page_tells_of_a_lost_connection_and_goes_on_when_the_server_is_back(
    browser: Browser,
) -> None:
    with ExitStack() as stack:
        with served() as shop:
            port = shop.client.host.split(":")[1]
            found = stack.enter_context(opened_at(browser, f"{shop.address}/", DESKTOP))
            live(found.page)
        found.page.wait_for_selector("#connection.lost")
        assert "trying again" in found.page.locator("#connection").inner_text()
        with served([*HISTORY, *HISTORY], serve=port):
            found.page.wait_for_selector("#connection.live")
            eventually(found.page, lambda: head(found.page, "clicks read") == "384")
            assert len(numbers(found.page)) > 4


def test_where_a_key_is_needed_the_page_asks_for_it_and_never_puts_it_into_an_address(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", KEY)
    with (
        served(api_key="env:SHOP_KEY") as shop,
        opened_at(browser, f"{shop.address}/", PHONE) as found,
    ):
        page = found.page
        page.wait_for_selector("#key:not([hidden])")
        assert inside(page)
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("This key is wrong").wait_for()
        page.get_by_label("The server requires a key").fill(KEY)
        page.get_by_role("button", name="Use this key").click()
        live(page)
        assert not page.locator("#key").is_visible()
        page.wait_for_selector(".suggestions button")
        page.reload()
        live(page)
        assert KEY not in page.url
        assert not any(KEY in url for url in found.requests)
        assert KEY not in page.content()
