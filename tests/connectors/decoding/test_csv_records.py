from __future__ import annotations

import csv
import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors.decoding.csv_records import RecordCutter
from nextclick.connectors.decoding.delimited import DelimitedDecoder
from nextclick.connectors.decoding.log_format import LogFormat, log_format
from nextclick.connectors.files.log import LogSource
from nextclick.connectors.files.pipe import PipeSource
from nextclick.connectors.source import Source, SourceError
from tests.connectors.files.logs import HEADER, counted, read, reasons, told

FORM = LogFormat(session="s", item="i", time="t")
WORDS = st.text(st.sampled_from('ab",\n\r;: é'), min_size=1, max_size=6)


def through_a_pipe(text: bytes, form: LogFormat) -> list[object]:
    """Return the items that a pipe gives."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(text)

    thread = threading.Thread(target=write)
    thread.start()
    source = PipeSource(form, reading)
    items: list[object] = []
    while (clicks := source.poll(100, wait=5.0)) is not None:
        items += clicks.items
    thread.join()
    os.close(reading)
    return items


@settings(max_examples=150)
@given(
    st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=8),
    st.sampled_from(["\r\n", "\n"]),
    st.integers(1, 9),
)
def test_what_a_csv_writer_writes_is_read(
    rows: list[tuple[str, str]], ending: str, size: int
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator=ending)
    writer.writerows([(s, i, n) for n, (s, i) in enumerate(rows)])
    text = file.getvalue().encode()
    decoder = DelimitedDecoder(FORM, ",", b"s,i,t", "a.csv")
    cutter = RecordCutter(decoder.count_columns, 1, 6)
    blocks = [
        block
        for start in range(0, len(text), size)
        for block in cutter.feed(text[start : start + size])
    ]
    blocks += cutter.finish()
    decoded = [decoder.decode(block) for block in blocks]
    found = [pair for each in decoded for pair in zip(each.sessions, each.items, strict=True)]
    assert [each.rejected for each in decoded if each.rejected] == []
    assert found == rows
    assert blocks[-1].before(len(blocks[-1])) == 1 + text.count(b"\n")
    assert b"".join(block.data for block in blocks) == text


def test_quoted_line_breaks_count_as_lines_and_a_run_resumes_after_them(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    body = b'a,"x\n1",1\nb,y,2\n"c\r\nd",z,3\nbad\ne,w,4'
    path.write_bytes(b'session_id,item_id,"timestamp"\n' + body)
    polls = read(LogSource(path), 1)
    assert told(polls)[0] == ["a", "b", "c\r\nd", "e"]
    assert told(polls)[1] == ["x\n1", "y", "z", "w"]
    (rejected,) = (record for poll in polls for record in poll.rejected)
    assert rejected.position["line"] == 7
    for index, poll in enumerate(polls):
        resumed = LogSource(path)
        resumed.seek(poll.position)
        assert told(polls[: index + 1] + read(resumed)) == told(polls)


def test_a_header_may_have_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(b'session_id,"a\nnote",item_id,timestamp\na,1,x,1\n')
    assert told(read(LogSource(path)))[1] == ["x"]


@pytest.mark.parametrize("stray", [b's,"i,1', b'"s,i,1', b's,5" tv,1"', b'"'])
def test_a_stray_quote_costs_its_own_line_only(tmp_path: Path, stray: bytes) -> None:
    path = tmp_path / "clicks.csv"
    good = [b"a,x%d,%d" % (n, n) for n in range(200)]
    lines = [*good[:50], stray, *good[50:100], stray, *good[100:], stray]
    path.write_bytes(HEADER + b"\n".join(lines))
    polls = read(LogSource(path))
    assert told(polls)[1] == [f"x{n}" for n in range(200)]
    assert counted(polls) == 203
    resumed = LogSource(path)
    resumed.seek(polls[0].position)
    assert told(polls[:1] + read(resumed)) == told(polls)


def test_quotes_that_never_close_are_not_held_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    lines = [b'a,"x,1', *(b"a,x%d,%d" % (n, n) for n in range(200_000))]
    path.write_bytes(HEADER + b"\n".join(lines))
    polls = read(LogSource(path), 5000)
    assert counted(polls) == len(lines)
    assert reasons(polls) == {"bad_csv": 1}


@pytest.mark.parametrize("delimiter", ["::", ";", "\\t", "tab", "<=>", " "])
def test_columns_are_separated_by_any_delimiter(tmp_path: Path, delimiter: str) -> None:
    mark = "\t" if delimiter in ("\\t", "tab") else delimiter
    rows = [("anna", '"x"', "1"), ("bert", "y", "2"), ("bert", "", "3"), ("u", "z", "4")]
    text = "\n".join(mark.join(row) for row in [("session_id", "item_id", "timestamp"), *rows])
    path = tmp_path / "clicks.txt"
    path.write_text(text)
    form = log_format(delimiter=delimiter)
    polls = read(LogSource(path, form))
    assert told(polls)[1] == ["x", "y", "z"]
    assert reasons(polls) == {"no_item": 1}
    assert through_a_pipe(text.encode(), form) == ["x", "y", "z"]
    path.write_text(text.replace('"', ""))
    assert told(read(LogSource(path, form)))[1] == ["x", "y", "z"]


def test_a_log_without_a_header_is_read_by_names_and_by_numbers(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    text = b"4,x,a\n5,y,b,more\n6,z\n"
    path.write_bytes(text)
    for form in (
        log_format(columns=["timestamp", "item_id", "session_id"]),
        log_format(columns=["t", "i", "s"], session_column="s", item_column="i", time_column="t"),
        log_format(header=False, session_column=3, item_column=2, time_column=1),
    ):
        polls = read(LogSource(path, form))
        assert told(polls)[:3] == (["a", "b"], ["x", "y"], [4.0, 5.0])
        assert reasons(polls) == {"too_few_columns": 1}
        assert through_a_pipe(text, form) == ["x", "y"]
    with pytest.raises(SourceError, match=r"without a header .* --columns"):
        LogSource(path, log_format(header=False))


@pytest.mark.parametrize(
    "text",
    [
        b"session_id,item_id,timestamp\na,x,1\na,y,2\n",
        b"\xef\xbb\xbftimestamp;item_id;session_id\r\n1;x;a\r\n2;y;a",
        b"\n".join(
            b'{"session_id":"a","item_id":"%b","timestamp":1}' % item for item in (b"x", b"y")
        ),
    ],
)
def test_a_pipe_takes_delimited_text_and_json_lines(text: bytes) -> None:
    assert through_a_pipe(text, LogFormat()) == ["x", "y"]


def test_a_pipe_of_users_tells_its_gap_from_the_header() -> None:
    form = log_format("recbole", sort=False)
    for key, gap in (("session_id", None), ("user_id", 1800.0)):
        reading, writing = os.pipe()
        os.write(writing, f"{key}:token\titem_id:token\ttimestamp:float\na\tx\t1\n".encode())
        os.close(writing)
        source: Source = PipeSource(form, reading)
        clicks = source.poll(10)
        os.close(reading)
        assert clicks is not None
        assert (source.gap, clicks.items, clicks.position["line"]) == (gap, ["x"], 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\x1f\x8b\x08\0", "compressed with gzip"),
        (b"PK\x03\x04", "zip archive"),
        (b"a,b,c\n1,2,3\n", "no column 'session_id'; the columns are: a, b, c"),
    ],
)
def test_a_pipe_that_holds_no_clicks_is_called_what_it_is(text: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        through_a_pipe(text, LogFormat())


@pytest.mark.parametrize("mark", [",", "\t", ";", "|"])
def test_the_delimiter_is_found_where_names_are_given_too(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "clicks.txt"
    path.write_text("".join(mark.join(row) + "\n" for row in [("a", "x", "1"), ("b", "y", "2")]))
    form = log_format(columns=["session_id", "item_id", "timestamp"])
    assert told(read(LogSource(path, form)))[1] == ["x", "y"]
