"""The loss curve of the official GRU4Rec, met by this code driven in its protocol.

`official_losses.json` holds the losses of every mini-batch of three epochs, recorded once from the
official PyTorch code in its compatibility mode (see ``made_with`` and ``settings`` in it) on the
small log below. Numbers only: none of that code is here. At full size `benchmarks/parity.py`
compares with the official code itself.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
OfficialProtocol = runpy.run_path(str(HERE.parents[1] / "benchmarks" / "official_protocol.py"))[
    "OfficialProtocol"
]


def log() -> list[list[int]]:
    """Sixty sessions over forty items; no mini-batch has the same target twice."""
    return [
        [s % 8 + 8 * ((s + 2 * p + (p * p * s) % 3) % 5) for p in range(3 + 2 * s % 5)]
        for s in range(60)
    ]


def test_the_loss_curve_is_that_of_the_official_code() -> None:
    options = {"hidden": 16, "negatives": 0, "logq": 0.0, "rate": 0.05, "item_rate": 0.05}
    protocol = OfficialProtocol(log(), options, lanes=8, dtype="float64")
    curves = [protocol.epoch() for _ in range(3)]

    official = json.loads((HERE / "official_losses.json").read_bytes())
    np.testing.assert_allclose(curves, official["losses"], rtol=0, atol=5e-6)
    # And it does learn: the last epoch is far below the first.
    assert np.mean(curves[2]) < 0.8 * np.mean(curves[0])
