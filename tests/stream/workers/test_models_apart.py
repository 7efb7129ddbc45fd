from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nextclick.stream.comparison.compare import compare
from nextclick.stream.comparison.config import CompareConfig
from nextclick.stream.workers.models_apart import deal
from tests.stream.runs import OWN
from tests.stream.workers.groups import Group
from tests.stream.workers.test_shared_runs import has_learned

pytestmark = [pytest.mark.xdist_group("workers"), pytest.mark.timeout(1200)]

MODELS: dict[str, dict[str, Any]] = {
    "gru4rec-network": {"hidden": 8, "n_negatives": 16},
    "markov": {},
    "sasrec": {"window": 4},
    "vstan": {},
}
SOURCE = "sim:clicks=6000,items=200,seed=3"


def figures(result: Any) -> Any:
    """Return all of a result that two equal comparisons have in common."""
    if isinstance(result, list):
        return [figures(each) for each in result]
    if not isinstance(result, dict):
        return result
    times = ("score_ms", "learn_ms")
    return {name: figures(value) for name, value in result.items() if name not in (*OWN, *times)}


@pytest.fixture(scope="module")
def one_process() -> Any:
    """Return the figures that one process finds."""
    config = CompareConfig(models=MODELS, device="cpu")
    return figures(json.loads(json.dumps(compare(SOURCE, config))))


def command(folder: Path) -> list[str | Path]:
    options = [
        f"{name}.{option}={value}"
        for name, table in MODELS.items()
        for option, value in table.items()
    ]
    return [
        *("compare", SOURCE, "--models", ",".join(MODELS), "--device", "cpu"),
        *(word for option in options for word in ("--model", option)),
        *("--json", folder / "figures.json", "--snapshots", folder / "snapshots"),
        *("--snapshot-every", "1000clicks"),
    ]


def test_models_in_several_processes_have_the_figures_of_one_though_one_is_killed(
    tmp_path: Path, one_process: Any
) -> None:
    with Group(3, command(tmp_path), output=tmp_path / "output", restarts=1) as group:
        group.until(has_learned(tmp_path))
        group.kill(2)
        assert group.wait() == 0, group.text()
        said = group.text()
    assert "worker 3 of 3 (rank 2) has died" in said
    assert figures(json.loads((tmp_path / "figures.json").read_bytes())) == one_process


@pytest.mark.slow
def test_a_comparison_goes_on_with_another_number_of_processes(
    tmp_path: Path, one_process: Any
) -> None:
    with Group(4, command(tmp_path), output=tmp_path / "output") as group:
        group.until(has_learned(tmp_path))
        group.agent.terminate()
        group.wait()
    with Group(2, command(tmp_path), output=tmp_path / "output") as group:
        assert group.wait() == 0, group.text()
    assert figures(json.loads((tmp_path / "figures.json").read_bytes())) == one_process


def test_the_costly_models_are_spread_and_the_first_is_in_the_first_process() -> None:
    names = ["vstan", "gru4rec", "sasrec", "bert4rec", "markov", "rules"]
    ranks = deal(dict(zip(names, names, strict=True)), 3)
    assert list(ranks) == names
    assert ranks["vstan"] == 0
    costly = [ranks[name] for name in ("gru4rec", "sasrec", "bert4rec")]
    assert sorted(costly) == [0, 1, 2]


@pytest.mark.parametrize("size", [2, 5])
def test_more_processes_than_models_leave_some_idle(size: int) -> None:
    assert deal({"gru4rec": "gru4rec"}, size) == {"gru4rec": 0}


def test_seeds_and_a_protocol_give_the_same_figures_in_several_processes(tmp_path: Path) -> None:
    models: dict[str, dict[str, Any]] = {
        "small": {"kind": "gru4rec", "hidden": 4, "n_negatives": 4},
        "markov": {},
    }
    source = "sim:clicks=1500,items=50,seed=3"
    asked: dict[str, Any] = {
        "seeds": 2,
        "frozen": True,
        "test_from": 1000,
        "leave_out": ["repeats"],
    }
    config = CompareConfig(models=models, device="cpu", **asked)
    one = figures(json.loads(json.dumps(compare(source, config))))
    (tmp_path / "experiment.toml").write_text(
        'seeds = 2\nfrozen = true\ntest_from = 1000\nleave_out = ["repeats"]\ndevice = "cpu"\n'
        '[models.small]\nkind = "gru4rec"\nhidden = 4\nn_negatives = 4\n[models.markov]\n'
    )
    options: list[str | Path] = [
        "--config",
        tmp_path / "experiment.toml",
        "--json",
        tmp_path / "figures.json",
    ]
    with Group(3, ["compare", source, *options], output=tmp_path / "output") as group:
        assert group.wait() == 0, group.text()
    assert figures(json.loads((tmp_path / "figures.json").read_bytes())) == one
