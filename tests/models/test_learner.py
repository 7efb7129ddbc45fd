from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models import OnlineGRU4Rec, Recipe

Stream = tuple[list[str | int], list[str | int]]


def model(seed: int = 1, **options: object) -> OnlineGRU4Rec:
    recipe = Recipe(**{"hidden": 12, "window": 4, "negatives": 16, **options})  # type: ignore[arg-type]
    return OnlineGRU4Rec(recipe, seed=seed, device="cpu", dtype="float64")


def stream(clicks: int, seed: int = 0, sessions: int = 8, items: int = 15) -> Stream:
    draw = np.random.default_rng(seed)
    return (
        [f"s{number}" for number in draw.integers(sessions, size=clicks)],
        [int(number) for number in draw.zipf(1.3, size=clicks) % items],
    )


def drive(learner: OnlineGRU4Rec, clicks: Stream, batch: int) -> list[int]:
    ranks = []
    for start in range(0, len(clicks[0]), batch):
        part = slice(start, start + batch)
        tested = learner.test_then_learn(clicks[0][part], clicks[1][part])
        ranks += np.where(tested.scored, tested.ranks, -1).tolist()
    return ranks


@pytest.mark.parametrize("window", [1, 3, 100])
@pytest.mark.parametrize("batch", [1, 5, 60])
def test_gradient_is_that_of_bptt_cut_after_k_steps(window: int, batch: int) -> None:
    """By hand: run from zero with constants up to K clicks before, then K steps with gradient."""
    learner = model(window=window, reset="before")
    sessions, items = stream(60, sessions=3)
    rows, new = learner.vocabulary.admit(items)
    learner.items.draw(torch.from_numpy(rows[new]), learner.vocabulary.used)
    weights = list(learner.network.parameters())
    table = learner.items.embedding
    direction = torch.randn(60, 12, dtype=torch.float64)

    past: dict[object, list[int]] = {}
    total = torch.zeros((), dtype=torch.float64)
    for place, (session, row) in enumerate(zip(sessions, rows.tolist(), strict=True)):
        before = past.setdefault(session, [])
        if before:
            state = torch.zeros(1, 12, dtype=torch.float64)
            for step, clicked in enumerate(before):
                if step == len(before) - window:
                    state = state.detach()
                state = learner.network.step(table[clicked][None], state)
            total = total + (state[0] * direction[place]).sum()
        before.append(row)
    expected = torch.autograd.grad(total, weights)

    found = [torch.zeros_like(weight) for weight in weights]
    for start in range(0, 60, batch):
        windows = learner.sessions.line_up(sessions[start : start + batch])
        tracks, states = learner.sessions.tracks(
            windows, learner.items.stamp(torch.from_numpy(rows[start : start + batch]))
        )
        _, _, outputs, ends = learner._forward(windows, tracks, states)
        if len(outputs):
            loss = (outputs * direction[windows.scored + start]).sum()
            for sum_, part in zip(found, torch.autograd.grad(loss, weights), strict=True):
                sum_ += part
        learner.sessions.advance(windows, tracks, ends)
    for sum_, part in zip(found, expected, strict=True):
        torch.testing.assert_close(sum_, part, rtol=1e-10, atol=1e-10)


def test_a_first_click_is_not_scored_and_a_new_item_has_no_rank() -> None:
    tested = model().test_then_learn(["a", "a", "b", "a"], ["x", "x", "x", "y"])
    assert tested.scored.tolist() == [False, True, False, True]
    assert tested.ranks.tolist() == [0, 1, 0, 0]


def test_an_item_first_seen_earlier_in_the_batch_is_known_and_a_later_one_is_not() -> None:
    learner = model()
    # At its own click z is unknown; at the next one it competes, with w still unborn.
    tested = learner.test_then_learn(["a"] * 5, ["x", "y", "z", "z", "w"], k=10)
    assert tested.ranks[2] == 0
    assert 1 <= tested.ranks[3] <= 3
    assert [sorted(str(item) for item, _ in best) for best in tested.recommended] == [
        [],
        ["x"],
        ["x", "y"],
        ["x", "y", "z"],
        ["x", "y", "z"],
    ]


