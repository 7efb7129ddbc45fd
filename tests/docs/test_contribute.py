"""The how-tos of docs/contribute, followed to the letter in a copy of the sources."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "contribute").glob("*.md"))
ROOMS = ("connectors", "models", "stream")
BLOCK = re.compile(r"^```(python|diff|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PLACE = re.compile(r"(New file|In) `([^`]+)`")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def follow(page: Path, copy: Path) -> tuple[list[str], list[str]]:
    """Make the page's changes in a copy of the sources; return the files and its commands.

    A block of Python is the content of the new file named before it. The lines of a diff that
    begin with a blank or a minus are there once, in the file named last; those with a plus follow.
    """
    text = page.read_text(encoding="utf-8")
    files: list[str] = []
    commands: list[str] = []
    for block in BLOCK.finditer(text):
        kind, lines = block[1], block[2].splitlines(keepends=True)
        if kind == "sh":
            commands += block[2].splitlines()
            continue
        how, name = PLACE.findall(text[: block.start()])[-1]
        file = copy / name
        files.append(name)
        if kind == "python":
            assert how == "New file"
            assert not file.exists()
            file.write_text(block[2], encoding="utf-8")
            continue
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        source = file.read_text(encoding="utf-8")
        assert source.count(before) == 1, f"not there once in {name}:\n{before}"
        file.write_text(source.replace(before, after), encoding="utf-8")
    return files, commands


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the sources and tests, and of what finds them."""
    for name in (*ROOMS, "package", "tests", "docs", "benchmarks"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.nb?")
        )
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, tmp_path)
    return tmp_path


@every_page
def test_the_changes_of_a_how_to_fit_the_sources_and_their_format(page: Path, copy: Path) -> None:
    files, _ = follow(page, copy)
    for check in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *check, "--no-cache", *files]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
@every_page
def test_the_commands_of_a_how_to_do_what_they_say(page: Path, copy: Path) -> None:
    _, commands = follow(page, copy)
    # What `make setup` installs: the rooms under one name.
    installed = copy / "installed" / "nextclick"
    installed.mkdir(parents=True)
    for path in (copy / "package").iterdir():
        (installed / path.name).symlink_to(path)
    for room in ROOMS:
        (installed / room).symlink_to(copy / room)
    environment = {"PYTHONPATH": str(installed.parent), "PYTEST_ADDOPTS": "--timeout 1200"}
    python, nextclick = shlex.quote(sys.executable), f"{shlex.quote(sys.executable)} -m nextclick"
    for command in commands:
        if command.startswith("make "):
            continue
        command = command.replace(".venv/bin/python", python)
        done = subprocess.run(
            command.replace(".venv/bin/nextclick", nextclick),
            shell=True,
            cwd=copy,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
