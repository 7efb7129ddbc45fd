"""A process that takes clicks over HTTP, and clients that post them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.stream.serving.asking import WAIT, Client, until

COMMAND = [sys.executable, "-c", "from nextclick.stream.__main__ import main; main()", "run"]
SMALL = ["--model", "hidden=8", "--model", "n_negatives=8", "--device", "cpu"]


class Posting:
    """``nextclick run SOURCE --serve 0`` as a process of its own."""

    def __init__(self, source: str, *more: str, **options: Any) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, source, "--serve", "0", *SMALL, *more],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        assert self.process.stderr is not None
        self.told: list[str] = []
        for line in self.process.stderr:
            self.told.append(line)
            if "/v1/clicks are recorded in" in line:
                break
        words = self.told[-1].split()
        self.address = next(word for word in words if word.endswith("/v1/clicks"))[:-10]
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.told += self.process.stderr

    def client(self) -> Client:
        return Client(self.address)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(WAIT)
        self._reading.join(WAIT)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


class Poster:
    """Posts one click after the other until the server is gone, and knows what it confirmed."""

    def __init__(self, address: str, name: str) -> None:
        self.confirmed: list[str] = []
        self._client = Client(address)
        self._name = name
        self._thread = threading.Thread(target=self._post)
        self._thread.start()

    def _post(self) -> None:
        # A server that is killed ends the connection, or has left half an answer.
        with suppress(OSError, HTTPException):
            for number in range(1_000_000):
                click = f"{self._name}-{number}"
                body = {
                    "session_id": f"{self._name}-{number // 5}",
                    "item_id": number * number % 37,
                    "click": click,
                }
                content = json.dumps(body).encode()
                status, answer, _ = self._client.ask("POST", "/v1/clicks", content)
                if status == 200:
                    assert json.loads(answer) == {"recorded": 1, "repeated": 0}
                    self.confirmed.append(click)

    def join(self) -> None:
        self._thread.join(WAIT)
        self._client.close()

    def wait_for_one(self) -> None:
        until(lambda: self.confirmed)


def recorded(path: Path) -> list[str]:
    return [json.loads(line)["click"] for line in path.read_text().splitlines()]
