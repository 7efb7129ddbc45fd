from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from io import FileIO

import pytest

from nextclick.connectors.clicks import Clicks
from nextclick.connectors.decoding.log_format import LogFormat
from nextclick.connectors.files.pipe import PipeSource

FORM = LogFormat(session="s", item="i", time="t")


Pipe = tuple[int, FileIO]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Return a pipe's reading descriptor and its writing end."""
    reading, writing = os.pipe()
    with FileIO(reading), FileIO(writing, "w") as end:
        yield reading, end


def line(item: int) -> bytes:
    return b'{"s":"a","i":%d,"t":1}\n' % item


def test_what_is_there_is_given_and_the_end_is_told(pipe: Pipe) -> None:
    source = PipeSource(FORM, pipe[0])
    empty = source.poll(10)
    assert isinstance(empty, Clicks)
    assert len(empty) == 0
    pipe[1].write(line(1) + line(2) + b'{"s":"a",')
    first = source.poll(10, wait=5.0)
    assert first is not None
    assert (first.items, first.position) == ([1, 2], {"kind": "pipe", "line": 2})
    pipe[1].write(b'"i":3,"t":1}\nbad\n' + line(4).strip())
    pipe[1].close()
    rest = [clicks for _ in range(3) if (clicks := source.poll(10, wait=5.0)) is not None]
    assert [item for clicks in rest for item in clicks.items] == [3, 4]
    rejected = [record for clicks in rest for record in clicks.rejected]
    assert [(r.reason, r.position) for r in rejected] == [
        ("bad_json", {"file": "<stdin>", "line": 4})
    ]
    assert source.poll(10) is None
    assert source.poll(10, wait=5.0) is None


def test_a_poll_gives_no_more_than_its_limit(pipe: Pipe) -> None:
    pipe[1].write(b"".join(map(line, range(5))))
    pipe[1].close()
    source = PipeSource(FORM, pipe[0])
    polls = []
    while (clicks := source.poll(2, wait=5.0)) is not None:
        polls.append(clicks.items)
    assert polls == [[0, 1], [2, 3], [4]]


def test_a_poll_waits_for_the_first_click(pipe: Pipe) -> None:
    writer = threading.Timer(0.05, pipe[1].write, (line(7),))
    writer.start()
    clicks = PipeSource(FORM, pipe[0]).poll(10, wait=60.0)
    writer.join()
    assert clicks is not None
    assert clicks.items == [7]


def test_after_a_seek_the_line_numbers_continue(pipe: Pipe) -> None:
    source = PipeSource(FORM, pipe[0])
    source.seek({"line": 41})
    pipe[1].write(b"bad\n" + line(1))
    clicks = source.poll(10, wait=5.0)
    assert clicks is not None
    assert clicks.rejected[0].position["line"] == 42
    assert clicks.position == {"kind": "pipe", "line": 43}
