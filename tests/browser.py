"""Pages opened in a real Chromium, where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")

DESKTOP, PHONE = 1280, 390
"""Widths of the window."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium; skip the test, with the reason, where it is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with api.sync_playwright() as playwright:
        # Whoever is root in a container cannot have Chromium's own sandbox.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """An open page, and what it should not have done."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """What it wrote to the console, and errors that nothing caught."""
    requests: list[str] = field(default_factory=list)
    """What it asked for besides itself."""


@contextmanager
def opened(browser: Browser, path: Path, width: int, scheme: str = "light") -> Iterator[Opened]:
    """Open a file with a chart in a window of this width, as a phone has it where it is narrow."""
    with opened_at(browser, path.resolve().as_uri(), width, scheme) as found:
        found.page.wait_for_function("document.querySelector('#chart .plot > *') !== null")
        yield found


@contextmanager
def opened_at(browser: Browser, url: str, width: int, scheme: str = "light") -> Iterator[Opened]:
    """Open an address."""
    phone = width < 600
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        is_mobile=phone,
        has_touch=phone,
    )
    try:
        page = context.new_page()
        found = Opened(page)

        def note(asked: str) -> None:
            if asked != url and not asked.startswith("data:"):
                found.requests.append(asked)

        page.on("console", lambda message: found.complaints.append(message.text))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.on("request", lambda request: note(request.url))
        page.goto(url)
        yield found
    finally:
        context.close()
