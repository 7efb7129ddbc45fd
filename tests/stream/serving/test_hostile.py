"""Requests that are wrong, slow or half get no 5xx, and hold up nobody."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from nextclick.stream.serving import protocol, recommend
from nextclick.stream.serving.requests import LARGEST_BODY
from tests.stream.serving.asking import CATALOGUE, Served, query, served, until
from tests.stream.serving.hostile import connect, odd_requests, talk

MANY = int(os.environ.get("NEXTCLICK_HOSTILE_REQUESTS", "3000"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("items") / "items.jsonl"
    data = [
        {"item_id": item, "category": at, "price": at / 3, "x": [at, "x"], "available": at > 2}
        for at, item in enumerate(CATALOGUE)
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in data))
    with served(items=str(path)) as made:
        yield made


@pytest.mark.timeout(1200)
def test_nothing_odd_gets_a_5xx_or_touches_the_engine(shop: Served) -> None:
    before = shop.engine.results()

    def ask(number: int, sent: bytes) -> tuple[bytes, bytes]:
        return sent, talk(shop.client.host, sent, half_close=number % 3 == 0)

    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(ask, range(MANY), islice(odd_requests(1), MANY))
        for number, (sent, found) in enumerate(asked):
            assert not found.startswith(b"HTTP/1.1 5"), (number, sent, found)
            if number % 500 == 0:
                assert shop.client.best(session="old 1")
    assert shop.client.best(session="old 1")
    assert shop.engine.results() == before
    page = shop.client.ask("GET", "/metrics")[1].decode()
    assert 'status="500"' not in page


def test_a_body_that_is_too_large_is_refused_before_it_is_read(shop: Served) -> None:
    head = "POST /v1/recommend HTTP/1.1\r\nhost: x\r\n"
    found = talk(shop.client.host, f"{head}content-length: {LARGEST_BODY + 1}\r\n\r\n".encode())
    assert found.startswith(b"HTTP/1.1 413")
    chunk = b"%x\r\n" % (1 << 18) + b" " * (1 << 18) + b"\r\n"
    chunked = f"{head}transfer-encoding: chunked\r\n\r\n".encode() + chunk * 8
    assert talk(shop.client.host, chunked).startswith((b"HTTP/1.1 413", b""))
    assert shop.client.best(session="old 1")


def test_a_head_that_never_ends_is_cut_off(shop: Served) -> None:
    for piece in (b"GET /" + b"x" * (1 << 17), b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (1 << 14)):
        with connect(shop.client.host) as connection:
            try:
                connection.sendall(piece)
                answer = connection.recv(4096)
            except OSError:
                continue  # Closed while it was still being sent.
            assert answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))


def test_slow_clients_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(recommend, "BODY_SECONDS", 0.5)
    with served() as shop:
        silent = [connect(shop.client.host) for _ in range(20)]
        halves = [connect(shop.client.host) for _ in range(20)]
        for connection in halves:
            connection.sendall(b"GET /v1/recommend?sess")
        slow = [connect(shop.client.host) for _ in range(20)]
        for connection in slow:
            connection.sendall(
                b"POST /v1/recommend HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{"
            )
        shop.feed(("anna", "item 3"))
        assert shop.client.json(query(session="anna"))["from"] == "session"
        for connection in slow:
            assert connection.recv(4096).startswith(b"HTTP/1.1 408")
        for connection in silent + halves:
            assert connection.recv(4096) == b""
        for connection in silent + halves + slow:
            connection.close()
        until(lambda: b'status="408"' in shop.client.ask("GET", "/metrics")[1])
        shop.feed(("anna", "item 4"))


def test_a_client_that_never_reads_holds_up_nobody(shop: Served) -> None:
    with connect(shop.client.host) as connection:
        connection.settimeout(1.0)
        try:
            for _ in range(2000):
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 50)
        except OSError:
            pass  # The server reads no further.
        assert shop.client.best(session="old 1")
