from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.browser import DESKTOP, PHONE, opened_at
from tests.stream.serving.asking import CATALOGUE, Served, served
from tests.stream.serving.page.watching import (
    ODD,
    WICKED,
    chosen,
    eventually,
    listed,
    live,
    watched,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route


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


def test_commas_separate_typed_ids_and_quotes_keep_one_whole(
    browser: Browser, shop: Served
) -> None:
    with watched(browser, shop, DESKTOP) as found:
        page = found.page
        for typed, items in (
            (f" {CATALOGUE[0]} ,, {CATALOGUE[1]},", CATALOGUE[:2]),
            ('"a, b"', [*CATALOGUE[:2], "a, b"]),
        ):
            page.get_by_label("Ids of clicked items").fill(typed)
            page.keyboard.press("Enter")
            eventually(page, lambda items=items: chosen(page) == items)  # type: ignore[misc]
        eventually(page, lambda: listed(page) == shop.client.best(items=chosen(page), k=10))


def test_the_keyboard_alone_tries_a_session(browser: Browser, shop: Served) -> None:
    with watched(browser, shop, DESKTOP) as found:
        page = found.page
        page.get_by_label("Ids of clicked items").focus()
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
        best = shop.client.best(items=chosen(page), k=10)
        eventually(page, lambda: listed(page) == best)
        page.keyboard.press("Enter")
        eventually(page, lambda: chosen(page) == [*CATALOGUE[:2], third, best[0]])


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
        page.get_by_label("Ids of clicked items").fill(WICKED)
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


def test_an_id_that_is_a_larger_number_than_javascript_has_is_kept_exactly(
    browser: Browser,
) -> None:
    large = 9_007_199_254_740_993
    with (
        served([("a", large + at % 3) for at in range(192)]) as shop,
        watched(browser, shop, DESKTOP) as found,
    ):
        page = found.page
        page.wait_for_selector(".suggestions button")
        assert sorted(listed(page)) == [str(large + at) for at in range(3)]
        page.get_by_text(str(large), exact=True).first.click()
        eventually(page, lambda: page.locator("#basis").inner_text().startswith("By the"))
        others = [str(one) for one in shop.client.best(items=[large], k=10)]
        eventually(page, lambda: listed(page) == others)