@given(st.integers(0, 10_000), st.integers(1, 39), st.sampled_from([1, 7, 16]))
@settings(max_examples=25)
def test_changing_the_future_changes_no_past_figure(seed: int, cut: int, batch: int) -> None:
    sessions, items = stream(40, seed)
    others, else_items = stream(40, seed + 1)
    changed = (sessions[:cut] + others[cut:], items[:cut] + else_items[cut:])
    assert drive(model(), (sessions, items), batch)[:cut] == drive(model(), changed, batch)[:cut]


def test_scoring_alone_gives_the_same_ranks_and_changes_nothing() -> None:
    clicks = stream(200)
    watched, alone = model(), model()
    for start in range(0, 200, 16):
        sessions, items = clicks[0][start : start + 16], clicks[1][start : start + 16]
        tested = watched.test(sessions, items, k=3)
        again = watched.test(sessions, items, k=3)
        learned = watched.test_then_learn(sessions, items, k=3)
        plain = alone.test_then_learn(sessions, items)
        assert tested.recommended == again.recommended == learned.recommended
        for other in (again, learned, plain):
            assert tested.ranks.tolist() == other.ranks.tolist()


def test_on_random_items_recall_is_k_over_the_catalogue() -> None:
    draw = np.random.default_rng(5)
    clicks = 12_000
    sessions: list[str | int] = [int(s) for s in draw.integers(300, size=clicks)]
    items: list[str | int] = [int(i) for i in draw.integers(200, size=clicks)]
    ranks = np.array(drive(model(), (sessions, items), 64)[2000:])
    ranks = ranks[ranks > 0]
    hits = (ranks <= 20).mean()
    assert abs(hits - 0.1) < 4 * np.sqrt(0.1 * 0.9 / len(ranks))


def test_it_learns_a_path() -> None:
    learner = model(negatives=8)
    for session in range(300):
        learner.learn([session] * 4, ["w", "x", "y", "z"])
    for clicked, after in [("w", "x"), ("wx", "y"), ("wxy", "z")]:
        assert learner.recommend(list(clicked), k=1)[0][0] == after


def test_recommendations_agree_with_the_ranks() -> None:
    learner = model()
    drive(learner, stream(400), 16)
    items: list[str | int] = [3, 1, 2]
    learner.learn(["new", "new"], items[:2])
    tested = learner.test(["new"], items[2:], k=15)
    best = learner.recommend(items[:2], k=15)
    assert [item for item, _ in best] == [item for item, _ in tested.recommended[0]]
    assert best[tested.ranks[0] - 1][0] == 2


def test_items_never_seen_are_passed_over_when_recommending() -> None:
    learner = model()
    drive(learner, stream(100), 16)
    assert learner.recommend(["nobody", 1], k=3) == learner.recommend([1], k=3)
    assert learner.recommend(["nobody"]) == []
    assert not learner.knows("nobody")


def test_ids_come_back_as_they_went_in() -> None:
    learner = model()
    learner.learn(["a"] * 4, ["7", 7, "7", 7])
    assert {item for item, _ in learner.recommend(["7"], k=5)} == {"7", 7}


@pytest.mark.parametrize("at", [16, 160])
def test_a_restored_model_goes_on_to_the_last_bit(at: int) -> None:
    sessions, items = stream(400)
    unbroken, broken, restored = model(), model(), model(seed=99)
    drive(unbroken, (sessions[:at], items[:at]), 16)
    drive(broken, (sessions[:at], items[:at]), 16)
    state = broken.state()
    drive(broken, (sessions[at:], items[at:]), 16)  # The state is a copy.
    restored.restore(state)
    rest = (sessions[at:], items[at:])
    assert drive(restored, rest, 16) == drive(unbroken, rest, 16)
    for name, array in unbroken.state().arrays.items():
        if not name.startswith("sessions."):
            np.testing.assert_array_equal(array, restored.state().arrays[name], err_msg=name)


def bounded(max_items: int) -> OnlineGRU4Rec:
    recipe = Recipe(hidden=12, window=4, negatives=16)
    return OnlineGRU4Rec(recipe, max_items=max_items, seed=1, device="cpu", dtype="float64")


