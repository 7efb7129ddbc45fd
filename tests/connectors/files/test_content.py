from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard

from nextclick.connectors.decoding.log_format import LogFormat, log_format
from nextclick.connectors.files.log import LogSource
from nextclick.connectors.source import SourceError

ROWS = [("a", "x", 1.0), ("b", "y", 2.0), ("a", "z", 3.0)]
NAMES = ["session_id", "item_id", "timestamp"]


def delimited(mark: str, names: list[str] | None = NAMES, rows: list[Any] = ROWS) -> bytes:
    lines = [*([names] if names is not None else []), *rows]
    return "".join(mark.join(map(str, line)) + "\n" for line in lines).encode()


def json_lines() -> bytes:
    records = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def parquet() -> bytes:
    file = io.BytesIO()
    columns = {
        name: list(column) for name, column in zip(NAMES, zip(*ROWS, strict=True), strict=True)
    }
    pyarrow.parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def read(path: Path, form: LogFormat | None = None) -> tuple[list[Any], list[str]]:
    """Return a log's clicks and warnings; resumed after each click, it is the same."""
    source = LogSource(path, form)
    clicks: list[Any] = []
    positions = []
    while (polled := source.poll(1)) is not None:
        assert polled.rejected == []
        clicks += zip(polled.sessions, polled.items, polled.times.tolist(), strict=True)
        positions.append(polled.position)
    source.close()
    for at, position in enumerate(positions):
        resumed = LogSource(path, form)
        resumed.seek(position)
        rest = resumed.poll(100)
        assert (rest.items if rest else []) == [item for _, item, _ in clicks[at + 1 :]]
        resumed.close()
    return clicks, source.warnings


CONTENTS: dict[str, bytes] = {
    "commas": delimited(","),
    "tabs": delimited("\t"),
    "semicolons": delimited(";"),
    "bars": delimited("|"),
    "JSON Lines": json_lines(),
    "Parquet": parquet(),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
}
AS_NAMED = {
    "clicks.csv": ("commas", "plain"),
    "clicks.tsv": ("tabs", "plain"),
    "clicks.jsonl": ("JSON Lines", "plain"),
    "clicks.parquet": ("Parquet", "plain"),
    "clicks.csv.gz": ("commas", "gzip"),
    "clicks.jsonl.zst": ("JSON Lines", "zstd"),
}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", ["clicks", "clicks.txt", "clicks.data", "clicks.log", *AS_NAMED])
def test_the_content_says_how_a_log_is_read_whatever_its_name(
    tmp_path: Path, name: str, content: str, packing: str
) -> None:
    path = tmp_path / name
    path.write_bytes(PACKED[packing](CONTENTS[content]))
    if content == "Parquet" and packing != "plain":
        with pytest.raises(SourceError, match=f"Parquet inside {packing}: unpack"):
            LogSource(path)
        return
    clicks, told = read(path)
    assert clicks == ROWS
    named = AS_NAMED.get(name)
    contrary = named is not None and named != (content, packing)
    assert bool(told) == contrary
    assert all(str(path) in sentence for sentence in told)
    assert len(told) == len(set(told))


@pytest.mark.parametrize("name", ["clicks.json", "clicks.json.gz", "clicks.ndjson"])
def test_json_lines_have_other_names_too(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(json_lines()) if name.endswith(".gz") else json_lines())
    assert read(path) == (ROWS, [])


@pytest.mark.parametrize("content", ["commas", "JSON Lines"])
def test_a_byte_order_mark_does_not_hide_the_kind(tmp_path: Path, content: str) -> None:
    path = tmp_path / "clicks"
    path.write_bytes(b"\xef\xbb\xbf" + CONTENTS[content])
    assert read(path) == (ROWS, [])


def test_a_log_packed_or_unpacked_or_renamed_meanwhile_is_resumed(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(CONTENTS["commas"])
    source = LogSource(path)
    first = source.poll(1)
    source.close()
    assert first is not None
    for name, packing in (("clicks.csv.gz", "gzip"), ("clicks", "zstd"), ("clicks.txt", "plain")):
        other = tmp_path / name
        other.write_bytes(PACKED[packing](CONTENTS["commas"]))
        resumed = LogSource(other)
        resumed.seek(first.position)
        rest = resumed.poll(100)
        assert rest is not None
        assert rest.items == ["y", "z"]
        resumed.close()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        writer.writestr(zipfile.ZipInfo("[Content_Types].xml"), "<sheet/>")
    return file.getvalue()


@pytest.mark.parametrize("name", ["clicks.csv", "clicks", "clicks.xlsx"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archive(), "Excel workbook"),
        (b"FEA1", "Feather file of the old version 1"),
        (b"\x80\x04\x95\x10", "pickle"),
        (delimited(",").decode().encode("utf-16"), r"UTF-16.*iconv"),
        (delimited(",").decode().encode("utf-16-le"), r"UTF-16.*iconv"),
        (b'[{"session_id": "a"}]', r"one JSON array.*jq -c '\.\[\]'"),
        (b'[\n  {\n    "session_id": "a"}]', r"one JSON array.*jq -c '\.\[\]'"),
    ],
)
def test_what_is_no_log_is_called_what_it_is(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"{name} .*{message}"):
        LogSource(path)


@pytest.mark.parametrize("name", ["clicks", "clicks.json"])
def test_json_over_several_lines_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text('{\n  "session_id": "a"\n}\n')
    with pytest.raises(SourceError, match=r"not one object a line.*jq -c"):
        LogSource(path)


