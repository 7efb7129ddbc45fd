"""Each tracker as it is installed, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nextclick.stream import CompareConfig, RunConfig, RunResult, compare, run

SPEC = "sim:clicks=2500,items=100"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tracked(track: str) -> tuple[RunResult, list[str]]:
    notes: list[str] = []
    result = run(SPEC, RunConfig(learner="markov", seed=5, track=[track]), notes.append)
    return result, [note for note in notes if "tracking" in note]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_the_curves(folder: Path) -> None:
    pytest.importorskip("tensorboard", reason="pip install 'nextclick[tensorboard]'")
    from tensorboard.backend.event_processing import event_accumulator

    result, failed = tracked("tensorboard:boards")
    assert failed == []
    (own,) = (folder / "boards").iterdir()
    events = event_accumulator.EventAccumulator(str(own))
    events.Reload()
    curve = events.Scalars("recall@20")
    assert [round(point.step, -3) for point in curve] == [1000, 2000]
    (final,) = events.Scalars("final/recall@20")
    assert final.value == pytest.approx(result["recall@20"])
    (options,) = events.Tensors("options/text_summary")
    assert b'"seed": 5' in options.tensor_proto.string_val[0]


@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_the_options_and_figures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="pip install 'nextclick[mlflow]'")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (folder / "kept").as_uri()
    models: dict[str, Any] = {"markov": {}, "small": {"kind": "markov", "followers": 5}}
    notes: list[str] = []
    result = compare(SPEC, CompareConfig(models=models, track=[f"mlflow:{uri}"]), notes.append)
    assert [note for note in notes if "tracking" in note] == []
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("nextclick")
    assert experiment is not None
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.info.status == "FINISHED"
    assert logged.data.params["models.small.followers"] == "5"
    expected = result["models"]["small"]["recall@20"]
    assert logged.data.metrics["final/small/recall_at_20"] == pytest.approx(expected)
    history = client.get_metric_history(logged.info.run_id, "markov/mrr_at_20")
    assert [round(point.step, -3) for point in history] == [1000, 2000]


@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases_keeps_a_run_offline(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb", reason="pip install 'nextclick[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(folder))
    for place in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(place, str(folder / "own"))
    _, failed = tracked("wandb:shop")
    wandb.teardown()
    assert failed == []
    (own,) = (folder / "wandb").glob("offline-run-*")
    assert next(own.glob("*.wandb")).stat().st_size > 1000
    kept = b"".join(path.read_bytes() for path in own.glob("*.wandb"))
    for name in (b"final/recall@20", b"shop", b"learner"):
        assert name in kept


def test_options_that_are_secret_reach_no_tracker() -> None:
    config = RunConfig(learner="markov", kafka={"sasl.password": "12345"})
    assert "12345" not in json.dumps(config.public())
