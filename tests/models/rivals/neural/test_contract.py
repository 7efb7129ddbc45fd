"""What every learned rival holds to, whatever it is made of."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from nextclick.models.compute import snapshot_buffer as copies
from nextclick.models.recommender import State
from nextclick.models.rivals import RIVALS
from nextclick.models.rivals.neural.base import NeuralRival
from tests.models.rivals.learned import ONLINE, SMALL, WINDOWED, drive, make, stream

EVERY = sorted(SMALL)
LOSSES = ["cross-entropy", "binary-cross-entropy", "bpr", "bpr-max"]


def stored(state: State) -> State:
    """A state that has been to the disk and back."""
    return State(load(save(state.arrays)), json.loads(json.dumps(state.values)))


def same(one: State, other: State) -> None:
    assert one.values == other.values
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name], err_msg=name)


@pytest.mark.parametrize("name", EVERY)
def test_a_rival_takes_the_common_options_and_has_defaults_for_the_others(name: str) -> None:
    rival = RIVALS[name](max_sessions=10, max_items=20, seed=3, device="cpu")  # type: ignore[call-arg]
    assert rival.name == name
    assert rival.n_items == 0


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    "options", [{"nonsense": 1}, {"window": 0}, {"window": "wide"}, {"dtype": "float8"}]
)
def test_a_wrong_option_is_refused_by_name(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="|".join(options)):
        make(name, **options)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("at", [0, 16, 96, 112, 208])
def test_a_restored_rival_goes_on_to_the_last_bit(
    name: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "LARGE", 1)  # All copies lie in memory that is used again.
    clicks = stream(320)
    # The one that trains from scratch has its seed from its options.
    seed = 1 if name == "gru4rec-retrained" else 99
    unbroken, broken, restored = make(name), make(name), make(name, seed=seed)
    first = clicks[0][:at], clicks[1][:at]
    drive(unbroken, first, 16)
    drive(broken, first, 16)
    broken.state()
    state = broken.state()
    drive(broken, clicks, 16, at)  # The state is a copy.
    other = broken.state()  # And stays one while there is another.
    drive(restored, stream(64, seed=5), 16)  # Nothing of what was before is left.
    restored.restore(stored(state))
    del other
    assert drive(restored, clicks, 16, at) == drive(unbroken, clicks, 16, at)
    same(restored.state(), unbroken.state())


@pytest.mark.parametrize("name", EVERY)
def test_scoring_and_answering_change_nothing(name: str) -> None:
    clicks = stream(240)
    watched, alone = make(name), make(name)
    for start in range(0, 240, 16):
        sessions, items = clicks[0][start : start + 16], clicks[1][start : start + 16]
        time = start // 100 * 86_400.0
        watched.learn_many([], [], time)  # Where a day ends it is trained anew, and then scored.
        before = watched.state()
        tested = watched.test([*sessions, "new", "new"], [*items, "x", "y"], k=3)
        watched.recommend_after([*sessions, "new"], [*items, "x"], k=3)
        watched.recommend(items, k=3)
        same(watched.state(), before)
        learned = watched.test_then_learn(sessions, items, k=3, time=time)
        plain = alone.test_then_learn(sessions, items, time=time)
        assert tested.ranks.tolist()[:16] == learned.ranks.tolist() == plain.ranks.tolist()
        assert tested.scored.tolist()[:16] == learned.scored.tolist()
    same(watched.state(), alone.state())


@pytest.mark.parametrize("name", EVERY)
def test_learning_alone_learns_the_same(name: str) -> None:
    sessions, items = stream(240)
    scoring, silent = make(name), make(name)
    drive(scoring, (sessions, items), 16)
    for start in range(0, 240, 16):
        part = slice(start, start + 16)
        silent.learn_many(sessions[part], items[part], start // 100 * 86_400.0)
    same(scoring.state(), silent.state())


@pytest.mark.parametrize("name", EVERY)
@given(st.integers(0, 10_000), st.integers(1, 119), st.sampled_from([5, 16]))
@settings(max_examples=4)
def test_changing_the_future_changes_no_past_rank(
    name: str, seed: int, cut: int, batch: int
) -> None:
    sessions, items = stream(120, seed)
    others, else_items = stream(120, seed + 1)
    changed = sessions[:cut] + others[cut:], items[:cut] + else_items[cut:]
    options = {"warm_up": 50} if name == "gru4rec-frozen" else {}
    past, other = (
        drive(make(name, **options), clicks, batch)[:cut] for clicks in ((sessions, items), changed)
    )
    assert past == other


@pytest.mark.parametrize("name", EVERY)
def test_the_catalogue_and_the_sessions_are_bounded(name: str) -> None:
    model = make(name, max_items=6, max_sessions=16)
    draw = np.random.default_rng(0)
    sizes = []
    for place in range(40):
        sessions: list[int | str] = draw.integers(1000, size=12).tolist()
        items: list[int | str] = draw.integers(1000, size=12).tolist()
        model.test_then_learn(sessions, items, 0, place * 40_000.0)
        if name != "gru4rec-retrained" or place > 5:
            assert model.n_items == 6
        sizes.append(sum(a.size for n, a in model.state().arrays.items() if "kept" not in n))
    assert sizes[20:] == sizes[20:21] * 20


@pytest.mark.parametrize("name", ONLINE)
def test_a_first_click_is_not_scored_and_a_new_item_has_no_rank(name: str) -> None:
    tested = make(name).test_then_learn(["a", "a", "b", "a"], ["x", "x", "x", "y"])
    assert tested.scored.tolist() == [False, True, False, True]
    assert tested.ranks.tolist() == [0, 1, 0, 0]
    assert tested.learning >= 0


@pytest.mark.parametrize("name", ONLINE)
def test_an_item_seen_earlier_in_the_batch_is_known_and_a_later_one_is_not(name: str) -> None:
    tested = make(name).test_then_learn(["a"] * 5, ["x", "y", "z", "z", "w"], k=10)
    assert tested.ranks[2] == 0
    assert 1 <= tested.ranks[3] <= 3
    assert [sorted(str(item) for item, _ in best) for best in tested.recommended] == [
        [],
        ["x"],
        ["x", "y"],
        ["x", "y", "z"],
        ["x", "y", "z"],
    ]


@pytest.mark.parametrize("name", EVERY)
def test_a_session_is_read_as_of_just_before_each_click(name: str) -> None:
    """A session inside one batch is recommended what it would be were it all that there is."""
    model = make(name)
    drive(model, stream(320), 16)
    items: list[int | str] = [3, 1, 2, 2, 0, 1, 4]
    tested = model.test(["new"] * 7, items, k=20)
    answers = model.recommend_after(["new"] * 7, items, k=20)
    for place in range(1, 7):
        alone = dict(model.recommend(items[:place], k=20))
        for found in (tested.recommended[place], answers[place - 1]):
            assert dict(found) == pytest.approx(alone, rel=1e-9)
        order = [item for item, _ in tested.recommended[place]]
        assert order[tested.ranks[place] - 1] == items[place]


@pytest.mark.parametrize("name", EVERY)
def test_a_forgotten_session_begins_anew(name: str) -> None:
    model = make(name)
    drive(model, stream(160), 16)
    assert model.test(["s1", "s2"], [1, 1]).scored.tolist() == [True, True]
    model.forget(["s1", "nobody"])
    assert model.test(["s1", "s2"], [1, 1]).scored.tolist() == [False, True]


@pytest.mark.parametrize("name", EVERY)
def test_items_never_seen_are_passed_over_when_recommending(name: str) -> None:
    model = make(name)
    assert model.recommend([1]) == []
    drive(model, stream(160), 16)
    assert model.recommend(["nobody", 1], k=3) == model.recommend([1], k=3) != []
    assert model.recommend(["nobody"]) == []


@pytest.mark.parametrize("name", EVERY)
def test_ids_come_back_as_they_went_in(name: str) -> None:
    model = make(name)
    model.learn_many([1] * 4, ["7", 7, "7", 7], 0.0)
    model.learn_many([1] * 2, ["7", 7], 100_000.0)
    assert {item for item, _ in model.recommend(["7"], k=5)} == {"7", 7}


@pytest.mark.parametrize("name", ONLINE)
@pytest.mark.parametrize("loss", LOSSES)
def test_it_learns_what_follows_on_two_paths(name: str, loss: str) -> None:
    model = make(name, loss=loss, n_negatives=8, window=3)
    for session in range(100):
        model.learn_many([f"{path} {session}" for path in ("ab", "cd") for _ in path], list("abcd"))
    for clicked, after in zip("ac", "bd", strict=True):
        assert model.recommend([clicked], k=1)[0][0] == after


@pytest.mark.parametrize("name", ["sasrec", "bert4rec", "gru4rec-lstm", "gru4rec-rnn"])
def test_it_learns_what_follows_where_two_paths_cross(name: str) -> None:
    """What comes after x depends on what came before it."""
    model = make(name, n_negatives=8)
    for session in range(200):
        model.learn_many(
            [f"{path} {session}" for path in ("wxy", "vxz") for _ in path], list("wxyvxz")
        )
    assert model.recommend(["w", "x"], k=1)[0][0] == "y"
    assert model.recommend(["v", "x"], k=1)[0][0] == "z"


@pytest.mark.parametrize("name", WINDOWED)
def test_an_item_that_has_left_is_still_a_step_of_its_session(name: str) -> None:
    model = make(name, max_items=3)
    assert isinstance(model, NeuralRival)
    model.learn_many(["a", "b", "b", "b"], ["x", "y", "z", "w"])
    assert "x" not in model.vocabulary.state()[0]["items"]
    model.learn_many(["b"], ["v"])  # It gets the row of x.
    tested = model.test(["a"], ["v"], k=5)
    assert tested.scored.tolist() == [True]
    windows = model.sessions.align_windows(["a"])
    histories, _ = model.sessions.histories(
        windows, model.items.keys_of(model._to_device(np.array([1])))
    )
    seen, there = model._windows_of(windows, histories)
    assert seen.tolist() == [[0]]
    assert there.tolist() == [[True]]


@pytest.mark.parametrize("name", WINDOWED)
def test_a_score_that_is_not_a_number_is_an_error_that_names_the_remedy(name: str) -> None:
    model = make(name)
    assert isinstance(model, NeuralRival)
    drive(model, stream(64), 16)
    model.items.embedding.values[1:] = np.nan
    with pytest.raises(FloatingPointError, match="diverged; lower learning_rate"):
        model.test(*stream(16))
