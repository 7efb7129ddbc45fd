"""Every model on a GPU, and on a device that keeps a GPU's rules, beside the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, Query
from nextclick.models.rivals import RIVALS
from tests.models.compute.recorded import recorded
from tests.models.rivals.learned import SMALL, drive, stream

OWN = {"gru4rec": 100, "gru4rec-network": 0}
"""The engine's own model, with and without its memory."""

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
PLACES = ["elsewhere", pytest.param("cuda", marks=NO_GPU)]


@contextmanager
def at(place: str) -> Iterator[str]:
    """Yield the device to ask for."""
    if place == "elsewhere":
        with recorded():
            yield "auto"
    else:
        yield place


def make(name: str, device: str, dtype: str = "float64") -> Any:
    if name in OWN:
        config = GRU4RecConfig(hidden=8, window=4, n_negatives=16, memory=OWN[name])
        return OnlineGRU4Rec(config, seed=1, device=device, dtype=dtype)
    kind: Any = RIVALS[name]
    return kind(**SMALL[name], seed=1, device=device, dtype=dtype)


def alike(ranks: list[int], expected: list[int], share: float) -> None:
    assert np.mean(np.array(ranks) == np.array(expected)) >= share


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted([*OWN, *SMALL]))
def test_every_model_finds_on_a_device_what_it_finds_on_the_cpu(name: str, place: str) -> None:
    clicks = stream(256)
    expected = drive(make(name, "cpu"), clicks, 32)
    with at(place) as device:
        ranks = drive(make(name, device), clicks, 32)
    # A GPU may add in another order each time.
    alike(ranks, expected, 1.0 if place == "elsewhere" else 0.98)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(OWN))
@pytest.mark.parametrize("back", [False, True])
def test_a_snapshot_of_one_device_goes_on_on_the_other(name: str, place: str, back: bool) -> None:
    clicks = stream(256)
    with at(place) as device:
        first, then = (device, "cpu") if back else ("cpu", device)
        stays, leaves, comes = make(name, first), make(name, first), make(name, then)
        drive(stays, (clicks[0][:128], clicks[1][:128]), 32)
        drive(leaves, (clicks[0][:128], clicks[1][:128]), 32)
        comes.restore(leaves.state())
        expected = drive(stays, clicks, 32, 128)
        alike(drive(comes, clicks, 32, 128), expected, 1.0 if place == "elsewhere" else 0.98)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(OWN))
def test_visitors_on_a_device_get_the_lists_of_the_cpu(name: str, place: str) -> None:
    clicks = stream(256)
    queries = [
        *(Query(session=session, k=5, exclude="current") for session in sorted(set(clicks[0]))),
        Query(items=clicks[1][:3], k=20, without=clicks[1][4:6]),
        Query(session="nobody", k=3),
    ]
    on_cpu = make(name, "cpu")
    drive(on_cpu, clicks, 32)
    expected = on_cpu.recommend_each(queries)
    with at(place) as device:
        there = make(name, device)
        there.restore(on_cpu.state())
        for answer, other in zip(there.recommend_each(queries), expected, strict=True):
            assert [item for item, _ in answer.best] == [item for item, _ in other.best]
            scores = [score for _, score in other.best]
            assert [score for _, score in answer.best] == pytest.approx(scores, rel=1e-6)


@pytest.mark.parametrize("place", ["cpu", *PLACES])
@pytest.mark.parametrize("name", sorted(OWN))
def test_bfloat16_on_a_device_ranks_nearly_as_float32_does(name: str, place: str) -> None:
    clicks = stream(640)
    expected = np.array(drive(make(name, "cpu", "float32"), clicks, 32))
    with at(place) as device:
        model = make(name, device, "bfloat16")
        ranks = np.array(drive(model, clicks, 32))
        assert {of.dtype for of in model.network.parameters()} == {torch.float32}
        assert model.items.embedding.values.dtype == torch.float32
    scored = expected > 0
    assert np.array_equal(ranks > 0, scored)
    # Of fifteen items: the same place, or the next one.
    assert np.mean(np.abs(ranks - expected)[scored] <= 1) > 0.9
