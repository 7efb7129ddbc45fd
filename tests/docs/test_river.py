"""The Python and the configuration of docs/guide/river.md."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from nextclick.stream import CompareConfig

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "river.md"
BLOCK = re.compile(r"^```(python|toml)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    for kind, text in blocks:
        if kind == "python":
            exec(text, names)
        else:
            CompareConfig(**tomllib.loads(text))
    printed = capsys.readouterr().out
    assert "Accuracy: " in printed
    assert "'mf'" in printed
    assert len(blocks) == 3
