from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from nextclick.connectors import SourceError
from nextclick.models import GRU4RecConfig
from nextclick.stream.comparison.compare import compare
from nextclick.stream.comparison.config import CompareConfig
from nextclick.stream.config.options import ConfigError
from nextclick.stream.config.run import RunConfig
from nextclick.stream.learned import load_model
from nextclick.stream.runner import run
from nextclick.stream.snapshots.store import SnapshotError, Snapshots
from tests.stream.runs import figures, write_log

SMALL = GRU4RecConfig(hidden=16, n_negatives=32)


def learned(folder: Path, **options: Any) -> Path:
    """Learn the history, and return the folder of its snapshots."""
    log = write_log(folder / "history.csv", 2000)
    snapshots = folder / "history"
    run(str(log), RunConfig(model=SMALL, device="cpu", snapshots=str(snapshots), **options))
    return snapshots


def warm(history: Path, **options: Any) -> RunConfig:
    return RunConfig(device="cpu", begin_from=str(history), **options)


def test_a_run_begins_with_what_was_learned_and_figures_of_its_own(tmp_path: Path) -> None:
    history = learned(tmp_path)
    log = write_log(tmp_path / "new.csv", 1000, seed=0)
    cold = run(str(log), RunConfig(model=SMALL, device="cpu"))
    told: list[str] = []
    result = run(str(log), warm(history), told.append)
    for count in ("clicks", "usable", "learned", "first", "late", "live_sessions"):
        assert result[count] == cold[count]
    # It has seen these very clicks before.
    assert result["recall@20"] > cold["recall@20"]
    assert result["catalogue"] > cold["catalogue"]
    assert result["config"]["model"] == msgspec.to_builtins(SMALL)
    origin = {"snapshot": str(history), "source": str(tmp_path / "history.csv"), "clicks": 2000}
    assert result["began_from"] == origin
    assert cold["began_from"] is None
    assert any("starting from a model trained on 2,000 clicks" in note for note in told)


def test_nothing_of_the_old_live_sessions_is_gone_on_with(tmp_path: Path) -> None:
    """Every session of the new source starts from nothing, though it has the id of an old one."""
    history = learned(tmp_path)
    log = write_log(tmp_path / "new.csv", 300)
    sessions = {line.split(",")[0] for line in log.read_text().splitlines()[1:]}
    result = run(str(log), warm(history))
    assert result["first"] == len(sessions) == result["live_sessions"]
    first = run(str(log), warm(history, max_clicks=1, snapshots=str(tmp_path / "one")))
    assert first["first"] == 1
    parts, _, _ = Snapshots(tmp_path / "one").load_newest() or ({}, {}, [])
    assert len(parts["model"].values["sessions"]) == 0


def test_the_clicks_of_an_unfinished_batch_are_learned_too(tmp_path: Path) -> None:
    history = learned(tmp_path)
    whole = load_model(history, print)
    result = run("sim:clicks=1", warm(history, snapshots=str(tmp_path / "new")))
    assert result["catalogue"] >= whole.n_items
    before = whole.state()
    first = Snapshots(tmp_path / "new").paths()[-1]
    parts, about = Snapshots(tmp_path / "new").load(first)
    assert about["clicks"] == 0
    for name, array in before.arrays.items():
        if name.startswith(("network.", "items.", "popularity.")):
            assert np.array_equal(parts["model"].arrays[name], array), name


def test_one_snapshot_can_be_named_and_a_bookmark_too(tmp_path: Path) -> None:
    history = learned(tmp_path, snapshot_every="700clicks")
    oldest = Snapshots(history).paths()[-1]
    result = run("sim:clicks=100", warm(oldest))
    assert result["began_from"]["clicks"] < 2000
    named = history / "named-before"
    shutil.copytree(oldest, named)
    again = run("sim:clicks=100", warm(named))
    drop = {"began_from": None}
    assert {**figures(again), **drop} == {**figures(result), **drop}


