from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nextclick.stream.evaluation.prequential import Prequential
from nextclick.stream.evaluation.warm_up import n_warm_up_alarms


def alarms_of(share: np.ndarray[Any, Any], seed: int = 0) -> list[dict[str, Any]]:
    """Return the alarms of a stream whose clicks are hits with these probabilities."""
    ranks = np.where(np.random.default_rng(seed).random(len(share)) < share, 1, 0)
    figures = Prequential()
    figures.update(ranks, np.arange(1, len(share) + 1), np.arange(len(share), dtype=float))
    drift: list[dict[str, Any]] = figures.results()["drift"]
    return drift


def learning(clicks: int, slowness: float, best: float = 0.7) -> np.ndarray[Any, Any]:
    return best * (1 - np.exp(-np.arange(clicks) / slowness))


@pytest.mark.parametrize("slowness", [1_000, 5_000, 20_000, 60_000])
def test_a_model_that_only_learns_has_no_drift(slowness: float) -> None:
    alarms = alarms_of(learning(300_000, slowness))
    assert n_warm_up_alarms(alarms) == len(alarms)


def test_a_fall_is_drift_and_so_is_what_comes_after() -> None:
    share = learning(120_000, 5_000)
    share[60_000:90_000] -= 0.3
    alarms = alarms_of(share)
    drift = alarms[n_warm_up_alarms(alarms) :]
    assert [alarm["after"] > alarm["before"] for alarm in drift] == [False, True]
    assert drift[0]["since"] == pytest.approx(60_000, abs=1_500)


def test_a_rise_after_a_long_calm_is_drift() -> None:
    share = learning(200_000, 2_000)
    share[100_000:] += 0.2
    alarms = alarms_of(share)
    drift = alarms[n_warm_up_alarms(alarms) :]
    assert [round(alarm["since"], -4) for alarm in drift] == [100_000]


def test_a_stream_that_begins_well_and_falls_at_once_has_drift() -> None:
    share = np.where(np.arange(40_000) < 8_000, 0.8, 0.4)
    alarms = alarms_of(share)
    assert len(alarms) == 1
    assert n_warm_up_alarms(alarms) == 0


def test_no_alarms_are_none_of_the_warm_up() -> None:
    assert n_warm_up_alarms([]) == 0
