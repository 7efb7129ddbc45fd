"""How much of a log has been given, for the progress line."""

from __future__ import annotations

import gzip
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from nextclick.connectors import LogFormat
from nextclick.connectors.files.log import LogSource

CLICKS = 20_000


def write(folder: Path, name: str) -> Path:
    path = folder / name
    rows = range(CLICKS)
    if name.endswith(".parquet"):
        columns = {
            "session_id": [f"s{n % 97}" for n in rows],
            "item_id": [f"i{n * 7919 % 1009}" for n in rows],
            "timestamp": [float(n) for n in rows],
        }
        pyarrow.parquet.write_table(pa.table(columns), path)
        return path
    lines = "".join(f"s{n % 97},i{n * 7919 % 1009},{n}\n" for n in rows)
    data = ("session_id,item_id,timestamp\n" + lines).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["clicks.csv", "clicks.csv.gz", "clicks.parquet"])
@pytest.mark.parametrize("sort", [False, True])
def test_the_share_follows_the_clicks_to_the_end(tmp_path: Path, name: str, sort: bool) -> None:
    with closing(LogSource(write(tmp_path, name), LogFormat(sort=sort))) as source:
        given = 0
        while (clicks := source.poll(1_000)) is not None:
            given += len(clicks.items)
            assert source.share == pytest.approx(given / CLICKS, abs=0.1)
        assert source.share == 1.0


def test_a_log_that_goes_on_knows_its_share(tmp_path: Path) -> None:
    path = write(tmp_path, "clicks.csv")
    with closing(LogSource(path)) as first:
        clicks = first.poll(CLICKS // 2)
        assert clicks is not None
    with closing(LogSource(path)) as second:
        second.seek(clicks.position)
        second.poll(1)
        assert second.share is not None
        assert second.share >= 0.4
