from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nextclick.connectors.clicks import Position
from nextclick.connectors.decoding.log_format import LogFormat
from nextclick.connectors.files.log import LogSource
from nextclick.connectors.files.pipe import PipeSource
from nextclick.connectors.simulator import SimulatedShop
from nextclick.connectors.source import Source, SourceError

OLD_TOPIC = {"topic": "clicks", "partitions": {"0": 7}}
TOPIC = {"kind": "topic", "id": "a", **OLD_TOPIC}
OTHER = {"kind": "queue", "at": 3}


def write_log(path: Path, name: str = "a") -> Path:
    lines = [f"anna,{name}{number},{number}" for number in range(9)]
    path.write_text("\n".join(["session_id,item_id,timestamp", *lines]) + "\n")
    return path


def sources(folder: Path) -> dict[str, Source]:
    log = write_log(folder / "clicks.csv")
    columns = {"session_id": ["anna"] * 9, "item_id": list("abcdefghi"), "timestamp": range(9)}
    pq.write_table(pa.table({k: list(v) for k, v in columns.items()}), folder / "clicks.parquet")
    return {
        "log": LogSource(log),
        "sorted": LogSource(log, LogFormat(sort=True)),
        "parquet": LogSource(folder / "clicks.parquet"),
        "shop": SimulatedShop.from_spec("sim:clicks=9,items=20"),
    }


def positions(folder: Path) -> dict[str, Position]:
    """Positions in sources of each kind, as a snapshot keeps them."""
    found: dict[str, Position] = {}
    for name, source in sources(folder).items():
        clicks = source.poll(5)
        assert clicks is not None
        found[name] = json.loads(json.dumps(clicks.position))
        source.close()
    return {**found, "pipe": {"kind": "pipe", "line": 5}, "topic": TOPIC, "own": OTHER}


def without_kind(position: Position) -> Position:
    return {key: value for key, value in position.items() if key not in ("kind", "name", "id")}


@pytest.mark.parametrize("old", [False, True])
def test_a_position_is_taken_by_its_own_kind_of_source_and_by_no_other(
    tmp_path: Path, old: bool
) -> None:
    for taken, position in positions(tmp_path).items():
        for name, source in {**sources(tmp_path), "pipe": PipeSource(descriptor=0)}.items():
            given = without_kind(position) if old else position
            if name == taken:
                source.seek(given)
            else:
                with pytest.raises(SourceError, match=r"--begin-from SNAPSHOT.*--fresh"):
                    source.seek(given)
            source.close()


def test_the_error_names_both_sources(tmp_path: Path) -> None:
    with closing(LogSource(write_log(tmp_path / "clicks.csv"))) as log:
        for position, name in (
            (TOPIC, "the topic 'clicks'"),
            ({"kind": "pipe", "line": 3}, "a pipe"),
            ({"kind": "shop", "shop": "sim:items=3"}, "the simulated shop sim:items=3"),
        ):
            both = f"taken on {name}, and not on the log .*clicks.csv"
            with pytest.raises(SourceError, match=both):
                log.seek(position)
        clicks = log.poll(5)
    assert clicks is not None
    both = r"on the log clicks.csv, and .*other.csv does not begin"
    with (
        closing(LogSource(write_log(tmp_path / "other.csv", "b"))) as other,
        pytest.raises(SourceError, match=both),
    ):
        other.seek(clicks.position)
    shop, more = (SimulatedShop.from_spec(f"sim:clicks=9,items={n}") for n in (20, 30))
    clicks = shop.poll(5)
    assert clicks is not None
    with pytest.raises(SourceError, match=r"sim:items=20,.*and not on .*sim:items=30,"):
        more.seek(clicks.position)


def test_a_log_that_has_moved_is_the_same_log(tmp_path: Path) -> None:
    log = write_log(tmp_path / "clicks.csv")
    with closing(LogSource(log)) as opened:
        clicks = opened.poll(5)
    assert clicks is not None
    (tmp_path / "elsewhere").mkdir()
    moved = Path(shutil.move(log, tmp_path / "elsewhere" / "yesterday.csv"))
    with closing(LogSource(moved)) as opened:
        opened.seek(clicks.position)
        rest = opened.poll(9)
    assert rest is not None
    assert rest.items == ["a5", "a6", "a7", "a8"]
