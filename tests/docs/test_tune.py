"""The example of examples/tune, on a small log."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.stream.runs import write_log

EXAMPLE = Path(__file__).parents[2] / "examples" / "tune" / "tune.py"


@pytest.fixture
def example() -> ModuleType:
    pytest.importorskip("optuna", reason="make checks")
    spec = importlib.util.spec_from_file_location("tune", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")
def test_it_tunes_on_the_first_tenth_and_reports_on_the_rest(
    example: ModuleType, tmp_path: Path
) -> None:
    log = str(write_log(tmp_path / "clicks.csv", clicks=1500))
    options, result = example.tune(log, trials=2)
    assert set(options) == set(result["config"]["models"]["tuned"]) - {"kind"}
    assert set(result["models"]) == {"tuned", "gru4rec"}
    begun = result["protocol"]["begun"]
    assert begun["clicks"] == 150
    before = result["protocol"]["not_counted"]["before"]
    assert result["scored"] + before + result["first"] == 1500
    again, _ = example.tune(log, trials=2)
    assert again == options
