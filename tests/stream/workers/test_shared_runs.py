"""Runs of several processes, as torchrun starts them: what is printed, and what a kill changes."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nextclick.stream.snapshots.store import Snapshots
from tests.stream.runs import figures
from tests.stream.workers.groups import SMALL, Group, alive

pytestmark = [pytest.mark.xdist_group("workers"), pytest.mark.timeout(1200)]

CLICKS = 20_000
EVERY = ["--snapshot-every", "1000clicks"]


def arguments(folder: Path, *more: str | Path, source: str = "") -> list[str | Path]:
    source = source or f"sim:clicks={CLICKS},items=300,seed=5"
    kept: list[str | Path] = [
        "--snapshots",
        folder / "snapshots",
        *EVERY,
        "--json",
        folder / "figures.json",
    ]
    return ["run", source, *SMALL, *kept, *more]


def saved(folder: Path) -> int:
    """Return how many clicks the newest snapshot is of."""
    try:
        found = Snapshots(folder / "snapshots").load_newest()
    except OSError:
        return 0
    return 0 if found is None else int(found[1]["clicks"])


def has_learned(folder: Path, more_than: int = 0) -> Callable[[], bool]:
    return lambda: saved(folder) > more_than


def result(folder: Path) -> dict[str, Any]:
    found = figures(json.loads((folder / "figures.json").read_bytes()))
    return {name: value for name, value in found.items() if name != "began_from"}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the figures of a run that nothing has happened to."""
    folder = tmp_path_factory.mktemp("unbroken")
    with Group(2, arguments(folder), output=folder / "output") as group:
        assert group.wait() == 0, group.text()
        said = group.text()
    assert "2 workers, gloo" in said
    assert said.count("nextclick run: loading libraries") == 1
    return result(folder)


def test_a_run_whose_worker_is_killed_goes_on_by_itself(
    tmp_path: Path, unbroken: dict[str, Any]
) -> None:
    with Group(2, arguments(tmp_path), output=tmp_path / "output", restarts=1) as group:
        group.until(has_learned(tmp_path))
        group.kill(1)
        assert group.wait() == 0, group.text()
        said = group.text()
    assert "worker 1 of 2: worker 2 of 2 (rank 1) has died; the last snapshot holds" in said
    assert "Traceback" not in said
    assert result(tmp_path) == unbroken


def test_a_mistake_is_told_once_whatever_is_tried(tmp_path: Path) -> None:
    wrong: list[str | Path] = ["run", tmp_path / "no-such.csv", *SMALL]
    with Group(2, wrong, output=tmp_path / "output", restarts=1) as group:
        assert group.wait() != 0
        said = group.text()
    # The path is in no other line than that of the mistake.
    assert said.count("no-such.csv") == 1, said
    assert len(re.findall(r"Traceback", said)) <= 1  # That of torchrun.


@pytest.mark.slow
@pytest.mark.parametrize("victims", [[0], [0, 1, 0], [1, 2, 1]])
def test_any_worker_may_be_killed_and_again(tmp_path: Path, victims: list[int]) -> None:
    folder = tmp_path / "killed"
    with Group(3, arguments(folder), output=tmp_path / "output", restarts=len(victims)) as group:
        at = 0
        for victim in victims:
            group.until(has_learned(folder, at))
            at = saved(folder)
            group.kill(victim)
        assert group.wait() == 0, group.text()
    with Group(3, arguments(tmp_path), output=tmp_path / "output") as group:
        assert group.wait() == 0, group.text()
    assert result(folder) == result(tmp_path)


@pytest.mark.slow
def test_when_the_agent_is_killed_the_run_ends_in_good_order_and_resumes(
    tmp_path: Path, unbroken: dict[str, Any]
) -> None:
    with Group(2, arguments(tmp_path), output=tmp_path / "output") as group:
        group.until(has_learned(tmp_path))
        workers = group.workers().values()
        os.kill(group.agent.pid, signal.SIGKILL)
        group.until(lambda: not any(map(alive, workers)), over=True)
        assert "has died" not in group.text()
    before = saved(tmp_path)
    with Group(2, arguments(tmp_path), output=tmp_path / "output") as group:
        assert group.wait() == 0, group.text()
        assert f"resuming from the snapshot at {before:,} clicks" in group.text()
    assert result(tmp_path) == unbroken


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_torchrun_ends_the_run_with_a_last_snapshot(
    tmp_path: Path, unbroken: dict[str, Any], number: signal.Signals
) -> None:
    with Group(2, arguments(tmp_path), output=tmp_path / "output", restarts=3) as group:
        group.until(has_learned(tmp_path))
        group.agent.send_signal(number)
        group.wait()
        said = group.text()
    assert "worker 2 of 2" not in said
    clicks = json.loads((tmp_path / "figures.json").read_bytes())["clicks"]
    assert saved(tmp_path) == clicks < CLICKS
    with Group(2, arguments(tmp_path), output=tmp_path / "output") as group:
        assert group.wait() == 0, group.text()
    assert result(tmp_path) == unbroken


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_hangs_is_found_named_and_replaced(
    tmp_path: Path, unbroken: dict[str, Any], rank: int
) -> None:
    command = arguments(tmp_path, "--worker-timeout", "6s")
    with Group(2, command, output=tmp_path / "output", restarts=1) as group:
        group.until(has_learned(tmp_path))
        stopped = group.kill(rank, signal.SIGSTOP)
        group.until(lambda: not alive(stopped))
        assert group.wait() == 0, group.text()
        said = group.text()
    name = f"worker {rank + 1} of 2 (rank {rank})"
    assert f"{name} has not answered for 6 s (--worker-timeout)" in said
    assert result(tmp_path) == unbroken


@pytest.mark.slow
def test_a_quiet_stream_is_no_reason_to_end(tmp_path: Path) -> None:
    log = tmp_path / "clicks.csv"
    rows = [f"{n % 7},{n % 5},{n}\n" for n in range(200)]
    log.write_text("session_id,item_id,timestamp\n" + "".join(rows[:100]))
    command = arguments(
        tmp_path, "--follow", "--worker-timeout", "2s", "--max-clicks", "200", source=str(log)
    )
    command += ["--snapshot-every", "1clicks"]
    with Group(2, command, output=tmp_path / "output") as group:
        group.until(has_learned(tmp_path))
        quiet = iter(range(200))
        group.until(lambda: next(quiet) > 160)  # More than 8 s.
        with log.open("a") as file:
            file.write("".join(rows[100:]))
        assert group.wait() == 0, group.text()
    assert saved(tmp_path) == 200


@pytest.mark.slow
@pytest.mark.parametrize("command", [["--version"], ["run", "--help"], ["compare", "--help"]])
def test_what_needs_no_workers_is_printed_once(tmp_path: Path, command: list[str]) -> None:
    with Group(2, command, output=tmp_path / "output") as group:
        assert group.wait() == 0, group.text()
        said = group.text()
    assert said.count("nextclick 0." if "--version" in command else "Usage:") == 1


@pytest.mark.slow
def test_what_several_workers_cannot_do_is_refused_in_one_line(tmp_path: Path) -> None:
    command = ["run", "sim:clicks=100", "--learner", "vstan", "--device", "cpu"]
    with Group(2, command, output=tmp_path / "output") as group:
        assert group.wait() != 0
        said = group.text()
    assert said.count("--learner vstan runs in one process") == 1
