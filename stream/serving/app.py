"""The application: its routes, and who may add to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, Router

from ..recommendations.item_follower import FollowedItems
from .guard import Guard
from .meter import Meter
from .openapi import document, plain_operation, recommend_operations
from .recommend import Recommend
from .request_queue import RequestQueue
from .responses import App, Receive, Scope, Send, send_bytes, send_json

TEXT = (b"content-type", b"text/plain; charset=utf-8")


class Service(Protocol):
    """What is served: an engine, or its snapshots."""

    queue: RequestQueue
    items: FollowedItems | None
    registry: CollectorRegistry

    def ready(self) -> tuple[bool, str]:
        """Return whether requests are answered as they should be, and the state in a few words."""
        ...

    def stats(self) -> dict[str, Any]:
        """Return figures, in JSON's types."""
        ...


class Endpoint(NamedTuple):
    """A path of the interface.

    Parameters
    ----------
    path
        Its path, as starlette writes it.
    app
        What answers there: an ASGI application.
    methods
        The methods that it takes.
    operations
        Its description, as OpenAPI has it under the path; None: it is not described.
    needs_key
        Whether it needs the key, where there is one.

    """

    path: str
    app: App
    methods: Sequence[str] = ("GET",)
    operations: dict[str, Any] | None = None
    needs_key: bool = True


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Parameters
    ----------
    key
        What requests must bring; None: nothing.
    origins
        Pages of which origins may ask from a browser.

    """

    key: str | None = None
    origins: Sequence[str] = ()


def make_app(service: Service, access: Access, more: Sequence[Endpoint] = ()) -> App:
    """Return the application.

    Parameters
    ----------
    service
        What is served.
    access
        Who may ask.
    more
        Further paths.

    """
    meter = Meter(service.registry)
    endpoints = [*_endpoints(service), *more]
    paths = {one.path: one.operations for one in endpoints if one.operations is not None}
    described = document(paths, access.key is not None)

    async def openapi(scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, described)

    endpoints.append(Endpoint("/openapi.json", openapi))
    known = {one.path for one in endpoints}

    def observe(path: str, status: int, seconds: float) -> None:
        meter.observe(path if path in known else "other", status, seconds)

    routes = [Route(one.path, _Asgi(one.app), methods=list(one.methods)) for one in endpoints]
    keyless = {one.path for one in endpoints if not one.needs_key}
    app: App = Guard(Router(routes, redirect_slashes=False), access.key, keyless, observe)
    if access.origins:
        app = CORSMiddleware(
            app,
            allow_origins=list(access.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-api-key", "x-request-id"],
            expose_headers=["x-request-id"],
        )
    return app


def _endpoints(service: Service) -> list[Endpoint]:
    async def healthz(scope: Scope, receive: Receive, send: Send) -> None:
        await send_bytes(send, b"ok\n", 200, TEXT)

    async def readyz(scope: Scope, receive: Receive, send: Send) -> None:
        ready, words = service.ready()
        await send_bytes(send, f"{words}\n".encode(), 200 if ready else 503, TEXT)

    async def stats(scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, await run_in_threadpool(service.stats))

    async def metrics(scope: Scope, receive: Receive, send: Send) -> None:
        page = await run_in_threadpool(generate_latest, service.registry)
        await send_bytes(send, page, 200, (b"content-type", CONTENT_TYPE_LATEST.encode()))

    ready = [(200, "It is."), (503, "Not ready; the text says why.")]
    json, text = "application/json", "text/plain"
    recommend = Recommend(service.queue, service.items)
    return [
        Endpoint("/v1/recommend", recommend, ("GET", "POST"), recommend_operations()),
        Endpoint(
            "/v1/stats",
            stats,
            operations=plain_operation("Figures of the stream", [(200, "The figures.")], json),
        ),
        Endpoint(
            "/healthz",
            healthz,
            operations=plain_operation("Whether the process answers", [(200, "It does.")], text),
            needs_key=False,
        ),
        Endpoint(
            "/readyz",
            readyz,
            operations=plain_operation("Whether the engine is ready", ready, text),
        ),
        Endpoint(
            "/metrics",
            metrics,
            operations=plain_operation("Metrics for Prometheus", [(200, "The metrics.")], text),
        ),
    ]


class _Asgi:
    """An ASGI application that starlette takes for one: a function it takes for something else."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        await self._app(scope, receive, send)
