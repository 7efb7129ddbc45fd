"""The code blocks of the pages, and the commands in those that are for a shell."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]

FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
TESTED_BY = re.compile(r"<!-- tested by ([\w./]+) -->\s*\Z")
INDENTED = re.compile(r"(?:\A|\n)\n {4,}(\S.*)")
LISTED = re.compile(r"^ *([-*]|\d+\.) ", re.MULTILINE)
HERE_DOCUMENT = re.compile(r"<<'?(\w+)'?")


class Block(NamedTuple):
    """A fenced block: where it stands, its language, its text, and the test that it names."""

    page: str
    line: int
    language: str
    text: str
    tested_by: str | None


class Command(NamedTuple):
    """A command of a shell: its words, and what is given to it as its input."""

    words: list[str]
    given: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in FENCE.finditer(text):
        before = text[: fence.start()]
        named = TESTED_BY.search(before)
        line = before.count("\n") + 1
        block = Block(name_of(page), line, fence[2], fence[3], named[1] if named else None)
        found.append(block)
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def indented_code(text: str) -> list[str]:
    """Return the first lines of blocks that are code by their indentation only."""
    prose = FENCE.sub("", text)
    return [
        found[1]
        for found in INDENTED.finditer(prose)
        # A paragraph of a list is indented too.
        if not LISTED.search(prose[: found.start()].rpartition("\n\n")[2])
    ]


def commands(text: str) -> list[Command]:
    """Split a block for a shell into its commands, comments left out."""
    lines = iter(text.splitlines())
    found = []
    for line in lines:
        while _is_open(line):
            line = line.removesuffix("\\") + ("" if line.endswith("\\") else "\n") + next(lines)
        given = ""
        if here := HERE_DOCUMENT.search(line):
            while (more := next(lines)) != here[1]:
                given += more + "\n"
            line = line[: here.start()]
        words = shlex.split(line, comments=True)
        if words:
            found.append(Command(words, given))
    return found


def _is_open(line: str) -> bool:
    """Whether a command goes on in the next line: within quotes, or after a backslash."""
    if line.endswith("\\"):
        return True
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return True
    return False
