"""Listens to the events of a server, as the page does."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.stream.serving.asking import WAIT


class Listener:
    """An open connection whose events come one by one."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.response = response

    def next(self) -> tuple[str, Any]:
        """Wait for an event; return its name and its data."""
        lines = []
        while line := self.response.readline().decode().rstrip("\n"):
            lines.append(line)
        assert lines, "the connection has ended"
        fields = dict(line.split(": ", 1) for line in lines)
        return fields["event"], json.loads(fields["data"])


@contextmanager
def listening(address: str, **headers: str) -> Iterator[Listener]:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=WAIT)
    connection.request("GET", "/v1/events", headers=headers)
    try:
        yield Listener(connection.getresponse())
    finally:
        connection.close()


def put_in(curve: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
    """Return a curve with the points of news in the place of its own, as the chart does it."""
    start = news["from"]
    return {
        "from": 0,
        "points": {name: curve["points"][name][:start] + news["points"][name] for name in POINTS},
        "values": [
            [own[:start] + its for own, its in zip(mine, theirs, strict=True)]
            for mine, theirs in zip(curve["values"], news["values"], strict=True)
        ],
    }


POINTS = ("clicks", "times", "scored")
NOTHING: dict[str, Any] = {"points": {name: [] for name in POINTS}, "values": [[[], []]]}
