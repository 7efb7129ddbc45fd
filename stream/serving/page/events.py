"""``/v1/events``: what happens, as server-sent events."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool

from ..request_queue import BusyError
from ..responses import NO_STORE, Receive, Scope, Send
from .feed import Feed, Frame

MOST_LISTENERS = 100
"""Who may listen at a time; more are turned away."""

MOST_WAITING = 8
"""Events that may wait for a listener; who lets more wait is dropped."""

EVERY_SECONDS = 1.0
"""How often there is an event, while anybody listens."""

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    NO_STORE,
    # Proxies are not to keep events back until there are many.
    (b"x-accel-buffering", b"no"),
)

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


class Events:
    """The endpoint, as an ASGI application; all of it runs on the server's loop.

    A listener is sent the whole history first, as the event ``history``, and then about one event
    ``now`` a second, with what has changed. Each event is made once for all listeners; without
    one there are none.

    Parameters
    ----------
    feed
        What the events are made of.

    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._listeners: set[_Listener] = set()
        self._publishing: asyncio.Task[None] | None = None
        self._latest: Frame | None = None
        self._history: bytes | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    def __len__(self) -> int:
        """Return how many listen."""
        return len(self._listeners)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the listener leaves or is dropped, or the server ends."""
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
            await send({"type": "http.response.body", "body": b""})
            return
        if self._ended:
            raise BusyError("the server is ending")
        if len(self._listeners) >= MOST_LISTENERS:
            raise BusyError(f"{MOST_LISTENERS} pages are watching already: close one of them")
        self._loop = asyncio.get_running_loop()
        listener = _Listener(send)
        self._listeners.add(listener)
        if self._latest is not None:
            listener.offer(self._history_of(self._latest))
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._publish())
        leaving = asyncio.create_task(_wait_until_gone(receive))
        try:
            await asyncio.wait((listener.writing, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._listeners.discard(listener)
            listener.writing.cancel()
            leaving.cancel()
            await asyncio.gather(listener.writing, leaving, return_exceptions=True)

    async def _publish(self) -> None:
        """Make events as long as anybody listens."""
        self._feed.begin()
        told = ""
        try:
            while self._listeners and not self._ended:
                try:
                    self._send_to_all(await run_in_threadpool(self._feed.look))
                except Exception as error:  # The next one may be made again.
                    if str(error) != told:
                        log.error("no event could be made: %s", error, exc_info=error)
                    told = str(error)
                await asyncio.sleep(EVERY_SECONDS)
        finally:
            self._publishing = self._latest = self._history = None

    def _send_to_all(self, frame: Frame) -> None:
        self._latest, self._history = frame, None
        news = _event("now", frame.news)
        for listener in tuple(self._listeners):
            listener.offer(news if listener.begun else self._history_of(frame))

    def _history_of(self, frame: Frame) -> bytes:
        """Return the event with all of a frame, made once for all who begin to listen."""
        if self._history is None:
            self._history = _event("history", frame.whole)
        return self._history

    def close(self) -> None:
        """End in good order: all listeners are told, and no more are taken; from any thread."""
        self._ended = True
        if self._loop is not None:
            with suppress(RuntimeError):  # The server has ended.
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        for listener in tuple(self._listeners):
            listener.offer(_event("end", {}))
            listener.offer(None)


class _Listener:
    """Who listens, and the events that it has not been sent yet."""

    def __init__(self, send: Send) -> None:
        self.begun = False
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_WAITING)
        self.writing = asyncio.create_task(self._write(send))

    def offer(self, event: bytes | None) -> None:
        """Send an event in its turn, None for the last; drop the listener if it is too slow."""
        self.begun = True
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self.writing.cancel()

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        while (event := await self._waiting.get()) is not None:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(name: str, content: Any) -> bytes:
    """Return an event as it goes out; JSON has no line breaks."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _encode(content))
