from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.compute import snapshot_buffer as copies
from nextclick.models.items.item_table import SHIFT
from nextclick.models.items.sampling_table import BLOCK
from nextclick.models.recommender import State
from tests.models.gru4rec.learners import DEEP, drive, model, stream


@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({}, 16),
        ({}, 160),
        ({"memory": 1000}, 160),
        ({"memory": 30, "min_count": 2}, 160),
        ({"embedding": "separate", "optimizer": "adam", "momentum": 0.5, "bias": True}, 160),
        ({"embedding": "one-hot", "cell": "lstm", "optimizer": "rmsprop", "dropout": 0.3}, 160),
        (
            {"optimizer": "row-adagrad", "cell": "rnn", "clip": 0.1, "input_dropout": 0.3, **DEEP},
            160,
        ),
        ({"reset": "after", "optimizer": "adam", "bias": True, **DEEP}, 160),
    ],
)
def test_a_restored_model_goes_on_to_the_last_bit(
    options: dict[str, Any], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "LARGE", 1)  # Memory is made ready for however little.
    sessions, items = stream(400)
    unbroken, broken, restored = model(**options), model(**options), model(seed=99, **options)
    drive(unbroken, (sessions[:at], items[:at]), 16)
    drive(broken, (sessions[:at], items[:at]), 16)
    broken.state()
    state = broken.state()
    drive(broken, (sessions[at:], items[at:]), 16)  # The state is a copy.
    other = broken.state()  # And stays one while there is another.
    restored.restore(state)
    del other
    rest = (sessions[at:], items[at:])
    assert drive(restored, rest, 16) == drive(unbroken, rest, 16)
    for name, array in unbroken.state().arrays.items():
        if not name.startswith("sessions."):
            np.testing.assert_array_equal(array, restored.state().arrays[name], err_msg=name)


@pytest.mark.parametrize("at", [0, 16, 160])
def test_a_state_with_one_cumulative_sum_over_all_items_is_gone_on_from(at: int) -> None:
    sessions, items = stream(400)
    unbroken, restored = (model(max_items=12) for _ in range(2))
    drive(unbroken, (sessions[:at], items[:at]), 16)
    state = unbroken.state()
    arrays, values = dict(state.arrays), copy.deepcopy(state.values)
    # As states were kept before: see `with_sampling_sums`.
    sums, dropped = (arrays.pop(f"popularity.{name}") for name in ("sums", "dropped"))
    weights = np.diff(sums.reshape(-1, BLOCK), axis=1, prepend=0.0).reshape(-1)
    rows = np.arange(1, len(arrays["items.births"]) if at else 1)
    born = np.where(dropped[rows], 1 << 20, arrays["items.births"][rows])
    arrays["popularity.table"] = weights[rows].cumsum()
    arrays["popularity.stamps"] = (born << SHIFT) + rows
    del values["popularity"]["total"]
    restored.restore(State(arrays, values))
    negatives = []
    for one in (unbroken, restored):
        one._draws.manual_seed(5)
        negatives.append(one.popularity.sample(500).tolist())
    assert negatives[0] == negatives[1]
    assert not at or len(set(negatives[0])) > 5
    rest = (sessions[at:], items[at:])
    for one in (unbroken, restored):
        one._draws.manual_seed(5)
    assert drive(restored, rest, 16) == drive(unbroken, rest, 16)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize(
    "options",
    [{}, {"embedding": "separate", "bias": True, "dropout": 0.2}, {"memory": 1000}],
    ids=str,
)
def test_a_copy_goes_on_like_the_first_and_by_itself(
    how: Callable[[OnlineGRU4Rec], OnlineGRU4Rec], options: dict[str, Any]
) -> None:
    first = model(**options)
    sessions, items = stream(320)
    drive(first, (sessions[:160], items[:160]), 16)
    copied = how(first)
    rest = (sessions[160:], items[160:])
    ranks = drive(copied, rest, 16)
    # What the copy learned has not touched the first.
    assert drive(first, rest, 16) == ranks
    assert drive(copied, rest, 16) == drive(first, rest, 16)


@pytest.mark.parametrize("memory", [0, 5000])
def test_room_is_ready_before_a_large_snapshot_is_taken(memory: int) -> None:
    many = list(range(3000))
    for begin in (OnlineGRU4Rec.state, lambda learner: learner.restore(learner.state())):
        learner = OnlineGRU4Rec(GRU4RecConfig(memory=memory), device="cpu")
        learner.learn_many(many, many)
        assert not learner.copies.wanted
        begin(learner)
        for more in (many, [item + 3000 for item in many]):
            learner.learn_many(more, more)
            learner.copies.begin()  # It waits until all is ready.
            ready = learner.copies._ready
            # The catalogue is copied elsewhere.
            assert ready > 0.98 * sum(array.nbytes for array in learner.state().arrays.values())


@pytest.mark.parametrize("memory", [0, 5000])
def test_room_is_ready_for_a_state_that_grows_by_little(memory: int) -> None:
    learner = OnlineGRU4Rec(GRU4RecConfig(memory=memory), device="cpu")
    learner.state()
    for step in range(40):
        new = [f"{step}, {number}" for number in range(60 if step else 2000)]
        learner.learn_many(new, new)
        learner.copies.begin()  # It waits until all is ready.
        ready, piece = learner.copies._ready, learner.copies._piece[0].ctypes.data
        learner.state()
        if step:
            assert learner.copies._used <= ready
            assert learner.copies._piece[0].ctypes.data == piece
