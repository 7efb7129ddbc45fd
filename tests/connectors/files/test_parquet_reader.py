from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nextclick.connectors.clicks import Clicks
from nextclick.connectors.decoding.log_format import LogFormat, log_format
from nextclick.connectors.files.log import LogSource
from nextclick.connectors.source import SourceError


def write(path: Path, session: Any, item: Any, time: Any, **options: Any) -> Path:
    table = pa.table({"session_id": session, "item_id": item, "timestamp": time, "more": item})
    pq.write_table(table, path, **options)
    return path


def read(source: LogSource, limit: int = 128) -> list[Clicks]:
    polls = []
    while (clicks := source.poll(limit)) is not None:
        polls.append(clicks)
    source.close()
    return polls


def ids(polls: list[Clicks]) -> list[object]:
    return [item for clicks in polls for item in clicks.items]


UTC = datetime.UTC
MOMENT = datetime.datetime(2014, 4, 7, 10, 51, 9, 277000, UTC)


@pytest.mark.parametrize(
    ("times", "unit", "expected"),
    [
        (pa.array([1.5, 2.5]), "s", [1.5, 2.5]),
        (pa.array([1500, 2500]), "ms", [1.5, 2.5]),
        (pa.array([MOMENT, MOMENT], pa.timestamp("ns", "UTC")), "s", [1396867869.277] * 2),
        (pa.array([MOMENT, MOMENT], pa.timestamp("ms", "Asia/Tokyo")), "s", [1396867869.277] * 2),
        (pa.array([datetime.date(1970, 1, 2)] * 2), "ms", [86400.0] * 2),
        (pa.array(["1970-01-02", "3"]), "s", [86400.0, 3.0]),
        (pa.array(["2014-04-07T10:51:09.277Z"] * 2), "s", [1396867869.277] * 2),
    ],
)
def test_times_of_every_type(tmp_path: Path, times: Any, unit: str, expected: list[float]) -> None:
    path = write(tmp_path / "a.parquet", ["a", "b"], ["x", "y"], times)
    (clicks,) = read(LogSource(path, log_format(time_unit=unit)))
    assert clicks.times.tolist() == expected


def test_ids_come_back_as_they_went_in(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.parquet",
        pa.array(["007", "é"]).dictionary_encode(),
        pa.array([7, 2**63], pa.uint64()),
        [1, 2],
    )
    (clicks,) = read(LogSource(path))
    assert (clicks.sessions, clicks.items) == (["007", "é"], [7, 2**63])
    path = write(
        tmp_path / "b.parquet", pa.array(["a", "b"], pa.large_string()), ["1", "2"], [1, 2]
    )
    (clicks,) = read(LogSource(path))
    assert (clicks.sessions, clicks.items) == (["a", "b"], ["1", "2"])


def test_rows_that_cannot_be_used_are_rejected_and_the_others_not(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
    )
    sessions = pa.concat_arrays([pa.array(["a", None, "", "b", "b", "b", "b", "b"]), broken])
    items = ["x", "x", "x", None, "x" * 1025, "x", "x", "x", "x"]
    times = [1.0, 1.0, 1.0, 1.0, 1.0, None, float("nan"), 1e15, 1.0]
    path = write(tmp_path / "a.parquet", sessions, items, times)
    (clicks,) = read(LogSource(path))
    assert clicks.items == ["x"]
    assert [(record.reason, record.position["line"]) for record in clicks.rejected] == [
        ("no_session", 2),
        ("no_session", 3),
        ("no_item", 4),
        ("id_too_long", 5),
        ("no_time", 6),
        ("time_not_finite", 7),
        ("mixed_time_units", 8),
        ("not_utf8", 9),
    ]


def test_resuming_anywhere_gives_the_rest(tmp_path: Path) -> None:
    count = 150_000
    numbers = list(range(count))
    path = write(tmp_path / "a.parquet", numbers, numbers, numbers, row_group_size=70_000)
    polls = read(LogSource(path), 10_000)
    assert [len(clicks) for clicks in polls] == [10_000] * 15
    assert ids(polls) == numbers
    for at in (0, 5, 6, 7, 13, 14):
        source = LogSource(path)
        source.seek(polls[at].position)
        assert ids(read(source, 10_000)) == numbers[10_000 * (at + 1) :]


def test_sorting_works_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [1, 2, 3], ["x", "y", "z"], [3, 1, 2])
    assert ids(read(LogSource(path, LogFormat(sort=True)))) == ["y", "z", "x"]


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [1, 2], ["x", "y"], [1, 2])
    (clicks,) = read(LogSource(path))
    write(path, [1, 2], ["x", "z"], [1, 2])
    with pytest.raises(SourceError, match=r"a\.parquet has changed since the snapshot"):
        LogSource(path).seek(clicks.position)
    with pytest.raises(SourceError, match="another kind"):
        LogSource(path).seek({"line": 1, "offset": 2, "crc": 3})


def test_damaged_data_end_the_log_with_a_warning(tmp_path: Path) -> None:
    numbers = list(range(30_000))
    path = write(
        tmp_path / "a.parquet",
        *[numbers] * 3,
        row_group_size=10_000,
        write_page_checksum=True,
        use_dictionary=False,
    )
    packed = bytearray(path.read_bytes())
    place = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    packed[place + 5000] ^= 0xFF
    path.write_bytes(packed)
    source = LogSource(path)
    polls = read(source)
    assert ids(polls) == numbers[: len(ids(polls))]
    assert len(ids(polls)) <= 10_000
    (warning,) = source.warnings
    assert "of 30,000" in warning
    assert "damaged" in warning


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"session_id": [[1]]}, "'session_id' holds list.*an id is a string or an integer"),
        ({"item_id": [True]}, "'item_id' holds bool"),
        ({"timestamp": [True]}, "'timestamp' holds bool.*--time-column"),
    ],
)
def test_columns_of_a_wrong_type_are_named(
    tmp_path: Path, column: dict[str, Any], message: str
) -> None:
    columns = {"session_id": ["a"], "item_id": ["x"], "timestamp": [1.0]} | column
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(SourceError, match=message):
        LogSource(path)


def test_a_missing_column_lists_those_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [1], [1], [1])
    with pytest.raises(SourceError, match=r"session_id, item_id, timestamp, more.*--item-column"):
        LogSource(path, LogFormat(item="sku"))
    with pytest.raises(SourceError, match="delimited text"):
        LogSource(path, log_format("retailrocket"))


def test_two_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "clicks.parquet"
    columns = [pa.array(["a"]), pa.array(["x"]), pa.array(["y"]), pa.array([1.0])]
    names = ["session_id", "item_id", "item_id", "timestamp"]
    pq.write_table(pa.Table.from_arrays(columns, names), path)
    with pytest.raises(SourceError, match="2 columns 'item_id', at 2 and 3"):
        LogSource(path)
