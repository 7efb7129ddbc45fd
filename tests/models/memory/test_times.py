"""The default model with the times of its clicks: by them, too, its memory boosts items.

What holds of it without times is tested in `test_memory`, and of the network in `gru4rec`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, State
from nextclick.models.memory.weights import cut

Ids = list[str | int]


class Clicks(NamedTuple):
    """A stream by columns; a time that is not known is NaN."""

    sessions: Ids
    items: Ids
    times: list[float]

    def part(self, start: int, stop: int | None = None) -> Clicks:
        part = slice(start, stop)
        return Clicks(self.sessions[part], self.items[part], self.times[part])

    def then(self, other: Clicks) -> Clicks:
        return Clicks(
            self.sessions + other.sessions, self.items + other.items, self.times + other.times
        )


def model(max_items: int = 1000, seed: int = 1, **options: Any) -> OnlineGRU4Rec:
    config = GRU4RecConfig(
        **{"hidden": 8, "window": 3, "n_negatives": 16, "memory": 200, **options}
    )
    return OnlineGRU4Rec(config, max_items=max_items, seed=seed, device="cpu", dtype="float64")


def stream(clicks: int, seed: int = 0, sessions: int = 8, items: int = 15) -> Clicks:
    draw = np.random.default_rng(seed)
    times = np.cumsum(draw.exponential(40.0, size=clicks))
    times[draw.random(clicks) < 0.1] = math.nan
    return Clicks(
        [f"s{number}" for number in draw.integers(sessions, size=clicks)],
        [int(number) for number in draw.zipf(1.3, size=clicks) % items],
        times.tolist(),
    )


def drive(learner: OnlineGRU4Rec, clicks: Clicks, batch: int) -> list[int]:
    ranks = []
    for start in range(0, len(clicks.items), batch):
        sessions, items, times = clicks.part(start, start + batch)
        tested = learner.test_then_learn(sessions, items, times=times)
        ranks += np.where(tested.scored, tested.ranks, -1).tolist()
    return ranks


def same(state: State, other: State) -> None:
    assert state.values == other.values
    for name, array in other.arrays.items():
        np.testing.assert_array_equal(state.arrays[name], array, err_msg=name)


@given(st.integers(0, 10_000), st.integers(1, 59), st.sampled_from([1, 7, 16]))
@settings(max_examples=15)
def test_changing_later_clicks_and_their_times_changes_no_earlier_rank(
    seed: int, cut: int, batch: int
) -> None:
    clicks = stream(60, seed)
    other = clicks.part(0, cut).then(stream(60, seed + 1).part(cut))
    assert drive(model(), clicks, batch)[:cut] == drive(model(), other, batch)[:cut]


def test_times_change_predictions_by_the_boost_only() -> None:
    clicks = stream(600)
    timeless = clicks._replace(times=[math.nan] * 600)
    for boosted in (True, False):
        one, other = model(memory_boost=boosted), model(memory_boost=boosted)
        drive(one, clicks, 16)
        drive(other, timeless, 16)
        assert one.memory is not None
        assert other.memory is not None
        alike = np.array_equal(one.memory.vector.numpy(), other.memory.vector.numpy())
        assert alike is not boosted


def test_without_the_boost_it_is_neither_applied_nor_learned() -> None:
    learner = model(memory_boost=False)
    assert learner.memory is not None
    before = cut(learner.memory.vector.numpy())[1].copy()
    drive(learner, stream(400), 16)
    assert np.array_equal(cut(learner.memory.vector.numpy())[1], before)


NOT_KNOWN: list[Callable[[int], Any]] = [
    lambda count: None,
    lambda count: [None] * count,
    lambda count: [math.nan] * count,
    lambda count: np.full(count, np.nan, np.float32),
]


@pytest.mark.parametrize("times", NOT_KNOWN)
def test_times_that_are_not_known_are_as_if_none_were_given(times: Callable[[int], Any]) -> None:
    one, other = model(), model()
    sessions, items, _ = stream(100)
    one.learn_many(sessions, items)
    other.learn_many(sessions, items, times=times(100))
    same(one.state(), other.state())


@pytest.mark.parametrize("form", [list, tuple, np.array, iter])
def test_times_come_in_any_sequence(form: Callable[[list[float]], Any]) -> None:
    one, other = model(), model()
    sessions, items, times = stream(100)
    one.learn_many(sessions, items, times=times)
    other.learn_many(sessions, items, times=form(times))
    same(one.state(), other.state())


def test_one_click_with_its_time_is_a_batch_of_one() -> None:
    one, other = model(max_idle=300.0), model(max_idle=300.0)
    now = 0.0
    for session, item, time in zip(*stream(120), strict=True):
        now = time if time == time else now
        one.learn_one(session, item, now)
        other.learn_many([session], [item], now, [now])
    same(one.state(), other.state())
    assert one.n_items < len(set(stream(120).items))  # Event time went on, too.


@given(st.integers(0, 10_000))
@settings(max_examples=10)
def test_asking_with_times_changes_nothing(seed: int) -> None:
    learner, other = model(), model()
    for each in (learner, other):
        drive(each, stream(120, seed), 16)
    before = learner.state()
    sessions, items, times = stream(20, seed + 1)
    learner.test([*sessions, "new"], [*items, "new"], 3, [*times, 1e9])
    learner.recommend_after([*sessions, "new"], [*items, "new"], 3, [*times, 1e9])
    learner.recommend(items, 3)
    same(learner.state(), before)
    later = stream(60, seed + 2)
    assert drive(learner, later, 16) == drive(other, later, 16)


def test_an_answer_is_what_the_next_click_is_scored_against() -> None:
    """Whatever the next click's own time is: what is known of items is as of the click before."""
    learner = model()
    drive(learner, stream(600), 16)
    items: Ids = [1, 2, 3, 1, 4]
    times = [30_000.0, 30_010.0, 30_300.0, 30_301.0, 99_999.0]
    answers = learner.recommend_after(["s0"] * 5, items, 1000, times)
    for last in (99_999.0, 30_301.0, math.nan):
        tested = learner.test(["s0"] * 5, items, 1000, [*times[:4], last])
        for answer, scored in zip(answers, tested.recommended[1:], strict=False):
            assert dict(answer) == pytest.approx(dict(scored))