def test_a_pipe_with_a_name_is_not_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    os.mkfifo(path)
    writing = [sys.executable, "-c", f"open({str(path)!r}, 'wb').write({CONTENTS['commas']!r})"]
    with subprocess.Popen(writing):
        source = LogSource(path)
        clicks = source.poll(3)
    assert clicks is not None
    assert clicks.items == ["x", "y", "z"]
    source.close()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="is a pipe: give -"):
        LogSource(tmp_path / "pipe")


def test_quoted_and_padded_headers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(b'"session_id" , item_id,"timestamp"\n' + delimited(",", None))
    with pytest.raises(SourceError, match="line 1, the header"):
        LogSource(path)
    path.write_bytes(b'"session_id"; item_id ;"timestamp"\n' + delimited(";", None))
    assert read(path)[0] == ROWS


def test_a_column_that_is_there_twice_is_told_and_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(b"session_id,item_id,timestamp,item_id\na,x,1.0,y\n")
    with pytest.raises(SourceError, match=r"2 columns 'item_id', at 2 and 4.*--item-column"):
        LogSource(path)
    assert read(path, log_format(item_column=4))[0] == [("a", "y", 1.0)]


RECBOLE = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\nu\tj\t3\t2\nu\ti\t4\t1\n"


@pytest.mark.parametrize("name", ["ml-100k.inter", "ml-100k.tsv", "ml-100k", "ml-100k.inter.gz"])
def test_files_of_recbole_are_told_by_name_and_by_header(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(RECBOLE) if name.endswith(".gz") else RECBOLE)
    # As the command does: with a format in which nothing was chosen.
    source = LogSource(path, log_format())
    assert source.gap == 1800.0
    source.close()
    clicks, told = read(path, log_format())
    assert clicks == [("u", "i", 1.0), ("u", "j", 2.0)]
    (sentence,) = told
    assert "sorted by time first" in sentence
    clicks, told = read(path, log_format(sort=False))
    assert (clicks, told) == ([("u", "j", 2.0), ("u", "i", 1.0)], [])
    (tmp_path / "other").write_bytes(RECBOLE.replace(b"user_id:token", b"session_id:token"))
    with_sessions = LogSource(tmp_path / "other", log_format())
    assert with_sessions.gap is None
    with_sessions.close()
    assert read(path, log_format(user_column="rating", gap=5.0))[0][0][0] == "4"


@pytest.mark.parametrize("mark", [b",", b";", b"|"])
def test_a_header_of_recbole_is_known_whatever_parts_its_columns(
    tmp_path: Path, mark: bytes
) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(RECBOLE.replace(b"\t", mark))
    assert read(path, log_format())[0] == [("u", "i", 1.0), ("u", "j", 2.0)]


def test_a_log_that_begins_with_a_blank_line_has_no_header(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(b"\n" + delimited(","))
    with pytest.raises(SourceError, match=r"no column 'session_id'.* its first line is blank"):
        LogSource(path, log_format())


def test_a_nan_in_the_first_record_does_not_hide_that_a_log_is_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "clicks.json"
    good = b'{"session_id": "a", "item_id": "x", "timestamp": 1}\n'
    path.write_bytes(b'{"session_id": "a", "item_id": "x", "price": NaN, "timestamp": 1}\n' + good)
    polled = LogSource(path, log_format()).poll(10)
    assert polled is not None
    assert (polled.items, [record.reason for record in polled.rejected]) == (["x"], ["bad_json"])


PLACES = log_format(session_column=1, item_column="2", time_column=3)


@pytest.mark.parametrize("name", ["clicks.csv", "clicks.tsv", "clicks"])
def test_columns_by_place_are_of_a_log_without_a_header(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(delimited("\t" if name.endswith(".tsv") else ",", None))
    assert read(path, PLACES) == (ROWS, [])


def test_a_first_row_that_holds_the_numbers_is_a_click_and_told(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    for first in (("2", "1", 3.0), ("1", "7", 2.0), ("3", "3", 3.0)):
        path.write_bytes(delimited(",", None, [(*first[:2], int(first[2])), *ROWS]))
        clicks, (told,) = read(path, PLACES)
        assert clicks[0] == first
        assert "taken as column numbers" in told


@pytest.mark.parametrize("first", [0, 1])
def test_a_header_of_running_numbers_is_a_header_and_told(tmp_path: Path, first: int) -> None:
    path = tmp_path / "clicks.csv"
    names = [str(first + at) for at in range(3)]
    path.write_bytes(delimited(",", names))
    form = log_format(session_column=names[0], item_column=names[1], time_column=names[2])
    clicks, (told,) = read(path, form)
    assert clicks == ROWS
    assert "taken as the header" in told


def test_places_beside_a_header_count_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(delimited(",", ["session_id", "sku", "timestamp"]))
    assert read(path, log_format(item_column=2)) == (ROWS, [])
    clicks, (told,) = read(path, PLACES)
    assert clicks == ROWS
    assert "first line was taken as the header" in told
    # A name goes before a place.
    path.write_bytes(delimited(",", ["session_id", "3", "2", "timestamp"], [("a", "x", "y", 1.0)]))
    assert read(path, log_format(item_column=2))[0] == [("a", "y", 1.0)]


@pytest.mark.parametrize("place", [0, 4])
def test_a_place_that_is_not_there_is_told(tmp_path: Path, place: int) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(delimited(",", None))
    form = log_format(session_column=1, item_column=place, time_column=3)
    with pytest.raises(SourceError, match=f"no column {place}: .*3 columns, counted from 1"):
        LogSource(path, form)


def test_a_place_without_the_others_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(delimited(",", None))
    with pytest.raises(SourceError, match=r"no column 'session_id'.*number.*no header"):
        LogSource(path, log_format(item_column=2))
