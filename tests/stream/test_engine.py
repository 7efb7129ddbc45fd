from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors import Clicks, Position, Rejected
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.stream.config.options import Interval
from nextclick.stream.engine import Engine
from nextclick.stream.evaluation.prequential import Prequential
from nextclick.stream.sessions.sessionizer import Sessionizer
from nextclick.stream.snapshots.store import Snapshots


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


class Quiet(Given):
    """A source that falls silent after every few clicks, without waiting itself."""

    def __init__(self, clicks: Clicks, few: int) -> None:
        super().__init__(clicks)
        self.few = few
        self.gave = False

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        self.gave = not self.gave
        if not self.gave:
            return Clicks([], [], np.zeros(0), {"at": self.at})
        if self.at == len(self.all):
            return None
        part = slice(self.at, min(self.at + self.few, self.at + limit, len(self.all)))
        self.at = part.stop
        places = [{"partition": 3, "offset": 100 + n} for n in range(part.start, part.stop)]
        sessions, items = self.all.sessions[part], self.all.items[part]
        return Clicks(sessions, items, self.all.times[part], {"at": self.at}, places=places)


def rounded(records: list[Any]) -> list[Any]:
    """The size of a matrix product may move its last bits."""
    return [{**record, "scores": np.round(record["scores"], 10).tolist()} for record in records]


def test_on_a_quiet_stream_clicks_are_answered_before_their_batch_is_full() -> None:
    stream = clicks(100, seed=2, late=0.05)
    waited, answered, whole = Kept(), Kept(), Kept()
    unbroken = engine(Given(stream), recommendations=whole)
    unbroken.run()
    runs = [
        engine(Quiet(stream, few=3), recommendations=waited),
        engine(Quiet(stream, few=3), recommendations=answered, max_wait=0.0),
    ]
    known: list[tuple[int, int]] = []
    source = runs[1].source
    poll = source.poll

    def watched(limit: int, wait: float = 0.0) -> Clicks | None:
        known.append((runs[1].clicks, len(answered.records)))
        return poll(limit, wait)

    source.poll = watched  # type: ignore[method-assign]
    for run in runs:
        run.run()
        assert run.results() == unbroken.results()
    # Whenever more is asked for, every click so far has been answered.
    scored = [record["click"] for record in whole.records]
    for read, written in known:
        assert written == sum(click <= read for click in scored)
    for kept in (waited, answered):
        found = [dict(record) for record in kept.records]
        for record in found:
            assert (record.pop("partition"), record.pop("offset")) == (3, 99 + record["click"])
        assert rounded(found) == rounded(whole.records)


def test_recommendations_say_what_the_model_had_learned() -> None:
    kept = Kept()
    run = engine(Given(clicks(100)), recommendations=kept)
    run.run()
    for record in kept.records:
        assert record["model_clicks"] == (record["click"] - 1) // 16 * 16


@given(st.integers(0, 99), st.integers(1, 7))
@settings(max_examples=6)
def test_an_answered_click_is_answered_once_across_a_stop(cut: int, few: int) -> None:
    stream = clicks(100, seed=5)
    whole = Kept()
    engine(Given(stream), recommendations=whole).run()
    first, second = Kept(), Kept()
    states: list[Any] = []
    broken = engine(Quiet(stream, few), recommendations=first, max_wait=0.0)
    step = broken._recommend_pending

    def answer() -> None:
        step()
        if not states and broken.clicks > cut:
            states.append((broken.state(), len(first.records)))

    broken._recommend_pending = answer  # type: ignore[method-assign]
    broken.run()
    if not states:
        return  # Every later batch was filled at once.
    state, length = states[0]
    resumed = engine(Given(stream), recommendations=second)
    resumed.restore(state)
    resumed.run()
    both = [{**record} for record in first.records[:length] + second.records]
    for record in both:
        record.pop("partition", None)
        record.pop("offset", None)
    assert rounded(both) == rounded(whole.records)
    assert resumed.results() == broken.results()


class Ladder(OnlineGRU4Rec):
    """A model whose answer after a click is plain to see; it counts what it has learned."""

    def recommend_after(
        self, sessions: Any, items: Any, k: int = 20, times: Any = None
    ) -> list[list[tuple[Any, float]]]:
        return [[(f"after {item}", float(session))][:k] for session, item in zip(sessions, items)]  # noqa: B905


@pytest.mark.parametrize("max_wait", [None, 0.0])
def test_recommendations_after_every_click(max_wait: float | None) -> None:
    stream = clicks(100, seed=1, late=0.1)
    kept = Kept()
    run = engine(Quiet(stream, few=5), recommendations=kept, after=True, max_wait=max_wait)
    run.model = Ladder(
        GRU4RecConfig(hidden=8, n_negatives=8), seed=1, device="cpu", dtype="float64"
    )
    run.run()
    unbroken = engine(Given(stream))
    unbroken.run()
    assert run.results() == unbroken.results()
    assert len(kept.records) == run.learned == 100 - run.late
    for record in kept.records:
        assert record["items"] == [f"after {record['clicked']}"]
        assert record["clicked"] == stream.items[record["click"] - 1]
        assert "rank" not in record
        assert record["model_clicks"] <= record["click"]


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
