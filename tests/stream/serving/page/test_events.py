from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any

import pytest

from nextclick.stream.serving.page import events as module
from nextclick.stream.serving.page.events import MOST_WAITING, Events
from nextclick.stream.serving.page.feed import Feed, Frame
from nextclick.stream.serving.request_queue import BusyError
from tests.stream.serving.asking import CATALOGUE, HISTORY, Client, served, until
from tests.stream.serving.page.listening import NOTHING, listening, put_in

Sent = list[dict[str, Any]]


class Looked(Feed):
    """A feed that counts how often it is asked."""

    def __init__(self) -> None:
        self.looks = self.begun = 0

    def begin(self) -> None:
        self.begun += 1

    def look(self) -> Frame:
        self.looks += 1
        return Frame({"all": self.looks}, {"new": self.looks})


class Listening:
    """A listener whose connection a test holds."""

    def __init__(self, events: Events, method: str = "GET") -> None:
        self.sent: Sent = []
        self.reads = asyncio.Event()
        self.reads.set()
        self._left = asyncio.Event()
        self.task = asyncio.create_task(
            events({"type": "http", "method": method}, self._receive, self._send)
        )

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.reads.wait()
        self.sent.append(dict(message))

    def leave(self) -> None:
        self._left.set()

    @property
    def names(self) -> list[str]:
        bodies = [each["body"] for each in self.sent if each.get("body")]
        return [body.split(b"\n")[0].removeprefix(b"event: ").decode() for body in bodies]


async def wait_until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.002)


@pytest.fixture(autouse=True)
def often(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.01)


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_nothing_is_computed_where_nobody_listens() -> None:
    async def test() -> None:
        feed = Looked()
        events = Events(feed)
        await asyncio.sleep(0.05)
        assert feed.looks == 0
        one = Listening(events)
        await wait_until(lambda: feed.looks > 3)
        one.leave()
        await one.task
        await asyncio.sleep(0.05)
        looks = feed.looks
        await asyncio.sleep(0.1)
        assert feed.looks == looks
        again = Listening(events)
        await wait_until(lambda: "now" in again.names)
        assert feed.begun == 2
        again.leave()

    on_a_loop(test)


def test_who_comes_later_is_sent_the_history_once_and_then_what_all_are_sent() -> None:
    async def test() -> None:
        feed = Looked()
        events = Events(feed)
        listeners = [Listening(events) for _ in range(5)]
        await wait_until(lambda: all(len(each.names) > 3 for each in listeners))
        late = Listening(events)
        await wait_until(lambda: len(late.names) > 3)
        for each in (*listeners, late):
            assert each.names[0] == "history"
            assert set(each.names[1:]) == {"now"}
            assert len(each.names) <= feed.looks + 1
        # The events are the same objects for all: made once.
        last = listeners[0].sent[3]["body"]
        assert all(any(last is sent.get("body") for sent in each.sent) for each in listeners)
        for each in (*listeners, late):
            each.leave()

    on_a_loop(test)


def test_a_slow_listener_is_dropped_and_holds_up_no_other() -> None:
    async def test() -> None:
        events = Events(Looked())
        quick, slow = Listening(events), Listening(events)
        await wait_until(lambda: len(quick.names) > 2 and len(slow.names) > 2)
        slow.reads.clear()
        await wait_until(lambda: slow.task.done())
        assert len(events) == 1
        seen = len(quick.names)
        await wait_until(lambda: len(quick.names) > seen + MOST_WAITING)
        assert not quick.task.done()
        quick.leave()

    on_a_loop(test)


def test_there_is_a_bound_on_listeners_and_who_leaves_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        events = Events(Looked())
        some = [Listening(events) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="close one"):
            await Listening(events).task
        some[0].leave()
        await some[0].task
        another = Listening(events)
        await wait_until(lambda: len(another.names) > 1)
        for each in (*some, another):
            each.leave()

    monkeypatch.setattr(module, "MOST_LISTENERS", 3)
    on_a_loop(test)


