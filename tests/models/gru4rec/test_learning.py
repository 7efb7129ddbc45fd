from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.compute.snapshot_buffer import SnapshotBuffer
from nextclick.models.gru4rec.network import ACTIVATIONS
from nextclick.models.losses import LOSSES
from nextclick.models.optim import RULES
from tests.models.gru4rec.learners import EMBEDDINGS, drive, model, stream


def test_it_learns_a_path() -> None:
    learner = model(n_negatives=8)
    for session in range(300):
        learner.learn_many([session] * 4, ["w", "x", "y", "z"])
    for clicked, after in [("w", "x"), ("wx", "y"), ("wxy", "z")]:
        assert learner.recommend(list(clicked), k=1)[0][0] == after


@pytest.mark.parametrize(
    "options",
    [
        *({"embedding": e, "cell": c} for e in EMBEDDINGS for c in ("gru", "lstm", "rnn")),
        *({"optimizer": name} for name in RULES),
        *({"optimizer": name, "momentum": 0.5, "embedding": "separate"} for name in RULES),
        *({"feed_forward": [10, 8], "activation": name} for name in ACTIVATIONS),
        {"reset": "after", "hidden": [12, 8], "embedding": "separate"},
        {"cell": "lstm", "hidden": [12, 8]},
        {"bias": True},
        {"bias": True, "embedding": "one-hot", "feed_forward": [8], "cell": "rnn"},
        {"dropout": 0.2, "input_dropout": 0.1, "hidden": [16, 16]},
        {"clip": 0.1},
        *({"loss": name, "bias": True} for name in LOSSES),
        {"loss": "full-cross-entropy", "smoothing": 0.05},
    ],
    ids=str,
)
def test_it_learns_what_follows_on_two_crossing_paths(options: dict[str, Any]) -> None:
    """What comes after x depends on what came before it."""
    learner = model(n_negatives=8, **options)
    paths = ["wxy", "vxz"]
    for round_ in range(100):
        learner.learn_many(
            [f"{round_} {path}" for path in paths for _ in path], list("".join(paths))
        )
    for path in paths:
        assert learner.recommend([path[0]], k=1)[0][0] == "x"
        assert learner.recommend(list(path[:2]), k=1)[0][0] == path[2]


@pytest.mark.parametrize(
    ("cell", "reset"), [("gru", "before"), ("gru", "after"), ("lstm", "before")]
)
def test_one_hot_is_a_dense_layer_over_unit_vectors(cell: str, reset: str) -> None:
    """As a separate table held at the identity, with W as fast as the items: the ranks agree."""
    options: dict[str, Any] = {
        "cell": cell,
        "reset": reset,
        "learning_rate": 0.1,
        "item_learning_rate": 0.1,
        "neighbour_init": 0.0,
    }
    one_hot = model(embedding="one-hot", **options)
    dense = model(embedding="separate", **options)
    names: list[str | int] = list(range(12))
    for learner in (one_hot, dense):
        learner.learn_many([f"only {name}" for name in names], names)
    unit = torch.eye(12, dtype=torch.float64)
    saved = {"layers.0.weight_x": one_hot.items.inputs.values[1:13].T}
    dense.network.load_state_dict({**one_hot.network.state_dict(), **saved})
    dense.items.embedding.values[:] = one_hot.items.embedding.values
    dense._draws.set_state(one_hot._draws.get_state())
    clicks = stream(400, items=12)
    ranks: list[list[int]] = [[], []]
    for start in range(0, 400, 16):
        part = clicks[0][start : start + 16], clicks[1][start : start + 16]
        dense.items.inputs.values[1:13] = unit
        for learner, found in zip((one_hot, dense), ranks, strict=True):
            found += drive(learner, part, 16)
    assert ranks[0] == ranks[1]
    torch.testing.assert_close(
        one_hot.items.inputs.values[1:13].T,
        dense.network.cells[0].weight_x,
        rtol=1e-9,
        atol=1e-9,
    )


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("shares", [(0.5, 0.0), (0.0, 0.5)])
def test_dropout_is_for_learning_only(shares: tuple[float, float], cell: str) -> None:
    options: dict[str, Any] = {
        "hidden": [12, 6],
        "input_dropout": shares[0],
        "dropout": shares[1],
        "cell": cell,
    }
    plain, first, second = model(hidden=[12, 6], cell=cell), model(**options), model(**options)
    sessions, items = stream(300)
    ranks = [drive(learner, (sessions[:64], items[:64]), 64) for learner in (plain, first, second)]
    assert ranks[0] == ranks[1] == ranks[2]  # As at first nothing is learned.
    weights = [torch.nn.utils.parameters_to_vector(m.network.parameters()) for m in (plain, first)]
    assert not torch.equal(*weights)
    rest = sessions[64:], items[64:]
    after = [drive(learner, rest, 16) for learner in (plain, first, second)]
    assert after[0] != after[1]
    assert after[1] == after[2]
    for name, array in first.state().arrays.items():
        np.testing.assert_array_equal(array, second.state().arrays[name], err_msg=name)
    other = model(seed=2, **options)
    assert drive(other, (sessions, items), 16) != ranks[1] + after[1]
    assert first.recommend([1, 2]) == first.recommend([1, 2])


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("optimizer", RULES)
def test_an_unseen_row_is_never_touched(optimizer: str, embedding: str) -> None:
    learner = model(
        n_negatives=0, optimizer=optimizer, momentum=0.5, embedding=embedding, bias=True, clip=1.0
    )
    learner.learn_many(["a", "a"], ["x", "y"])
    before = learner.items.state(3, SnapshotBuffer())
    learner.learn_many(["b", "b", "b"], ["u", "v", "u"])
    for name, array in learner.items.state(3, SnapshotBuffer()).items():
        assert torch.equal(array, before[name]), name
    for part in (learner.items.embedding, learner.items.inputs):
        assert not part.values[0].any()
    assert learner.items.bias.values[0] == -torch.inf
    assert learner.items.bias.values[3:5].all()


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_a_new_item_starts_near_the_one_clicked_before_it(embedding: str) -> None:
    """With one candidate there is nothing to learn: the rows are as they were begun."""
    plain, near = (
        model(n_negatives=0, embedding=embedding, neighbour_init=part) for part in (0.0, 0.15)
    )
    for learner in (plain, near):
        learner.learn_many(["a"], ["x"])
        learner.learn_many(["a"], ["y"])
    for drawn, found in (
        (plain.items.embedding.values, near.items.embedding.values),
        (plain.items.inputs.values, near.items.inputs.values),
    ):
        assert torch.equal(found[1], drawn[1])
        torch.testing.assert_close(found[2], drawn[2] + 0.15 * drawn[1])


def test_without_the_option_no_bias_is_learned() -> None:
    learner = model()
    drive(learner, stream(100), 16)
    assert not learner.items.bias.values[1 : learner.vocabulary.used].any()


def test_learning_click_by_click_is_learning_in_batches_of_one() -> None:
    one, many = model(), model()
    sessions, items = stream(50)
    for session, item in zip(sessions, items, strict=True):
        one.learn_one(session, item)
    drive(many, (sessions, items), 1)
    assert one.recommend([1, 2]) == many.recommend([1, 2])


def test_the_result_says_how_long_it_learned() -> None:
    learner = OnlineGRU4Rec(GRU4RecConfig(hidden=8), device="cpu")
    sessions: list[str | int] = ["a", "a", "b", "b"]
    tested = learner.test_then_learn(sessions, ["x", "y", "x", "y"])
    assert tested.learning > 0
    assert learner.test(sessions, ["x", "y", "x", "y"]).learning == 0
