from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors import ItemChanges, ItemRecord, SourceError, item_key, open_items
from nextclick.connectors.items import item_file
from nextclick.connectors.items.item_file import ItemFile


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_file, "LOOK_SECONDS", 0.001)


def line(item: Any, **fields: Any) -> bytes:
    return json.dumps({"item_id": item, **fields}).encode() + b"\n"


class Follower:
    """Keeps what a file says, as who follows it does."""

    def __init__(self, path: Path, most: int = 100) -> None:
        self.source = ItemFile(path, most)
        self.data: dict[str, Any] = {}
        self.wrong: list[str] = []
        self.wholes = 0
        self.poll()

    def poll(self) -> ItemChanges:
        changes = self.source.poll()
        if changes.whole:
            self.wholes += 1
            self.data = {}
        for record in changes.records:
            self.data[item_key(record.item)] = (record.available, json.loads(record.fields))
            if self.data[item_key(record.item)] == (True, {}):
                del self.data[item_key(record.item)]
        self.wrong += [f"{wrong.place}: {wrong.why}" for wrong in changes.wrong]
        return changes

    def settle(self) -> dict[str, Any]:
        """Read until nothing is new."""
        for _ in range(20):
            self.poll()
        return self.data


def read(path: Path) -> dict[str, Any]:
    """What a file says that is read once."""
    follower = Follower(path)
    follower.source.close()
    return follower.data


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "items.jsonl"
    path.write_bytes(line(1, title="hat") + line("b", available=False))
    return path


@pytest.fixture
def follower(path: Path) -> Iterator[Follower]:
    follower = Follower(path)
    yield follower
    follower.source.close()


START = {"1": (True, {"title": "hat"}), "b": (False, {})}


def test_a_file_is_read_to_its_end_at_once(follower: Follower) -> None:
    assert follower.data == START
    assert follower.poll() == ItemChanges()
    assert (follower.source.away, follower.source.notes) == (None, [])


def test_what_is_appended_is_read_as_a_change(follower: Follower, path: Path) -> None:
    with path.open("ab") as file:
        file.write(line("b", available=True, title="b") + line(1) + line("c", available=False))
    assert follower.settle() == {"b": (True, {"title": "b"}), "c": (False, {})}
    assert follower.wholes == 1


def test_a_line_counts_once_it_is_a_whole_object(follower: Follower, path: Path) -> None:
    written = line(1, title="shoe")[:-1]
    for end in range(0, len(written), 7):
        with path.open("ab") as file:
            file.write(written[end : end + 7])
        expected = START if end + 7 < len(written) else {**START, "1": (True, {"title": "shoe"})}
        assert follower.settle() == expected
    with path.open("ab") as file:
        file.write(b"\n" + line("b", available=True))
    assert follower.settle() == {"1": (True, {"title": "shoe"})}
    assert not follower.wrong


def test_a_file_that_takes_its_place_is_read_anew(follower: Follower, path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(line("c", available=False))
    other.rename(path)
    assert follower.settle() == {"c": (False, {})}
    with path.open("ab") as file:
        file.write(line("d", available=False))
    assert follower.settle() == {"c": (False, {}), "d": (False, {})}
    assert follower.wholes == 2


@pytest.mark.parametrize(
    "content",
    [b"", line(9), line("b", available=True), line(1, title="cap") + line("b", available=False)],
    ids=["empty", "shorter", "short", "equally long"],
)
def test_a_file_written_anew_in_its_place_is_read_anew(
    follower: Follower, path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    assert follower.settle() == read(path)


def test_a_file_whose_time_is_set_back_is_read_anew(follower: Follower, path: Path) -> None:
    before = os.stat(path)
    path.write_bytes(line(1, title="cap") + line("b", available=False))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert follower.settle() == {**START, "1": (True, {"title": "cap"})}


def test_a_longer_file_written_in_its_place_is_known_by_what_it_begins_with(
    follower: Follower, path: Path
) -> None:
    path.write_bytes(line(1, title="cap") + line("b", available=False) + line("c", x=1))
    expected = {"1": (True, {"title": "cap"}), "b": (False, {}), "c": (True, {"x": 1})}
    assert follower.settle() == expected


def test_while_it_is_gone_its_data_stay(follower: Follower, path: Path) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    assert follower.settle() == START
    assert "No such file" in str(follower.source.away)
    assert follower.source.away in follower.source.notes
    aside.rename(path)
    assert follower.settle() == START
    assert follower.source.away is None


def test_a_wrong_line_later_is_passed_over_and_named(follower: Follower, path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'\n{"item_id": 1,\n' + line("c", available=False))
    assert follower.settle() == {**START, "c": (False, {})}
    assert len(follower.wrong) == 1
    assert follower.wrong[0].startswith(f"{path}, line 4: it is not valid JSON")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (line(1) + b"{]\n", r"line 2: it is not valid JSON.*remove the line"),
        (line(1) + b'{"title": "x"}', "line 2: there is no 'item_id'"),
        (b"item_id,available\n1,0\n", 'line 1: .* write one JSON object a line, such as {"item_id'),
        (b'[{"item_id": 1}]\n', "line 1: it is not a JSON object"),
        (line(1) + b"x" * (1 << 15) + b"\n", "line 2: it has 32,768 bytes; 16,384 are allowed"),
        (b"".join(line(at, x=1) for at in range(101)), "line 101: more than 100 .*--max-items"),
    ],
)
def test_a_file_that_is_wrong_at_the_start_is_an_error_that_names_the_line(
    path: Path, content: bytes, words: str
) -> None:
    path.write_bytes(content)
    with pytest.raises(SourceError, match=words):
        read(path)


