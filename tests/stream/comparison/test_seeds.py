from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from nextclick.stream import CompareConfig, compare
from nextclick.stream.comparison.bootstrap import differences, draw_seeds, with_holm

OPTIONS: dict[str, Any] = {"device": "cpu", "batch": 16, "k": [5, 20]}
MODELS: dict[str, Any] = {"gru4rec-network": {"hidden": 4}, "markov": {}}


def alone(seed: int) -> dict[str, Any]:
    return compare("sim:clicks=600", CompareConfig(models=MODELS, seed=seed, **OPTIONS))


def test_figures_of_several_seeds_are_the_means_of_each_alone() -> None:
    together = compare("sim:clicks=600", CompareConfig(models=MODELS, seeds=3, seed=4, **OPTIONS))
    runs = [alone(seed)["models"] for seed in (4, 5, 6)]
    found = together["models"]["gru4rec-network"]
    for figure in ("recall@20", "mrr@5"):
        values = [run["gru4rec-network"][figure] for run in runs]
        assert found["seeds"][figure] == values
        assert found[figure] == pytest.approx(np.mean(values), abs=1e-12)
        assert found["spread"][figure] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    half = [run["gru4rec-network"]["last_half"]["recall@20"] for run in runs]
    assert found["last_half"]["recall@20"] == pytest.approx(np.mean(half), abs=1e-12)
    # What takes no part in chance takes part once.
    same = {key: value for key, value in runs[0]["markov"].items() if not key.endswith("_ms")}
    assert {key: together["models"]["markov"][key] for key in same} == same
    assert "seeds" not in together["models"]["markov"]
    json.dumps(together)


def test_an_interval_holds_the_spread_over_seeds_too() -> None:
    draw = np.random.default_rng(0)
    shared = draw.binomial(20, 0.5, size=(200, 1, 1)).astype(float)
    # The seeds of the first model are far apart, by the same in every block.
    gains = np.concatenate([shared + shift for shift in (-2.0, 0.0, 2.0, 0.0)], axis=1)
    clicks = np.full(200, 20)
    (one,) = differences(gains[:, [1, 3]], clicks, ["a", "b"], ["recall@20"])
    (several,) = differences(gains, clicks, ["a", "b"], ["recall@20"], seeds=[3, 1])
    assert one.low == one.high == 0
    assert several.low is not None
    assert several.high is not None
    assert several.low < -0.05 < 0.05 < several.high


def test_the_draws_spread_as_the_means_of_seeds_do() -> None:
    draw = np.random.default_rng(1)
    found = [
        draw_seeds(np.tile(draw.normal(size=(1, 5, 1)), (400, 1, 1)), [5])[:, 0, 0].var()
        for _ in range(400)
    ]
    assert np.mean(found) == pytest.approx(1 / 5, rel=0.1)


def test_of_many_equal_models_fewer_are_marked_after_holms_correction() -> None:
    draw = np.random.default_rng(2)
    plain = corrected = 0
    for _ in range(40):
        gains = draw.binomial(20, 0.5, size=(150, 6, 1)).astype(float)
        table = differences(gains, np.full(150, 20), list("abcdef"), ["recall@20"], draws=300)
        plain += any(each.real for each in table)
        corrected += any(each.holm for each in table)
    assert plain > 10
    assert corrected <= 6


def test_a_clear_difference_stays_marked() -> None:
    draw = np.random.default_rng(3)
    gains = draw.binomial(20, [[0.5], [0.7]], size=(150, 2, 1)).astype(float)
    (each,) = with_holm(differences(gains, np.full(150, 20), ["a", "b"], ["recall@20"]))
    assert each.real
    assert each.holm
    assert each.p is not None
    assert each.p < 1e-6
