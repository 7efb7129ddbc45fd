"""A small engine that is served, whose clicks a test feeds, and clients that ask it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np

from nextclick.connectors import Clicks, Position
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.recommender import Id
from nextclick.stream.config.run import RunConfig
from nextclick.stream.engine import Engine
from nextclick.stream.evaluation.prequential import Prequential
from nextclick.stream.recommendations.item_follower import followed_items
from nextclick.stream.serving.engine_service import EngineService
from nextclick.stream.serving.run import serve_engine
from nextclick.stream.sessions.sessionizer import Sessionizer

WAIT = 60.0
"""Seconds that anything may take on a busy machine."""


class Fed:
    """A source that gives what it is fed, in order, until it is ended."""

    gap = None
    warnings: Sequence[str] = []

    def __init__(self) -> None:
        self._clicks: list[tuple[Id, Id]] = []
        self._given = 0
        self._news = threading.Condition()
        self._ended = False

    def feed(self, *clicks: tuple[Id, Id]) -> None:
        with self._news:
            self._clicks += clicks
            self._news.notify_all()

    def end(self) -> None:
        with self._news:
            self._ended = True
            self._news.notify_all()

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        with self._news:
            self._news.wait_for(lambda: self._ended or self._given < len(self._clicks), wait)
            some = self._clicks[self._given : self._given + limit]
            first, self._given = self._given, self._given + len(some)
            if self._ended and not some:
                return None
        times = np.arange(first, self._given, dtype=np.float64)
        position = {"at": self._given}
        return Clicks([one for one, _ in some], [item for _, item in some], times, position)

    def seek(self, position: Position) -> None:
        self._given = position["at"]

    def commit(self, position: Position) -> None:
        pass

    def close(self) -> None:
        pass


class Client:
    """Asks a server over one connection."""

    def __init__(self, address: str, **headers: str) -> None:
        self.host = address.removeprefix("http://")
        self._connection = http.client.HTTPConnection(self.host, timeout=WAIT)
        self._headers = headers

    def ask(
        self, method: str, path: str, content: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Ask; return the status, the body and the headers of the answer."""
        named = {name.replace("_", "-"): value for name, value in (self._headers | headers).items()}
        self._connection.request(method, path, content, named)
        response = self._connection.getresponse()
        return response.status, response.read(), {k.lower(): v for k, v in response.getheaders()}

    def json(self, path: str, body: Any = None, status: int = 200) -> Any:
        """Ask, and return the answer's JSON."""
        method = "GET" if body is None else "POST"
        found, content, _ = self.ask(
            method, path, None if body is None else json.dumps(body).encode()
        )
        assert found == status, content
        return json.loads(content)

    def best(self, **wanted: Any) -> list[Id]:
        """Ask for a list by an address, and return its items."""
        given = {
            name: ",".join(quote(str(one), safe="") for one in value)
            if isinstance(value, list)
            else quote(str(value), safe="")
            for name, value in wanted.items()
        }
        query = "&".join(f"{name}={value}" for name, value in given.items())
        return [each["item"] for each in self.json(f"/v1/recommend?{query}")["items"]]

    def close(self) -> None:
        self._connection.close()


def query(**parameters: Any) -> str:
    """Return the path of a request."""
    return f"/v1/recommend?{urlencode(parameters)}"


CATALOGUE = [f"item {number}" for number in range(12)]
HISTORY = [(f"old {at % 7}", CATALOGUE[(at * at + at // 7) % 12]) for at in range(192)]


SMALL = GRU4RecConfig(hidden=8, n_negatives=8, memory=2048)


def small_engine(source: Any, batch: int = 64, seed: int = 0) -> Engine:
    model = OnlineGRU4Rec(SMALL, seed=seed, device="cpu")
    return Engine(
        source, model, Sessionizer(1e6, 60.0, 1000), batch=batch, figures=Prequential(window=100)
    )


class Served:
    """A served engine that a test feeds."""

    def __init__(self, engine: Engine, source: Fed, service: EngineService, address: str) -> None:
        self.engine, self.source, self.service, self.address = engine, source, service, address
        self.client = Client(address)
        self.told: list[str] = []

    def feed(self, *clicks: tuple[Id, Id]) -> None:
        """Feed clicks, and wait until they are read."""
        wanted = self.engine.clicks + len(clicks)
        self.source.feed(*clicks)
        until(lambda: self.client.json("/v1/stats")["clicks"] == wanted)


@contextmanager
def served(
    history: Sequence[tuple[Id, Id]] = HISTORY,
    serve: str = "0",
    begin: Callable[[Engine, RunConfig], None] = lambda engine, config: None,
    **options: Any,
) -> Iterator[Served]:
    """Serve an engine that has learned a short history; `begin` is given it before it runs."""
    source = Fed()
    engine = small_engine(source)
    told: list[str] = []
    config = RunConfig(serve=serve, device="cpu", model=SMALL, **options)
    begin(engine, config)
    with ExitStack() as stack:
        items = None
        if config.items is not None:
            items = stack.enter_context(
                followed_items(config.items, config.max_items, {}, told.append)
            )
            engine.items = items.data
        service = stack.enter_context(serve_engine(engine, config, told.append, items))
        thread = threading.Thread(target=engine.run)
        thread.start()
        try:
            address = next(each for each in told if "/v1/recommend" in each).split()[-1]
            made = Served(engine, source, service, address.removesuffix("/v1/recommend"))
            made.told = told
            source.feed(*history)
            until(lambda: engine.learned == len(history))
            yield made
            made.client.close()
        finally:
            source.end()
            thread.join()


def until(true: Any) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
