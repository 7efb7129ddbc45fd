from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors import Clicks
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from tests.stream.engines import Given, Kept, clicks, engine


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