@given(st.integers(0, 10_000), st.sampled_from([1, 7, 16]), st.integers(1, 12))
@settings(max_examples=30)
def test_an_evicted_item_that_comes_back_is_new(seed: int, batch: int, bound: int) -> None:
    """Under its own name or another: not a figure tells the difference."""
    sessions, items = stream(120, seed)
    learner, named = bounded(bound), bounded(bound)
    lives: dict[str | int, int] = {}
    for start in range(0, 120, batch):
        part = slice(start, start + batch)
        names: list[str | int] = [f"{item} of life {lives.get(item, 0)}" for item in items[part]]
        before = learner.catalogue
        tested = learner.test_then_learn(sessions[part], items[part])
        other = named.test_then_learn(sessions[part], names)
        assert tested.ranks.tolist() == other.ranks.tolist()
        assert learner.catalogue <= bound
        assert learner.catalogue >= min(before, bound)
        for item in set(items):
            if learner.knows(item) != named.knows(f"{item} of life {lives.get(item, 0)}"):
                raise AssertionError(item)
            if not learner.knows(item) and item in items[: start + batch]:
                lives[item] = start + batch  # Gone: its next name is another.


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(max_examples=20)
def test_the_least_recently_clicked_items_leave(seed: int, bound: int) -> None:
    sessions, items = stream(60, seed)
    learner = bounded(bound)
    recent: list[str | int] = []
    for session, item in zip(sessions, items, strict=True):
        learner.learn_one(session, item)
        recent = [other for other in recent if other != item] + [item]
        assert {other for other in set(items) if learner.knows(other)} == set(recent[-bound:])


def test_a_restored_model_goes_on_to_the_last_bit_while_items_come_and_go() -> None:
    sessions, items = stream(300, items=40)
    unbroken, restored = bounded(10), bounded(10)
    drive(unbroken, (sessions[:160], items[:160]), 16)
    restored.restore(unbroken.state())
    rest = (sessions[160:], items[160:])
    tested = restored.test(sessions[160:176], items[160:176])
    ranks = drive(restored, rest, 16)
    assert ranks == drive(unbroken, rest, 16)
    assert np.where(tested.scored, tested.ranks, -1).tolist() == ranks[:16]
    assert restored.state().values == unbroken.state().values


def test_a_forgotten_session_starts_anew() -> None:
    learner = model()
    learner.learn(["a", "b"], ["x", "y"])
    learner.forget(["a", "never seen"])
    assert learner.test(["a", "b"], ["x", "x"]).scored.tolist() == [False, True]


def test_a_score_that_is_not_a_number_is_an_error() -> None:
    learner = model()
    drive(learner, stream(100), 16)
    learner.items.embedding[2] = torch.nan
    with pytest.raises(FloatingPointError, match="diverged"):
        drive(learner, stream(100), 16)


def test_an_unseen_row_is_never_touched() -> None:
    learner = model(negatives=0)
    learner.learn(["a", "a"], ["x", "y"])
    before = learner.items.embedding.clone()
    learner.learn(["b", "b"], ["u", "v"])
    assert torch.equal(learner.items.embedding[1:3], before[1:3])
    assert torch.equal(learner.items.embedding[0], torch.zeros(12, dtype=torch.float64))


def test_learning_click_by_click_is_learning_in_batches_of_one() -> None:
    one, many = model(), model()
    sessions, items = stream(50)
    for session, item in zip(sessions, items, strict=True):
        one.learn_one(session, item)
    drive(many, (sessions, items), 1)
    assert one.recommend([1, 2]) == many.recommend([1, 2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OnlineGRU4Rec(device="tpu"), "auto, cpu or cuda"),
        (lambda: Recipe(rate=0.0), "rate must be more than 0"),
        (lambda: Recipe(window=0), "window must be at least 1"),
        (lambda: Recipe(negatives=-1), "negatives must not be negative"),
    ],
)
def test_options_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_batch_of_more_sessions_than_the_bound_is_refused() -> None:
    learner = OnlineGRU4Rec(Recipe(hidden=4), max_sessions=2, device="cpu")
    with pytest.raises(ValueError, match="bound of 2 live sessions"):
        learner.learn(["a", "b", "c"], ["x", "x", "x"])


def test_the_empty_batch_is_no_trouble() -> None:
    tested = model().test_then_learn([], [], k=5)
    assert len(tested.ranks) == len(tested.scored) == len(tested.recommended) == 0
