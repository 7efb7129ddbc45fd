from __future__ import annotations

import json
from pathlib import Path

import pytest

from nextclick.connectors.files.json_lines_sink import JsonLinesSink
from nextclick.connectors.sink import SinkError


def test_records_stand_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("an earlier run\n")
    sink = JsonLinesSink(path)
    sink.write({"item": "é\n", "scores": [1.5, 2]})
    sink.write([1])
    assert sink.sync() == path.stat().st_size
    sink.close()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"item": "é\n", "scores": [1.5, 2]}, [1]]


def test_resuming_cuts_off_what_came_after_the_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = JsonLinesSink(path, resume_at=0)
    for number in range(3):
        sink.write(number)
    length = sink.sync()
    sink.write("after the snapshot")
    sink.close()
    with path.open("ab") as file:
        file.write(b'"half a li')
    sink = JsonLinesSink(path, resume_at=length)
    sink.write(3)
    assert sink.sync() == path.stat().st_size
    sink.close()
    assert path.read_text() == "0\n1\n2\n3\n"


def test_a_file_shorter_than_the_snapshot_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with pytest.raises(SinkError, match=r"out\.jsonl has 0 bytes, and 5 .*--fresh"):
        JsonLinesSink(path, resume_at=5)
    path.write_text("abc\n")
    with pytest.raises(SinkError, match="has 4 bytes"):
        JsonLinesSink(path, resume_at=5)
    assert path.read_text() == "abc\n"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"out\.jsonl cannot be written"):
        JsonLinesSink(tmp_path / "file" / "out.jsonl")
    with pytest.raises(SinkError, match="cannot be written"):
        JsonLinesSink(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_named() -> None:
    sink = JsonLinesSink("/dev/full")
    sink.write("x")
    with pytest.raises(SinkError, match="No space left"):
        sink.sync()
    with pytest.raises(SinkError, match="No space left"):
        sink.close()
