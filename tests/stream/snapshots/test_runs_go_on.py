from __future__ import annotations

import gc
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nextclick.connectors import SinkError, SourceError
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, State
from nextclick.stream import Engine
from nextclick.stream.config.options import ConfigError
from nextclick.stream.config.run import RunConfig
from nextclick.stream.runner import run
from nextclick.stream.snapshots.store import Snapshots
from tests.stream.runs import SMALL, figures, write_log


def test_a_run_goes_on_from_its_snapshots_as_if_never_stopped(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv")
    whole = run(str(log), RunConfig(model=SMALL, recommendations=str(tmp_path / "whole.jsonl")))
    told: list[str] = []
    for stop in (1, 700, 701, 1500, None):
        config = RunConfig(
            model=SMALL,
            snapshots=str(tmp_path / "snapshots"),
            recommendations=str(tmp_path / "parts.jsonl"),
            max_clicks=stop,
        )
        part = run(str(log), config, told.append)
        assert part["clicks"] == stop or stop is None
    assert figures(part) == figures(whole)
    assert (tmp_path / "parts.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert len(told) == 4
    assert "resuming from the snapshot at 1,500 clicks" in told[-1]


@pytest.mark.parametrize("how", ["resumed", "begun from"])
def test_a_run_does_not_keep_the_snapshot_that_it_goes_on_from(tmp_path: Path, how: str) -> None:
    log = write_log(tmp_path / "clicks.csv")
    first = RunConfig(model=SMALL, snapshots=str(tmp_path / "snapshots"), max_clicks=700)
    run(str(log), first)
    option = "snapshots" if how == "resumed" else "begin_from"
    config = msgspec.structs.replace(
        RunConfig(model=SMALL, max_clicks=900), **{option: first.snapshots}
    )
    kinds: list[Any] = [Engine, OnlineGRU4Rec, State]
    counts: list[list[int]] = []

    def count(engine: object = None) -> None:
        gc.unfreeze()  # Objects that a run has frozen would not be listed.
        there = [type(each) for each in gc.get_objects()]
        counts.append([there.count(kind) for kind in kinds])

    gc.collect()
    count()
    run(str(log), config, progress=count)
    before, during = counts[:2]
    assert [now - then for now, then in zip(during, before, strict=True)] == [1, 1, 0]


def test_a_log_that_has_grown_is_read_on(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv")
    lines = log.read_text().splitlines(keepends=True)
    whole = run(str(log), RunConfig(model=SMALL))
    config = RunConfig(model=SMALL, snapshots=str(tmp_path / "snapshots"))
    log.write_text("".join(lines[:1000]))
    run(str(log), config)
    log.write_text("".join(lines))
    assert figures(run(str(log), config)) == figures(whole)


@pytest.mark.parametrize("kills", [4])
def test_killed_at_random_moments_it_ends_with_the_figures_of_an_unbroken_run(
    tmp_path: Path, kills: int
) -> None:
    log = write_log(tmp_path / "clicks.csv", clicks=12_000)
    common = ["--model", "hidden=16", "--model", "n_negatives=32", "--device", "cpu"]
    command = [sys.executable, "-c", "from nextclick.stream.__main__ import main; main()", "run"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def arguments(name: str, *more: str) -> list[str]:
        files = ["--json", str(tmp_path / f"{name}.json")]
        files += ["--recommendations", str(tmp_path / f"{name}.jsonl")]
        return [*command, str(log), *common, *files, *more]

    subprocess.run(arguments("whole"), check=True, **quiet)  # type: ignore[call-overload]
    broken = arguments(
        "broken", "--snapshots", str(tmp_path / "snapshots"), "--snapshot-every", "256clicks"
    )
    draw = random.Random(4)
    killed = 0
    while killed < kills:
        process = subprocess.Popen(broken, **quiet)  # type: ignore[call-overload]
        before = len(Snapshots(tmp_path / "snapshots").paths())
        while not before and process.poll() is None and not list(tmp_path.glob("snapshots/c*")):
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 2.5))
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break  # It had ended: what is left to test is that it goes on to the same figures.
        killed += 1
    assert killed
    subprocess.run(broken, check=True, **quiet)  # type: ignore[call-overload]
    results = [
        figures(json.loads((tmp_path / f"{name}.json").read_bytes()))
        for name in ("whole", "broken")
    ]
    assert results[0] == results[1]
    assert (tmp_path / "whole.jsonl").read_bytes() == (tmp_path / "broken.jsonl").read_bytes()


def test_sigterm_ends_a_run_with_a_last_snapshot(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from nextclick.stream.__main__ import main; main()", "run"]
    process = subprocess.Popen(
        [
            *(*command, "sim:", "--snapshots", str(tmp_path / "s"), "--snapshot-every", "64clicks"),
            *("--json", str(tmp_path / "r.json")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    # The second: the first one is written before anything is read.
    while not list((tmp_path / "s").glob("clicks-*-0002")):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    result = json.loads((tmp_path / "r.json").read_bytes())
    found = Snapshots(tmp_path / "s").load_newest()
    assert found is not None
    assert found[1]["clicks"] == result["clicks"]


def test_other_options_than_it_was_begun_with_are_refused(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 300)
    folder = str(tmp_path / "snapshots")
    run(str(log), RunConfig(model=SMALL, snapshots=folder))
    with pytest.raises(ConfigError, match=r"--batch 64, not with --batch 32.*--fresh"):
        run(str(log), RunConfig(model=SMALL, snapshots=folder, batch=32))
    with pytest.raises(ConfigError, match=r"model.hidden 16, not with model.hidden 20"):
        run(str(log), RunConfig(model=GRU4RecConfig(hidden=20, n_negatives=32), snapshots=folder))
    # What no figure depends on may differ.
    run(str(log), RunConfig(model=SMALL, snapshots=folder, keep_snapshots=1, k=5))
    run(str(log), RunConfig(model=SMALL, snapshots=folder, batch=32, fresh=True))


def test_a_duration_may_be_written_otherwise_on_resume(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 300)
    folder = str(tmp_path / "snapshots")
    run(str(log), RunConfig(model=SMALL, snapshots=folder, gap="30m", lateness="1m"))
    run(str(log), RunConfig(model=SMALL, snapshots=folder, gap="1800s", lateness=60))
    kept = RunConfig(model=SMALL, snapshots=folder, gap="30m", lateness="1m", max_ahead="24h")
    with pytest.raises(ConfigError, match="--max-ahead 30d, not with --max-ahead 24h"):
        run(str(log), kept)


def test_another_log_is_refused(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 300)
    other = write_log(tmp_path / "other.csv", 300, seed=1)
    config = RunConfig(model=SMALL, snapshots=str(tmp_path / "snapshots"))
    run(str(log), config)
    with pytest.raises(SourceError, match=r"other\.csv.*--fresh"):
        run(str(other), config)


def test_a_damaged_snapshot_is_skipped_and_named(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 1000)
    config = RunConfig(
        model=SMALL, snapshots=str(tmp_path / "snapshots"), snapshot_every="256clicks"
    )
    whole = run(str(log), config)
    newest = Snapshots(tmp_path / "snapshots").paths()[0]
    arrays = bytearray((newest / "arrays.safetensors").read_bytes())
    arrays[len(arrays) // 2] ^= 1
    (newest / "arrays.safetensors").write_bytes(arrays)
    told: list[str] = []
    assert figures(run(str(log), config, told.append)) == figures(whole)
    assert newest.name in told[0]
    assert "arrays.safetensors" in told[0]


def test_recommendations_cut_short_behind_its_back_are_an_error(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 500)
    config = RunConfig(
        model=SMALL,
        snapshots=str(tmp_path / "snapshots"),
        recommendations=str(tmp_path / "best.jsonl"),
    )
    run(str(log), config)
    os.truncate(tmp_path / "best.jsonl", 10)
    with pytest.raises(SinkError, match="restore the file"):
        run(str(log), config)


def test_a_file_left_out_for_a_while_is_written_on(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 900)
    best = tmp_path / "best.jsonl"
    for stop, options in (
        (320, {"recommendations": str(best)}),
        (640, {}),
        (None, {"recommendations": str(best)}),
    ):
        config = RunConfig(model=SMALL, snapshots=str(tmp_path / "s"), max_clicks=stop, **options)  # type: ignore[arg-type]
        run(str(log), config)
    times = [json.loads(line)["time"] for line in best.read_bytes().splitlines()]
    clicks = [float(line.split(",")[2]) for line in log.read_text().splitlines()[1:]]
    assert times == sorted(set(times))
    assert min(times) < clicks[319]
    assert not any(clicks[320] < time < clicks[639] for time in times)
    assert max(times) > clicks[640]


def test_a_run_that_found_no_clicks_goes_on_when_there_are_some(tmp_path: Path) -> None:
    log = tmp_path / "clicks.csv"
    config = RunConfig(model=SMALL, snapshots=str(tmp_path / "s"))
    log.write_text("session_id,item_id,timestamp\n")
    assert run(str(log), config)["clicks"] == 0
    write_log(log, 100)
    assert run(str(log), config)["clicks"] == 100


def test_a_fresh_run_killed_at_once_is_what_the_next_one_goes_on_from(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv", 300)
    config = RunConfig(model=SMALL, snapshots=str(tmp_path / "s"))
    run(str(log), config)
    started = RunConfig(model=SMALL, snapshots=str(tmp_path / "s"), fresh=True, batch=32)

    class KilledError(Exception):
        pass

    def kill(engine: object) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        run(str(log), started, progress=kill)
    told: list[str] = []
    again = RunConfig(model=SMALL, snapshots=str(tmp_path / "s"), batch=32)
    assert run(str(log), again, told.append)["clicks"] == 300
    assert "at 0 clicks" in told[0]
