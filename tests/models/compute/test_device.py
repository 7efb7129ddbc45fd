from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, State, ranking
from nextclick.models import score_blocks as products
from nextclick.models.compute import background
from nextclick.models.gru4rec import online as learner
from tests.models.compute.recorded import recorded

FORMS: list[dict[str, Any]] = [
    {},
    {"memory": 0, "bias": True, "reset": "after", "feed_forward": [7], "dropout": 0.2},
    {"cell": "lstm", "hidden": [12, 6], "half_life": 50.0, "optimizer": "row-adagrad"},
    {"embedding": "separate", "memory": 0, "loss": "bpr-max", "momentum": 0.3},
    {"embedding": "one-hot", "optimizer": "adam", "learning_rate": 0.01, "min_count": 2},
]


def stream(clicks: int) -> tuple[list[str], list[int]]:
    draw = np.random.default_rng(0)
    sessions = [
        f"s{number // 40}.{lane}" for number, lane in enumerate(draw.integers(8, size=clicks))
    ]
    return sessions, (draw.zipf(1.4, size=clicks) % 60).tolist()


def driven(options: dict[str, Any], device: str, dtype: str) -> tuple[list[int], list[Any], State]:
    """Learn a stream, restored in its middle; return ranks, lists and the last state."""
    config = GRU4RecConfig(**{"hidden": 12, "window": 3, "n_negatives": 16, **options})

    def make() -> OnlineGRU4Rec:
        return OnlineGRU4Rec(config, seed=1, max_items=40, device=device, dtype=dtype)

    model, (sessions, items) = make(), stream(640)
    ranks: list[int] = []
    lists: list[Any] = []
    for start in range(0, 640, 32):
        part = slice(start, start + 32)
        tested = model.test_then_learn(sessions[part], items[part], k=5 if start % 64 else 0)
        ranks += tested.ranks[tested.scored].tolist()
        lists += tested.recommended
        if start == 320:
            state, model = model.state(), make()
            model.restore(state)
    return ranks, lists, model.state()


def close(state: State, expected: State, tolerance: float) -> None:
    assert state.arrays.keys() == expected.arrays.keys()
    for name, array in expected.arrays.items():
        # What is remembered of no item, in row 0, does not count.
        rows = slice(1 if name.startswith("items.") else 0, None)
        # The memory's boost is computed in float32 everywhere.
        near = max(tolerance, 1e-5) if name in ("recall.weights", "recall.sums") else tolerance
        np.testing.assert_allclose(
            state.arrays[name][rows], array[rows], rtol=near, atol=near, err_msg=name
        )


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_a_device_elsewhere_finds_what_the_compiled_loops_find(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device that keeps a GPU's rules, and computes on the host."""
    # Small enough for the host's own ways: blocks, parts, and a second thread.
    for name, small in {"LEAST_CLICKS": 8, "WORTH_HALVING": 4}.items():
        monkeypatch.setattr(ranking, name, small)
    for name, small in {"BLOCK_ROWS": 8, "FEW_OUTPUTS": 2}.items():
        monkeypatch.setattr(products, name, small)
    monkeypatch.setattr(learner, "PARALLEL_RANKING", 0)
    monkeypatch.setattr(background, "cores", lambda: 2 * torch.get_num_threads())
    ranks, lists, state = driven(options, "cpu", "float64")
    with recorded():
        other_ranks, other_lists, other_state = driven(options, "auto", "float64")
    assert other_ranks == ranks
    for best, expected in zip(other_lists, lists, strict=True):
        assert [item for item, _ in best] == [item for item, _ in expected]
        assert [score for _, score in best] == pytest.approx([score for _, score in expected])
    assert other_state.values == state.values
    close(other_state, state, 1e-9)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("options", FORMS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gpu_finds_what_the_cpu_finds(options: dict[str, Any], dtype: str) -> None:
    ranks, _, state = driven(options, "cpu", dtype)
    other_ranks, _, other_state = driven(options, "cuda", dtype)
    assert np.mean(np.array(other_ranks) == np.array(ranks)) > 0.98
    assert other_state.values["sessions"] == state.values["sessions"]
    loose = 1e-6 if dtype == "float64" else 1e-2
    close(other_state, state, loose)
