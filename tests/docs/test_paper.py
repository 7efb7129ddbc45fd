"""The commands, the configuration and the Python of docs/guide/paper.md, from top to bottom."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nextclick import __version__
from nextclick.stream.cli.app import app

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "paper.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_paper_is_written_with_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="pip install 'nextclick[plot]'")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    printed = ""
    for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "toml":
            Path(text.splitlines()[0].removeprefix("# ")).write_text(text, encoding="utf-8")
        elif kind == "python":
            exec(text, names)
        elif kind == "sh":
            for command in text.splitlines():
                done = CliRunner().invoke(app, shlex.split(command)[1:])
                assert done.exit_code == 0, f"{command}\n{done.output}"
                printed += done.stdout
        else:
            assert f"version = {{{__version__}}}" in text
    assert "\\toprule" in printed
    assert "The test begins after 800 clicks" in printed
    table = (tmp_path / "table.tex").read_text(encoding="utf-8")
    for model in ("ours", "ours-small", "item-knn", "markov"):
        assert model in table
    assert (tmp_path / "curves.pdf").stat().st_size > 1000
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["protocol"]["begun"]["clicks"] == 800
    assert {"version", "machine", "date"} <= set(result["provenance"])
