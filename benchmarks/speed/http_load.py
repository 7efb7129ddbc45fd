"""Requests sent over HTTP at a steady rate, whatever becomes of them, and how long each took.

An open loop: a request is due at its moment and counts from then on, also where it had to wait for
a connection, so that a server that halts is seen to halt.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import uvloop

MOST_CONNECTIONS = 256
WARM_UP = 2.0
"""Seconds at the start that are not counted."""

GRACE = 15.0
"""Seconds that the last requests may take."""


class _Connection(asyncio.Protocol):
    """A connection that carries one request at a time."""

    def __init__(self, load: _Load) -> None:
        self.load = load
        self.transport: Any = None
        self._due = 0.0
        self._head = b""
        self._left = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.load.free(self)

    def send(self, due: float, request: bytes) -> None:
        self._due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            length = head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0]
            self._left, self._head, data = int(length), head, body
        self._left -= len(data)
        if self._left <= 0:
            status = int(self._head[9:12])
            self._head, self._left = b"", -1
            self.load.done(self, self._due, status)

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.lost(self, self._due)


class _Load:
    def __init__(self, host: str, port: int, connections: int) -> None:
        self.host, self.port = host, port
        self.connections = connections
        self.idle: list[_Connection] = []
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.taken: list[tuple[float, float, int]] = []
        self.under_way = 0
        self.ending = False

    def free(self, connection: _Connection) -> None:
        if self.waiting:
            self.under_way += 1
            connection.send(*self.waiting.popleft())
        else:
            self.idle.append(connection)

    def done(self, connection: _Connection, due: float, status: int) -> None:
        self.under_way -= 1
        self.taken.append((due, time.perf_counter() - due, status))
        self.free(connection)

    def lost(self, connection: _Connection, due: float) -> None:
        if self.ending:
            return
        if connection in self.idle:
            self.idle.remove(connection)
        else:
            self.under_way -= 1
            self.taken.append((due, time.perf_counter() - due, 0))

    def ask(self, due: float, request: bytes) -> None:
        if self.idle:
            self.under_way += 1
            self.idle.pop().send(due, request)
        else:
            self.waiting.append((due, request))

    async def run(self, requests: Sequence[bytes], rate: float, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(self.connections):
            await loop.create_connection(lambda: _Connection(self), self.host, self.port)
        draw = random.Random(1)
        began = due = time.perf_counter()
        number = 0
        while due < began + WARM_UP + seconds:
            pause = due - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            self.ask(due, requests[number % len(requests)])
            number += 1
            # Visitors do not wait for each other.
            due += draw.expovariate(rate)
        deadline = time.perf_counter() + GRACE
        while (self.waiting or self.under_way) and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
        self.ending = True
        for connection in self.idle:
            connection.transport.close()
        self.taken = [one for one in self.taken if one[0] >= began + WARM_UP]


def load(
    address: str, paths: Sequence[str], rate: float, seconds: float, connections: int = 64
) -> dict[str, Any]:
    """Ask for paths at a rate, and return how long the answers took, in milliseconds.

    Parameters
    ----------
    address
        Of the server, as ``host:port``.
    paths
        What to ask for, over and over again.
    rate, seconds
        Requests a second, at random moments, and for how long.
    connections
        How many connections there are.

    """
    host, _, port = address.rpartition(":")
    requests = [f"GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n".encode() for path in paths]
    made = _Load(host, int(port), min(connections, MOST_CONNECTIONS))
    uvloop.run(made.run(requests, rate, seconds))
    taken = np.array([seconds for _, seconds, _ in made.taken]) * 1000
    lost = len(made.waiting) + made.under_way
    return {
        "answered_per_second": len(taken) / seconds,
        "failed": sum(status != 200 for *_, status in made.taken) + lost,
        **{f"p{part}": float(np.percentile(taken, part)) for part in (50, 90, 99)},
        "most": float(taken.max()),
    }
