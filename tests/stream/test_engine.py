from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors import Clicks, Position, Rejected
from nextclick.models import OnlineGRU4Rec, Recipe
from nextclick.stream.engine import Engine
from nextclick.stream.prequential import Prequential
from nextclick.stream.sessionizer import Sessionizer


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

    def __init__(self) -> None:
        self.records: list[Any] = []

    def write(self, record: Any) -> None:
        self.records.append(record)

    def sync(self) -> int:
        return len(self.records)

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
    model = OnlineGRU4Rec(Recipe(hidden=8, negatives=8), seed=1, device="cpu", dtype="float64")
    sessionizer = Sessionizer(gap=1000, lateness=60, max_sessions=50)
    figures = Prequential(window=20)
    return Engine(source, model, sessionizer, batch=16, figures=figures, **options)


def test_every_record_is_accounted_for() -> None:
    run = engine(Given(clicks(500, late=0.1), rejects=2))
    run.run()
    result = run.results()
    assert result["late"] > 0
    assert result["rejected"]["bad_json"] > 0
    assert (
        result["scored"] + result["first"] + result["late"] + result["rejected"]["bad_json"]
        == (result["clicks"])
    )
    assert result["learned"] == result["scored"] + result["first"]
    assert result["clicks"] == 500 + result["rejected"]["bad_json"]


def test_how_the_source_is_polled_changes_no_figure() -> None:
    runs = [engine(Given(clicks(300, late=0.05), seed=seed)) for seed in (1, 2)]
    for run in runs:
        run.run()
    assert runs[0].results() == runs[1].results()


@given(st.integers(1, 199), st.integers(0, 100))
@settings(max_examples=15)
def test_stopped_anywhere_and_restored_a_run_ends_with_the_same_figures(
    cut: int, seed: int
) -> None:
    unbroken = engine(Given(clicks(200, seed)))
    unbroken.run()
    broken = engine(Given(clicks(200, seed)))
    broken.run(max_clicks=cut)  # Learns its unfinished batch at the end; the state is older.
    state_holder = engine(Given(clicks(200, seed)))
    while state_holder.clicks < cut:
        polled = state_holder.source.poll(
            min(16 - state_holder.clicks % 16, cut - state_holder.clicks)
        )
        assert polled is not None
        state_holder._take(polled)
        if len(state_holder._pending) == 16:
            state_holder._step()
    resumed = engine(Given(clicks(200, seed)))
    resumed.restore(state_holder.state())
    resumed.run()
    assert resumed.results() == unbroken.results()
    assert broken.clicks == cut


@given(st.integers(1, 150), st.integers(0, 50))
@settings(max_examples=15)
def test_changing_the_future_changes_no_past_figure(cut: int, seed: int) -> None:
    one, other = clicks(160, seed), clicks(160, seed + 1)
    changed = Clicks(
        one.sessions[:cut] + other.sessions[cut:], one.items[:cut] + other.items[cut:], one.times
    )
    found = []
    for stream in (one, changed):
        kept = Kept()
        run = engine(Given(stream), recommendations=kept)
        run.run()
        found.append([r for r in kept.records if r["time"] < cut])
        for record in found[-1]:
            # The size of a matrix product may move its last bits.
            record["scores"] = np.round(record["scores"], 10).tolist()
    assert found[0] == found[1]


def test_recommendations_are_made_before_the_click_is_seen() -> None:
    kept = Kept()
    run = engine(Given(clicks(300)), recommendations=kept, k=50)
    run.run()
    assert len(kept.records) == run.results()["scored"]
    for record in kept.records:
        if record["rank"]:
            assert record["items"][record["rank"] - 1] == record["clicked"]
        else:
            assert record["clicked"] not in record["items"]
        assert record["scores"] == sorted(record["scores"], reverse=True)


def test_dead_letters_are_written() -> None:
    kept = Kept()
    run = engine(Given(clicks(20), rejects=1), dead_letters=kept)
    run.run()
    assert len(kept.records) == run.results()["rejected"]["bad_json"]
    assert kept.records[0]["reason"] == "bad_json"
    assert kept.records[0]["raw"] == "{"


def test_a_stop_ends_the_run_after_its_batch() -> None:
    run = engine(Given(clicks(300)))
    run.run(progress=lambda engine: engine.stop() if engine.clicks >= 64 else None)
    assert 64 <= run.clicks < 96


def test_on_uniformly_random_items_recall_is_k_over_the_catalogue() -> None:
    draw = np.random.default_rng(3)
    count = 8_000
    stream = Clicks(
        [int(n) for n in np.arange(count) // 20 * 3 + draw.integers(3, size=count)],
        [int(n) for n in draw.integers(100, size=count)],
        np.arange(count, dtype=np.float64),
    )
    run = engine(Given(stream))
    run.run()
    result = run.results()
    assert result["recall@20"] == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / result["scored"]))
