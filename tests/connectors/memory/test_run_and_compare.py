from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nextclick.connectors import Clicks, SourceError, open_source
from nextclick.stream import CompareConfig, ConfigError, RunConfig, compare, run

SMALL: dict[str, Any] = {"learner": "markov", "device": "cpu"}
TWO: dict[str, Any] = {"models": {"markov": {}, "gru4rec-network": {"hidden": 4}}, "device": "cpu"}


@pytest.fixture(scope="module")
def shop() -> Any:
    clicks = open_source("sim:clicks=1500").poll(1500)
    assert clicks is not None
    columns = {"session_id": clicks.sessions, "item_id": clicks.items, "timestamp": clicks.times}
    return pa.table(columns)


def figures(result: dict[str, Any]) -> Any:
    of = result.get("models", {"": result})
    return {name: (found["recall@20"], found["windows"]) for name, found in of.items()}


@pytest.mark.parametrize(
    "made",
    [
        lambda shop: shop,
        lambda shop: shop.to_pandas(),
        pl.DataFrame,
        lambda shop: iter(shop.to_pylist()),
        lambda shop: list(zip(*shop.to_pydict().values(), strict=True)),
        lambda shop: shop.to_pydict(),
    ],
    ids=["Arrow", "pandas", "polars", "an iterator", "tuples", "columns"],
)
def test_run_and_compare_give_the_figures_of_the_log(made: Any, shop: Any, tmp_path: Path) -> None:
    log = tmp_path / "log.parquet"
    pq.write_table(shop, log)
    assert figures(run(made(shop), RunConfig(**SMALL))) == figures(run(log, RunConfig(**SMALL)))
    config = CompareConfig(**TWO)
    assert figures(compare(made(shop), config)) == figures(compare(log, config))


@pytest.mark.parametrize("made", [lambda shop: shop.to_pandas(), lambda shop: shop.to_pylist()])
def test_a_run_in_memory_goes_on_from_its_snapshot(made: Any, shop: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"snapshots": str(tmp_path), **SMALL}
    run(made(shop), RunConfig(max_clicks=700, **options))
    again = run(made(shop), RunConfig(**options))
    assert figures(again) == figures(run(made(shop), RunConfig(**SMALL)))
    with pytest.raises(SourceError, match=r"has changed since the snapshot|does not begin with"):
        run(made(shop[5:]), RunConfig(**options))


def test_the_result_names_what_was_given(shop: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = compare(shop.to_pandas(), CompareConfig(report=str(page), **TWO))
    assert result["source"] == "pandas.DataFrame"
    assert "compare(clicks, CompareConfig(...))  # clicks: the pandas.DataFrame" in page.read_text()
    assert "nextclick compare pandas" not in page.read_text()
    assert "pandas.DataFrame: " in result.to_markdown()


def test_options_of_logs_hold_for_a_data_frame(shop: Any) -> None:
    other = pl.DataFrame(shop).select(
        who=pl.col("session_id"), what=pl.col("item_id"), at=pl.col("timestamp") * 1000
    )
    named: dict[str, Any] = {"user_column": "who", "item_column": "what", "time_column": "at"}
    result = run(other, RunConfig(time_unit="ms", where="what > 100", **named, **SMALL))
    assert result["usable"] + result["filtered"] == 1500
    with pytest.raises(SourceError, match="there is no column 'session_id'"):
        run(other, RunConfig(**SMALL))


class Mine:
    """A source of one's own."""

    gap = None
    warnings: tuple[str, ...] = ()

    def __init__(self, shop: Any) -> None:
        self._columns = shop.to_pydict()
        self._at = 0
        self.closed = False

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        sessions, items, times = (
            column[self._at : self._at + limit] for column in self._columns.values()
        )
        self._at += len(items)
        return Clicks(sessions, items, np.array(times), {"row": self._at}) if items else None

    def seek(self, position: dict[str, Any]) -> None:
        self._at = position["row"]

    def commit(self, position: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def test_a_source_of_ones_own_is_run_and_compared(shop: Any, tmp_path: Path) -> None:
    source: Any = Mine(shop)
    options: dict[str, Any] = {"snapshots": str(tmp_path), **SMALL}
    run(source, RunConfig(max_clicks=700, **options))
    assert not source.closed
    again: Any = Mine(shop)
    result = run(again, RunConfig(**options))
    assert figures(result) == figures(run(shop, RunConfig(**SMALL)))
    assert result["source"].endswith("Mine")
    compared: Any = Mine(shop)
    assert figures(compare(compared, CompareConfig(**TWO))) == figures(
        compare(shop, CompareConfig(**TWO))
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"item_column": "sku"}, "--item-column is for a log: .*Mine is a source of your own"),
        ({"sort": True}, "--sort is for a log"),
        ({"partitions": [1]}, "--partitions is for a topic"),
    ],
)
def test_options_that_mean_nothing_to_a_source_of_ones_own_are_refused(
    shop: Any, options: dict[str, Any], message: str
) -> None:
    source: Any = Mine(shop)
    with pytest.raises(ConfigError, match=message):
        run(source, RunConfig(**options, **SMALL))


def test_what_is_no_source_is_told_by_run_and_compare() -> None:
    nothing: Any = 17
    for call in (
        lambda: run(nothing, RunConfig(**SMALL)),
        lambda: compare(nothing, CompareConfig(**TWO)),
    ):
        with pytest.raises(SourceError, match="a source is given as a str or a Path, as a table"):
            call()
    with pytest.raises(SourceError, match="a log is given as a str or a Path, not as 1"):
        run(["a.csv", 1], RunConfig(**SMALL))


def test_a_message_says_why_no_click_of_an_iterable_is_usable() -> None:
    told: list[str] = []
    result = run([1, 2, 3], RunConfig(**SMALL), told.append)
    assert result["usable"] == 0
    assert "all 3 records of list were rejected" in told[-1]
    assert "1 is no click" in told[-1]


def test_pandas_and_polars_are_imported_only_by_those_who_use_them() -> None:
    code = (
        "import sys\n"
        "from nextclick.stream import RunConfig, run\n"
        "rows = [('a', at % 7, 1.6e9 + at) for at in range(200)]\n"
        "run(rows, RunConfig(learner='markov', device='cpu'))\n"
        "run(iter(rows), RunConfig(learner='markov', device='cpu'))._repr_html_\n"
        "print({'pandas', 'polars', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
