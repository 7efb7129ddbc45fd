"""Requests that are wrong, slow or half get no 5xx, and hold up nobody."""

from __future__ import annotations

import json
import os
import random
import socket
import string
from collections.abc import Iterator
from typing import Any

import pytest

from nextclick.stream.serving import protocol, recommend
from nextclick.stream.serving.requests import LARGEST_BODY
from tests.stream.serving.asking import Served, query, served, until

MANY = int(os.environ.get("NEXTCLICK_HOSTILE_REQUESTS", "3000"))
PATHS = ["/v1/recommend", "/v1/stats", "/healthz", "/metrics", "/openapi.json", "/", "/%00", "/.."]


@pytest.fixture(scope="module")
def shop() -> Iterator[Served]:
    with served() as made:
        yield made


def connect(shop: Served) -> socket.socket:
    host, port = shop.client.host.split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def talk(shop: Served, sent: bytes, half_close: bool = False) -> bytes:
    """Send bytes, and return all that comes back until the server closes or has answered."""
    with connect(shop) as connection:
        try:
            connection.sendall(sent)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(0.3)
            found = b""
            while part := connection.recv(65536):
                found += part
                if len(found) > 12 and b"content-length" in found.lower():
                    break
        except OSError:  # Closed on us, or it waits for more.
            pass
        return found if "found" in locals() else b""


def odd_value(draw: random.Random, depth: int = 0) -> Any:
    kind = draw.randrange(10 if depth < 3 else 7)
    if kind == 0:
        return draw.choice([None, True, False, -1, 0, 10**30, -(2**70), 1.5, 1e308])
    if kind == 1:
        return draw.randrange(-(10**6), 10**6)
    if kind in (2, 3):
        return "".join(draw.choices(string.printable + "äß日\u202e\0", k=draw.randrange(30)))
    if kind == 4:
        return "x" * draw.choice([1024, 1025, 5000])
    if kind in (5, 6):
        return f"item {draw.randrange(15)}"
    if kind in (7, 8):
        return [odd_value(draw, depth + 1) for _ in range(draw.randrange(6))]
    return {odd_name(draw): odd_value(draw, depth + 1) for _ in range(draw.randrange(4))}


def odd_name(draw: random.Random) -> str:
    known = ["session", "items", "k", "exclude", "without", "among", "requests"]
    return draw.choice([*known, *known, "x", "", "sesion", "\0"])


def odd_request(draw: random.Random) -> bytes:
    kind = draw.randrange(8)
    if kind == 0:
        return bytes(draw.randbytes(draw.randrange(1, 200)))
    method = draw.choice(["GET", "POST", "PUT", "HEAD", "OPTIONS", "get", "\0"])
    path = draw.choice(PATHS)
    body = b""
    if kind in (1, 2, 3):
        method, path = "POST", "/v1/recommend"
        body = json.dumps({odd_name(draw): odd_value(draw) for _ in range(4)}).encode()
    elif kind == 4:
        body = draw.randbytes(draw.randrange(300))
    elif kind == 5:
        given = draw.randbytes(draw.randrange(40)).hex()
        raw = "%" + "%".join(given[at : at + 2] for at in range(0, len(given), 2))
        path = f"/v1/recommend?{odd_name(draw)}={raw}&k={draw.choice(['1', '-1', '1e9', ''])}"
    length = len(body) if draw.random() < 0.9 else draw.choice([-1, 10**12, 3, "many"])
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n"
    head += draw.choice(["", "connection: close\r\n", "expect: 100-continue\r\n", "a: \0\r\n"])
    head += draw.choice(["", "transfer-encoding: chunked\r\n", "upgrade: websocket\r\n"])
    sent = head.encode(errors="replace") + b"\r\n" + body
    return sent[: draw.randrange(1, len(sent) + 1)] if draw.random() < 0.1 else sent


@pytest.mark.timeout(1200)
def test_nothing_odd_gets_a_5xx_or_touches_the_engine(shop: Served) -> None:
    draw = random.Random(1)
    before = shop.engine.results()
    for number in range(MANY):
        sent = odd_request(draw)
        found = talk(shop, sent, half_close=draw.random() < 0.3)
        assert not found.startswith(b"HTTP/1.1 5"), (number, sent, found)
        if number % 500 == 0:
            assert shop.client.best(session="old 1")
    assert shop.client.best(session="old 1")
    assert shop.engine.results() == before
    page = shop.client.ask("GET", "/metrics")[1].decode()
    assert 'status="500"' not in page


def test_a_body_that_is_too_large_is_refused_before_it_is_read(shop: Served) -> None:
    head = "POST /v1/recommend HTTP/1.1\r\nhost: x\r\n"
    found = talk(shop, f"{head}content-length: {LARGEST_BODY + 1}\r\n\r\n".encode())
    assert found.startswith(b"HTTP/1.1 413")
    chunk = b"%x\r\n" % (1 << 18) + b" " * (1 << 18) + b"\r\n"
    chunked = f"{head}transfer-encoding: chunked\r\n\r\n".encode() + chunk * 8
    assert talk(shop, chunked).startswith((b"HTTP/1.1 413", b""))
    assert shop.client.best(session="old 1")


def test_a_head_that_never_ends_is_cut_off(shop: Served) -> None:
    for piece in (b"GET /" + b"x" * (1 << 17), b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (1 << 14)):
        with connect(shop) as connection:
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
        silent = [connect(shop) for _ in range(20)]
        halves = [connect(shop) for _ in range(20)]
        for connection in halves:
            connection.sendall(b"GET /v1/recommend?sess")
        slow = [connect(shop) for _ in range(20)]
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
    with connect(shop) as connection:
        connection.settimeout(1.0)
        try:
            for _ in range(2000):
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 50)
        except OSError:
            pass  # The server reads no further.
        assert shop.client.best(session="old 1")
