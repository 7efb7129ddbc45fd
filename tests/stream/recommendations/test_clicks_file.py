from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from nextclick.connectors import Clicks, SinkError
from nextclick.models import BatchResult
from nextclick.stream import CompareConfig, ConfigError, RunConfig, compare, run
from nextclick.stream.pending_clicks import PendingClicks
from nextclick.stream.recommendations import clicks_file
from nextclick.stream.recommendations.clicks_file import ClicksFile
from nextclick.stream.sessions.sessionizer import Assigned

SHOP = "sim:clicks=2000"
SMALL: dict[str, Any] = {"learner": "markov", "device": "cpu"}


def rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def batch(items: list[Any], places: list[Any] | None = None, first: int = 1) -> PendingClicks:
    """Return clicks of one session of which the first `first` start it."""
    pending, count = PendingClicks(), len(items)
    clicks = Clicks(["anna"] * count, items, np.arange(float(count)), places=places)
    handles = np.zeros(count, np.int64)
    pending.add(clicks, Assigned(handles, np.zeros(count, np.bool_), np.array([]), []))
    return pending


def scored_as(ranks: list[int], lists: list[Any] | None = None) -> BatchResult:
    scored = np.array([rank >= 0 for rank in ranks])
    return BatchResult(scored, np.maximum(ranks, 0), lists or [])


def test_the_figures_of_a_run_can_be_made_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "clicks.parquet"
    result = run(SHOP, RunConfig(clicks=path, **SMALL))  # type: ignore[arg-type]
    table = pq.read_table(path)
    assert table.column_names == ["click", "session", "item", "time", "rank_markov"]
    assert table["click"].to_pylist() == list(range(1, result["usable"] + 1))
    ranks = [rank for rank in table["rank_markov"].to_pylist() if rank is not None]
    assert len(ranks) == result["scored"]
    assert ranks.count(0) >= result["unseen"]
    assert np.mean([0 < rank <= 20 for rank in ranks]) == pytest.approx(result["recall@20"])
    assert np.mean([1 / rank if 0 < rank <= 20 else 0 for rank in ranks]) == pytest.approx(
        result["mrr@20"]
    )
    assert list(path.parent.iterdir()) == [path]


def test_a_comparison_has_the_ranks_and_lists_of_every_model_of_every_seed(tmp_path: Path) -> None:
    path = tmp_path / "clicks.parquet"
    models: dict[str, Any] = {"gru4rec-network": {"hidden": 4}, "markov": {}}
    options: dict[str, Any] = {"models": models, "seeds": 2, "device": "cpu", "k": [5]}
    result = compare(SHOP, CompareConfig(clicks=str(path), clicks_k=3, **options))
    table = pq.read_table(path)
    names = ["gru4rec-network, seed 1", "gru4rec-network, seed 2", "markov"]
    own = [f"{column}_{name}" for name in names for column in ("rank", "items", "scores")]
    assert sorted(table.column_names[4:]) == sorted(own)
    for name, recall in zip(
        names,
        [
            *result["models"]["gru4rec-network"]["seeds"]["recall@5"],
            result["models"]["markov"]["recall@5"],
        ],
        strict=True,
    ):
        ranks = [rank for rank in table[f"rank_{name}"].to_pylist() if rank is not None]
        assert np.mean([0 < rank <= 5 for rank in ranks]) == pytest.approx(recall)
    for row in rows(path):
        for name in names:
            rank, items = row[f"rank_{name}"], row[f"items_{name}"]
            if rank is None:
                assert items is row[f"scores_{name}"] is None
                continue
            assert len(items) == len(row[f"scores_{name}"]) <= 3
            assert row[f"scores_{name}"] == sorted(row[f"scores_{name}"], reverse=True)
            if 0 < rank <= 3:
                assert row["item"] in items


def test_being_asked_for_every_click_changes_no_figure(tmp_path: Path) -> None:
    def figures(**options: Any) -> dict[str, Any]:
        config = CompareConfig(models={"markov": {}, "gru4rec": {"hidden": 4}}, **options)
        result = compare(SHOP, config)
        return {
            name: {key: value for key, value in found.items() if not key.endswith("_ms")}
            for name, found in result["models"].items()
        }

    assert figures() == figures(clicks=str(tmp_path / "c.parquet"), clicks_k=30)


def test_recommendations_are_as_long_as_they_were_asked_for(tmp_path: Path) -> None:
    files = [tmp_path / "alone.jsonl", tmp_path / "beside.jsonl"]
    run(SHOP, RunConfig(recommendations=str(files[0]), k=2, **SMALL))
    both: dict[str, Any] = {"clicks": str(tmp_path / "c.parquet"), "clicks_k": 5}
    run(SHOP, RunConfig(recommendations=str(files[1]), k=2, **both, **SMALL))
    assert files[0].read_bytes() == files[1].read_bytes()
    assert max(len(row["items_markov"] or ()) for row in rows(tmp_path / "c.parquet")) == 5


