from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import DESKTOP, PHONE, opened_at
from tests.stream.serving.asking import CATALOGUE, HISTORY, Served, served
from tests.stream.serving.page.watching import (
    eventually,
    head,
    inside,
    listed,
    live,
    numbers,
    saved,
    watched,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

KEY = "s3cret"


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
                "scored": 12_345,
                "seconds_per_click": 0.00042,
                "dropped": {"clicks": 9_000} if at == 1 else None,
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
        shown = len(more.get("shadows", []))
        eventually(page, lambda: page.locator("#shadows tbody tr").count() == shown)
        eventually(page, lambda: page.locator("#interleaved").is_visible() == bool(more))
        if more:
            rows = page.locator("#shadows tbody th").all_text_contents()
            assert "12,345 scored clicks, 0.42 ms/click" in rows[0]
            assert [at for at, row in enumerate(rows) if "dropped at click 9,000" in row] == [1]
        assert found.complaints == []
        assert {url.split("/")[2] for url in found.requests} == {shop.client.host}


@pytest.mark.parametrize(
    ("found", "kind", "shown"),
    [
        ({"preference": 0.6, "low": 0.55, "high": 0.65}, "ahead", "0.55"),
        ({"preference": 0.4, "low": 0.35, "high": 0.45}, "behind", "0.45"),
        ({"preference": 0.6, "low": 0.4, "high": 0.8}, "chance", "0.80"),
        ({"preference": 0.6, "low": None, "high": None}, "chance", "too few"),
        ({"preference": None, "low": None, "high": None}, "chance", "too few"),
    ],
)
def test_a_preference_is_called_so_only_where_its_interval_tells_one(
    browser: Browser,
    shop: Served,
    monkeypatch: pytest.MonkeyPatch,
    found: dict[str, Any],
    kind: str,
    shown: str,
) -> None:
    counts = {"model": "vstan", "shown": 0, "wins": 0, "losses": 0, "ties": 0}
    stats = shop.service.stats
    monkeypatch.setattr(shop.service, "stats", lambda: stats() | {"interleaved": counts | found})
    with watched(browser, shop, DESKTOP) as opened:
        cell = opened.page.locator("#interleaved tbody td").first
        eventually(opened.page, lambda: cell.get_attribute("class") == kind)
        eventually(opened.page, lambda: shown in cell.inner_text())


def test_numbers_and_curves_move_as_clicks_come(browser: Browser) -> None:
    with served() as shop, watched(browser, shop, DESKTOP) as found:
        page = found.page
        assert head(page, "clicks read") == str(len(HISTORY))
        before = numbers(page)
        assert len(before) > 2
        for part in range(4):
            shop.feed(*((f"{part} {at % 9}", CATALOGUE[at % 12]) for at in range(192)))
            wanted = f"{len(HISTORY) + 192 * (part + 1):,}"
            page.locator("#heads b", has_text=wanted).wait_for()
        eventually(page, lambda: len(numbers(page)) > len(before) + 3)
        after = numbers(page)
        assert int(after[-1]["click"]) == shop.engine.clicks
        assert float(after[-1]["Recall@20"]) > 0
        sliding = shop.engine.figures.sliding()
        assert head(page, "Recall@20") == f"{sliding['recall@20']:.4f}"
        assert head(page, "items") == str(len(CATALOGUE))
        assert found.complaints == []


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
        told = found.page.locator("#alarms tbody tr")
        eventually(found.page, lambda: told.count() == 2)
        rows = told.all_text_contents()
        assert ["fall" in row for row in rows] == [True, False]
        assert "warm-up" in rows[1]
        assert head(found.page, "drift alarms") == "1"
        assert "hit rate 0.400 → 0.200" in saved(found.page, "SVG").decode()


def test_every_control_has_a_name(browser: Browser, shop: Served) -> None:
    with watched(browser, shop, DESKTOP) as found:
        found.page.wait_for_selector(".suggestions button")
        unnamed = found.page.evaluate(
            """() => [...document.querySelectorAll("input, select, button, a")].filter(one =>
              !one.labels?.length && !one.textContent.trim() && !one.ariaLabel
            ).map(one => one.outerHTML)"""
        )
        assert unnamed == []


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
        assert not page.locator("main").is_visible()
        page.keyboard.type("ключ")
        page.keyboard.press("Enter")
        page.get_by_text("A key consists of ASCII").wait_for()
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
