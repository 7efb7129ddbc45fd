from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.gru4rec.mixed_precision import Precision
from nextclick.models.gru4rec.network import GRU4Rec

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
    ),
]

FORMS: list[dict[str, Any]] = [
    {},
    {"reset": "after", "feed_forward": [7], "dropout": 0.2},
    {"cell": "lstm", "hidden": [12, 6]},
    {"cell": "rnn", "embedding": "separate"},
    {"embedding": "one-hot", "optimizer": "adam", "bias": True, "learning_rate": 0.01},
]


def model(dtype: str, device: str = "cpu", **options: Any) -> OnlineGRU4Rec:
    config = GRU4RecConfig(**{"hidden": 16, "window": 3, "n_negatives": 32, **options})
    return OnlineGRU4Rec(config, seed=1, device=device, dtype=dtype)


def drive(learner: OnlineGRU4Rec, batches: int = 80) -> list[int]:
    """Send many sessions along a circle of twenty items; return the ranks of the last half."""
    random = np.random.default_rng(0)
    found: list[int] = []
    for number in range(batches):
        places = random.integers(0, 20, 16)
        clicks = [(place + step) % 20 for step in range(4) for place in places.tolist()]
        tested = learner.test_then_learn(
            [f"{number}.{lane}" for lane in range(16)] * 4, [f"i{click}" for click in clicks]
        )
        if number >= batches // 2:
            found += tested.ranks[tested.scored].tolist()
    return found


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("options", FORMS, ids=str)
def test_in_bfloat16_it_learns_as_well_as_in_float32(options: dict[str, Any], device: str) -> None:
    first = {
        dtype: np.mean(np.array(drive(model(dtype, device, **options))) == 1)
        for dtype in ("bfloat16", "float32")
    }
    assert first["float32"] > 0.3
    assert abs(first["bfloat16"] - first["float32"]) < 0.1


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("options", FORMS, ids=str)
def test_the_network_computes_in_bfloat16_and_all_is_kept_in_float32(
    options: dict[str, Any], device: str
) -> None:
    learner = model("bfloat16", device, **options)
    drive(learner, 4)
    floats = {
        array.dtype.name for array in learner.state().arrays.values() if array.dtype.kind == "f"
    }
    assert floats == {"float32", "float64"}  # The counts are in float64 always.
    state = torch.rand(5, learner.network.width, device=device)
    outputs = learner.precision.run("output", learner.precision.run("step", inputs(learner), state))
    assert outputs.dtype == torch.float32
    assert torch.equal(outputs, outputs.bfloat16().float())


def inputs(learner: OnlineGRU4Rec) -> torch.Tensor:
    return learner.items.inputs.values[1:6]


@pytest.mark.parametrize("device", DEVICES)
def test_near_scores_do_not_tie_in_bfloat16(device: str) -> None:
    # In bfloat16 a thousand scores of this size would fall on some hundred numbers.
    learner = model("bfloat16", device)
    items = [f"i{place}" for place in range(1000)]
    learner.learn_many([f"s{place}" for place in range(1000)], items)
    tested = learner.test(["s1"], ["i7"], k=1000)
    best = tested.recommended[0]
    assert len({score for _, score in best}) > 990
    assert tested.ranks[0] == 1 + [item for item, _ in best].index("i7")


@pytest.mark.parametrize("device", DEVICES)
def test_steps_too_small_for_bfloat16_are_kept(device: str) -> None:
    learner = model("bfloat16", device, learning_rate=1e-5)
    drive(learner, 2)
    before = learner.network.cells[0].weight_h.detach().clone()
    drive(learner, 2)
    moved = (learner.network.cells[0].weight_h - before).abs()
    assert 0 < moved.max() < 1e-4


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_gradients_reach_the_kept_weights(cell: str) -> None:
    generator = torch.Generator().manual_seed(0)
    network = GRU4Rec(6, [6], cell=cell)
    network.initialise(0.5, 1.0, 0.0, generator)
    leaf = torch.rand((5, 6), generator=generator, requires_grad=True)
    start = torch.rand((3, network.width), generator=generator)
    found = {}
    for dtype in ("float32", "bfloat16"):
        outputs = Precision(network, dtype).run("forward", leaf, [3, 2], start)
        found[dtype] = torch.autograd.grad(outputs.square().sum(), [*network.parameters(), leaf])
    for full, half in zip(found["float32"], found["bfloat16"], strict=True):
        assert half.dtype == torch.float32
        assert not torch.equal(half, full)
        torch.testing.assert_close(half, full, rtol=0.1, atol=0.03)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_otherwise_the_network_computes_as_it_is(dtype: str) -> None:
    learner = model(dtype)
    drive(learner, 4)
    state = torch.rand(5, learner.network.width, dtype=learner.dtype)
    assert learner.dtype == getattr(torch, dtype)
    assert torch.equal(
        learner.precision.run("step", inputs(learner), state),
        learner.network.step(inputs(learner), state),
    )


def test_an_unknown_type_is_refused() -> None:
    message = "dtype must be one of float32, float64, bfloat16, not 'float16'"
    with pytest.raises(ValueError, match=message):
        model("float16")
