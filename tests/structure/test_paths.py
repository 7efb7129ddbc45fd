"""Every function that takes a path takes it as a text and as a path object."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextclick.connectors import JsonLinesSink, LogSource, open_source
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, State, export_model, load_export
from nextclick.stream import (
    CompareConfig,
    RunConfig,
    Snapshots,
    compare,
    run,
    write_comparison,
    write_report,
)
from nextclick.stream.config.options import load_toml
from nextclick.stream.learned import load_model

SMALL: dict[str, Any] = {"hidden": 4, "n_negatives": 4}
CLICKS = "session_id,item_id,timestamp\na,x,1\na,y,2\nb,x,3\nb,y,4\n"

PathLike = str | os.PathLike[str]


class Elsewhere(os.PathLike[str]):
    """A path object that is no `pathlib.Path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


forms = pytest.mark.parametrize("form", [str, Path, Elsewhere])
Form = Callable[[Path], PathLike]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "clicks.csv"
    path.write_text(CLICKS)
    return path


def config(**options: Any) -> RunConfig:
    return RunConfig(model=GRU4RecConfig(**SMALL), device="cpu", **options)


@forms
def test_logs_are_opened(form: Form, log: Path) -> None:
    for source in (open_source(form(log)), LogSource(form(log))):
        clicks = source.poll(10)
        assert clicks is not None
        assert clicks.items == ["x", "y", "x", "y"]
        source.close()


@forms
def test_runs_and_comparisons_are_carried_out(form: Form, log: Path) -> None:
    assert run(form(log), config())["clicks"] == 4
    models = {"gru4rec": SMALL, "markov": {}}
    assert compare(form(log), CompareConfig(models=models, device="cpu"))["clicks"] == 4


@forms
def test_snapshots_are_written_and_read(form: Form, log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    run(str(log), config(snapshots=str(folder)))
    assert load_model(form(folder), print).n_items == 2
    snapshots = Snapshots(form(tmp_path / "others"))
    path = snapshots.save({"model": State({"a": np.zeros(2)}, {})}, {"clicks": 1})
    assert snapshots.verify(form(path)) == []
    assert snapshots.load(form(path))[1]["clicks"] == 1
    snapshots.close()


@forms
def test_models_are_exported_and_loaded(form: Form, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    model = OnlineGRU4Rec(GRU4RecConfig(**SMALL), device="cpu")
    model.learn_many(["a", "a"], ["x", "y"])
    export_model(model, form(tmp_path / "export"))
    exported = load_export(form(tmp_path / "export"))
    assert exported.recommend(np.array(["x"]), k=5)
    with pytest.raises(TypeError, match="items must be a sequence"):
        exported.recommend("x")
    with pytest.raises(ValueError, match="k must be at least 1"):
        exported.recommend(["x"], k=0)


def test_only_the_model_that_can_be_exported_is_taken(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="only an OnlineGRU4Rec can be exported"):
        export_model(str(tmp_path / "export"), OnlineGRU4Rec())  # type: ignore[arg-type]


@forms
def test_records_pages_and_options_are_written_and_read(
    form: Form, log: Path, tmp_path: Path
) -> None:
    sink = JsonLinesSink(form(tmp_path / "records.jsonl"))
    sink.write({"item": "x"})
    sink.close()
    assert (tmp_path / "records.jsonl").read_text() == '{"item":"x"}\n'
    write_report(form(tmp_path / "run.html"), run(str(log), config()))
    models = {"gru4rec": SMALL, "markov": {}}
    compared = compare(str(log), CompareConfig(models=models, device="cpu"))
    write_comparison(form(tmp_path / "compare.html"), compared)
    assert (tmp_path / "run.html").exists()
    assert (tmp_path / "compare.html").exists()
    (tmp_path / "run.toml").write_text("batch = 3\n")
    assert load_toml(form(tmp_path / "run.toml"), RunConfig) == {"batch": 3}
