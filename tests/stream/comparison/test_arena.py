from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models import BatchResult as Outcome
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, Recommender
from nextclick.stream.comparison.arena import SAMPLE, Arena, state_bytes
from nextclick.stream.comparison.slices import SLICES, slice_names
from nextclick.stream.evaluation.drift import HitRateDrift
from nextclick.stream.evaluation.metrics import MRR, NDCG, Recall
from tests.small_models import Recent

KS = [1, 5]
TIMED = ("score_ms", "learn_ms")


def rivals() -> dict[str, Recommender]:
    small = OnlineGRU4Rec(
        GRU4RecConfig(hidden=8, n_negatives=8), seed=1, device="cpu", dtype="float64"
    )
    return {"behind": Recent(worse=3), "recent": Recent(), "gru4rec": small}


def stream(count: int, seed: int = 0) -> tuple[list[int], list[int]]:
    draw = np.random.default_rng(seed)
    sessions = draw.integers(1 + count // 8, size=count).tolist()
    return sessions, (draw.zipf(1.3, size=count) % 40).tolist()


def drive(arena: Arena, sessions: list[int], items: list[int], batch: int = 16) -> None:
    for start in range(0, len(items), batch):
        part = slice(start, start + batch)
        arena.test_then_learn(sessions[part], items[part], time=float(start))


def untimed(result: dict[str, Any]) -> dict[str, Any]:
    models = {
        name: {key: value for key, value in found.items() if key not in TIMED}
        for name, found in result["models"].items()
    }
    return {**result, "models": models}


def test_each_model_has_the_figures_that_it_has_alone() -> None:
    sessions, items = stream(1200)
    arena = Arena(rivals(), KS)
    drive(arena, sessions, items)
    result = arena.results()
    for name, model in rivals().items():
        ranks, clicks = [], []
        for start in range(0, len(items), 16):
            part = slice(start, start + 16)
            tested = model.test_then_learn(sessions[part], items[part], time=float(start))
            ranks += tested.ranks[tested.scored].tolist()
            clicks += (start + 1 + np.flatnonzero(tested.scored)).tolist()
        found = result["models"][name]
        for metric, kind in (("recall", Recall), ("mrr", MRR), ("ndcg", NDCG)):
            for k in KS:
                alone = kind(k)
                alone.update_many(ranks)
                assert found[f"{metric}@{k}"] == alone.get()
        assert found["unseen"] == ranks.count(0)
        drift = HitRateDrift()
        hits = np.array([0 < rank <= 5 for rank in ranks])
        drift.update(hits, np.array(clicks), np.zeros(len(clicks)))
        alarms = [(alarm["clicks"], alarm["after"]) for alarm in drift.alarms]
        assert [(alarm["clicks"], alarm["after"]) for alarm in found["drift"]] == alarms
        assert found["catalogue"] == model.n_items
        assert found["memory_mb"] == state_bytes(model.state()) / 1e6
    assert result["scored"] == len(ranks)


def test_figures_by_kind_add_up_to_those_of_all_clicks() -> None:
    sessions, items = stream(1500, seed=3)
    arena = Arena(rivals(), KS)
    drive(arena, sessions, items)
    result = arena.results()
    for line, kinds in SLICES.items():
        counts = result["slices"][line]
        assert sum(counts.values()) == result["scored"]
        for found in result["models"].values():
            hits = sum(counts[kind] * found["slices"][line][kind]["mrr@5"] for kind in kinds)
            assert hits == pytest.approx(result["scored"] * found["mrr@5"])
    for found in result["models"].values():
        assert found["slices"]["target"]["new"]["recall@5"] == 0


def test_a_kind_has_the_figures_of_its_clicks() -> None:
    # The item clicked last is foreseen first, so a repetition of the click before is always hit
    # where no other session has clicked in between.
    sessions, items = [1] * 400, (np.random.default_rng(2).integers(3, size=400)).tolist()
    arena = Arena({"recent": Recent()}, KS)
    drive(arena, sessions, items)
    slices = arena.results()["models"]["recent"]["slices"]["repeat"]
    assert slices["last"]["recall@1"] == 1.0
    assert slices["earlier"]["recall@1"] == 0.0
    assert slices["earlier"]["recall@5"] == 1.0
    assert slices["none"]["recall@5"] == 0.0


def test_the_best_comes_first_and_differences_go_from_better_to_worse() -> None:
    sessions, items = stream(3000)
    arena = Arena({"behind": Recent(worse=3), "recent": Recent()}, KS)
    drive(arena, sessions, items)
    result = arena.results()
    assert list(result["models"]) == ["recent", "behind"]
    assert arena.leader() == ("recent", "recall@5", result["models"]["recent"]["recall@5"])
    for each in result["differences"]:
        assert (each["model"], each["other"]) == ("recent", "behind")
        better, worse = (result["models"][name][each["figure"]] for name in ("recent", "behind"))
        assert each["difference"] == pytest.approx(better - worse)
        assert each["real"]
    assert result["bootstrap"]["blocks"] * result["bootstrap"]["block_clicks"] >= result["scored"]


@given(st.integers(0, 20), st.integers(0, 50))
@settings(max_examples=15)
def test_stopped_after_any_batch_it_goes_on_to_the_same_figures(batches: int, seed: int) -> None:
    sessions, items = stream(320, seed)
    # Networks, which take longer, go on from their snapshots in test_comparing.py.
    whole, first, resumed = (
        Arena({"behind": Recent(worse=3), "recent": Recent()}, KS) for _ in range(3)
    )
    cut = 16 * batches
    drive(whole, sessions, items)
    drive(first, sessions[:cut], items[:cut])
    # What was copied does not change with what is learned afterwards.
    state = first.state()
    drive(first, sessions, items)
    resumed.restore(state)
    for start in range(cut, len(items), 16):
        part = slice(start, start + 16)
        resumed.test_then_learn(sessions[part], items[part], time=float(start))
    assert untimed(resumed.results()) == untimed(whole.results())


def test_ended_sessions_are_forgotten_by_every_model_and_begin_anew() -> None:
    arena = Arena(rivals(), KS)
    arena.test_then_learn([1, 1, 2], [5, 6, 7])
    arena.forget([1])
    tested = arena.test_then_learn([1, 2], [5, 5])
    assert tested.scored.tolist() == [False, True]


class Looked(Recent):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def test_then_learn(self, sessions: Any, items: Any, k: int = 0, *more: Any) -> Outcome:
        self.asked.append(k)
        return super().test_then_learn(sessions, items, k, *more)


def test_coverage_and_popularity_are_those_of_the_lists_of_one_batch_in_sixteen() -> None:
    sessions, items = stream(16 * 16 * 4)
    looked = Looked()
    arena = Arena({"looked": looked}, KS)
    drive(arena, sessions, items)
    assert [at for at, k in enumerate(looked.asked) if k] == [
        SAMPLE * turn + SAMPLE // 2 for turn in range(4)
    ]
    assert set(looked.asked) == {0, 5}

    plain, seen, counts = Recent(), set(), Counter[Any]()
    shown: set[Any] = set()
    shares: list[float] = []
    lists = 0
    for batch in range(len(items) // 16):
        part = slice(16 * batch, 16 * batch + 16)
        own = list(zip(sessions[part], items[part], strict=True))
        best = []
        for session, item in own:
            if session in seen:
                best.append([each for each, _ in plain.recommend([], 5)])
            plain.learn_many([session], [item])
            seen.add(session)
        counts.update(item for _, item in own)
        if looked.asked[batch]:
            lists += len(best)
            shown |= {each for given in best for each in given}
            shares += [counts[each] / counts.total() for given in best for each in given]
    result = arena.results()
    assert result["lists"] == lists
    assert result["models"]["looked"]["coverage"] == len(shown) / len(counts)
    assert result["models"]["looked"]["popularity"] == pytest.approx(np.mean(shares))


def test_each_model_is_timed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("nextclick.stream.comparison.timed_model.perf_counter", lambda: now[0])

    class Slow(Recent):
        def test_then_learn(self, *arguments: Any) -> Outcome:
            tested = super().test_then_learn(*arguments)
            # A batch whose lists are looked at takes longer, and is left out.
            now[0] += 0.5 if arguments[2] else 0.03
            tested.learning = 0.01
            return tested

    arena = Arena({"slow": Slow(), "recent": Recent()}, KS)
    sessions, items = [1] * 321, [1] * 321
    arena.test_then_learn(sessions[:1], items[:1])
    drive(arena, sessions[1:], items[1:], batch=10)
    found = arena.results()["models"]["slow"]
    # 33 batches, two of them looked at; the very first click was not scored.
    assert found["score_ms"] == pytest.approx(1000 * 31 * 0.02 / 300)
    assert found["learn_ms"] == pytest.approx(1000 * 33 * 0.01 / 321)
    assert arena.results()["models"]["recent"]["score_ms"] == pytest.approx(0, abs=1e-3)


def test_a_model_that_diverges_is_named() -> None:
    class Diverged(Recent):
        def test_then_learn(self, *arguments: Any) -> Outcome:
            raise FloatingPointError("a score is not a number")

    arena = Arena({"recent": Recent(), "wild": Diverged()}, KS)
    with pytest.raises(FloatingPointError, match="wild: a score is not a number"):
        arena.test_then_learn([1], [2])


def test_a_model_that_scores_other_clicks_is_named() -> None:
    class Eager(Recent):
        def test_then_learn(self, *arguments: Any) -> Outcome:
            tested = super().test_then_learn(*arguments)
            tested.scored[:] = True
            return tested

    with pytest.raises(ValueError, match="eager has scored other clicks"):
        Arena({"eager": Eager()}, KS).test_then_learn([1], [2])


def test_it_answers_as_its_first_model_and_asking_changes_nothing() -> None:
    sessions, items = stream(200)
    arena, alone = Arena(rivals(), KS), Recent(worse=3)
    drive(arena, sessions, items)
    alone.learn_many(sessions, items)
    before = untimed(arena.results())
    assert arena.recommend([1], 3) == alone.recommend([1], 3)
    assert arena.recommend_after([1, 2], [3, 4], 3) == alone.recommend_after([1, 2], [3, 4], 3)
    assert arena.test([1], [3]).ranks.tolist() == alone.test([1], [3]).ranks.tolist()
    assert untimed(arena.results()) == before


def test_what_is_learned_unscored_counts_as_past() -> None:
    arena = Arena(rivals(), KS)
    arena.learn_many([1, 2], [5, 6])
    tested = arena.test_then_learn([1], [6])
    assert tested.scored.tolist() == [True]
    assert arena.results()["slices"]["target"]["rare"] == 1


@pytest.mark.parametrize(
    ("sessions", "items"), [(["a"], ["x", "y"]), (["a", None], ["x", "y"]), ("ab", ["x", "y"])]
)
def test_a_refused_batch_reaches_no_model_and_no_figure(sessions: Any, items: Any) -> None:
    arena, untouched = Arena(rivals(), KS), Arena(rivals(), KS)
    for each in (arena, untouched):
        drive(each, *stream(60))
    for method in (arena.test_then_learn, arena.learn_many, arena.test, arena.recommend_after):
        with pytest.raises((TypeError, ValueError), match="sessions"):
            method(sessions, items)
    for each in (arena, untouched):
        drive(each, *stream(60, seed=1))
    assert untimed(arena.results()) == untimed(untouched.results())


def test_the_state_of_other_models_or_of_another_order_is_refused_and_changes_nothing() -> None:
    arena = Arena(rivals(), KS)
    drive(arena, *stream(60))
    before = untimed(arena.results())
    behind = dict(reversed(rivals().items()))
    for models in (behind, {"recent": Recent()}):
        with pytest.raises(ValueError, match="of other models, or in another order"):
            arena.restore(Arena(models, KS).state())
    state = Arena(rivals(), KS).state()
    del state.arrays["models/gru4rec/sessions.kept"]
    with pytest.raises(ValueError, match=r"misses array 'sessions.kept'"):
        arena.restore(state)
    assert untimed(arena.results()) == before


def test_there_are_figures_of_an_empty_stream() -> None:
    result = Arena(rivals(), KS).results()
    assert result["scored"] == 0
    assert result["windows"] == []
    assert {each["low"] for each in result["differences"]} == {None}
    assert len(slice_names()) == 10
