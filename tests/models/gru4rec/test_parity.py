"""The loss curve of the official GRU4Rec, met by this code driven in its protocol.

`official_losses.json` holds the losses of every mini-batch of three epochs, recorded once from the
official PyTorch code in its compatibility mode (see ``made_with`` and ``settings`` in it) on the
small log below. Numbers only: none of that code is here. At full size `benchmarks/peers/parity.py`
compares with the official code itself.
"""

from __future__ import annotations

import itertools
import json
import runpy
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
OfficialProtocol = runpy.run_path(
    str(HERE.parents[2] / "benchmarks" / "peers" / "official_protocol.py")
)["OfficialProtocol"]


def log() -> list[list[int]]:
    """Sixty sessions over forty items; no mini-batch has the same target twice."""
    return [
        [s % 8 + 8 * ((s + 2 * p + (p * p * s) % 3) % 5) for p in range(3 + 2 * s % 5)]
        for s in range(60)
    ]


def test_the_loss_curve_is_that_of_the_official_code() -> None:
    options = {
        "hidden": 16,
        "n_negatives": 0,
        "logq": 0.0,
        "learning_rate": 0.05,
        "item_learning_rate": 0.05,
    }
    protocol = OfficialProtocol(log(), options, lanes=8, dtype="float64")
    curves = [protocol.epoch() for _ in range(3)]

    official = json.loads((HERE / "official_losses.json").read_bytes())
    np.testing.assert_allclose(curves, official["losses"], rtol=0, atol=5e-6)
    # And it does learn: the last epoch is far below the first.
    assert np.mean(curves[2]) < 0.8 * np.mean(curves[0])


def test_its_test_ranks_by_the_scores_of_the_network_alone() -> None:
    protocol = OfficialProtocol(log(), {"hidden": 16, "n_negatives": 0}, lanes=8, dtype="float64")
    protocol.epoch()
    learner, sessions = protocol.learner, log()[:5]
    expected = []
    for session in sessions:
        rows = torch.from_numpy(learner.vocabulary.rows_of(session))
        state = torch.zeros((1, 16), dtype=torch.float64)
        for item, target in itertools.pairwise(rows.tolist()):
            state = learner.network.step(learner.items.embedding.values[[item]], state)
            vectors, biases = learner.items.embedding.values[1:41], learner.items.bias.values[1:41]
            scores = state[0] @ vectors.T + biases
            expected.append(int((scores >= scores[target - 1] - 1e-12).sum()))
    assert sorted(protocol.test(sessions).tolist()) == sorted(expected)
