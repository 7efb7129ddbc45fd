from __future__ import annotations

import gzip
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors.clicks import Position
from nextclick.connectors.decoding.log_format import LogFormat
from nextclick.connectors.files.growing.followed_log import FollowedLog
from nextclick.connectors.files.log import LogSource
from nextclick.connectors.source import SourceError

HEADER = "session_id,item_id,timestamp\n"


def lines(first: int, end: int) -> str:
    return "".join(f"anna,item{number},{number}\n" for number in range(first, end))


def append(path: Path, text: str) -> None:
    with path.open("a") as log:
        log.write(text)


def items(source: FollowedLog, wait: float = 0.0) -> list[str]:
    """Read until nothing comes any more."""
    found: list[str] = []
    while True:
        clicks = source.poll(5, wait)
        assert clicks is not None
        found += [str(item) for item in clicks.items]
        if not len(clicks) and not clicks.rejected:
            return found


def wait_for(source: FollowedLog, count: int) -> list[str]:
    """Read until as many clicks have come."""
    found: list[str] = []
    deadline = time.monotonic() + 60
    while len(found) < count:
        assert time.monotonic() < deadline, found
        found += items(source, 0.05)
    return found


def numbered(first: int, end: int) -> list[str]:
    return [f"item{number}" for number in range(first, end)]


def position(source: FollowedLog) -> Position:
    clicks = source.poll(1)
    assert clicks is not None
    assert not len(clicks)
    return clicks.position


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "clicks.csv"
    path.write_text(HEADER + lines(0, 12))
    return path


@pytest.fixture
def source(log: Path) -> Iterator[FollowedLog]:
    with closing(FollowedLog(log)) as opened:
        yield opened


def test_lines_are_read_as_they_come_and_an_unfinished_one_waits(
    log: Path, source: FollowedLog
) -> None:
    assert items(source) == numbered(0, 12)
    append(log, "anna,item12,12\nanna,it")
    assert items(source) == numbered(12, 13)
    assert items(source) == []
    append(log, "em13,13")
    assert items(source) == []
    append(log, "\r\n")
    assert items(source) == numbered(13, 14)


def test_a_poll_waits_for_the_first_click_and_no_longer(log: Path, source: FollowedLog) -> None:
    assert items(source) == numbered(0, 12)
    threading.Timer(0.2, append, (log, lines(12, 13))).start()
    clicks = source.poll(5, wait=60.0)
    assert clicks is not None
    assert clicks.items == numbered(12, 13)


@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=30), limit=st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_however_it_grows_it_gives_what_the_finished_log_gives(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], limit: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "clicks.csv"
    text = (HEADER + lines(0, 8) + "anna,,9\n\nwrong\n" + lines(9, 20)).encode()
    path.write_bytes(b"")
    found: list[Any] = []
    with closing(FollowedLog(path)) as source:
        for cut in [*cuts, len(text)]:
            with path.open("ab") as grown:
                grown.write(text[path.stat().st_size :][:cut])
            while (clicks := source.poll(limit)) is not None:
                if not (len(clicks) or clicks.rejected):
                    break
                found += [*clicks.items, *(record.reason for record in clicks.rejected)]
                at = clicks.position
    whole = LogSource(path)
    expected: list[Any] = []
    while (clicks := whole.poll(limit)) is not None:
        expected += [*clicks.items, *(record.reason for record in clicks.rejected)]
        end = clicks.position
    assert sorted(map(str, found)) == sorted(map(str, expected))
    assert at == end


@pytest.mark.parametrize("follow", [True, False])
def test_it_goes_on_at_the_byte_with_and_without_following(log: Path, follow: bool) -> None:
    with closing(LogSource(log) if not follow else FollowedLog(log)) as before:
        clicks = before.poll(7)
        assert clicks is not None
    append(log, lines(12, 15))
    with closing(FollowedLog(log)) as source:
        source.seek(clicks.position)
        assert items(source) == numbered(7, 15)
        end = position(source)
    with closing(LogSource(log)) as finished:
        finished.seek(end)
        assert finished.poll(5) is None


