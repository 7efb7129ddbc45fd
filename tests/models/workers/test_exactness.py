"""Any number of workers gives what one process gives, up to rounding."""

from __future__ import annotations

from typing import Any

import pytest

from tests.models.workers.pool import Pool
from tests.models.workers.shared import (
    DEEP,
    assert_same_lists,
    assert_same_states,
    drive,
    one_process,
    sharded,
    stream,
)

SIZES = (1, 2, 3, 5)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"memory": 1000},
    {"memory": 30, "min_count": 2, "memory_boost": False},
    {"memory": 50, "max_idle": 60.0},
    {"embedding": "separate", "optimizer": "adam", "momentum": 0.5, "bias": True},
    {"embedding": "one-hot", "cell": "lstm", "optimizer": "rmsprop", "dropout": 0.3},
    {"optimizer": "row-adagrad", "cell": "rnn", "clip": 0.1, "input_dropout": 0.3, **DEEP},
    {"reset": "after", "optimizer": "adam", "bias": True, "memory": 100, **DEEP},
    {"loss": "full-cross-entropy", "bias": True, "optimizer": "adam"},
    {"loss": "full-cross-entropy", "smoothing": 0.1, "memory": 100, "embedding": "separate"},
    {"smoothing": 0.2, "logq": 0.5, "alpha": 0.0},
    {"loss": "bpr", "bias": True, "half_life": 50.0},
    {"loss": "bpr-max", "regularisation": 0.5, "elu": 0.5},
    {"loss": "top1", "neighbour_init": 0.0},
    {"loss": "top1-max", "n_negatives": 0},
    {"loss": "binary-cross-entropy", "logq": 1.0, "clip": 1.0, "embedding": "separate"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_ranks_lists_and_states_are_those_of_one_process(
    options: dict[str, Any], pool: Pool
) -> None:
    clicks = stream(320)
    model = one_process(**options)
    ranks, lists = drive(model, clicks)
    assert len(set(ranks)) > 5
    for size in SIZES:
        with pool.group(size) as group:
            shared = sharded(group, **options)
            found_ranks, found_lists = drive(shared, clicks)
            assert found_ranks == ranks
            assert_same_lists(found_lists, lists)
            assert_same_states(model.state(), shared.state())


@pytest.mark.parametrize("memory", [0, 200])
@pytest.mark.parametrize("batch", [1, 7, 320])
def test_batches_of_any_size_are_shared(batch: int, memory: int, pool: Pool) -> None:
    clicks = stream(100 if batch == 1 else 320, seed=3)
    model = one_process(memory=memory)
    ranks, lists = drive(model, clicks, batch)
    with pool.group(3) as group:
        shared = sharded(group, memory=memory)
        found_ranks, found_lists = drive(shared, clicks, batch)
        assert found_ranks == ranks
        assert_same_lists(found_lists, lists)
        assert_same_states(model.state(), shared.state())
