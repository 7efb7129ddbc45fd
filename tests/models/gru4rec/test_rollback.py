from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, ranking, score_blocks, torch_scan
from nextclick.models.compute import background
from nextclick.models.score_blocks import Scanned
from nextclick.models.torch_scan import TorchScan
from tests.models.gru4rec.learners import drive, model, stream


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("memory", [0, 40, 1000])
def test_another_thread_and_smaller_parts_change_no_rank(
    memory: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def model(memory: int) -> OnlineGRU4Rec:
        config = GRU4RecConfig(hidden=12, window=4, n_negatives=16, memory=memory)
        return OnlineGRU4Rec(config, seed=1, device="cpu", dtype=dtype)

    monkeypatch.setattr(background, "cores", lambda: 2 * torch.get_num_threads())
    clicks = stream(400, items=60)
    alone = drive(model(memory=memory), clicks, 16)
    monkeypatch.setattr("nextclick.models.gru4rec.online.PARALLEL_SCORES", 0)
    assert drive(model(memory=memory), clicks, 16) == alone
    monkeypatch.setattr("nextclick.models.gru4rec.online.PARALLEL_RANKING", 0)
    assert drive(model(memory=memory), clicks, 16) == alone
    # Chunks of clicks, each in two parts that share its scan, and many blocks of rows.
    for name, small in {"MOST_CLICKS": 8, "WORTH_HALVING": 4}.items():
        monkeypatch.setattr(ranking, name, small)
    assert drive(model(memory=memory), clicks, 16) == alone
    if dtype == "float64":
        monkeypatch.setattr(torch_scan, "BLOCK_SCORES", 200)
    # In float32 the sums of other blocks round differently, and what is learned with them.
    elif not memory:
        for name, small in {"BLOCK_ROWS": 16, "MANY_ROWS": 16}.items():
            monkeypatch.setattr(score_blocks, name, small)
    assert drive(model(memory=memory), clicks, 16) == alone


@pytest.mark.parametrize("memory", [0, 40])
def test_learning_alone_computes_no_scores_that_nobody_asks_for(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "cores", lambda: 2 * torch.get_num_threads())
    monkeypatch.setattr("nextclick.models.gru4rec.online.PARALLEL_SCORES", 0)
    computed: list[TorchScan] = []
    taken: list[TorchScan] = []
    compute, read = TorchScan.compute, TorchScan.scanned

    def noted_compute(self: TorchScan) -> None:
        computed.append(self)
        compute(self)

    def noted_read(self: TorchScan) -> Scanned:
        taken.append(self)
        return read(self)

    monkeypatch.setattr(TorchScan, "compute", noted_compute)
    monkeypatch.setattr(TorchScan, "scanned", noted_read)
    learner = model(memory=memory)
    for session, item in zip(*stream(60), strict=True):
        learner.learn_one(session, item)
    learner._worker.wait()
    # The memory learns how far the network is to be believed, so it asks for the scores.
    assert bool(taken) == bool(memory)
    assert set(computed) <= set(taken)


@pytest.mark.parametrize("parallel", [0, 1 << 60], ids=["thread", "scores-alone"])
@pytest.mark.parametrize(
    "part", ["_move_starts", "_forward", "_ranker", "_rank", "_gradients", "trainer.gradients"]
)
def test_a_batch_that_fails_has_never_been(
    part: str, parallel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "cores", lambda: 2 * torch.get_num_threads())
    monkeypatch.setattr("nextclick.models.gru4rec.online.PARALLEL_RANKING", parallel)
    monkeypatch.setattr("nextclick.models.gru4rec.online.PARALLEL_SCORES", 0)
    one, other = model(memory=1000), model(memory=1000)
    for each in (one, other):
        drive(each, stream(100), 16)

    def fail(*arguments: object) -> None:
        raise MemoryError

    owner, _, name = part.rpartition(".")
    with monkeypatch.context() as patch:
        patch.setattr(one.trainer if owner else one, name, fail)
        with pytest.raises(MemoryError):
            one.test_then_learn(["s1", "new", "new"], [1, "new", 1])
    kept, expected = one.state(), other.state()
    assert kept.values == expected.values
    for array_name, array in expected.arrays.items():
        np.testing.assert_array_equal(array, kept.arrays[array_name], err_msg=array_name)
    assert drive(one, stream(64, seed=1), 16) == drive(other, stream(64, seed=1), 16)


def test_an_interrupt_during_the_lookup_leaves_nothing_of_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = model(memory=1000), model(memory=1000)
    for each in (one, other):
        drive(each, stream(100), 16)

    assert one.memory is not None
    lookup = one.memory.lookup

    def interrupted(*arguments: Any) -> None:
        lookup(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(one.memory, "lookup", interrupted)
        with pytest.raises(KeyboardInterrupt):
            one.test_then_learn(["s1", "new", "new"], [1, "new", 1])
    kept, expected = one.state(), other.state()
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(array, kept.arrays[name], err_msg=name)
    assert drive(one, stream(64, seed=1), 16) == drive(other, stream(64, seed=1), 16)