def test_a_last_line_that_was_read_without_its_line_break_is_not_read_twice(log: Path) -> None:
    append(log, "anna,item12,12")
    with closing(LogSource(log)) as finished:
        clicks = finished.poll(99)
        assert clicks is not None
        assert clicks.items == numbered(0, 13)
    with closing(FollowedLog(log)) as source:
        source.seek(clicks.position)
        assert items(source) == []
        append(log, "\n" + lines(13, 15))
        assert items(source) == numbered(13, 15)


def test_and_it_is_an_error_where_that_line_has_grown(log: Path) -> None:
    append(log, "anna,item12,12")
    with closing(LogSource(log)) as finished:
        clicks = finished.poll(99)
        assert clicks is not None
    append(log, "345\n")
    with closing(FollowedLog(log)) as source:
        source.seek(clicks.position)
        with pytest.raises(SourceError, match="line 14, its last, is longer now"):
            source.poll(5)


def rotate(log: Path, name: str = "clicks.csv.1", text: str | None = None) -> Path:
    rotated = log.rename(log.parent / name)
    if text is not None:
        log.write_text(text)
    return rotated


def test_a_rotated_log_is_read_to_its_end_and_then_the_new_one(
    log: Path, source: FollowedLog
) -> None:
    assert items(source) == numbered(0, 12)
    append(log, lines(12, 13))
    rotated = rotate(log)
    assert items(source) == numbered(12, 13)
    # Whoever writes to it has not opened the new one yet.
    append(rotated, lines(13, 15) + "anna,item15,15")
    assert items(source) == numbered(13, 15)
    log.write_text("")
    assert items(source, 0.15) == []
    append(log, HEADER + lines(16, 18))
    assert wait_for(source, 3) == numbered(15, 18)
    assert ["was rotated at line 17" in note for note in source.warnings] == [True]
    append(log, lines(18, 19))
    assert items(source) == numbered(18, 19)


def test_rotated_several_times_while_it_was_behind_it_reads_all_in_order(
    log: Path, source: FollowedLog
) -> None:
    clicks = source.poll(5)
    assert clicks is not None
    assert clicks.items == numbered(0, 5)
    rotate(log, "clicks.csv.3")
    for number, name in ((12, "clicks.csv.2"), (15, "clicks.csv.1")):
        log.write_text(HEADER + lines(number, number + 3))
        time.sleep(0.02)
        rotated = rotate(log, name)
    packed = rotated.with_suffix(".1.gz")
    packed.write_bytes(gzip.compress(rotated.read_bytes()))
    os.utime(packed, ns=(rotated.stat().st_atime_ns, rotated.stat().st_mtime_ns))
    rotated.unlink()
    (log.parent / "clicks.csv.bak").write_text(HEADER + "anna,never,1\n")
    time.sleep(0.02)
    log.write_text(HEADER + lines(18, 20))
    assert wait_for(source, 15) == numbered(5, 20)
    assert "reading on in clicks.csv.2, then in clicks.csv.1.gz, then in" in source.warnings[-1]


def test_rotated_since_the_snapshot_it_goes_on_in_the_rotated_files(log: Path) -> None:
    with closing(FollowedLog(log)) as before:
        clicks = before.poll(7)
        assert clicks is not None
    rotate(log, "clicks-20260101.csv")
    time.sleep(0.02)
    log.write_text(HEADER + lines(12, 14))
    time.sleep(0.02)
    rotate(log, "clicks-20260102.csv", HEADER + lines(14, 16))
    with closing(FollowedLog(log)) as source:
        source.seek(clicks.position)
        between = source.poll(6)
        assert between is not None
        assert between.items == numbered(7, 13)
        assert "clicks-20260101.csv, then in clicks-20260102.csv, then in" in source.warnings[-1]
    with closing(FollowedLog(log)) as source:
        source.seek(between.position)
        assert items(source) == numbered(13, 16)