def test_a_last_line_that_is_not_complete_at_the_start_is_waited_for(path: Path) -> None:
    path.write_bytes(line(1, x=1) + b'{"item_id": 2, "x":')
    follower = Follower(path)
    assert list(follower.data) == ["1"]
    assert "line 2, the last one, is not complete" in follower.source.notes[0]
    with path.open("ab") as file:
        file.write(b" 2}\n")
    assert list(follower.settle()) == ["1", "2"]
    follower.source.close()


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_compressed_file_that_changes_is_read_anew(tmp_path: Path, suffix: str) -> None:
    compress = gzip.compress if suffix == "gz" else zstandard.ZstdCompressor().compress
    path = tmp_path / f"items.jsonl.{suffix}"
    path.write_bytes(compress(line(1, x=1)))
    follower = Follower(path)
    assert follower.data == {"1": (True, {"x": 1})}
    with path.open("ab") as file:
        file.write(compress(line(2, x=2)))
    assert list(follower.settle()) == ["1", "2"]
    whole = compress(line(3, x=3) * 50)
    path.write_bytes(whole[: len(whole) // 2])
    assert list(follower.settle()) == ["1", "2"]
    assert "the items keep the data read before" in str(follower.source.away)
    path.write_bytes(whole)
    assert list(follower.settle()) == ["3"]
    assert follower.source.away is None


def test_a_damaged_compressed_file_at_the_start_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl.gz"
    path.write_bytes(gzip.compress(line(1) * 1000)[:30])
    with pytest.raises(SourceError, match="cut short"):
        read(path)


def test_what_is_no_file_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "nothing", "there is no such file"),
        (tmp_path, "no regular file"),
        (tmp_path / "pipe", "no regular file"),
    ):
        with pytest.raises(SourceError, match=words):
            open_items(path)
    with pytest.raises(SourceError, match="a str or a Path"):
        open_items(17)  # type: ignore[arg-type]


def test_a_mark_of_byte_order_and_windows_lines_are_no_part_of_a_record(path: Path) -> None:
    for content in (line(1, x=1), line(1, x=1)[:-1], line(1, x=1)[:-1] + b"\r\n"):
        path.write_bytes(b"\xef\xbb\xbf" + content)
        assert read(path) == {"1": (True, {"x": 1})}


steps = st.lists(
    st.tuples(
        st.sampled_from(["append", "part", "replace", "rewrite"]),
        st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 2)), max_size=4),
    ),
    max_size=6,
)


@settings(max_examples=60)
@given(steps=steps)
def test_however_a_file_changes_its_data_are_those_that_it_has(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("items")
    path = folder / "items.jsonl"
    path.write_bytes(b"")
    follower = Follower(path)
    for kind, records in steps:
        content = b"".join(line(item, available=ok, x=x) for item, ok, x in records)
        if kind in ("append", "part"):
            with path.open("ab") as file:
                file.write(content[: len(content) - (kind == "part")])
        elif kind == "replace":
            (folder / "other").write_bytes(content)
            (folder / "other").rename(path)
        else:
            path.write_bytes(content)
        # A line that was left open is closed first.
        if kind == "part" and content:
            assert follower.settle() == read(path)
            with path.open("ab") as file:
                file.write(b"\n")
    assert follower.settle() == read(path)
    assert not follower.wrong
    follower.source.close()
    shutil.rmtree(folder)


def test_records_are_read_as_they_are(path: Path) -> None:
    path.write_bytes(line(1, available=False, title="x"))
    source = open_items(path)
    changes = source.poll()
    assert changes == ItemChanges([ItemRecord(1, False, b'{"title":"x"}')], whole=True)
    source.close()
