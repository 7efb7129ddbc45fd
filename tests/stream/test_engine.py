from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors import Clicks
from nextclick.stream.config.options import Interval
from nextclick.stream.engine import Engine
from nextclick.stream.snapshots.store import Snapshots
from tests.stream.engines import Given, Kept, clicks, engine


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
    assert result["usable"] == 500


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
        state_holder._admit(polled)
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


class Ordered(Kept):
    """A sink that notes which of its methods is called when."""

    def __init__(self, told: list[Any]) -> None:
        super().__init__()
        self.told = told

    def commit(self, length: Any) -> None:
        self.told.append(("sink", length))


def test_the_sink_commits_after_the_snapshot_and_before_the_source(tmp_path: Path) -> None:
    told: list[Any] = []
    source, sink = Given(clicks(200)), Ordered(told)
    snapshots = Snapshots(tmp_path)
    source.commit = lambda position: told.append(("source", position))  # type: ignore[method-assign]
    write = snapshots._write

    def written(*arguments: Any) -> Path:
        path = write(*arguments)
        told.append(("durable", json.loads((path / "about.json").read_text())["position"]))
        return path

    snapshots._write = written  # type: ignore[method-assign, assignment]
    every = Interval(clicks=32)
    run = engine(source, recommendations=sink, snapshots=snapshots, every=every, max_wait=0.1)
    run.run()
    snapshots.close()
    assert [what for what, _ in told][:3] == ["durable", "sink", "source"]
    position, lengths = None, []
    for what, value in told:
        if what == "durable":
            position = value
        elif what == "sink":
            lengths.append(value)
        else:
            assert value == position
    assert lengths == sorted(lengths)
    # What was written last is in the last snapshot too.
    assert lengths[-1] == len(sink.records) == run.results()["scored"]


def test_a_full_sink_gets_a_snapshot(tmp_path: Path) -> None:
    told: list[Any] = []

    class Full(Ordered):
        def __init__(self) -> None:
            super().__init__(told)
            self.committed = 0

        @property
        def full(self) -> bool:  # type: ignore[override]
            return len(self.records) - self.committed > 40

        def commit(self, length: Any) -> None:
            super().commit(length)
            self.committed = length

    sink = Full()
    run = engine(
        Given(clicks(400)),
        recommendations=sink,
        snapshots=Snapshots(tmp_path),
        every=Interval(seconds=3600),
    )
    most = []
    run.run(progress=lambda engine: most.append(len(sink.records) - sink.committed))
    assert max(most) <= 40 + 2 * 16
    assert len(told) > 3


def test_no_snapshot_is_taken_of_a_batch_that_failed(tmp_path: Path) -> None:
    stream = clicks(200)
    run = engine(Given(stream), snapshots=Snapshots(tmp_path), every=Interval(clicks=1))
    learn = run.model.test_then_learn

    def diverge(*arguments: Any) -> Any:
        tested = learn(*arguments)
        if run.clicks > 100:
            raise FloatingPointError("a score is not a number")
        return tested

    run.model.test_then_learn = diverge  # type: ignore[method-assign, assignment]
    with pytest.raises(FloatingPointError):
        run.run()
    assert run.checkpoints.snapshots
    run.checkpoints.snapshots.close()
    found = Snapshots(tmp_path).load_newest()
    assert found is not None
    parts, about, _ = found
    assert about["clicks"] <= 112
    again = engine(Given(stream))
    again.restore(parts)
    again.run()
    unbroken = engine(Given(stream))
    unbroken.run()
    assert again.results() == unbroken.results()


def test_what_the_source_has_to_say_is_told_once_and_at_once() -> None:
    class Wary(Given):
        @property
        def warnings(self) -> list[str]:
            return ["the broker is away"] if self.at >= 100 else []

    told: list[tuple[int, str]] = []
    run: Engine = engine(
        Wary(clicks(300)), notify=lambda sentence: told.append((run.clicks, sentence))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nextclick.stream.monitoring.notices.LOOK_SECONDS", 0.0)
        run.run()
    assert [sentence for _, sentence in told] == ["the broker is away"]
    assert 100 <= told[0][0] < 116


def test_while_it_runs_the_collector_passes_over_what_was_there_before() -> None:
    frozen: list[int] = []
    gc.unfreeze()
    run = engine(Given(clicks(100)))
    run.run(progress=lambda _: frozen.append(gc.get_freeze_count()))
    assert min(frozen) > 0
    assert gc.get_freeze_count() == 0
