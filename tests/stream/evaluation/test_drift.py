from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nextclick.stream.evaluation.drift import HitRateDrift


def stream(rates: list[float], each: int, seed: int = 0) -> NDArray[np.bool_]:
    """Draw hits whose rate changes along the stream, `each` clicks at each rate."""
    return np.random.default_rng(seed).random(len(rates) * each) < np.repeat(rates, each)


def watch(drift: HitRateDrift, hits: NDArray[np.bool_], cuts: list[int]) -> None:
    """Feed hits in batches; every other click of the stream is a scored one."""
    positions = np.arange(2, 2 * len(hits) + 2, 2)
    for start, stop in zip([0, *cuts], [*cuts, len(hits)], strict=True):
        drift.update(hits[start:stop], positions[start:stop], positions[start:stop] / 10)


def test_a_fall_and_a_rise_are_told_apart_and_placed() -> None:
    drift = HitRateDrift()
    watch(drift, stream([0.6, 0.4, 0.55], 30_000), [])
    fall, rise = drift.alarms
    assert 60_000 < fall["clicks"] < 66_000
    assert fall["time"] == fall["clicks"] / 10
    assert fall["since"] == pytest.approx(60_000, abs=1_000)
    assert fall["before"] == pytest.approx(0.6, abs=0.01)
    assert fall["after"] == pytest.approx(0.4, abs=0.03)
    assert rise["since"] == pytest.approx(120_000, abs=2_000)
    assert rise["before"] == pytest.approx(0.4, abs=0.01)
    assert rise["after"] == pytest.approx(0.55, abs=0.03)


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_chance_alone_raises_no_alarm(rate: float) -> None:
    drift = HitRateDrift()
    watch(drift, stream([rate], 1_000_000), [])
    assert drift.alarms == []


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 60_000), max_size=40), kept=st.integers(0, 40))
def test_neither_batches_nor_a_restore_changes_an_alarm(cuts: list[int], kept: int) -> None:
    hits = stream([0.5, 0.2, 0.7], 20_000, seed=3)
    whole = HitRateDrift()
    watch(whole, hits, [])
    assert len(whole.alarms) == 2

    cuts = sorted(cuts)
    stop = cuts[min(kept, len(cuts) - 1)] if cuts else 0
    before, after = HitRateDrift(), HitRateDrift()
    watch(before, hits[:stop], [cut for cut in cuts if cut < stop])
    after.restore(msgspec.json.decode(msgspec.json.encode(before.state())))
    positions = np.arange(2, 2 * len(hits) + 2, 2)
    for start, end in zip([stop, *cuts], [*cuts, len(hits)], strict=True):
        if start >= stop:
            after.update(hits[start:end], positions[start:end], positions[start:end] / 10)
    assert after.state() == whole.state()


def test_a_restore_at_any_block_changes_no_alarm() -> None:
    hits = stream([0.5, 0.2, 0.7], 15_000, seed=4)
    positions = np.arange(len(hits))
    whole, running = HitRateDrift(), HitRateDrift()
    whole.update(hits, positions, positions / 10)
    assert len(whole.alarms) == 2
    for stop in range(500, len(hits), 500):
        block = slice(stop - 500, stop)
        running.update(hits[block], positions[block], positions[block] / 10)
        resumed = HitRateDrift()
        resumed.restore(msgspec.json.decode(msgspec.json.encode(running.state())))
        resumed.update(hits[stop:], positions[stop:], positions[stop:] / 10)
        assert resumed.state() == whole.state()


def test_the_alarms_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextclick.stream.evaluation.drift.KEPT", 3)
    drift = HitRateDrift()
    watch(drift, stream([0.1, 0.9] * 4, 10_000), [])
    assert len(drift.alarms) == 3
    assert drift.alarms[-1]["since"] == pytest.approx(140_000, abs=1_000)
