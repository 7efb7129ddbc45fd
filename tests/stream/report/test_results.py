from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nextclick.stream import (
    CompareConfig,
    ComparisonResult,
    RunConfig,
    RunResult,
    compare,
    run,
    write_comparison,
)
from nextclick.stream.cli.comparison_tables import standings

ODD = "_<b>odd & co"
OPTIONS: dict[str, Any] = {"device": "cpu", "k": [5, 20], "batch": 32}


@pytest.fixture(autouse=True)
def _without_a_screen() -> Any:
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def compared() -> ComparisonResult:
    models: dict[str, Any] = {"gru4rec-network": {"hidden": 4}, ODD: {"kind": "markov"}}
    return compare("sim:clicks=1500", CompareConfig(models=models, seeds=2, **OPTIONS))


@pytest.fixture(scope="module")
def ran() -> RunResult:
    return run("sim:clicks=1500", RunConfig(learner="markov", device="cpu"))


def test_results_are_dicts_as_before(compared: ComparisonResult, ran: RunResult) -> None:
    assert json.loads(json.dumps(compared)) == compared
    assert json.loads(json.dumps(ran)) == ran
    assert compared["models"].keys() == {"gru4rec-network", ODD}


@pytest.mark.parametrize("name", ["models", "differences", "windows", "slices", "drift"])
def test_pandas_and_polars_take_every_table_of_a_comparison(
    compared: ComparisonResult, name: str
) -> None:
    table = compared.table(name)
    assert isinstance(table, pa.Table)
    table.validate(full=True)
    from_pandas, from_polars = table.to_pandas(), pl.from_arrow(table)
    assert isinstance(from_pandas, pd.DataFrame)
    assert isinstance(from_polars, pl.DataFrame)
    assert len(from_pandas) == len(from_polars) == len(table)
    assert not any(pa.types.is_null(field.type) for field in table.schema)


@pytest.mark.parametrize("name", ["figures", "windows", "drift"])
def test_pandas_and_polars_take_every_table_of_a_run(ran: RunResult, name: str) -> None:
    table = ran.table(name)
    table.validate(full=True)
    assert len(table.to_pandas()) == len(pl.DataFrame(table)) == len(table)


def test_the_tables_hold_the_figures(compared: ComparisonResult, ran: RunResult) -> None:
    for row in compared.table().to_pylist():
        found = compared["models"][row["model"]]
        for figure in compared["figures"]:
            assert row[figure] == found[figure]
            assert row[f"{figure}_last_half"] == found["last_half"][figure]
            assert row[f"{figure}_spread"] == found.get("spread", {}).get(figure)
        assert row["coverage"] == found["coverage"]
    assert compared.table("differences").to_pylist() == compared["differences"]
    windows = compared.table("windows").to_pandas()
    for name, found in compared["models"].items():
        own = windows[windows["model"] == name]
        assert own["scored"].sum() == compared["scored"]
        mean = (own["recall@20"] * own["scored"]).sum() / compared["scored"]
        assert mean == pytest.approx(found["recall@20"])
    rows = {row["over"]: row for row in ran.table().to_pylist()}
    assert rows["all"]["recall@20"] == ran["recall@20"]
    assert rows["seen"]["mrr@20"] == ran["seen"]["mrr@20"]
    assert ran.table("windows")["scored"].to_pylist()


def test_results_are_streams_of_arrow(compared: ComparisonResult, ran: RunResult) -> None:
    reader = pa.RecordBatchReader.from_stream(compared)
    assert reader.read_all().equals(compared.table())
    taken = pl.from_arrow(ran)
    assert isinstance(taken, pl.Series)
    assert taken.struct.unnest().columns == ran.table().column_names


def test_a_table_that_there_is_not_is_named(compared: ComparisonResult) -> None:
    with pytest.raises(ValueError, match="no table 'model'; there are models, differences"):
        compared.table("model")


def test_a_plot_has_a_line_for_each_model(compared: ComparisonResult, tmp_path: Path) -> None:
    ax = compared.plot("mrr@20")
    assert ax.get_ylabel() == "MRR@20"
    assert [text.get_text().lstrip("\u200b") for text in ax.get_legend().get_texts()] == list(
        compared["models"]
    )
    windows = compared.table("windows").to_pandas()
    for line, name in zip(ax.get_lines(), compared["models"], strict=True):
        own = windows[windows["model"] == name]
        assert line.get_ydata().tolist() == own["mrr@20"].tolist()
        assert line.get_xdata().tolist() == own["clicks"].tolist()
    ax.figure.savefig(tmp_path / "figure.pdf")
    assert (tmp_path / "figure.pdf").stat().st_size > 1000
    with pytest.raises(ValueError, match="there is no figure 'mrr'"):
        compared.plot("mrr")


def test_a_plot_is_drawn_on_axes_that_are_given(ran: RunResult) -> None:
    _, (left, right) = plt.subplots(1, 2)
    assert ran.plot(ax=right, linewidth=3) is right
    assert [line.get_linewidth() for line in right.get_lines()] == [3] * len(right.get_lines())
    assert left.get_lines() == []


def test_without_matplotlib_the_extra_is_named(
    ran: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'nextclick\[plot\]'"):
        ran.plot()


def test_a_notebook_shows_a_table_with_escaped_names(
    compared: ComparisonResult, ran: RunResult
) -> None:
    shown = compared._repr_html_()
    assert "_&lt;b&gt;odd &amp; co" in shown
    assert "<b>odd" not in shown
    assert all(f"{found['recall@20']:.4f}" in shown for found in compared["models"].values())
    assert "2 seeds" in shown
    assert f"{ran['recall@20']:.4f}" in ran._repr_html_()
    assert "items seen before" in ran._repr_html_()


def test_nothing_scored_has_tables_and_is_shown_too() -> None:
    config = CompareConfig(models={"markov": {}, "popularity": {}}, **OPTIONS)
    nothing = compare("sim:clicks=1", config)
    for name in ("models", "differences", "windows", "slices", "drift"):
        nothing.table(name).validate(full=True)
    assert "–" in nothing._repr_html_()
    nothing.plot()
    alone = run("sim:clicks=1", RunConfig(learner="markov"))
    for name in ("figures", "windows", "drift"):
        alone.table(name).validate(full=True)
    alone.plot()
    assert "1 clicks read" in alone._repr_html_()


def test_the_page_and_the_terminal_show_seeds(compared: ComparisonResult, tmp_path: Path) -> None:
    write_comparison(tmp_path / "page.html", compared)
    page = (tmp_path / "page.html").read_text()
    found = compared["models"]["gru4rec-network"]
    assert f"{found['recall@20']:.4f} ± {found['spread']['recall@20']:.4f}" in page
    assert "means of 2 seeds" in page
    assert "seeds 0 to 1" in page
    _, rest, key = standings(compared)
    assert "over seeds" in [column.header for column in rest.columns]  # type: ignore[union-attr]
    assert "means over 2 seeds" in str(key)
    alone = compare("sim:clicks=300", CompareConfig(models={"markov": {}}, **OPTIONS))
    write_comparison(tmp_path / "alone.html", alone)
    assert "seeds" not in (tmp_path / "alone.html").read_text().partition("<h2>How")[0]