def test_it_is_an_error_where_nothing_begins_with_what_was_read(log: Path) -> None:
    with closing(FollowedLog(log)) as before:
        clicks = before.poll(7)
        assert clicks is not None
    log.write_text(HEADER + lines(50, 80))
    message = r"No file beside it .* \(such as clicks.csv.1\)"
    with closing(FollowedLog(log)) as source, pytest.raises(SourceError, match=message):
        source.seek(clicks.position)


@pytest.mark.parametrize("position", [{"kind": "log", "row": 3}, {"kind": "log", "record": 3}])
def test_a_position_in_a_sorted_log_is_refused(source: FollowedLog, position: Position) -> None:
    with pytest.raises(SourceError, match="read with other options"):
        source.seek(position)


def test_a_log_that_is_cut_is_read_from_its_start_and_a_note_says_what_is_lost(
    log: Path, source: FollowedLog
) -> None:
    assert items(source) == numbered(0, 12)
    log.write_text(HEADER + lines(12, 14))
    assert wait_for(source, 2) == numbered(12, 14)
    assert "was cut or written anew when it had been read to line 13" in source.warnings[-1]
    assert "rotate the log by renaming it" in source.warnings[-1]
    # Also where it has grown past that place before anybody looked.
    log.write_text(HEADER + lines(20, 60))
    assert wait_for(source, 40) == numbered(20, 60)
    end = position(source)
    with closing(FollowedLog(log)) as resumed:
        resumed.seek(end)
        assert items(resumed) == []


def test_a_line_that_was_not_whole_may_be_taken_back(log: Path, source: FollowedLog) -> None:
    whole = log.stat().st_size
    append(log, "anna,item12,")
    assert items(source) == numbered(0, 12)
    assert items(source) == []
    os.truncate(log, whole)
    assert items(source) == []
    append(log, lines(12, 14))
    assert items(source) == numbered(12, 14)
    assert source.warnings == []


def test_a_log_that_was_copied_and_cut_loses_nothing(log: Path, source: FollowedLog) -> None:
    assert items(source) == numbered(0, 12)
    append(log, lines(12, 14))
    (log.parent / "clicks.csv.1").write_bytes(log.read_bytes())
    log.write_text(HEADER + lines(14, 16))
    assert wait_for(source, 4) == numbered(12, 16)
    assert "read on in its copy clicks.csv.1" in source.warnings[-1]


def test_lines_written_to_a_file_that_was_left_are_told_of(log: Path, source: FollowedLog) -> None:
    rotated = rotate(log, text=HEADER + lines(12, 13))
    assert wait_for(source, 13) == numbered(0, 13)
    append(rotated, lines(90, 91))
    deadline = time.monotonic() + 60
    while "were written to the file that it was rotated to" not in source.warnings[-1]:
        assert time.monotonic() < deadline
        items(source, 0.05)


def test_an_empty_log_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "clicks"
    path.touch()
    with closing(FollowedLog(path)) as source:
        assert items(source) == []
        append(path, '{"session_id": "anna", "item_id": "item0", "timestamp": 0}\n{')
        assert items(source) == numbered(0, 1)


@pytest.mark.parametrize(
    ("name", "content", "form", "message"),
    [
        ("no.csv", None, LogFormat(), "there is no such file: create it"),
        ("a.csv.gz", gzip.compress(b"a,b\n", mtime=0), LogFormat(), "is compressed with gzip"),
        ("a.csv", (HEADER + "a,b,1\n").encode(), LogFormat(sort=True), "leave out --sort"),
        ("a.parquet", b"PAR1\n", LogFormat(), "is Parquet"),
        ("a.csv", b"x,y,z\n1,2,3\n", LogFormat(), "there is no column 'session_id'"),
        ("a.csv", b"BZh91AY\n", LogFormat(), "compressed with bzip2"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    tmp_path: Path, name: str, content: bytes | None, form: LogFormat, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        FollowedLog(tmp_path / name, form)


def test_a_pipe_and_a_folder_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(SourceError, match="name the source -"):
        FollowedLog(tmp_path / "pipe.jsonl")
    with pytest.raises(SourceError, match="is a folder"):
        FollowedLog(tmp_path)