@pytest.mark.parametrize("stops", [[700], [64, 1001, 1002]])
def test_a_run_that_goes_on_leaves_the_file_of_one_that_never_stopped(
    stops: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clicks_file, "ROWS", 300)
    whole, parts = tmp_path / "whole.parquet", tmp_path / "parts.parquet"
    run(SHOP, RunConfig(clicks=str(whole), clicks_k=2, **SMALL))
    for stop in [*stops, None]:
        options: dict[str, Any] = {"snapshots": str(tmp_path / "s"), "max_clicks": stop, **SMALL}
        run(SHOP, RunConfig(clicks=str(parts), clicks_k=2, **options))
        assert len(rows(parts)) == (stop or 2000)
    assert pq.read_table(parts).equals(pq.read_table(whole))


def test_a_killed_run_leaves_parts_that_can_be_read_and_goes_on(tmp_path: Path) -> None:
    path, folder = tmp_path / "c.parquet", tmp_path / "c.parquet.parts"
    command = [sys.executable, "-m", "nextclick", "run", "sim:clicks=400000", "--learner", "markov"]
    command += ["--snapshots", str(tmp_path / "s"), "--snapshot-every", "2000clicks"]
    command += ["--clicks", str(path)]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 240
        while len(list(folder.glob("0*.parquet"))) < 4 and time.monotonic() < until:
            assert killed.poll() is None
            time.sleep(0.05)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert not path.exists()
    places = [row["click"] for part in sorted(folder.glob("0*.parquet")) for row in rows(part)]
    assert places == list(range(1, len(places) + 1))
    assert len(places) >= 6000
    more = len(places) + 500
    config = RunConfig(
        clicks=str(path), snapshots=str(tmp_path / "s"), max_clicks=more, learner="markov"
    )
    run("sim:clicks=400000", config)
    assert [row["click"] for row in rows(path)] == list(range(1, more + 1))
    assert not folder.exists()


def test_a_run_that_a_signal_stops_leaves_the_file_whole(tmp_path: Path) -> None:
    path, figures = tmp_path / "c.parquet", tmp_path / "run.json"
    command = [
        sys.executable,
        "-m",
        "nextclick",
        "run",
        "sim:clicks=4000000",
        "--learner",
        "markov",
    ]
    command += ["--clicks", str(path), "--json", str(figures), "--log-format", "json"]
    stopped = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert stopped.stderr is not None
    try:
        for line in stopped.stderr:
            if b" clicks " in line:
                break
        stopped.send_signal(signal.SIGTERM)
        assert stopped.wait(120) == 0
    finally:
        stopped.kill()
        stopped.wait()
        stopped.stderr.close()
    clicks = json.loads(figures.read_bytes())["usable"]
    assert [row["click"] for row in rows(path)] == list(range(1, clicks + 1))
    assert not (tmp_path / "c.parquet.parts").exists()


def test_ids_of_both_kinds_become_texts_and_places_their_own_columns(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    file = ClicksFile(path, ["a|b"], k=2)
    file.take(batch([7, 8]), 0, scored_as([-1, 1], [[], [(8, 0.5)]]))
    file.sync()
    place = {"partition": 1, "offset": 9}
    lists = [[("hat", 2.0), (7, 1.0), (8, 0.5)], []]
    file.take(batch(["hat", 9], [place, None]), 2, scored_as([2, 0], lists))
    file.close()
    assert [row["item"] for row in rows(path)] == ["7", "8", "hat", "9"]
    assert [row["items_a|b"] for row in rows(path)] == [None, ["8"], ["hat", "7"], []]
    assert [row["rank_a|b"] for row in rows(path)] == [None, 1, 2, 0]
    assert [row["offset"] for row in rows(path)] == [None, None, 9, None]


def test_memory_is_bounded_by_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clicks_file, "VALUES", 10)
    file = ClicksFile(tmp_path / "c.parquet", ["a"], k=2)
    for at in range(10):
        file.take(batch([1, 2]), 2 * at, scored_as([-1, 0], [[], []]))
    assert len(list((tmp_path / "c.parquet.parts").iterdir())) == 10
    file.close()
    assert len(rows(tmp_path / "c.parquet")) == 20


def test_files_of_ones_own_in_the_folder_of_parts_are_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "c.parquet.parts" / "mine.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    run("sim:clicks=100", RunConfig(clicks=str(tmp_path / "c.parquet"), **SMALL))
    assert kept.read_text() == "mine"


def test_a_stream_without_clicks_leaves_a_file_without_rows(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("session_id,item_id,timestamp\n")
    run(str(log), RunConfig(clicks=str(tmp_path / "c.parquet"), **SMALL))
    assert rows(tmp_path / "c.parquet") == []


def test_a_file_that_lacks_rows_of_the_snapshot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    options: dict[str, Any] = {"clicks": str(path), "snapshots": str(tmp_path / "s"), **SMALL}
    run(SHOP, RunConfig(max_clicks=500, **options))
    path.unlink()
    with pytest.raises(SinkError, match=r"has 0 rows, and 4\d\d had been written .* --fresh"):
        run(SHOP, RunConfig(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clicks_k": 3}, "--clicks-k says what --clicks writes"),
        ({"clicks": "kafka://host:1/topic"}, "is a topic: name a file"),
        ({"clicks": "out.json", "json": "out.json"}, "--clicks out.json is --json too"),
        ({"clicks": "/proc/c.parquet"}, "--clicks /proc/c.parquet cannot be written"),
    ],
)
def test_what_cannot_be_written_is_told_before_the_run(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        run(SHOP, RunConfig(**options, **SMALL))
