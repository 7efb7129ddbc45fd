from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stream.cli.shell import SMALL, call


def test_a_run_writes_what_it_is_asked_for(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / name for name in ("r.json", "r.html", "best.jsonl", "dead.jsonl")}
    arguments: list[str | Path] = ["run", log, *SMALL]
    arguments += ["--json", files["r.json"], "--report", files["r.html"]]
    arguments += ["--recommendations", files["best.jsonl"], "-k", "3"]
    arguments += ["--dead-letters", files["dead.jsonl"], "--snapshots", tmp_path / "s"]
    assert call(*arguments) == 0
    shown = capsys.readouterr()
    assert "Recall@20" in shown.out
    result = json.loads(files["r.json"].read_bytes())
    assert result["clicks"] == 800
    assert result["config"]["model"]["hidden"] == 8
    assert "<svg" in files["r.html"].read_text()
    best = [json.loads(line) for line in files["best.jsonl"].read_bytes().splitlines()]
    assert len(best) == result["scored"]
    assert max(len(record["items"]) for record in best) == 3
    assert files["dead.jsonl"].read_bytes() == b""

    assert call("inspect", tmp_path / "s") == 0
    assert "whole clicks-000000000800" in capsys.readouterr().out
    item = best[-1]["clicked"]
    assert call("recommend", "--snapshots", tmp_path / "s", "--session", f"{item},{item}") == 0
    assert len(capsys.readouterr().out.splitlines()) == 20


def test_recommend_reads_whole_numbers_and_names_what_it_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "clicks.jsonl"
    rows = [{"session_id": 1, "item_id": item, "timestamp": 1.0} for item in (7, 8, "a,b")]
    log.write_text("\n".join(map(json.dumps, rows)))
    assert call("run", log, *SMALL, "--snapshots", tmp_path / "s") == 0
    capsys.readouterr()
    assert call("recommend", "--snapshots", tmp_path / "s", "--session", '7,"a,b",gone') == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 3
    assert "'gone' is not in the catalogue of 3 items" in shown.err
    assert call("recommend", "--snapshots", tmp_path / "s", "--session", "gone") == 2
    assert "names no item of the catalogue" in capsys.readouterr().err


def test_damage_shows_on_inspection(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", log, *SMALL, "--snapshots", tmp_path / "s") == 0
    snapshot = max((tmp_path / "s").glob("clicks-*"))
    (snapshot / "values.json").write_bytes(b"{}")
    capsys.readouterr()
    assert call("inspect", tmp_path / "s") == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "damaged" in shown
    assert "values.json" in shown


@pytest.mark.parametrize("name", ["clicks.csv", "clicks.csv.gz"])
def test_a_simulated_log_is_the_simulated_stream(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert call("simulate", "--clicks", "500", "--out", path, "--seed", "3") == 0
    text = path.read_bytes()
    if name.endswith(".gz"):
        text = gzip.decompress(text)
    rows = list(csv.DictReader(text.decode().splitlines()))
    assert len(rows) == 500
    assert rows[0].keys() == {"session_id", "item_id", "timestamp"}
    results = []
    for source in (str(path), "sim:clicks=500,seed=3"):
        call("run", source, *SMALL, "--json", tmp_path / "r.json")
        results.append(json.loads((tmp_path / "r.json").read_bytes())["recall@20"])
    assert results[0] == results[1]


def test_flags_override_the_file(tmp_path: Path, log: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('batch = 64\nseed = 5\n[model]\nhidden = 9\nreset = "after"\n')
    json_file = tmp_path / "r.json"
    assert call("run", log, "--config", config, *SMALL, "--batch", "32", "--json", json_file) == 0
    settings = json.loads(json_file.read_bytes())["config"]
    assert (settings["batch"], settings["seed"]) == (32, 5)
    assert (settings["model"]["hidden"], settings["model"]["reset"]) == (8, "after")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "nowhere.csv"),
        (["LOG", "--item-column", "item"], "item_id"),
        (["LOG", "--batch", "0"], "--batch must be at least 1"),
        (["LOG", "--snapshot-every", "often"], "5000clicks"),
        (["LOG", "--gap", "long"], "--gap"),
        (["LOG", "--format", "yoochose"], "yoochoose"),
        (["LOG", "--device", "tpu"], "cpu"),
        (["LOG", "--model", "hiden=8"], "hidden"),
        (["LOG", "--model", "hidden"], "name=value"),
        (["LOG", "--model", "hidden=-1"], "hidden must be at least 1"),
        (["LOG", "--config", "nowhere.toml"], "nowhere.toml"),
        (["LOG", "--json", "LOG/under/a/file"], "cannot be written"),
        (["LOG", "--report", "LOG/under/a/file"], "cannot be written"),
        (["LOG", "--recommendations", "LOG/under/a/file"], "cannot be written"),
        (["LOG", "--snapshots", "LOG"], "snapshots"),
        (["sim:itmes=5"], "items"),
        ([""], "no source is named"),
        (["LOG", "--partitions", "a,b"], "--partitions"),
        (["LOG", "--session-from", "header"], "field, key"),
        (["LOG", "--recommend", "all"], "scored, every"),
        (["LOG", "--exactly-once"], "--recommendations kafka://"),
        (["kafka://host:1/a b"], "is no name of a topic"),
        (["kafka://anna:secret@host:1/t"], "no user and no password"),
        (["LOG", "--recommendations", "LOG"], "is the source too"),
        (["LOG", "--dead-letters", "LOG"], "is the source too"),
        (["LOG", "--json", "LOG"], "is the source too"),
        (["LOG", "--report", "LOG.x", "--json", "LOG.x"], "is --json too"),
        (["LOG", "--recommendations", "LOG.x", "--dead-letters", "LOG.x"], "too: name another"),
    ],
)
def test_a_mistake_gets_one_clear_line(
    log: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    small = [] if "--device" in arguments else SMALL
    filled = [argument.replace("LOG", str(log)) for argument in arguments]
    before = log.read_bytes()
    capsys.readouterr()
    assert call("run", *small, *filled) == 2
    error = capsys.readouterr().err
    assert log.read_bytes() == before
    assert "Traceback" not in error
    assert message in error.replace("\n", "")


def test_standard_input_is_a_source(tmp_path: Path) -> None:
    lines = [json.dumps({"session_id": n % 3, "item_id": n % 5, "timestamp": n}) for n in range(50)]
    command = [
        sys.executable,
        "-c",
        "from nextclick.stream.__main__ import main; main()",
        "run",
        "-",
    ]
    done = subprocess.run(
        [*command, *SMALL, "--json", str(tmp_path / "r.json")],
        input="\n".join([*lines, "{bad"]).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "r.json").read_bytes())
    assert (result["clicks"], result["rejected"]) == (51, {"bad_json": 1})


