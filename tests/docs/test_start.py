"""The commands of docs/guide/start.md, one after the other, as a newcomer runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "start.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMANDS = BLOCK.findall(PAGE.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_every_command_of_the_first_page_works_in_an_empty_folder(tmp_path: Path) -> None:
    for command in "".join(COMMANDS).splitlines():
        program, *arguments = command.split()
        assert program == "nextclick"
        done = subprocess.run(
            [sys.executable, "-m", "nextclick", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    made = {"compare.html", "report.html", "result.json", "shop.csv.gz", "snapshots"}
    assert {path.name for path in tmp_path.iterdir()} == made


def test_the_first_page_has_commands() -> None:
    assert len(COMMANDS) >= 5
