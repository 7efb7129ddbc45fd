"""What watches a running engine asks it by HTTP: its figures, and whether its loop is alive."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from ..config.options import ConfigError
from ..engine import Engine
from .prometheus import registry

STALLED_SECONDS = 120.0
"""A loop that has been in one phase for longer is not alive. The first batch of a machine's first
run waits for loops to be compiled: half a minute, more where little of a core is left."""

Start = Callable[[str, list[tuple[str, str]]], Any]


def health(engine: Engine, now: float | None = None) -> tuple[bool, str]:
    """Return whether an engine's loop is alive, and its state in a few words.

    Parameters
    ----------
    engine
        The engine.
    now
        The moment, by `time.monotonic`; by default this one.

    """
    phases = engine.phases
    if phases.state == "stopped":
        return False, "the loop has stopped"
    passed = (time.monotonic() if now is None else now) - phases.since
    if passed > STALLED_SECONDS:
        where = f"in its phase {phases.phase}" if phases.phase else f"while it is {phases.state}"
        return False, f"the loop has not moved for {passed:,.0f} seconds, {where}"
    return True, f"ok: the loop is {phases.state}, {engine.clicks:,} clicks"


def application(engine: Engine) -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """Return the WSGI application with ``/metrics`` and ``/healthz``."""
    metrics = make_wsgi_app(registry(engine))

    def answer(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == "/metrics":
            return metrics(environ, start)  # type: ignore[no-any-return]
        if path != "/healthz":
            status, text = "404 Not Found", "the paths are /metrics and /healthz"
        elif method not in ("GET", "HEAD"):
            status, text = "405 Method Not Allowed", "use GET"
        else:
            alive, text = health(engine)
            status = "200 OK" if alive else "503 Service Unavailable"
        body = f"{text}\n".encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        start(status, headers)
        return [] if method == "HEAD" else [body]

    return answer


@contextmanager
def serve(engine: Engine, port: int, address: str = "127.0.0.1") -> Iterator[str]:
    """Serve ``/metrics`` and ``/healthz`` while the context lasts.

    Parameters
    ----------
    engine
        The engine, with its snapshot restored.
    port
        Where; 0 is any free one.
    address
        The network interface; by default it is reached from this machine only.

    Yields
    ------
    str
        The address of the metrics.

    Raises
    ------
    ConfigError
        The port or the address cannot be had.

    """
    try:
        family, _, _, _, place = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        kind: type[WSGIServer] = type("Server", (_Server,), {"address_family": family})
        server: WSGIServer = make_server(str(place[0]), port, application(engine), kind, _Quiet)
    except OSError as error:
        raise ConfigError(
            f"--metrics-port {port}: {address}:{port} cannot be opened: {error.strerror}; give "
            "another port, or another --metrics-address"
        ) from error
    thread = Thread(target=server.serve_forever, name="monitor", daemon=True)
    thread.start()
    try:
        host = f"[{address}]" if ":" in address else address
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request: one that hangs holds up no other."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Writes no request to the terminal."""

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Log nothing."""
