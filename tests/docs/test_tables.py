"""The Python and the commands of docs/guide/tables.md, run from top to bottom."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pyarrow.parquet as pq
import pytest

from tests.stream.cli.shell import call

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "tables.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _without_a_screen() -> Iterator[None]:
    mpl.use("agg")
    yield
    plt.close("all")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_python_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    assert len(blocks("python")) >= 4
    for example in blocks("python"):
        exec(example, names)
    assert "\\toprule" in capsys.readouterr().out
    assert names["result"]["recall@20"] > 0.5
    assert (tmp_path / "curves.pdf").stat().st_size > 1000


def test_the_commands_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in "".join(blocks("sh")).splitlines():
        program, *arguments = shlex.split(line.partition(" > ")[0])
        if program == "nextclick":
            assert call(*arguments) == 0
    assert "\\bottomrule" in capsys.readouterr().out
    columns = pq.read_schema(tmp_path / "clicks.parquet").names
    assert {"rank_rules", "items_markov", "scores_markov"} <= set(columns)
