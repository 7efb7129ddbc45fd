"""Requests that no client should send."""

from __future__ import annotations

import json
import random
import socket
import string
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

PATHS = [
    "/v1/recommend",
    "/v1/clicks",
    "/v1/stats",
    "/healthz",
    "/metrics",
    "/openapi.json",
    "/",
    "/%00",
    "/..",
]

NO_ANSWER_SECONDS = 0.3
"""How long to wait where a server waits for more."""


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def talk(address: str, sent: bytes, half_close: bool = False) -> bytes:
    """Send bytes, and return what comes back until the server closes, has answered or waits."""
    found = b""
    with connect(address) as connection, suppress(OSError):
        connection.sendall(sent)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(NO_ANSWER_SECONDS)
        while part := connection.recv(65536):
            found += part
            if b"content-length" in found.lower():
                break
    return found


def status_of(address: str, sent: bytes) -> int:
    """Send bytes, and return the status of the answer; 0 where there is none."""
    found = talk(address, sent)
    return int(found[9:12]) if found.startswith(b"HTTP/1.1 ") else 0


def odd_requests(seed: int) -> Iterator[bytes]:
    """Return odd requests without end."""
    draw = random.Random(seed)
    while True:
        yield odd_request(draw)


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
    fields = ["filter", "filter", "category", "price"]
    return draw.choice([*known, *known, *fields, "x", "", "sesion", "\0"])


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
