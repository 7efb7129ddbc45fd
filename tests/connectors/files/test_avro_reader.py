"""Avro's object files as logs, written by Apache's own implementation."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import avro.datafile
import avro.io
import avro.schema
import fastavro
import pytest

from nextclick.connectors import LogSource, Source, SourceError, log_format, open_source

CLICK: dict[str, Any] = {
    "type": "record",
    "name": "Click",
    "fields": [
        {"name": "user", "type": {"type": "record", "name": "User", "fields": [
            {"name": "id", "type": "long"}]}},
        {"name": "items", "type": {"type": "array", "items": "string"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}  # fmt: skip
FIELDS: dict[str, Any] = {
    "session_column": "user.id",
    "item_column": "items[]",
    "time_column": "at",
}


def click(number: int, items: list[str] | None = None) -> dict[str, Any]:
    at = datetime.fromtimestamp(1_700_000_000 + number, UTC)
    own = [f"a{number}", f"b{number}"] if items is None else items
    return {"user": {"id": number % 7}, "items": own, "at": at}


def write(
    path: Path, records: list[Any], codec: str = "deflate", schema: Any = CLICK, block: int = 50
) -> Path:
    parsed = avro.schema.parse(json.dumps(schema))
    with path.open("wb") as file:
        writer = avro.datafile.DataFileWriter(file, avro.io.DatumWriter(), parsed, codec=codec)
        for number, record in enumerate(records):
            writer.append(record)
            if number % block == block - 1:
                writer.sync()
        writer.close()
    return path


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_lists_and_nested_fields(tmp_path: Path, codec: str) -> None:
    path = write(tmp_path / "clicks.avro", [click(1), click(2, []), click(3)], codec)
    with closing(LogSource(path, log_format(**FIELDS))) as source:
        clicks = source.poll(64)
        assert clicks is not None
        assert clicks.items == ["a1", "b1", "a3", "b3"]
        assert clicks.sessions == [1, 1, 3, 3]
        assert clicks.times.tolist() == [1_700_000_001.0] * 2 + [1_700_000_003.0] * 2
        (rejected,) = clicks.rejected
        assert (rejected.reason, rejected.position["line"]) == ("no_item", 2)
        assert source.poll(64) is None


def test_plain_fields_and_a_name_that_says_something_else(tmp_path: Path) -> None:
    schema = {
        "type": "record",
        "name": "Click",
        "fields": [
            {"name": "session_id", "type": "string"},
            {"name": "item_id", "type": ["null", "int"]},
            {"name": "timestamp", "type": "double"},
        ],
    }
    records = [
        {"session_id": "anna", "item_id": 7, "timestamp": 1.5},
        {"session_id": "anna", "item_id": None, "timestamp": 2.5},
    ]
    path = write(tmp_path / "clicks.csv", records, schema=schema)
    with closing(open_source(path)) as source:
        clicks = source.poll(64)
        assert clicks is not None
        assert (clicks.items, clicks.rejected[0].reason) == ([7], "no_item")
        assert "holds Avro, despite its name" in source.warnings[0]


def test_a_run_goes_on_from_a_position(tmp_path: Path) -> None:
    path = write(tmp_path / "clicks.avro", [click(number) for number in range(230)])
    items: list[Any] = []
    position = None
    while True:
        with closing(LogSource(path, log_format(**FIELDS))) as source:
            if position is not None:
                source.seek(json.loads(json.dumps(position)))
            clicks = source.poll(33)
            if clicks is None:
                break
            items += clicks.items
            position = clicks.position
    assert items == [f"{part}{number}" for number in range(230) for part in "ab"]
    write(path, [click(number) for number in range(231)])
    with closing(LogSource(path, log_format(**FIELDS))) as source:
        assert position is not None
        with pytest.raises(SourceError, match="has changed since the snapshot"):
            source.seek(position)


def test_a_file_is_sorted(tmp_path: Path) -> None:
    path = write(tmp_path / "clicks.avro", [click(3, ["c"]), click(1, ["a"]), click(2, ["b"])])
    with closing(LogSource(path, log_format(sort=True, **FIELDS))) as source:
        clicks = source.poll(64)
        assert clicks is not None
        assert clicks.items == ["a", "b", "c"]


def test_a_missing_field_is_an_error_that_lists_those_there(tmp_path: Path) -> None:
    path = write(tmp_path / "clicks.avro", [click(1)])
    with pytest.raises(SourceError, match="no field 'session_id'; the fields are: user, items, at"):
        LogSource(path)


def test_a_file_is_not_followed(tmp_path: Path) -> None:
    path = write(tmp_path / "clicks.avro", [click(1)])
    with pytest.raises(SourceError, match="Avro, which does not grow"):
        closing(open_source(path, follow=True)).__enter__().poll(1)


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_file_ends_with_a_warning_or_an_error(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = write(tmp_path / "clicks.avro", [click(number) for number in range(200)], "null")
    data = bytearray(path.read_bytes())
    if seed % 2:
        del data[chance.randrange(5, len(data)) :]
    else:
        for _ in range(3):
            data[chance.randrange(4, len(data))] = chance.randrange(256)
    path.write_bytes(data)
    try:
        source = LogSource(path, log_format(**FIELDS))
    except SourceError:
        return
    with closing(source):
        given = 0
        while (clicks := source.poll(64)) is not None:
            given += len(clicks)
        assert given == 400 or source.warnings or seed % 2 == 0


def test_the_last_position_is_behind_all_records_and_leads_to_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "clicks.avro", [click(number) for number in range(10)])
    with closing(LogSource(path, log_format(**FIELDS))) as source:
        while (clicks := source.poll(6)) is not None:
            position = clicks.position
    assert position["record"] == 10
    with closing(LogSource(path, log_format(**FIELDS))) as source:
        source.seek(position)
        assert source.poll(1) is None


@pytest.mark.parametrize("codec", ["snappy", "zstandard", "bzip2", "xz", "lz4"])
def test_all_codecs(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "clicks.avro"
    with path.open("wb") as file:
        schema = fastavro.parse_schema(CLICK)
        records = [click(number) for number in range(500)]
        fastavro.writer(file, schema, records, codec, sync_interval=1000)
    assert items_of(LogSource(path, log_format(**FIELDS))) == [
        f"{part}{number}" for number in range(500) for part in "ab"
    ]


def items_of(source: Source) -> list[Any]:
    items: list[Any] = []
    with closing(source):
        while (clicks := source.poll(64)) is not None:
            items += clicks.items
    return items


def test_a_codec_that_is_not_known_or_not_installed_is_an_error_with_the_remedy(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "clicks.avro", [click(1)], "null")
    path.write_bytes(path.read_bytes().replace(b"\x08null", b"\x08what"))
    with pytest.raises(SourceError, match=r"codec is 'what', .* one of these: null, deflate"):
        LogSource(path, log_format(**FIELDS))
    program = (
        "import sys\n"
        "sys.modules['lz4'] = None\n"
        "from nextclick.connectors import LogSource, SourceError, log_format\n"
        "try:\n"
        f"    LogSource({str(path)!r}, log_format(**{FIELDS!r})).poll(1)\n"
        "except SourceError as error:\n"
        "    print(error)\n"
    )
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(CLICK), [click(1)], "lz4")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'nextclick[avro]'" in done.stdout, done.stderr


def test_a_record_that_cannot_be_read_is_rejected_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "clicks.avro", [click(number) for number in range(100)], "null")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\x06a42", b"\x06a\xff2"))
    items, wrong = [], []
    with closing(LogSource(path, log_format(**FIELDS))) as source:
        while (clicks := source.poll(64)) is not None:
            items += clicks.items
            wrong += [(one.reason, one.position["line"]) for one in clicks.rejected]
        assert source.warnings == []
    assert items == [f"{part}{n}" for n in range(100) if n != 42 for part in "ab"]
    assert wrong == [("bad_avro", 43)]


def test_several_files_are_one_log_and_a_run_goes_on_in_them(tmp_path: Path) -> None:
    for day in range(3):
        write(tmp_path / f"day{day}.avro", [click(100 * day + n) for n in range(90)], block=20)
    form = log_format(**FIELDS)
    items: list[Any] = []
    position = None
    while True:
        with closing(open_source(tmp_path, form)) as source:
            if position is not None:
                source.seek(json.loads(json.dumps(position)))
            clicks = source.poll(77)
            if clicks is None:
                break
            items += clicks.items
            position = clicks.position
    expected = [f"{part}{100 * day + n}" for day in range(3) for n in range(90) for part in "ab"]
    assert items == expected
    assert items_of(open_source(str(tmp_path / "*.avro"), log_format(sort=True, **FIELDS))) == (
        expected
    )


def test_a_file_in_a_zip_archive(tmp_path: Path) -> None:
    path = write(tmp_path / "clicks.avro", [click(number) for number in range(30)])
    with zipfile.ZipFile(tmp_path / "clicks.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "clicks.avro")
    assert len(items_of(open_source(tmp_path / "clicks.zip", log_format(**FIELDS)))) == 60


def test_what_is_for_text_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "clicks.avro", [click(1)])
    with pytest.raises(SourceError, match="for delimited text, not for Avro"):
        LogSource(path, log_format(header=False))
    (tmp_path / "empty.avro").write_bytes(b"")
    (tmp_path / "short.avro").write_bytes(b"Obj\1\2")
    for name in ("empty.avro", "short.avro"):
        with pytest.raises(SourceError, match="cannot be read as Avro"):
            LogSource(tmp_path / name, log_format(**FIELDS))
    packed = tmp_path / "clicks.avro.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(SourceError, match="Avro inside gzip: unpack it"):
        LogSource(packed, log_format(**FIELDS))
    pipe = tmp_path / "pipe.avro"
    os.mkfifo(pipe)
    with pytest.raises(SourceError, match="is a pipe: Avro is read from a file"):
        LogSource(pipe, log_format(**FIELDS))
