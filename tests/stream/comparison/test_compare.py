from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nextclick.models import GRU4RecConfig
from nextclick.models.rivals import RIVALS
from nextclick.stream import CompareConfig, RunConfig, compare, run
from nextclick.stream.config.options import ConfigError
from nextclick.stream.learned import load_model
from nextclick.stream.snapshots.store import SnapshotError, Snapshots
from tests.small_models import Recent
from tests.stream.runs import VARIES, write_log

SMALL: dict[str, Any] = {"hidden": 8, "n_negatives": 16}
MODELS: dict[str, dict[str, Any]] = {"gru4rec": SMALL, "recent": {}, "gru4rec-network": SMALL}


@pytest.fixture(autouse=True)
def recent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RIVALS, "recent", Recent)


def configuration(**options: Any) -> CompareConfig:
    models = options.pop("models", MODELS)
    return CompareConfig(models=models, device="cpu", batch=32, **options)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    models = {
        name: {key: value for key, value in found.items() if key not in ("score_ms", "learn_ms")}
        for name, found in result["models"].items()
    }
    return {**{key: value for key, value in result.items() if key not in VARIES}, "models": models}


def test_a_comparison_follows_a_log_that_grows(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", clicks=200)
    whole = compare(str(log), configuration())
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:90]))

    def grow() -> None:
        with log.open("a") as file:
            file.writelines(lines[90:])

    threading.Timer(0.5, grow).start()
    found = compare(str(log), configuration(follow=True, max_clicks=200))
    assert figures(found) == figures(whole)


def test_it_finds_what_a_run_finds() -> None:
    spec = "sim:clicks=3000,items=100"
    result = compare(spec, configuration())
    alone = run(
        spec, RunConfig(model=GRU4RecConfig(hidden=8, n_negatives=16), device="cpu", batch=32)
    )
    for figure in ("recall@20", "mrr@20", "ndcg@20", "unseen"):
        assert result["models"]["gru4rec"][figure] == alone[figure]
    for count in ("clicks", "learned", "first", "late", "scored", "live_sessions"):
        assert result[count] == alone[count]
    # What a run tells of its one model stands under that model's name.
    assert "recall@20" not in result
    # All of it is in JSON's types, whoever writes it.
    json.dumps(result, allow_nan=False)
    msgspec.json.encode(result)


def test_stopped_anywhere_it_goes_on_to_the_figures_of_an_unbroken_one(tmp_path: Path) -> None:
    spec = "sim:clicks=2000,items=100"
    whole = compare(spec, configuration())
    told: list[str] = []
    for stop in (1, 450, 451, 1300, None):
        part = compare(
            spec, configuration(snapshots=str(tmp_path / "s"), max_clicks=stop), told.append
        )
        assert part["clicks"] == (stop or 2000)
    assert figures(part) == figures(whole)
    assert len(told) == 4


def test_a_resumed_comparison_has_been_timed_from_its_beginning(tmp_path: Path) -> None:
    spec, folder = "sim:clicks=600,items=50", str(tmp_path / "s")
    before = compare(spec, configuration(snapshots=folder))
    after = compare(spec, configuration(snapshots=folder))
    assert after["models"]["recent"]["learn_ms"] > 0
    # Nothing was left to do, so the times are those of the first part, which were kept.
    assert after["models"]["gru4rec"]["score_ms"] == pytest.approx(
        before["models"]["gru4rec"]["score_ms"], rel=0.5
    )


def test_it_must_go_on_as_it_was_begun(tmp_path: Path) -> None:
    spec, folder = "sim:clicks=200,items=50", str(tmp_path / "s")
    compare(spec, configuration(snapshots=folder))
    for options, message in (
        (
            {"models": {"recent": {}}},
            "--models gru4rec,recent,gru4rec-network, not with --models recent",
        ),
        ({"k": [20]}, r"--k 1,5,10,20, not with --k 20"),
        ({"seed": 4}, "--seed 0, not with --seed 4"),
        ({"models": {**MODELS, "recent": {"worse": 1}}}, r"the options of recent \{\}, not"),
    ):
        with pytest.raises(ConfigError, match=message):
            compare(spec, configuration(snapshots=folder, **options))
    compare(spec, configuration(snapshots=folder, k=[20], fresh=True))


def test_a_run_and_a_comparison_do_not_go_on_from_each_other(tmp_path: Path) -> None:
    spec = "sim:clicks=200,items=50"
    ours, others = str(tmp_path / "compare"), str(tmp_path / "run")
    compare(spec, configuration(snapshots=ours))
    run(spec, RunConfig(model=GRU4RecConfig(**SMALL), device="cpu", snapshots=others))
    with pytest.raises(ConfigError, match=r"are of nextclick compare.*--snapshots.*--fresh"):
        run(spec, RunConfig(model=GRU4RecConfig(**SMALL), device="cpu", snapshots=ours))
    with pytest.raises(ConfigError, match=r"are of nextclick run"):
        compare(spec, configuration(snapshots=others))
    with pytest.raises(SnapshotError, match="are of nextclick compare: give those of a"):
        load_model(Path(ours), print)


@pytest.mark.parametrize("kills", [3])
def test_killed_at_random_moments_it_ends_with_the_same_figures(tmp_path: Path, kills: int) -> None:
    start = "from nextclick.stream.__main__ import main; main()"
    command = [sys.executable, "-c", start, "compare", "sim:clicks=9000,items=200"]
    command += ["--models", "gru4rec,gru4rec-network", "--device", "cpu"]
    for model in ("gru4rec", "gru4rec-network"):
        command += ["--model", f"{model}.hidden=8", "--model", f"{model}.n_negatives=16"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def arguments(name: str, *more: str) -> list[str]:
        return [*command, "--json", str(tmp_path / f"{name}.json"), *more]

    subprocess.run(arguments("whole"), check=True, **quiet)  # type: ignore[call-overload]
    folder = tmp_path / "snapshots"
    broken = arguments("broken", "--snapshots", str(folder), "--snapshot-every", "512clicks")
    draw, killed = random.Random(5), 0
    while killed < kills:
        process = subprocess.Popen(broken, **quiet)  # type: ignore[call-overload]
        before = len(Snapshots(folder).paths())
        while not before and process.poll() is None and not list(folder.glob("clicks-*")):
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 2.5))
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break  # It had ended: what is left to test is that it goes on to the same figures.
        killed += 1
    assert killed
    subprocess.run(broken, check=True, **quiet)  # type: ignore[call-overload]
    whole, resumed = (
        json.loads((tmp_path / f"{name}.json").read_bytes()) for name in ("whole", "broken")
    )
    assert figures(whole) == figures(resumed)
    assert whole["differences"]
