"""The example of a shop: its files fit together, and its page shows lists live."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from nextclick.stream.config.run import RunConfig
from tests.browser import DESKTOP, PHONE, chromium, opened_at

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

SHOP = Path(__file__).parents[2] / "examples" / "shop"
API = "http://localhost:8080"
WAIT = 240.0
"""Seconds that the engine may take to begin on a busy machine, its loops compiled."""


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SHOP / name).read_text().splitlines()]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a folder until the context ends."""
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def answered(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until an address answers with success."""
    deadline = time.monotonic() + WAIT
    while True:
        assert process.poll() is None, f"{process.args!r} has ended with {process.returncode}"
        try:
            with urlopen(url, timeout=10):
                return
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.1)


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running(command, folder) as process:
        answered(f"http://localhost:{port}/", process)
        yield f"http://localhost:{port}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the shop, with a page that waits as long for its lists as a busy machine needs."""
    copied = tmp_path / "shop"
    shutil.copytree(SHOP, copied)
    page = (copied / "index.html").read_text()
    assert page.count("const PATIENCE = 500;") == 1
    (copied / "index.html").write_text(page.replace("PATIENCE = 500", "PATIENCE = 120000"))
    return copied


def listed(page: Page) -> list[str]:
    return [str(one.get_attribute("data-item")) for one in page.locator("#liked button").all()]


def test_every_click_of_the_history_is_on_a_product_and_every_product_was_clicked() -> None:
    items, clicks = rows("items.jsonl"), rows("clicks.jsonl")
    assert len(items) == len({each["item_id"] for each in items}) == 60
    assert {each["item_id"] for each in clicks} == {each["item_id"] for each in items}
    times = [each["timestamp"] for each in clicks]
    assert times == sorted(times)
    assert all(each["picture"].startswith("data:image/svg+xml,") for each in items)


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_each_click_is_sent_and_the_list_follows_it(
    browser: Browser, folder: Path, width: int
) -> None:
    sent: list[tuple[str, Any]] = []
    orders = [("green-bag", "red-hat"), ("blue-mug", "red-hat", "not in the shop")]

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(API)
        body: Any = route.request.post_data_json
        sent.append((path, body))
        headers = {"access-control-allow-origin": "*"}
        if path == "/v1/clicks":
            return route.fulfill(json={"recorded": 1, "repeated": 0}, headers=headers)
        items = orders[min(len(body["items"]), 1)]
        content = {
            "items": [{"item": one, "score": 0.1} for one in items],
            "from": "items" if body["items"] else "popular",
            "model": {"clicks": 2000, "behind_clicks": 0, "behind_seconds": 1.0},
        }
        return route.fulfill(json=content, headers=headers)

    with web_server(folder) as address, opened_at(browser, "about:blank", width) as found:
        page = found.page
        page.route(f"{API}/**", answer)
        page.goto(address)
        page.wait_for_selector("#liked [data-item=green-bag]")
        page.locator("#basis:not(:empty)").wait_for()
        assert listed(page) == ["green-bag", "red-hat"]
        assert page.locator("#all button").count() == 60
        page.locator("#liked button").nth(1).click()
        page.wait_for_selector("#liked [data-item=blue-mug]")
        assert listed(page) == ["blue-mug", "red-hat"]
        (click,) = (body for path, body in sent if path == "/v1/clicks")
        assert (click["item_id"], click["session_id"][:4]) == ("red-hat", "you-")
        assert click["event_id"]
        assert page.locator("#seen").inner_text().startswith("Red hat")
        assert sent[-1][1]["items"] == ["red-hat"]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name="Come as another visitor").click()
        page.wait_for_selector("#liked [data-item=green-bag]")
        assert found.complaints == []


def test_without_an_engine_the_page_shows_products_and_says_why(browser: Browser) -> None:
    with web_server(SHOP) as address, opened_at(browser, "about:blank", DESKTOP) as found:
        found.page.goto(f"{address}/?api=http://localhost:{free_port()}")
        found.page.locator("#basis:not(:empty)").wait_for()
        assert "no list of yours" in found.page.locator("#basis").inner_text()
        assert len(listed(found.page)) == 6


def commands() -> list[list[str]]:
    """Return the commands of the README, as words."""
    (block,) = re.findall(r"```sh\n(.*?)```", (SHOP / "README.md").read_text(), re.DOTALL)
    return [shlex.split(line) for line in block.splitlines()]


@pytest.mark.skipif(
    importlib.util.find_spec("nextclick.stream.serving.clicks") is None
    or "items" not in RunConfig.__struct_fields__,
    reason="this version takes no clicks over HTTP, or no data of items",
)
def test_the_two_commands_of_the_readme_run_the_shop(browser: Browser, folder: Path) -> None:
    api, web = free_port(), free_port()
    ports = {"8080": str(api), "8000": str(web), "http://localhost:8000": f"http://localhost:{web}"}
    engine, server = ([ports.get(word, word) for word in words] for words in commands())
    engine[:1] = [sys.executable, "-m", "nextclick"]
    server[:1] = [sys.executable]
    with ExitStack() as stack:
        process = stack.enter_context(running(engine, folder))
        answered(f"http://localhost:{web}/", stack.enter_context(running(server, folder)))
        answered(f"http://localhost:{api}/readyz", process)
        address = f"http://localhost:{web}/?api=http://localhost:{api}"
        found = stack.enter_context(opened_at(browser, "about:blank", DESKTOP))
        page = found.page
        learned(api, 1900)
        page.goto(address)
        page.locator("#basis", has_text="has learned").wait_for()
        before = listed(page)
        page.locator("#all [data-item=green-lamp]").click()
        # As the visitors of the history: the next colour, or the same colour of the next category.
        page.wait_for_selector("#liked [data-item=teal-lamp]")
        assert listed(page) != before
        assert "green-cushion" in listed(page)
        page.locator("#liked [data-item=teal-lamp]").click()
        page.wait_for_selector("#liked [data-item=blue-lamp]")
        visitor = page.locator("#visitor").inner_text()
        while len(posted(folder, visitor)) < 2:
            page.wait_for_timeout(100)
        assert posted(folder, visitor) == ["green-lamp", "teal-lamp"]
        assert stats(api)["late"] == stats(api)["ahead"] == 0
        assert found.complaints == []


def stats(port: int) -> Any:
    with urlopen(f"http://localhost:{port}/v1/stats", timeout=10) as response:
        return json.load(response)


def learned(port: int, clicks: int) -> None:
    deadline = time.monotonic() + WAIT
    while stats(port)["learned"] < clicks:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def posted(folder: Path, visitor: str) -> list[str]:
    """Return the items of a visitor's clicks in the log."""
    lines = (folder / "clicks.jsonl").read_text().splitlines()[2000:]
    clicks = [json.loads(line) for line in lines]
    return [each["item_id"] for each in clicks if each["session_id"] == visitor]