def test_the_same_command_again_goes_on_from_the_snapshots_of_its_own(tmp_path: Path) -> None:
    history = learned(tmp_path)
    log = write_log(tmp_path / "new.csv", 1500, seed=3)
    unbroken = run(str(log), warm(history))
    config = warm(history, snapshots=str(tmp_path / "new"))
    told: list[str] = []
    for stop in (1, 700, None):
        last = run(str(log), msgspec.structs.replace(config, max_clicks=stop), told.append)
        if stop == 700:
            shutil.rmtree(history)  # From now on it is not needed.
    assert figures(last) == figures(unbroken)
    assert sum("was not used: the run resumes" in note for note in told) == 2
    _, about, _ = Snapshots(tmp_path / "new").load_newest() or ({}, {}, [])
    assert about["began_from"] == unbroken["began_from"]


def test_fresh_begins_anew_from_it(tmp_path: Path) -> None:
    history = learned(tmp_path)
    config = warm(history, snapshots=str(tmp_path / "new"))
    first = run("sim:clicks=500,seed=5", config)
    told: list[str] = []
    again = run("sim:clicks=500,seed=5", msgspec.structs.replace(config, fresh=True), told.append)
    assert figures(again) == figures(first)
    assert not any("resuming" in note for note in told)


def test_options_of_the_run_may_be_others_and_those_of_the_model_may_not(tmp_path: Path) -> None:
    history = learned(tmp_path)
    run("sim:clicks=200", warm(history, batch=7, window=50, max_sessions=300, lateness="1s"))
    run("sim:clicks=200", warm(history, model=SMALL))
    with pytest.raises(ConfigError, match=r"model\.hidden 16, not 32"):
        run("sim:clicks=200", warm(history, model=GRU4RecConfig(hidden=32)))
    # What a person has named counts, be it the default.
    with pytest.raises(ConfigError, match=r"model\.n_negatives 32, not"):
        run("sim:clicks=200", warm(history), named={"n_negatives": GRU4RecConfig().n_negatives})
    with pytest.raises(ConfigError, match=r"--max-items 10: .* knows"):
        run("sim:clicks=200", warm(history, max_items=10))


def test_another_seed_gives_other_figures_and_the_same_the_same(tmp_path: Path) -> None:
    history = learned(tmp_path)
    one, again, other = (
        run("sim:clicks=600,seed=9", warm(history, seed=seed)) for seed in (0, 0, 1)
    )
    assert figures(one) == figures(again)
    assert figures(one) != figures(other)


def test_what_cannot_be_begun_from_is_told(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="no snapshot there"):
        run("sim:clicks=10", warm(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SnapshotError, match="no snapshot there"):
        run("sim:clicks=10", warm(tmp_path / "empty"))
    models: dict[str, dict[str, Any]] = {"popularity": {}, "markov": {}}
    compare("sim:clicks=50", CompareConfig(models=models, snapshots=str(tmp_path / "compared")))
    with pytest.raises(SnapshotError, match="of nextclick compare"):
        run("sim:clicks=10", warm(tmp_path / "compared"))
    history = learned(tmp_path)
    newest = Snapshots(history).paths()[0]
    (newest / "values.json").write_bytes(b"{}")
    with pytest.raises(SnapshotError, match=r"is damaged"):
        run("sim:clicks=10", warm(newest))


def test_going_on_with_another_source_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    history = learned(tmp_path)
    config = RunConfig(model=SMALL, device="cpu", snapshots=str(history))
    before = {path.name for path in Snapshots(history).paths()}
    other = write_log(tmp_path / "other.csv", 500, seed=4)
    for spec in ("sim:clicks=10", str(other)):
        with pytest.raises(SourceError, match=r"history\.csv.*--begin-from SNAPSHOT.*--fresh"):
            run(spec, config)
    assert {path.name for path in Snapshots(history).paths()} == before


def test_the_origin_is_in_json(tmp_path: Path) -> None:
    result = run("sim:clicks=100", warm(learned(tmp_path)))
    assert json.loads(msgspec.json.encode(result))["began_from"]["clicks"] == 2000