@given(st.integers(0, 10_000), st.sampled_from([1, 7, 16]), st.integers(1, 12))
@settings(max_examples=6)
def test_an_evicted_item_that_comes_back_is_new(seed: int, batch: int, bound: int) -> None:
    """Under its own name or another: no figure shows the difference."""
    clicks = stream(80, seed)
    learner, named = (model(max_items=bound) for _ in range(2))
    admissions: dict[str | int, int] = {}
    for start in range(0, 80, batch):
        sessions, items, times = clicks.part(start, start + batch)
        names: Ids = [f"{item} of life {admissions.get(item, 0)}" for item in items]
        tested = learner.test_then_learn(sessions, items, times=times)
        other = named.test_then_learn(sessions, names, times=times)
        assert tested.ranks.tolist() == other.ranks.tolist()
        for item in set(clicks.part(0, start + batch).items):
            if not learner.knows(item):
                admissions[item] = start + batch  # Gone: its next name is another.


@pytest.mark.parametrize("max_items", [10, 1000])
def test_a_restored_model_goes_on_to_the_last_bit(max_items: int) -> None:
    clicks = stream(400, items=40)
    unbroken, restored = model(max_items), model(max_items, seed=99)
    drive(unbroken, clicks.part(0, 160), 16)
    restored.restore(unbroken.state())
    later = clicks.part(160)
    assert drive(restored, later, 16) == drive(unbroken, later, 16)
    for name, array in unbroken.state().arrays.items():
        if not name.startswith("sessions."):
            np.testing.assert_array_equal(array, restored.state().arrays[name], err_msg=name)


@pytest.mark.parametrize("part", ["_move_starts", "_forward", "_ranker", "_gradients"])
def test_a_batch_that_fails_has_never_been(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = model(), model()
    for each in (one, other):
        drive(each, stream(100), 16)

    def fail(*arguments: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(one, part, fail)
        with pytest.raises(MemoryError):
            one.test_then_learn(["s1", "new", "new"], [1, "new", 1], times=[1e6, 2e6, 3e6])
    same(one.state(), other.state())
    later = stream(64, seed=1)
    assert drive(one, later, 16) == drive(other, later, 16)


def test_on_random_items_recall_is_k_over_the_catalogue() -> None:
    draw = np.random.default_rng(5)
    clicks = 10_000
    sessions: Ids = [int(s) for s in draw.integers(300, size=clicks)]
    items: Ids = [int(i) for i in draw.integers(200, size=clicks)]
    times = np.cumsum(draw.exponential(2.0, size=clicks)).tolist()
    ranks = np.array(drive(model(memory=5000), Clicks(sessions, items, times), 64)[2000:])
    ranks = ranks[ranks > 0]
    hits = (ranks <= 20).mean()
    assert abs(hits - 0.1) < 4 * np.sqrt(0.1 * 0.9 / len(ranks))


def before_boost() -> tuple[State, list[int]]:
    """Return a state of `model(seed=3)` written before there was a boost, and what came after it.

    It had learned `stream(300)`, in batches of 16; the ranks are those of `stream(100, seed=1)`.
    """
    file = Path(__file__).parent / "before_boost.safetensors"
    with safe_open(file, "numpy") as kept:
        arrays = {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118
        facts = json.loads(kept.metadata()["facts"])
    return State(arrays, facts["values"]), facts["ranks"]


def test_a_snapshot_from_before_the_boost_goes_on_to_the_figures_it_had_then() -> None:
    state, ranks = before_boost()
    learner = model(seed=3, memory_boost=False)
    learner.restore(state)
    assert drive(learner, stream(100, seed=1), 16) == ranks


def test_a_snapshot_from_before_the_boost_begins_with_none_and_learns_one() -> None:
    state, ranks = before_boost()
    learner, begun = model(seed=3), model(seed=3)
    assert learner.memory is not None
    assert begun.memory is not None
    drive(learner, stream(50), 16)  # Nothing of what it learned before stays.
    learner.restore(state)
    boost, initial = (
        cut(memory.vector.numpy())[1].copy() for memory in (learner.memory, begun.memory)
    )
    assert np.array_equal(boost, initial)
    found = drive(learner, stream(100, seed=1), 16)
    # In the first batch no item has a factor.
    assert found[:16] == ranks[:16]
    assert not np.array_equal(cut(learner.memory.vector.numpy())[1], boost)
