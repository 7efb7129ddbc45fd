"""Asking changes nothing."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from nextclick.models import State
from nextclick.stream import RunConfig
from nextclick.stream.serving.run import serve_engine
from tests.stream.serving.asking import CATALOGUE, SMALL, Client, Fed, small_engine, until

CLICKS = [(f"visitor {at % 31}", CATALOGUE[(at * 7 + at // 5) % 12]) for at in range(1500)]
ASKED = 3000
"""Requests that are made while these clicks are learned."""


class Paced(Fed):
    """Gives clicks only as fast as requests are answered."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = 0

    def poll(self, limit: int, wait: float = 0.0) -> Any:
        if self._given > 0:
            until(lambda: self.answered * len(CLICKS) >= ASKED * self._given)
        return super().poll(min(limit, 17), wait)


def outcome(engine: Any) -> tuple[dict[str, Any], dict[str, State]]:
    return engine.results(), engine.state()


def ask(address: str, number: int, source: Paced, stop: threading.Event) -> None:
    client = Client(address)
    draw = np.random.default_rng(number)
    while not stop.is_set():
        session = f"visitor {draw.integers(40)}"
        some = [CATALOGUE[at] for at in draw.integers(0, 12, draw.integers(0, 9))]
        wanted: list[dict[str, Any]] = [
            {"session": session, "exclude": "session", "k": int(draw.integers(1, 30))},
            {"items": [*some, "unknown"], "without": some[:2]},
            {"among": some, "session": session},
        ]
        answers = client.json("/v1/recommend", {"requests": wanted})["answers"]
        assert len(answers) == len(wanted)
        client.best(session=session)
        assert client.ask("GET", "/v1/recommend?k=none")[0] == 400
        source.answered += 5
    client.close()


@pytest.mark.timeout(600)
def test_figures_and_state_are_the_same_with_thousands_of_requests() -> None:
    quiet = Fed()
    alone = small_engine(quiet)
    quiet.feed(*CLICKS)
    quiet.end()
    alone.run()

    source = Paced()
    asked = small_engine(source)
    source.feed(*CLICKS)
    source.end()
    told: list[str] = []
    config = RunConfig(serve="0", device="cpu", model=SMALL)
    with serve_engine(asked, config, told.append) as service:
        address = next(each for each in told if "/v1/" in each).split()[-1].partition("/v1")[0]
        stop = threading.Event()
        threads = [
            threading.Thread(target=ask, args=(address, number, source, stop))
            for number in range(2)
        ]
        for thread in threads:
            thread.start()
        try:
            asked.run()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert service.stats()["requests"]["answered"] >= ASKED // 2

    assert outcome(alone)[0] == outcome(asked)[0]
    one, other = outcome(alone)[1], outcome(asked)[1]
    for part in one:
        assert one[part].values == other[part].values, part
        for name, array in one[part].arrays.items():
            assert np.array_equal(array, other[part].arrays[name], equal_nan=True), (part, name)
