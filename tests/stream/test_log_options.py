"""The options of a run about its log, from the command line, from TOML and from Python."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nextclick.connectors import SourceError
from nextclick.stream.cli.app import app
from nextclick.stream.config.options import ConfigError, build
from nextclick.stream.config.run import RunConfig
from nextclick.stream.runner import run
from nextclick.stream.snapshots.resume import check_fixed

SMALL: dict[str, Any] = {"hidden": 8, "memory": 0}

KEPT = ("usable", "learned", "rejected", "catalogue", "scored", "seen", "windows")

ROWS = [(f"s{n % 7}", f"i{n % 5}", 1_000_000 + n) for n in range(60)]


def figures(spec: Path, notes: list[str] | None = None, **options: Any) -> dict[str, Any]:
    notify = (notes if notes is not None else []).append
    found = run(str(spec), build(RunConfig, {"model": SMALL, **options}), notify)
    return {name: found[name] for name in KEPT}


@pytest.fixture
def with_header(tmp_path: Path) -> Path:
    path = tmp_path / "clicks.csv"
    lines = ["session_id,item_id,timestamp", *(f"{s},{i},{t}" for s, i, t in ROWS)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def without_header(tmp_path: Path) -> Path:
    path = tmp_path / "clicks.data"
    path.write_text("".join(f"{i}\t{t}\t{s}\n" for s, i, t in ROWS))
    return path


def test_places_are_the_same_from_python_toml_and_the_command_line(
    tmp_path: Path, with_header: Path, without_header: Path
) -> None:
    expected = figures(with_header)
    places: dict[str, Any] = {"session_column": 3, "item_column": 1, "time_column": "2"}
    assert figures(without_header, **places) == expected
    options = tmp_path / "run.toml"
    model = "".join(f"{name} = {json.dumps(value)}\n" for name, value in SMALL.items())
    options.write_text(f"session_column = 3\nitem_column = 1\n[model]\n{model}")
    for flags in (["--time-column", "2"], ["--time-column", "2", "--item-column", "1"]):
        written = tmp_path / "figures.json"
        command = ["run", str(without_header), "--config", str(options), "--json", str(written)]
        result = CliRunner().invoke(app, [*command, *flags])
        assert result.exit_code == 0, result.output
        found = json.loads(written.read_text())
        assert {name: found[name] for name in expected} == expected


def test_a_place_from_python_is_that_from_the_command_line_when_a_run_goes_on(
    tmp_path: Path,
) -> None:
    python, shell = RunConfig(item_column=2), RunConfig(item_column="2")
    assert python == shell
    check_fixed(python.public(), shell.public(), tmp_path)


def test_a_file_of_recbole_runs_as_it_comes_and_is_told_to_be_sorted(tmp_path: Path) -> None:
    path = tmp_path / "ml-100k.inter"
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    path.write_text(header + "".join(f"{s}\t{i}\t3\t{t}\n" for s, i, t in reversed(ROWS)))
    notes: list[str] = []
    found = figures(path, notes)
    assert (found["usable"], found["rejected"]) == (60, {})
    assert sum("sorted by time first" in note for note in notes) == 1
    assert figures(path, format="recbole") == found


def test_a_grouped_log_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    rows = [
        (f"s{s}", f"i{s % 5}", 1_000_000 + 900 * (s * 7 % 40) + n)
        for s in range(40)
        for n in (0, 1, 2)
    ]
    path.write_text(
        "session_id,item_id,timestamp\n" + "".join(f"{s},{i},{t}\n" for s, i, t in rows)
    )
    notes: list[str] = []
    figures(path, notes)
    assert sum("--sort" in note for note in notes) == 1
    notes.clear()
    figures(path, notes, sort=True)
    assert notes == []


def test_a_missing_column_of_a_log_by_place_names_the_remedy(without_header: Path) -> None:
    with pytest.raises(SourceError, match=r"no column 'session_id'.*--session-column"):
        figures(without_header, item_column=1)


def test_a_log_that_is_followed_gives_the_figures_of_the_finished_one(
    tmp_path: Path, with_header: Path
) -> None:
    expected = figures(with_header, batch=16)
    growing = tmp_path / "growing.csv"
    text = with_header.read_text()
    growing.write_text(text[:200])

    def grow() -> None:
        for at in range(200, len(text), 37):
            with growing.open("a") as log:
                log.write(text[at : at + 37])
            time.sleep(0.005)

    writer = threading.Thread(target=grow)
    writer.start()
    shared: dict[str, Any] = {"batch": 16, "follow": True, "snapshots": str(tmp_path / "snapshots")}
    figures(growing, max_clicks=23, **shared)
    assert figures(growing, max_clicks=len(ROWS), **shared) == expected
    writer.join()


def test_on_a_quiet_log_the_last_clicks_get_their_recommendations(
    tmp_path: Path, with_header: Path
) -> None:
    found = tmp_path / "recommendations.jsonl"
    arguments = ["run", str(with_header), "--follow", "--recommendations", str(found)]
    arguments += ["--model", "hidden=8", "--memory", "off", "--device", "cpu"]
    program = "from nextclick.stream.__main__ import main; main()"
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    # Of 60 clicks, fewer than a batch, the first of each of 7 sessions has none.
    while not found.exists() or len(found.read_text().splitlines()) < 53:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("-", "--follow is for a log"),
        ("sim:clicks=5", "--follow is for a log"),
        ("kafka://localhost:1/clicks", "a topic is followed"),
    ],
)
def test_what_is_no_log_is_not_followed(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(spec, build(RunConfig, {"follow": True}))
