from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nextclick.stream import CompareConfig, compare
from nextclick.stream.report.text_tables import cells, text_table

ODD = "a_b & 50 % | *odd* {x} \\ ~ ^ <é> $#"
OPTIONS: dict[str, Any] = {"device": "cpu", "k": [5, 20], "batch": 32}


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    models: dict[str, Any] = {
        "gru4rec-network": {"hidden": 4},
        ODD: {"kind": "markov"},
        "popularity": {},
    }
    config = CompareConfig(
        models=models, seeds=2, max_clicks=1500, max_items=900, item_column="item_id", **OPTIONS
    )
    return compare("sim:clicks=2000", config)


def test_a_table_of_markdown_has_a_row_for_each_model(result: dict[str, Any]) -> None:
    head, rule, *rows = text_table(result, "markdown").split("\n\n")[0].splitlines()
    assert head == "| model | Recall@20 | MRR@20 | NDCG@20 |"
    assert rule == "| --- | ---: | ---: | ---: |"
    assert len(rows) == len(result["models"])
    # A stroke within a name ends no cell.
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}
    first = next(iter(result["models"].values()))
    assert f"{first['recall@20']:.4f}" in rows[0]
    assert "[" not in rows[0].partition(" | ")[2]
    assert all("\\[" in row for row in rows[1:])


def test_the_intervals_and_marks_are_those_of_the_differences(result: dict[str, Any]) -> None:
    table = cells(result, result["figures"])
    first, *others = result["models"]
    for other in others:
        for figure, cell in zip(result["figures"], table[other], strict=True):
            (apart,) = (
                each
                for each in result["differences"]
                if (each["model"], each["other"], each["figure"]) == (first, other, figure)
            )
            assert (cell.low, cell.high) == (-apart["high"], -apart["low"])
            assert cell.low <= cell.difference <= cell.high  # type: ignore[operator]
            assert (cell.mark != "") == (apart["real"] or apart["holm"])
            assert (cell.mark == "**") == apart["holm"]
    for column in range(len(result["figures"])):
        values = [row[column].value or 0.0 for row in table.values()]
        assert [row[column].best for row in table.values()] == [
            value == max(values) for value in values
        ]


def test_the_caption_states_how_the_figures_were_measured(result: dict[str, Any]) -> None:
    for form in ("markdown", "latex"):
        text = text_table(result, form)
        for words in (
            "batches of 32",
            "sim:clicks=2000",
            "1,500 clicks",
            "2 seeds",
            "an item never seen before is a miss",
            "Sessions end after 1d",
            "Further options: --max-items 900.",
            "Holm",
        ):
            assert words in text


def test_csv_reads_back_with_every_figure(result: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(text_table(result, "csv"))))
    assert [row["model"] for row in rows] == list(result["models"])
    for row, found in zip(rows, result["models"].values(), strict=True):
        for figure in result["figures"]:
            assert float(row[figure]) == found[figure]
    assert [bool(row["recall@20_low"]) for row in rows] == [False, True, True]
    spreads = {row["model"]: row["recall@20_spread"] for row in rows}
    assert spreads["popularity"] == ""
    assert float(spreads["gru4rec-network"]) >= 0


def test_latex_escapes_names_and_has_the_rules_of_booktabs(result: dict[str, Any]) -> None:
    text = text_table(result, "latex", ["recall@5", "mrr@20"])
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 1
    assert "Recall@5 & MRR@20 \\\\" in text
    name = r"a\_b \& 50 \% \textbar{} *odd* \{x\} \textbackslash{} \textasciitilde{} "
    assert name + r"\textasciicircum{} \textless{}é\textgreater{} \$\#" in text
    assert "2 & 3" not in text
    body = text.partition("\\midrule")[2].partition("\\bottomrule")[0]
    assert {row.replace("\\&", "").count("&") for row in body.strip().splitlines()} == {2}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX here")
def test_latex_sets_the_table(result: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "page.tex"
    head = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}"
    page.write_text(f"{head}\n{text_table(result, 'latex')}\n\\end{{document}}", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", page.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")


def test_a_table_without_scored_clicks_has_dashes() -> None:
    config = CompareConfig(models={"markov": {}, "popularity": {}}, max_clicks=1, **OPTIONS)
    nothing = compare("sim:clicks=1", config)
    assert text_table(nothing, "markdown").count("| –") == 6
    assert text_table(nothing, "latex").count("& --") == 6
    assert "too few clicks" in text_table(nothing, "latex")
    assert len(text_table(nothing, "csv").splitlines()) == 3


def test_a_figure_or_form_that_there_is_not_is_named(result: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no figure 'recall@7'; there are recall@5, "):
        text_table(result, "latex", ["recall@7"])
    with pytest.raises(ValueError, match="markdown, latex, csv, not 'html'"):
        text_table(result, "html")  # type: ignore[arg-type]
