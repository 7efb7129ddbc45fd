"""Shadows of an engine: they change nothing, are paired with it, and may fail."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pytest

from nextclick.models import BatchResult, GRU4RecConfig, OnlineGRU4Rec, State
from nextclick.stream.comparison.arena import Arena
from nextclick.stream.comparison.shadow import LIVE_BLOCKS, Shadow, coarser
from nextclick.stream.comparison.trials import Trials
from nextclick.stream.engine import Engine
from tests.small_models import Recent
from tests.stream.engines import Given, Kept, clicks, engine

COUNT = 1500


def network() -> OnlineGRU4Rec:
    config = GRU4RecConfig(hidden=4, n_negatives=4)
    return OnlineGRU4Rec(config, seed=1, device="cpu", dtype="float64")


class Failing(Recent):
    """Fails at a batch."""

    def __init__(self, at: int, error: Exception) -> None:
        super().__init__(max_sessions=1000)
        self.left, self.error = at, error

    def test_then_learn(self, *arguments: Any) -> BatchResult:
        self.left -= 1
        if not self.left:
            raise self.error
        return super().test_then_learn(*arguments)


def with_shadows(*shadows: Shadow, told: list[str] | None = None, **options: Any) -> Engine:
    made = engine(Given(clicks(COUNT, late=0.05), rejects=1), **options)
    made.trials = Trials(shadows, notify=([] if told is None else told).append)
    return made


def untimed(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in each.items() if key != "seconds_per_click"}
        for each in results["shadows"]
    ]


@pytest.mark.parametrize("after", [False, True])
def test_the_model_in_service_is_the_same_to_the_last_digit(after: bool) -> None:
    alone_sink, beside_sink = Kept(), Kept()
    alone = engine(
        Given(clicks(COUNT, late=0.05), rejects=1), recommendations=alone_sink, after=after
    )
    beside = with_shadows(
        Shadow("network", network()),
        Shadow("recent", Recent()),
        Shadow("wild", Failing(9, FloatingPointError("a score is not a number"))),
        recommendations=beside_sink,
        after=after,
    )
    alone.run()
    beside.run()
    results = beside.results()
    assert len(results.pop("shadows")) == 3
    assert results == alone.results()
    assert beside_sink.records == alone_sink.records
    one, other = alone.state(), beside.state()
    assert set(other) - set(one) == {"shadows"}
    for part in one:
        assert one[part].values == other[part].values
        for name, array in one[part].arrays.items():
            assert np.array_equal(array, other[part].arrays[name], equal_nan=True), (part, name)


def test_its_figures_and_differences_are_those_of_a_comparison() -> None:
    beside = with_shadows(Shadow("recent", Recent(), service="first"))
    beside.run()
    compared = engine(Given(clicks(COUNT, late=0.05), rejects=1))
    compared.model = Arena({"first": compared.model, "recent": Recent()}, [20])
    compared.run()
    (shadow,), arena = beside.results()["shadows"], compared.model.results()
    assert shadow["scored"] == arena["scored"]
    for name, value in shadow["figures"].items():
        assert value == arena["models"]["recent"][name]
    for each in arena["differences"]:
        sign = 1 if each["model"] == "first" else -1
        found = shadow["differences"][each["figure"]]
        assert found["difference"] == sign * each["difference"]
        assert sorted([found["low"], found["high"]]) == pytest.approx(
            sorted([sign * each["low"], sign * each["high"]])
        )
        assert found["real"] == each["real"]
    assert shadow["seconds_per_click"] > 0


@pytest.mark.parametrize(
    "error",
    [FloatingPointError("a score is not a number"), ValueError("no"), MemoryError(), KeyError(3)],
)
def test_a_shadow_that_fails_is_dropped_with_a_note_and_the_run_goes_on(error: Exception) -> None:
    told: list[str] = []
    beside = with_shadows(
        Shadow("wild", Failing(9, error), on_drop=told.append), Shadow("recent", Recent())
    )
    beside.run()
    wild, recent = beside.results()["shadows"]
    assert beside.learned > 1000
    assert recent["dropped"] is None
    assert recent["scored"] == beside.results()["scored"] > wild["scored"] > 0
    # It failed in the ninth batch of sixteen.
    assert wild["dropped"]["clicks"] == 9 * 16
    assert type(error).__name__ in wild["dropped"]["why"]
    (note,) = told
    assert "shadow wild" in note
    assert "click 144" in note
    assert beside.trials.shadows["wild"].model is None


def test_a_shadow_that_cannot_be_saved_is_dropped_and_the_snapshot_is_taken() -> None:
    class Unsaved(Recent):
        def state(self) -> State:
            raise MemoryError

    before = halfway(Shadow("unsaved", Unsaved()), Shadow("recent", Recent()))
    rest = resumed(before, [], Shadow("unsaved", Unsaved()), Shadow("recent", Recent()))
    unsaved, recent = rest.results()["shadows"]
    assert "MemoryError" in unsaved["dropped"]["why"]
    assert recent["scored"] == rest.results()["scored"]


def test_what_scores_other_clicks_counts_where_both_have_scored() -> None:
    class Reluctant(Recent):
        def test_then_learn(self, *arguments: Any) -> BatchResult:
            tested = super().test_then_learn(*arguments)
            tested.scored[::2] = False
            return tested

    beside = with_shadows(Shadow("reluctant", Reluctant()))
    beside.run()
    (shadow,) = beside.results()["shadows"]
    assert 0 < shadow["scored"] < beside.results()["scored"]
    assert shadow["dropped"] is None


def resumed(parts: dict[str, State], told: list[str], *shadows: Shadow) -> Engine:
    """Return an engine that has gone on from a state, as a snapshot holds it, to the end."""
    values = {name: json.loads(json.dumps(part.values)) for name, part in parts.items()}
    made = with_shadows(*shadows, told=told)
    made.restore({name: State(part.arrays, values[name]) for name, part in parts.items()})
    made.run()
    return made


def halfway(*shadows: Shadow) -> dict[str, State]:
    """Return the state of an engine in the middle of a batch."""
    first = with_shadows(*shadows)
    states: list[dict[str, State]] = []

    class Stopping(Given):
        def poll(self, limit: int, wait: float = 0.0) -> Any:
            if self.at >= 777 and not states:
                states.append(first.state())
            return super().poll(limit, wait)

    first.source = Stopping(clicks(COUNT, late=0.05), rejects=1)
    first.run()
    return states[0]


def test_a_run_goes_on_with_its_shadows_to_the_last_digit() -> None:
    def shadows() -> list[Shadow]:
        wild = Failing(9, ValueError("no"))
        return [
            Shadow("network", network(), {"hidden": 4}),
            Shadow("recent", Recent()),
            Shadow("wild", wild),
        ]

    whole = with_shadows(*shadows())
    whole.run()
    told: list[str] = []
    rest = resumed(halfway(*shadows()), told, *shadows())
    assert untimed(rest.results()) == untimed(whole.results())
    assert rest.trials.shadows["wild"].model is None
    assert told == []


def test_a_new_shadow_begins_untrained_and_one_left_out_is_dropped() -> None:
    before = halfway(Shadow("recent", Recent()), Shadow("network", network()))
    told: list[str] = []
    rest = resumed(before, told, Shadow("recent", Recent()), Shadow("late", Recent()))
    recent, late = rest.results()["shadows"]
    assert recent["begun"] == 0
    assert recent["scored"] == rest.results()["scored"]
    assert late["begun"] == before["engine"].values["learned"] + sum(
        before["engine"].values[name] for name in ("late", "ahead")
    ) - sum(handle < 0 for handle in before["engine"].values["pending"]["handles"])
    # It knows no session from before, so it scores fewer of the clicks that are left.
    assert 0 < late["scored"] < COUNT - late["begun"]
    assert len(told) == 2
    assert f"the shadow late begins untrained at click {late['begun'] + 1:,}" in told[0]
    assert "the shadow network is not given any more" in told[1]
    assert set(rest.state()["shadows"].values) == {"recent", "late"}


def test_a_shadow_with_other_options_begins_untrained() -> None:
    before = halfway(Shadow("recent", Recent(), {"worse": 0}))
    told: list[str] = []
    (shadow,) = resumed(before, told, Shadow("recent", Recent(worse=1), {"worse": 1})).results()[
        "shadows"
    ]
    assert shadow["begun"] > 700
    assert "since its options have changed" in told[0]


def test_a_shadow_whose_snapshot_does_not_fit_begins_untrained() -> None:
    before = halfway(Shadow("other", network()))
    told: list[str] = []
    config = GRU4RecConfig(hidden=5, n_negatives=4)
    larger = OnlineGRU4Rec(config, seed=1, device="cpu", dtype="float64")
    (shadow,) = resumed(before, told, Shadow("other", larger)).results()["shadows"]
    assert shadow["begun"] > 700
    assert "its snapshot cannot be used" in told[0]


def test_a_run_without_shadows_goes_on_from_a_snapshot_with_some() -> None:
    alone = engine(Given(clicks(COUNT, late=0.05), rejects=1))
    alone.run()
    told: list[str] = []
    rest = resumed(halfway(Shadow("recent", Recent())), told)
    # Rejected records come with each poll, and the polls were others.
    polled = {"rejected": None, "clicks": None}
    assert {**rest.results(), **polled} == {**alone.results(), **polled}
    assert "shadows" not in rest.state()
    assert "the shadow recent is not given any more" in told[0]


def test_live_figures_are_computed_once_in_a_while_and_while_the_model_learns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("nextclick.stream.comparison.trials.time.monotonic", lambda: now[0])
    entered, leave = threading.Event(), threading.Event()

    class Waiting(Recent):
        def test_then_learn(self, *arguments: Any) -> BatchResult:
            if self.n_items > 20:
                entered.set()
                assert leave.wait(60)
            return super().test_then_learn(*arguments)

    beside = with_shadows(Shadow("recent", Recent()), Shadow("waiting", Waiting()))
    thread = threading.Thread(target=beside.run)
    thread.start()
    try:
        assert entered.wait(60)
        early = beside.trials.stats()["shadows"]
        assert early[0]["scored"] > 0
    finally:
        leave.set()
        thread.join()
    assert beside.trials.stats()["shadows"] == early
    now[0] += 10
    late = beside.trials.stats()["shadows"]
    assert late[0]["scored"] == beside.results()["scored"]
    exact = beside.results()["shadows"][0]
    assert late[0]["figures"] == exact["figures"]
    for name, found in late[0]["differences"].items():
        assert found["difference"] == pytest.approx(exact["differences"][name]["difference"])
        width = exact["differences"][name]["high"] - exact["differences"][name]["low"]
        assert found["low"] == pytest.approx(exact["differences"][name]["low"], abs=width / 3)


def test_live_intervals_are_made_of_few_blocks() -> None:
    for count in (1, 256, 257, 700, 1024):
        gains = np.arange(2.0 * count).reshape(count, 2, 1)
        merged, sizes = coarser(gains, np.full(count, 3))
        assert len(sizes) == len(merged) <= LIVE_BLOCKS
        assert (merged.sum(axis=0) == gains.sum(axis=0)).all()
        assert sizes.sum() == 3 * count
        assert len(sizes) >= min(count, 100)
