from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nextclick.stream.cli import log
from nextclick.stream.cli.terminal import complain, notify
from nextclick.stream.notes import Info

COMMAND = [sys.executable, "-m", "nextclick.stream"]
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|WARNING|ERROR) (.*)")


@pytest.fixture
def no_log() -> Iterator[None]:
    """Leave no log behind for other tests."""
    before = log.LOGGER.handlers, log.LOGGER.propagate
    yield
    log.LOGGER.handlers, log.LOGGER.propagate = before


def begin(*arguments: str, **environ: str) -> None:
    log.begin(arguments, environ)


@pytest.mark.usefixtures("no_log")
def test_each_line_of_a_log_has_time_and_level(capsys: pytest.CaptureFixture[str]) -> None:
    begin("run", "clicks.csv")
    notify("2 records are no clicks\nand more")
    notify(Info("going on from a snapshot"))
    complain("--batch must be at least 1, not 0")
    found = [LINE.fullmatch(line) for line in capsys.readouterr().err.splitlines()]
    assert [(each[1], each[2]) for each in found if each] == [
        ("INFO", "nextclick run: loading libraries"),
        ("WARNING", r"2 records are no clicks\nand more"),
        ("INFO", "going on from a snapshot"),
        ("ERROR", "--batch must be at least 1, not 0"),
    ]


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("how", [["--log-format", "json"], ["--log-format=json"], []])
def test_a_log_of_json_is_one_object_a_line(
    how: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    begin("run", "clicks.csv", *how, **({} if how else {"NEXTCLICK_LOG_FORMAT": "json"}))
    notify('a "note"\nin two lines')
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first.keys() == {"time", "level", "message"}
    assert (second["level"], second["message"]) == ("warning", 'a "note"\nin two lines')


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("arguments", [["recommend"], ["run", "--help"], ["--version"], []])
def test_a_command_that_ends_at_once_has_no_log(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    begin(*arguments)
    assert not log.active()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("no_log")
def test_in_a_terminal_notes_stay_notes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    begin("run", "clicks.csv")
    with log.loading():
        pass
    notify("seen")
    assert capsys.readouterr().err == "loading libraries ...\r\x1b[Knote: seen\n"


def test_something_is_seen_before_libraries_are_loaded(tmp_path: Path) -> None:
    began = time.monotonic()
    child = subprocess.Popen(
        [*COMMAND, "run", str(tmp_path / "missing.csv"), "--log-format", "json"],
        stderr=subprocess.PIPE,
    )
    assert child.stderr is not None
    with child:
        first = json.loads(child.stderr.readline())
        seen = time.monotonic() - began
        last = json.loads(child.stderr.read().splitlines()[-1])
    assert child.returncode == 2
    assert "loading" in first["message"]
    assert (last["level"], "missing.csv" in last["message"]) == ("error", True)
    # Most of the time goes into what comes after the first line.
    assert seen < (time.monotonic() - began) / 2


def test_a_wrong_format_of_the_log_is_told() -> None:
    done = subprocess.run(
        [*COMMAND, "run", "sim:clicks=9", "--log-format", "xml"], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"'log_format': expected one of text, json, got 'xml'" in done.stderr
