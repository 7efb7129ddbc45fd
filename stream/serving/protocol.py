"""uvicorn's HTTP protocol, with bounds on what a client may keep waiting."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 1 << 16
"""Bytes of a request's first line and headers at most."""

LARGEST_MESSAGE = 8 << 20
"""Bytes of a request in all at most, those that frame its chunks and come after its body too."""

MOST_CONNECTIONS = 900
"""Connections at a time; more are closed at once. A process may often open 1,024 files."""

SLOWEST_READ = 30.0
"""Seconds that a client may leave an answer unread that does not fit into the buffers."""

HEAD_SECONDS = 10.0
"""How long a request's first line and headers may take to come, also on a new connection."""

TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"content-length: 46\r\nconnection: close\r\n\r\n"
    b'{"error":"the headers are larger than 64 KiB"}'
)


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections on which a request's head grows or takes too long."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._bytes = 0
        self._in_head = True
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_longer()
        self._read_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what a client sends."""
        if self._in_head and self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)
        self._bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._bytes > LARGEST_HEAD:
            self.transport.write(TOO_LARGE)
            self.transport.close()
        elif self._bytes > LARGEST_MESSAGE:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Go on with a request whose headers are there."""
        self._in_head, self._bytes = False, 0
        self._wait_no_longer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request: what comes next is the head of another."""
        super().on_message_complete()
        self._in_head, self._bytes = True, 0

    def pause_writing(self) -> None:
        """Wait for a client to read on, but not for ever."""
        super().pause_writing()
        self._unread = self.loop.call_later(SLOWEST_READ, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        self._read_on()
        super().resume_writing()

    def _read_on(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _wait_no_longer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
