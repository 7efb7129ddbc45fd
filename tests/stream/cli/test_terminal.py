from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.stream.cli import app as cli
from nextclick.stream.cli import terminal
from nextclick.stream.cli.printable import printable
from nextclick.stream.cli.terminal import complain, console, notify, show
from tests.stream.cli.shell import call

ODD = [
    "urn:key:7",
    "kafka:x:smile:",
    "[bold]not bold[/bold]",
    "[/]",
    r"C:\[x]",
    "two  spaces, and a long path " + "x" * 200,
    "'quoted' 12.5 True http://host:1/a",
    "naïve ☕ 日本",
]


@pytest.mark.parametrize("text", ODD)
def test_ids_paths_and_messages_are_printed_as_they_are(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(text)
    notify(text)
    complain(text)
    shown = capsys.readouterr()
    assert shown.out == f"{text}\n"
    assert shown.err == f"note: {text}\nnextclick: {text}\n"


@pytest.mark.parametrize("text", ODD)
def test_a_terminal_gets_no_colours_within_them(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(terminal, "output", console(file=file, force_terminal=True, width=20))
    show(text)
    assert file.getvalue() == f"{text}\n"


def test_what_would_act_on_the_terminal_is_escaped() -> None:
    assert printable("\x1b[2J\r\n\t\x07\x9b\u2028\u202e\udc80") == (
        r"\x1b[2J\r\n\t\x07\x9b\u2028\u202e\udc80"
    )


@given(st.text())
def test_anything_is_one_line_of_text(text: str) -> None:
    shown = printable(text)
    assert len(f"{shown}|".splitlines()) == 1
    shown.encode()
    if text.isprintable():
        assert shown == text


def test_an_encoding_without_a_character_gets_it_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    terminal.accept_any_character()
    show("café")
    sys.stdout.flush()
    assert raw.getvalue() == b"caf\\xe9\n"


COMMANDS = {
    str(command.name or command.callback.__name__): command.callback
    for command in cli.app.registered_commands
    if command.callback
}


def declared(callback: Any) -> list[str]:
    """Return the help texts of a command's options, as they are in the source."""
    hints = get_type_hints(callback, include_extras=True)
    infos = [get_args(hint)[1] for hint in hints.values() if get_origin(hint) is Annotated]
    return [info.help.replace("\\[", "[") for info in infos]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_reads_as_it_is_written(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 400)
    assert call(name, "--help") == 0
    shown = capsys.readouterr().out
    texts = declared(COMMANDS[name])
    assert texts
    for text in texts:
        assert text in shown
    for paragraph in (COMMANDS[name].__doc__ or "").split("\n\n"):
        assert " ".join(paragraph.split()) in " ".join(shown.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["run", "x", "--bach", "3"],
            r"no such option: --bach \(did you mean --batch\b.* See .* run --help\)",
        ),
        (["run"], "missing argument 'source'"),
        (["replay", "x"], "missing option '--to'"),
        (["rnu:x:"], "no such command 'rnu:x:'"),
        (["simulate", "--out", "x.csv"], "missing option '--clicks'"),
    ],
)
def test_wrong_usage_gets_one_clear_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert re.match(f"nextclick: {message}", line)
    assert line.endswith("--help)")


def test_a_wrong_number_is_shown_as_it_was_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "x", "--batch", "[b]many") == 2
    said = "nextclick: --batch '[b]many': write a whole number\n"
    assert capsys.readouterr().err == said


def test_ids_come_back_from_a_model_as_they_went_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = ["urn:key:7", "kafka:x:", "[red]hat[/red]", r"a\[b]"]
    log = tmp_path / "[dir]" / "clicks:x:.csv"
    log.parent.mkdir()
    rows = [f"s,{item},{n}\n" for n, item in enumerate(items * 2)]
    log.write_text("session_id,item_id,timestamp\n" + "".join(rows))
    small = ["--model", "hidden=8", "--model", "n_negatives=16", "--device", "cpu"]
    folder = tmp_path / "[dir]" / "s"
    assert call("run", log, *small, "--snapshots", folder, "--json", tmp_path / ":x:.json") == 0
    shown = capsys.readouterr().out
    assert f"figures: {tmp_path}/:x:.json\nsnapshots: {folder}\n" in shown
    known = re.search(r"items known +│ +(\d+)", shown)
    assert known is not None
    assert known[1] == "4"
    assert call("inspect", folder) == 0
    shown = capsys.readouterr().out
    assert f"  source    {log}\n" in shown
    # Eight clicks are an unfinished batch: their items count as the run counts them.
    assert "  items     4\n  sessions  1 live\n" in shown
    assert call("recommend", "--snapshots", folder, "--session", "urn:key:7") == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line[6:].rpartition("  ")[0] for line in lines} == set(items)
