"""The live page at ``/``: its files, which hold no data, and the events that fill it."""

from __future__ import annotations

from ...report.live_page import live_html, live_script, live_style
from ..app import Endpoint
from ..openapi import plain_operation
from ..responses import Header, Receive, Scope, Send, send_bytes
from .events import Events
from .feed import Feed, Watched

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a browser allows the page: to load from this server, and from nowhere else."""

HEADERS: tuple[Header, ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class LivePage:
    """The page of what is served.

    Parameters
    ----------
    watched
        What the page shows.

    Attributes
    ----------
    endpoints
        Its paths.

    """

    def __init__(self, watched: Watched) -> None:
        self._events = Events(Feed(watched))
        described = plain_operation(
            "What the live page shows, as server-sent events",
            [(200, "The event history first, then about one event now a second.")],
            "text/event-stream",
        )
        self.endpoints = [
            # A browser has no key for the first three; they hold no data.
            _file("/", live_html(), "text/html"),
            _file("/live.js", live_script(), "text/javascript"),
            _file("/live.css", live_style(), "text/css"),
            Endpoint("/v1/events", self._events, operations=described),
        ]

    def close(self) -> None:
        """End the events, so that the server need not wait for those who follow them."""
        self._events.close()


def _file(path: str, content: bytes, kind: str) -> Endpoint:
    content_type: Header = (b"content-type", f"{kind}; charset=utf-8".encode())

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send_bytes(send, content, 200, content_type, *HEADERS)

    return Endpoint(path, answer, needs_key=False)
