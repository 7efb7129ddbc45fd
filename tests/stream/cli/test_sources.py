"""Sources of every form, as the command line and Python name them."""

from __future__ import annotations

import bz2
import json
import lzma
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nextclick.stream.config.options import build
from nextclick.stream.config.run import RunConfig
from nextclick.stream.runner import run
from tests.stream.cli.shell import SMALL, call

ROWS = [(f"s{n // 3 % 40}", f"i{n * 7 % 30}", 1000 + n) for n in range(600)]
CONFIG: dict[str, Any] = {"model": {"hidden": 8, "n_negatives": 16}, "device": "cpu"}
KEPT = ("clicks", "usable", "learned", "rejected", "scored", "windows", "items")


def text(rows: list[tuple[str, str, int]], delimiter: str = ",", header: bool = True) -> bytes:
    lines = [("session_id", "item_id", "timestamp")] * header + rows
    return "".join(delimiter.join(map(str, line)) + "\n" for line in lines).encode()


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in KEPT if name in result}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the figures of all clicks in one plain file."""
    path = tmp_path_factory.mktemp("whole") / "whole.csv"
    path.write_bytes(text(ROWS))
    return figures(run(path, build(RunConfig, CONFIG)))


def run_by_command(tmp_path: Path, *arguments: str | Path) -> dict[str, Any]:
    result = tmp_path / "figures.json"
    assert call("run", *arguments, *SMALL, "--json", result) == 0
    found: dict[str, Any] = json.loads(result.read_text())
    return found


@pytest.mark.parametrize("how", ["names", "folder", "pattern", "zip"])
def test_several_files_give_the_figures_of_one(
    tmp_path: Path, expected: dict[str, Any], how: str
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "b.csv.bz2").write_bytes(bz2.compress(text(ROWS[:200])))
    (folder / "a.csv.xz").write_bytes(lzma.compress(text(ROWS[200:450])))
    (folder / "c.csv").write_bytes(text(ROWS[450:]))
    with zipfile.ZipFile(tmp_path / "logs.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    sources: dict[str, list[str | Path]] = {
        "names": [folder / "c.csv", folder / "b.csv.bz2", folder / "a.csv.xz"],
        "folder": [folder],
        "pattern": [str(folder / "*.csv*")],
        "zip": [tmp_path / "logs.zip"],
    }
    result = run_by_command(tmp_path, *sources[how])
    assert figures(result) == json.loads(json.dumps(expected))
    assert result["source"] == " ".join(map(str, sources[how]))
    if how == "names":
        assert figures(run(sources[how], build(RunConfig, CONFIG))) == expected


def test_a_run_over_files_that_keep_coming_resumes(
    tmp_path: Path, expected: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    arguments: list[str | Path] = [folder, "--snapshots", tmp_path / "snapshots"]
    parts = [ROWS[:200], ROWS[200:450], ROWS[450:]]
    for number, rows in enumerate(parts):
        (folder / f"2019-{number + 9}.csv").write_bytes(text(rows))
        more = [] if number == 2 else ["--max-clicks", str(sum(map(len, parts[: number + 1])))]
        result = run_by_command(tmp_path, *arguments, *more)
    assert result["clicks"] == len(ROWS)
    assert figures(result)["learned"] == expected["learned"]
    (folder / "2019-9.csv").unlink()
    capsys.readouterr()
    assert call("run", *arguments, *SMALL) == 2
    assert "2019-9.csv: the snapshot was taken after reading of this file" in (
        capsys.readouterr().err
    )


def test_an_output_among_the_logs_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_bytes(text(ROWS))
    dead = tmp_path / "dead.jsonl"
    for source in (tmp_path, tmp_path / "*.*"):
        assert call("run", source, *SMALL, "--dead-letters", dead) == 2
        assert "would be read as one of the source's logs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (text(ROWS), []),
        (text(ROWS, "::"), ["--delimiter", "::"]),
        (text(ROWS, "\t", False), ["--no-header", "--columns", "session_id,item_id,timestamp"]),
        (
            text(ROWS, ";", False),
            ["--no-header", "--session-column", "1", "--item-column", "2", "--time-column", "3"],
        ),
        (text(ROWS[::-1]), ["--sort"]),
    ],
    ids=["header", "delimiter", "names", "numbers", "sorted"],
)
def test_standard_input_and_a_file_are_read_by_the_same_options(
    tmp_path: Path, expected: dict[str, Any], content: bytes, options: list[str]
) -> None:
    path = tmp_path / "clicks.txt"
    path.write_bytes(content)
    from_file = run_by_command(tmp_path, path, *options)
    assert figures(from_file) == json.loads(json.dumps(expected))
    if options[:1] == ["--no-header"]:
        return  # A process for each takes long; connectors' own tests have these.
    result = tmp_path / "piped.json"
    command = [sys.executable, "-m", "nextclick.stream", "run", "-", *SMALL, *options]
    subprocess.run([*command, "--json", str(result)], input=content, check=True)
    assert figures(json.loads(result.read_text())) == json.loads(json.dumps(expected))


def test_a_published_set_and_its_options_are_the_same_in_toml(tmp_path: Path) -> None:
    lines = [f"{n // 4}::{n % 9}::5::{1000 + n}\n" for n in range(100)]
    (tmp_path / "ratings.dat").write_text("".join(lines))
    by_flag = run_by_command(tmp_path, tmp_path / "ratings.dat", "--format", "movielens-1m")
    options = tmp_path / "options.toml"
    options.write_text(
        'delimiter = "::"\ncolumns = ["user", "item", "rating", "time"]\nuser_column = "user"\n'
        'item_column = "item"\ntime_column = "time"\n'
    )
    by_file = run_by_command(tmp_path, tmp_path / "ratings.dat", "--config", options)
    assert figures(by_flag) == figures(by_file)
    assert by_flag["usable"] == 100
