"""Opens the live page in Chromium, and reads what it shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser import Opened, opened_at
from tests.stream.serving.asking import Served, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WICKED = '</script><img src=x onerror="alert(1)"><script>alert(2)</script>'
LONG = "a very long id that goes on and on " * 25
ODD = [WICKED, LONG, "x" * 900, "=1+1", "\u202eright to left", "日本語の商品"]


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

    def look() -> bool:
        page.wait_for_timeout(20)
        return true()

    until(look)


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


def numbers(page: Page) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(saved(page, "CSV").decode())))


def saved(page: Page, kind: str) -> bytes:
    with page.expect_download() as download:
        page.get_by_role("button", name=kind, exact=True).click()
    return Path(download.value.path()).read_bytes()