def test_a_session_that_cannot_be_read_is_named(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", log, *SMALL, "--snapshots", tmp_path / "s") == 0
    for session in ("i1\ni2", '"i1'):
        assert call("recommend", "--snapshots", tmp_path / "s", "--session", session) == 2
        assert "--session must list items" in capsys.readouterr().err


HEAVY = """
import os, sys
from nextclick.stream.__main__ import main
for line in sys.stdin.read().splitlines():
    sys.argv[1:] = line.split()
    try:
        main()
    except SystemExit as end:
        print("ended with", end.code, file=sys.stderr)
print(*{"torch", "numba", "river", "scipy"} & set(sys.modules))
"""


def test_neither_help_nor_a_mistake_in_options_waits_for_torch() -> None:
    mistakes = [
        "run",
        "run sim:clicks=9 --bach 3",
        "run sim:clicks=9 --batch 0",
        "run sim:clicks=9 --model hiden=3",
        "run sim:clicks=9 --config nowhere.toml",
        "compare sim:clicks=9 --models gru4rek",
        "recommend --session i1",
        "replay sim:clicks=9 --to kafka://nowhere:1/t --speed fast",
        "simulate --clicks 0 --out a.csv",
        "inspect nowhere",
    ]
    helps = ["--help", *(f"{line.split()[0]} --help" for line in mistakes), "serve --help"]
    done = subprocess.run(
        [sys.executable, "-c", HEAVY],
        input="\n".join([*helps, *mistakes]),
        capture_output=True,
        text=True,
        check=True,
    )
    ends = [line for line in done.stderr.splitlines() if line.startswith("ended with")]
    assert ends == ["ended with 0"] * len(helps) + ["ended with 2"] * len(mistakes), done.stderr
    assert done.stdout.splitlines()[-1] == ""


def test_help_shows_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "--help") == 0
    assert "default" in capsys.readouterr().out


def test_flags_are_shown_without_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "--help") == 0
    lines = capsys.readouterr().out.lower().splitlines()
    for flag in ("--exactly-once", "--fresh", "--sort", "--until-end"):
        (line,) = (line for line in lines if f" {flag} " in line)
        assert "bool" not in line


def test_a_log_is_simulated_into_a_folder_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "clicks.csv"
    assert call("simulate", "--clicks", "10", "--out", path) == 0
    assert len(path.read_text().splitlines()) == 11


def test_the_table_tells_what_a_resumed_run_knows(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments: list[str | Path] = ["run", log, *SMALL, "--snapshots", tmp_path / "s"]
    assert call(*arguments, "--max-clicks", "500") == 0
    assert "since click" not in capsys.readouterr().out
    assert call(*arguments) == 0
    assert "clicks/s since click 500" in capsys.readouterr().out


def test_a_figure_over_no_clicks_is_not_shown_as_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "clicks.csv"
    for second, shown in (("", ["–", "–"]), ("s,other,2\n", ["0.0000", "–"])):
        log.write_text("session_id,item_id,timestamp\ns,one,1\n" + second)
        assert call("run", log, *SMALL) == 0
        lines = capsys.readouterr().out.splitlines()
        at = next(number for number, line in enumerate(lines) if "Recall@20" in line)
        assert [line.split("│")[2].strip() for line in lines[at : at + 2]] == shown
