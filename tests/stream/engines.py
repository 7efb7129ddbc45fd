"""A small engine, with a source of given clicks and a sink that keeps what it takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from nextclick.connectors import Clicks, Position, Rejected
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.stream.engine import Engine
from nextclick.stream.evaluation.prequential import Prequential
from nextclick.stream.sessions.sessionizer import Sessionizer


class Given:
    """A source of given clicks, some rejected, polled in uneven pieces."""

    gap = None

    def __init__(self, clicks: Clicks, rejects: int = 0, seed: int = 0) -> None:
        self.all = clicks
        self.rejects = rejects
        self.at = 0
        self.committed: list[Position] = []
        self.draw = np.random.default_rng(seed)

    @property
    def warnings(self) -> list[str]:
        return []

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        if self.at == len(self.all):
            return None
        part = slice(self.at, min(self.at + int(self.draw.integers(limit + 1)), len(self.all)))
        self.at = part.stop
        rejected = [Rejected("bad_json", "no JSON", {"line": self.at}, b"{")] * self.rejects
        all_ = self.all
        position = {"at": self.at}
        return Clicks(all_.sessions[part], all_.items[part], all_.times[part], position, rejected)

    def seek(self, position: Position) -> None:
        self.at = position.get("at", 0)

    def commit(self, position: Position) -> None:
        self.committed.append(position)

    def close(self) -> None:
        pass


class Kept:
    """A sink that keeps what it takes."""

    name = "kept"
    full = False

    def __init__(self) -> None:
        self.records: list[Any] = []

    def write(self, record: Any) -> None:
        self.records.append(record)

    def flush(self) -> None:
        pass

    def sync(self) -> int:
        return len(self.records)

    def commit(self, length: Any) -> None:
        pass

    def close(self) -> None:
        pass


def clicks(count: int, seed: int = 0, late: float = 0.0) -> Clicks:
    draw = np.random.default_rng(seed)
    times = np.arange(count, dtype=np.float64)
    times[draw.random(count) < late] -= 500
    return Clicks(
        [f"s{n}" for n in draw.integers(1 + count // 6, size=count)],
        [int(n) for n in draw.zipf(1.4, size=count) % 30],
        times,
    )


def engine(source: Given, **options: Any) -> Engine:
    model = OnlineGRU4Rec(
        GRU4RecConfig(hidden=8, n_negatives=8), seed=1, device="cpu", dtype="float64"
    )
    sessionizer = Sessionizer(gap=1000, lateness=60, max_sessions=50)
    figures = Prequential(window=20)
    return Engine(source, model, sessionizer, batch=16, figures=figures, **options)