def test_an_error_in_one_event_is_logged_once_and_the_next_event_comes(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Looked):
        def look(self) -> Frame:
            frame = super().look()
            if 2 <= self.looks <= 5:
                raise RuntimeError("dictionary changed size")
            return frame

    async def test() -> None:
        one = Listening(Events(Failing()))
        await wait_until(lambda: len(one.names) > 3)
        one.leave()

    on_a_loop(test)
    assert [record.message for record in caplog.records] == [
        "no event could be made: dictionary changed size"
    ]


def test_head_is_answered_without_events() -> None:
    async def test() -> None:
        feed = Looked()
        one = Listening(Events(feed), "HEAD")
        await one.task
        assert [each["type"] for each in one.sent] == ["http.response.start", "http.response.body"]
        assert feed.looks == 0

    on_a_loop(test)


def test_the_history_comes_first_and_then_what_is_new_as_clicks_are_learned() -> None:
    with served() as shop, listening(shop.address) as listener:
        assert listener.response.getheader("content-type", "").startswith("text/event-stream")
        name, whole = listener.next()
        assert name == "history"
        assert whole["stats"]["clicks"] == len(HISTORY)
        assert whole["state"]["ready"]
        curve = put_in(NOTHING, whole["curve"])
        shop.feed(*(("new", item) for item in CATALOGUE * 11))
        until(lambda: shop.engine.learned > len(HISTORY) + 64)
        while curve["points"]["clicks"][-1] <= len(HISTORY):
            name, news = listener.next()
            assert name == "now"
            curve = put_in(curve, news["curve"]) if "curve" in news else curve
        assert news["stats"]["learned"] > len(HISTORY)


def test_no_figure_changes_by_being_watched() -> None:
    clicks = [(f"{at % 9}", CATALOGUE[at * at % 12]) for at in range(640)]

    def results(watching: int) -> dict[str, Any]:
        with ExitStack() as stack:
            shop = stack.enter_context(served())
            for _ in range(watching):
                stack.enter_context(listening(shop.address)).next()
            for start in range(0, len(clicks), 128):
                shop.feed(*clicks[start : start + 128])
            until(lambda: shop.engine.learned == len(HISTORY) + len(clicks))
            return shop.engine.figures.results()

    assert results(5) == results(0)


def test_who_listens_is_told_of_the_end_and_the_server_does_not_wait_for_it() -> None:
    with ExitStack() as stack:
        with served() as shop:
            listener = stack.enter_context(listening(shop.address))
            assert listener.next()[0] == "history"
        while (name := listener.next()[0]) == "now":
            pass
        assert name == "end"
        assert listener.response.read() == b""


def test_a_listener_that_never_reads_is_dropped_and_the_engine_goes_on() -> None:
    with served() as shop:
        host, port = shop.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as mute:
            mute.sendall(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
            with listening(shop.address) as listener:
                for _ in range(20):
                    listener.next()
            shop.feed(("anna", CATALOGUE[0]))
            assert shop.client.json("/v1/recommend?session=anna")["items"]


def test_events_need_the_key_and_the_page_with_its_files_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_KEY", "s3cret")
    with served_with_key() as shop:
        client = Client(shop.address)
        for path, kind in (
            ("/", "text/html"),
            ("/live.js", "text/javascript"),
            ("/live.css", "text/css"),
        ):
            status, content, headers = client.ask("GET", path)
            assert (status, headers["content-type"].split(";")[0]) == (200, kind)
            assert "default-src 'none'" in headers["content-security-policy"]
            # They tell nobody without the key what is served.
            assert b"gru4rec" not in content
        status, content, _ = client.ask("GET", "/v1/events")
        assert (status, b"a key is needed" in content) == (401, True)
        assert client.ask("GET", "/v1/events?key=s3cret")[0] == 401
        client.close()
        with listening(shop.address, authorization="Bearer s3cret") as listener:
            assert listener.next()[0] == "history"


def served_with_key() -> Any:
    return served(api_key="env:SHOP_KEY")
