"""The notebooks of examples/notebooks: every cell runs, and none holds outputs."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
BOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(autouse=True)
def _without_a_screen() -> Iterator[None]:
    mpl.use("agg")
    yield
    plt.close("all")


def cells(book: Path, kind: str) -> list[str]:
    found = json.loads(book.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def shown(cell: str, names: dict[str, Any]) -> Any:
    """Run a cell as a notebook does, and return the value of its last line."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # noqa: S307


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_every_cell_runs(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "notebook"}
    try:
        values = [shown(cell, names) for cell in cells(book, "code")]
    finally:
        if isinstance(engine := names.get("engine"), subprocess.Popen) and engine.poll() is None:
            engine.kill()
            engine.wait()
    assert any(hasattr(value, "_repr_html_") for value in values)
    if book.stem == "compare":
        assert "\\toprule" in capsys.readouterr().out
        assert (tmp_path / "curves.pdf").stat().st_size > 1000
        assert list(names["result"]["models"]) != []
        by_place = next(value for value in values if hasattr(value, "loc") and 2 in value.index)
        assert by_place.loc[2:].notna().all(axis=None)
    else:
        assert {"recorded": 1000, "repeated": 0} in values
        assert names["engine"].returncode == 0
        assert (tmp_path / "clicks.jsonl").stat().st_size > 0


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_a_notebook_is_kept_without_outputs(book: Path) -> None:
    found = json.loads(book.read_text(encoding="utf-8"))
    assert found["nbformat"] == 4
    for cell in found["cells"]:
        assert isinstance(cell["id"], str)
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    for text in cells(book, "markdown"):
        for link in [part.partition(")")[0] for part in text.split("](")[1:]]:
            assert "://" in link or (FOLDER / link).exists()


def test_there_are_notebooks() -> None:
    assert [book.stem for book in BOOKS] == ["compare", "live"]
