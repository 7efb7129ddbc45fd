"""The HTTP server, on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn

from ..config.options import ConfigError
from .app import Access, Endpoint, Service, make_app
from .protocol import BoundedProtocol

SWITCH_SECONDS = 0.0005
"""How soon a thread that computes in Python gives way to one that waits: ten times as soon as
usual, as a request waits several times for its turn."""

START_SECONDS = 30.0

END_SECONDS = 5
"""How long requests under way may take when the server ends."""


@contextmanager
def serve(
    service: Service,
    host: str,
    port: int,
    access: Access,
    more: Sequence[Endpoint] = (),
    option: str = "--serve",
) -> Iterator[str]:
    """Serve while the context lasts.

    Parameters
    ----------
    service
        What is served.
    host, port
        Where; port 0 is any free one.
    access
        Who may ask.
    more
        Paths besides those that every service has.
    option
        What the place was named by, for the message.

    Yields
    ------
    str
        The address.

    Raises
    ------
    ConfigError
        The host or port cannot be had.

    """
    listening = _listen(host, port, option)
    server = _Server(service, access, more)
    thread = threading.Thread(target=server.run, args=([listening],), name="serve", daemon=True)
    switching = sys.getswitchinterval()
    sys.setswitchinterval(min(switching, SWITCH_SECONDS))
    thread.start()
    try:
        server.wait_until_begun(thread)
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        sys.setswitchinterval(switching)


class _Server(uvicorn.Server):
    """uvicorn, whose requests go to a service."""

    def __init__(self, service: Service, access: Access, more: Sequence[Endpoint]) -> None:
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
            # What it says of wrong requests is of no use, and they may be many.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        super().__init__(
            uvicorn.Config(
                make_app(service, access, more),
                http=BoundedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=END_SECONDS,
            )
        )
        self._service = service
        self._begun = threading.Event()
        self._sweeper: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        self._service.queue.begin(asyncio.get_running_loop())
        self._sweeper = asyncio.create_task(self._sweep())
        await super().startup(sockets)
        self._begun.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End in good order."""
        await super().shutdown(sockets)
        self._service.queue.end()
        if self._sweeper is not None:
            self._sweeper.cancel()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._service.queue.give_up_old()

    def wait_until_begun(self, thread: threading.Thread) -> None:
        """Return when requests are taken."""
        while not self._begun.wait(0.1):
            if not thread.is_alive():
                raise ConfigError("the HTTP server could not be started")


def _listen(host: str, port: int, option: str) -> socket.socket:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"{option} {host}:{port} cannot be opened: {error.strerror}; give another port, or "
            "another host"
        ) from error
    return listening
