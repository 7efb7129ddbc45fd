from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors import Clicks
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, Recommender
from nextclick.models.rivals import RIVALS
from nextclick.stream.engine import Engine
from nextclick.stream.evaluation.prequential import Prequential
from nextclick.stream.evaluation.protocol import Protocol
from nextclick.stream.sessions.sessionizer import Sessionizer
from tests.small_models import Recent
from tests.stream.engines import Given, clicks

SMALL = GRU4RecConfig(hidden=8, n_negatives=8, memory=0)
MODELS: dict[str, Callable[[], Recommender]] = {
    "vstan": RIVALS["vstan"],
    "markov": RIVALS["markov"],
    "popularity": RIVALS["popularity"],
    "recent": lambda: Recent(max_items=1000),
    "network": lambda: OnlineGRU4Rec(SMALL, device="cpu", dtype="float64"),
    "memory": lambda: OnlineGRU4Rec(
        GRU4RecConfig(hidden=8, n_negatives=8, memory=200), device="cpu", dtype="float64"
    ),
    "sasrec": lambda: RIVALS["sasrec"](device="cpu", size=8),  # type: ignore[call-arg]
}
"""Models of every family: those that count, networks, and one that inherits nothing."""


class Recorded(Prequential):
    """Figures that keep what they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, int]] = []

    def update(self, ranks: Any, positions: Any, times: Any) -> None:
        super().update(ranks, positions, times)
        self.rows += zip(np.asarray(positions).tolist(), np.asarray(ranks).tolist(), strict=True)


def driven(
    stream: Clicks, name: str, protocol: Protocol | None = None, batch: int = 16
) -> tuple[Recorded, Engine]:
    figures = Recorded()
    sessionizer = Sessionizer(gap=10_000, lateness=60, max_sessions=1000)
    engine = Engine(Given(stream), MODELS[name](), sessionizer, batch=batch, figures=figures)
    if protocol is not None:
        engine.protocol = protocol
    engine.run()
    return figures, engine


@pytest.mark.parametrize("start", [{"clicks": 200}, {"time": 200.0}, {"after": 200.0}])
def test_clicks_before_the_test_are_learned_as_ever_and_do_not_count(
    start: dict[str, float],
) -> None:
    stream = clicks(400)
    whole, _ = driven(stream, "network")
    figures, engine = driven(stream, "network", Protocol(start))
    # Click 201 is at second 200.
    assert figures.rows == [row for row in whole.rows if row[0] > 200]
    result = engine.results()
    assert result["protocol"]["begun"] == {"clicks": 200, "time": 200.0}
    assert result["learned"] == 400
    not_counted = sum(result["protocol"]["not_counted"].values())
    assert result["scored"] + result["first"] + not_counted == result["clicks"]


def test_a_share_is_of_the_clicks_that_there_are() -> None:
    protocol = Protocol({"share": 0.75})
    protocol.resolve(lambda: 400)
    figures, _ = driven(clicks(400), "markov", protocol)
    assert figures.rows
    assert min(figures.rows)[0] > 300


@pytest.mark.parametrize("name", MODELS)
def test_without_the_unseen_figures_are_those_over_items_seen_before(name: str) -> None:
    stream = clicks(300)
    whole, _ = driven(stream, name)
    figures, engine = driven(stream, name, Protocol(leave_out=["unseen"]))
    seen = whole.results()["seen"]
    assert {key: figures.results()[key] for key in seen} == seen
    assert figures.results()["unseen"] == 0
    assert engine.results()["protocol"]["not_counted"]["unseen"] == whole.results()["unseen"] > 0


@pytest.mark.parametrize("name", MODELS)
def test_without_repeats_a_rank_is_that_among_the_items_new_to_the_session(name: str) -> None:
    """What the lists of all items say, one click a batch."""
    stream, k = clicks(150), 20
    figures, _ = driven(stream, name, Protocol(leave_out=["repeats"], k=k), batch=1)
    model, own = MODELS[name](), dict[Any, set[Any]]()
    expected = []
    for at, (session, item) in enumerate(zip(stream.sessions, stream.items, strict=True), 1):
        tested = model.test_then_learn([session], [item], 1000, times=[stream.times[at - 1]])
        mine = own.setdefault(session, set())
        if tested.scored[0] and item not in mine:
            rank = int(tested.ranks[0])
            # All with at least the item's score come before it, ties included.
            above = [other for other, _ in tested.recommended[0][:rank]]
            expected.append((at, rank - sum(other in mine for other in above)))
        mine.add(item)
    assert [(at, min(rank, k + 1)) for at, rank in figures.rows] == [
        (at, min(rank, k + 1)) for at, rank in expected
    ]


@given(st.integers(3, 8), st.integers(0, 50), st.sampled_from([1, 7, 64]))
@settings(max_examples=15, deadline=None)
def test_clicks_count_where_their_session_gets_long_enough(
    least: int, seed: int, batch: int
) -> None:
    stream = clicks(200, seed)
    whole, _ = driven(stream, "markov", batch=batch)
    figures, engine = driven(stream, "markov", Protocol(min_session=least), batch)
    lengths = {one: stream.sessions.count(one) for one in stream.sessions}
    expected = [rank for at, rank in whole.rows if lengths[stream.sessions[at - 1]] >= least]
    assert sorted(rank for _, rank in figures.rows) == sorted(expected)
    positions = [at for at, _ in figures.rows]
    assert positions == sorted(positions)
    short = engine.results()["protocol"]["not_counted"].get("short", 0)
    assert short == len(whole.rows) - len(expected)


@pytest.mark.parametrize("name", MODELS)
def test_a_frozen_model_does_not_change_in_the_test(name: str) -> None:
    stream = clicks(300)
    model, sessionizer = MODELS[name](), Sessionizer(gap=10_000, lateness=60, max_sessions=1000)
    engine = Engine(Given(stream), model, sessionizer, batch=16, figures=Recorded())
    engine.protocol = Protocol({"clicks": 150}, frozen=True)
    engine.run(max_clicks=150)
    before = repr((model.state().arrays, model.state().values))
    engine.run()
    assert repr((model.state().arrays, model.state().values)) == before
    assert engine.results()["learned"] == 150
    assert engine.figures.results()["scored"] > 0


@pytest.mark.parametrize("name", ["vstan", "markov", "popularity", "sasrec", "network", "memory"])
def test_in_a_frozen_test_no_session_knows_of_another(name: str) -> None:
    """Each session is scored as if it were alone in the test."""
    stream = clicks(300, seed=3)
    protocol = Protocol({"clicks": 160}, frozen=True, leave_out=["unseen"])
    figures, _ = driven(stream, name, protocol)
    known = set(stream.items[:160])
    model = MODELS[name]()
    for at in range(0, 160, 16):
        part = slice(at, at + 16)
        time = float(stream.times[part][-1])
        of_batch = stream.sessions[part], stream.items[part]
        model.test_then_learn(*of_batch, 0, time, stream.times[part].tolist())
    expected: dict[int, int] = {}
    for session in set(stream.sessions):
        own = [at for at in range(160, 300) if stream.sessions[at] == session]
        own = [at for at in own if stream.items[at] in known]
        items, times = [stream.items[at] for at in own], [float(stream.times[at]) for at in own]
        tested = model.test_frozen([session] * len(own), items, 0, times)  # type: ignore[attr-defined]
        expected |= {
            at + 1: int(rank)
            for at, scored, rank in zip(own, tested.scored, tested.ranks, strict=True)
            if scored
        }
    assert dict(figures.rows) == expected


@pytest.mark.parametrize("name", ["vstan", "markov", "popularity"])
def test_models_that_count_learn_nothing_of_a_session_in_the_test(name: str) -> None:
    model = MODELS[name]()
    model.learn_many(["a", "a", "b", "b"], ["hat", "bag", "hat", "cap"])
    sessions, items = ["new"] * 6, ["cap", "hat", "cap", "hat", "cap", "hat"]
    frozen = model.test_frozen(sessions, items)  # type: ignore[attr-defined]
    assert frozen.ranks[1] == frozen.ranks[3] == frozen.ranks[5]
    assert frozen.scored.tolist() == [False, True, True, True, True, True]


def test_items_first_clicked_in_a_frozen_test_are_misses_and_move_no_session() -> None:
    stream = Clicks(
        ["a", "a", "b", "b", "b", "c", "c"],
        ["hat", "bag", "hat", "new", "bag", "new", "new"],
        np.arange(7.0),
    )
    figures, _ = driven(stream, "markov", Protocol({"clicks": 2}, frozen=True), batch=2)
    assert figures.rows == [(4, 0), (5, 1), (7, 0)]
    left = Protocol({"clicks": 2}, frozen=True, leave_out=["unseen"])
    figures, _ = driven(stream, "markov", left, batch=2)
    assert figures.rows == [(5, 1)]


def test_how_the_stream_is_cut_into_batches_changes_no_rank_of_a_frozen_test() -> None:
    rules: Any = {"frozen": True, "leave_out": ["unseen", "repeats"], "min_session": 4}
    found = [
        driven(clicks(300, 5), "vstan", Protocol({"clicks": 140}, **rules), batch)[0].results()
        for batch in (1, 9, 64)
    ]
    assert found[0]["scored"] > 0
    for each in found[1:]:
        assert [each[key] for key in ("scored", "recall@20", "mrr@20")] == [
            found[0][key] for key in ("scored", "recall@20", "mrr@20")
        ]


@given(st.integers(20, 280), st.integers(0, 50))
@settings(max_examples=10, deadline=None)
def test_a_run_restored_anywhere_ends_with_the_same_figures(cut: int, seed: int) -> None:
    stream = clicks(300, seed)

    def make() -> Engine:
        sessionizer = Sessionizer(gap=10_000, lateness=60, max_sessions=1000)
        engine = Engine(Given(stream), RIVALS["markov"](), sessionizer, batch=1, figures=Recorded())
        rules: Any = {"frozen": True, "leave_out": ["unseen", "repeats"], "min_session": 3}
        engine.protocol = Protocol({"clicks": 150}, **rules)
        return engine

    unbroken = make()
    unbroken.run()
    broken = make()
    broken.run(max_clicks=cut)
    resumed = make()
    resumed.restore(broken.state())
    resumed.run()
    assert resumed.results() == unbroken.results()
