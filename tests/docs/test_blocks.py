"""Every code block of every page is tested: here by its language, or by the test that it names.

A block in a language that is not here names its test in a line before it, which the site does not
show: ``<!-- tested by tests/… -->``. That test mentions the page. The commands for a shell are
read here as the programs would read them; `test_sessions.py` runs them.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from nextclick.stream.cli.app import app
from nextclick.stream.comparison.config import CompareConfig
from nextclick.stream.config.options import ConfigError, build
from nextclick.stream.config.run import RunConfig
from nextclick.stream.runner import run
from tests.docs.blocks import (
    BLOCKS,
    PAGES,
    ROOT,
    Block,
    blocks_of,
    commands,
    indented_code,
    name_of,
)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NO_CODE = ("text", "diff")
"""Output, formulas, and changes that the tests of the how-tos make."""

OF_OTHERS = ("curl", "docker", "git", "export", "kafka-topics.sh", "kafka-console-producer.sh")
"""Programs whose usage is not checked here."""


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages and block.tested_by is None]


def each(blocks: list[Block]) -> pytest.MarkDecorator:
    names = [f"{block.page}:{block.line}" for block in blocks]
    return pytest.mark.parametrize("block", blocks, ids=names)


@each(BLOCKS)
def test_every_block_has_a_test(block: Block) -> None:
    if block.tested_by is not None:
        test = ROOT / block.tested_by
        assert test.exists(), f"{block.tested_by} is not there"
        text = test.read_text(encoding="utf-8")
        assert block.page in text or Path(block.page).name in text, (
            f"{block.tested_by} does not mention {block.page}"
        )
    else:
        known = {*NO_CODE, "toml", "json", "python", "sh"}
        assert block.language in known, (
            f"no test for a block of {block.language or 'no language'!r}: name its test in a line "
            "before it, <!-- tested by tests/… -->, or call it text"
        )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_is_fenced_with_its_language(page: Path) -> None:
    assert indented_code(page.read_text(encoding="utf-8")) == []


@each(of("toml"))
def test_options_in_a_file_are_options(block: Block) -> None:
    table = tomllib.loads(block.text)
    refused = []
    for kind in (RunConfig, CompareConfig):
        try:
            build(kind, table)
        except ConfigError as error:
            refused.append(str(error))
    assert len(refused) < 2, refused


@each(of("json"))
def test_json_is_json(block: Block) -> None:
    try:
        json.loads(block.text)
    except json.JSONDecodeError:
        assert all(isinstance(json.loads(line), dict) for line in block.text.splitlines())


PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks_of(page))]
HOW_TOS = "docs/contribute/"
"""Pages whose changes and commands are tested in a copy of the sources (test_contribute.py)."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with what the examples read."""
    monkeypatch.chdir(tmp_path)
    Path("clicks.csv.gz").write_bytes(b"session_id,sku,timestamp\na,x,1\na,y,2\n")
    signer: Any = ModuleType("aws_msk_iam_sasl_signer")
    signer.MSKAuthTokenProvider = object
    monkeypatch.setitem(sys.modules, signer.__name__, signer)
    return tmp_path


def test_the_python_of_a_page_is_compiled_even_where_another_test_runs_it() -> None:
    for block in BLOCKS:
        if block.language == "python" and ">>>" not in block.text:
            compile(block.text, block.page, "exec")


@pytest.mark.parametrize(
    "page", [page for page in PYTHON if not name_of(page).startswith(HOW_TOS)], ids=name_of
)
def test_the_python_of_a_page_runs(
    page: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if page.name == "snapshots.md":
        small = {"hidden": 4, "n_negatives": 4}
        run("sim:clicks=50", RunConfig(snapshots="snapshots", device="cpu", model=small))
    names: dict[str, Any] = {}
    for block in blocks_of(page):
        # The examples of a session with ``>>>`` are run by test_pages.py.
        if block.language == "python" and not block.tested_by and ">>>" not in block.text:
            exec(compile(block.text, block.page, "exec"), names)
    if page.name == "python.md":
        shown = capsys.readouterr().out
        recall = float(re.findall(r"Recall@20: ([\d.]+)", shown)[0].rstrip("."))
        assert recall > 0.5
        assert shown.count("(") == 3


def nextclick(words: list[str]) -> None:
    """Parse arguments as the command line does, and run nothing."""
    group = typer.main.get_command(app)
    with group.make_context(
        "nextclick", list(words), resilient_parsing="--version" in words
    ) as ctx:
        if "--version" in words:
            return
        name, command, arguments = group.resolve_command(ctx, list(words))  # type: ignore[attr-defined]
        if "--help-model" in arguments:
            assert CliRunner().invoke(app, words).exit_code == 0
        else:
            command.make_context(name, arguments, parent=ctx)


def pip(words: list[str]) -> None:
    assert words[0] == "install"
    for word in words[1:]:
        if found := re.fullmatch(r"(?:nextclick|\.)\[([\w,]+)\]", word):
            assert set(found[1].split(",")) <= PROJECT["optional-dependencies"].keys()


def make(words: list[str]) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = [word for word in words if "=" not in word]
    assert set(named) <= {*targets}


def python(words: list[str]) -> None:
    """Find the module and each of its flags; a module of this repository names them."""
    flag, module, *arguments = words
    if flag != "-m":
        assert (ROOT / flag).is_file()
        return
    assert importlib.util.find_spec(module)
    source = ROOT / (module.replace(".", "/") + ".py")
    if not source.exists():
        return
    text = source.read_text(encoding="utf-8")
    for flag in (each.partition("=")[0] for each in arguments if each.startswith("--")):
        assert flag in text or re.search(rf"\b{flag[2:].replace('-', '_')}\b", text), flag


def torchrun(words: list[str]) -> None:
    """Find what torchrun starts, and let that read its arguments."""
    at = words.index("-m")
    assert words[at + 1] == "nextclick"
    nextclick(words[at + 2 :])


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "nextclick": nextclick,
    "pip": pip,
    "make": make,
    "python": python,
    "python3": python,
    "torchrun": torchrun,
    "source": lambda words: None,
    **dict.fromkeys(OF_OTHERS, lambda words: None),
}


@each([block for block in of("sh") if not block.page.startswith(HOW_TOS)])
def test_commands_are_read_as_they_are_written(
    block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in commands(block.text):
        program, *words = command.words
        program = Path(program).name
        assert program in PROGRAMS, f"no test for {program}"
        PROGRAMS[program](words)


@pytest.mark.parametrize(
    "command",
    ["run clicks.csv --bach 32", "run --help-model --learner nobody", "tidy x", "serve --prot 1"],
)
def test_a_wrong_command_is_found(command: str) -> None:
    with pytest.raises(Exception, match=r"bach|AssertionError|tidy|prot|assert"):
        nextclick(command.split())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Prose:\n\n    code\n\nMore.\n", ["code"]),
        ("- one\n\n    more of it\n", []),
        ("```text\na\n\n    b\n```\n", []),
    ],
)
def test_indented_code_is_found(text: str, found: list[str]) -> None:
    assert indented_code(text) == found


def test_a_block_for_a_shell_is_split_as_a_shell_does() -> None:
    text = "one 'a b'  # why\ntwo \\\n    c\nthree -d '[\n  1]'\nfour <<'EOF'\nx y\nEOF\n"
    assert [(each.words, each.given) for each in commands(text)] == [
        (["one", "a b"], ""),
        (["two", "c"], ""),
        (["three", "-d", "[\n  1]"], ""),
        (["four"], "x y\n"),
    ]


def test_the_pages_have_blocks() -> None:
    assert len(BLOCKS) > 80
