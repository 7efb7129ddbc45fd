from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors.clicks import Clicks, Position
from nextclick.connectors.decoding.log_format import log_format
from nextclick.connectors.files import log_part
from nextclick.connectors.open import open_source
from nextclick.connectors.source import Source, SourceError
from tests.connectors.files.logs import HEADER, reasons, told

Row = tuple[str, str, float]


def write(path: Path, rows: list[Row], more: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = (
        HEADER
        + b"".join(b"%b,%b,%r\n" % (s.encode(), i.encode(), float(t)) for s, i, t in rows)
        + more
    )
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def rows(name: str, times: list[float]) -> list[Row]:
    return [(name, f"{name}{number}", time) for number, time in enumerate(times)]


def read(source: Source, limit: int = 3) -> list[Clicks]:
    polls = []
    while (clicks := source.poll(limit)) is not None:
        assert len(clicks) <= limit
        polls.append(clicks)
    source.close()
    return polls


def items(polls: list[Clicks]) -> list[object]:
    return [item for clicks in polls for item in clicks.items]


def stored(position: Position) -> Position:
    """Return a position as a snapshot keeps it."""
    kept: Position = json.loads(json.dumps(position))
    return kept


def test_files_are_read_in_the_order_of_their_first_clicks(tmp_path: Path) -> None:
    november = write(tmp_path / "a-november.csv", rows("n", [20, 21, 22]))
    october = write(tmp_path / "b-october.csv.gz", rows("o", [10, 11, 12]))
    source = open_source([november, october])
    assert items(read(source)) == ["o0", "o1", "o2", "n0", "n1", "n2"]
    assert any("in the order of time" in note for note in source.warnings)
    in_order = open_source([october, november])
    assert items(read(in_order)) == ["o0", "o1", "o2", "n0", "n1", "n2"]
    assert in_order.warnings == []


@pytest.mark.parametrize("how", ["folder", "pattern", "all below", "list", "tuple", "archive"])
def test_a_folder_a_pattern_and_an_archive_are_one_log(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "logs"
    write(folder / "day=9" / "part.csv", rows("a", [1, 2]))
    write(folder / "day=10" / "part.csv.gz", rows("b", [3, 4]))
    (folder / "_SUCCESS").write_bytes(b"")
    (folder / "README.md").write_text("about")
    specs: dict[str, Any] = {
        "folder": folder,
        "pattern": str(folder / "*" / "part.csv*"),
        "all below": str(folder / "**" / "*.csv*"),
        "list": [folder / "day=9", str(folder / "day=10" / "part.csv.gz")],
        "tuple": (folder, folder / "day=9" / "part.csv"),
        "archive": shutil.make_archive(str(tmp_path / "logs"), "zip", folder, "day=9"),
    }
    expected = ["a0", "a1"] if how == "archive" else ["a0", "a1", "b0", "b1"]
    assert items(read(open_source(specs[how]))) == expected


def test_files_of_all_kinds_are_one_log(tmp_path: Path) -> None:
    columns = {"session_id": ["p", "p"], "item_id": ["p0", "p1"], "timestamp": [3.0, 4.0]}
    pq.write_table(pa.table(columns), tmp_path / "b.parquet")
    columns |= {"item_id": ["f0", "f1"], "timestamp": [5.0, 6.0]}
    pyarrow.feather.write_feather(pa.table(columns), str(tmp_path / "c.feather"))
    write(tmp_path / "a.csv", rows("a", [1, 2]))
    lines = ['{"session_id":"j","item_id":"j0","timestamp":7}']
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    expected = ["a0", "a1", "p0", "p1", "f0", "f1", "j0"]
    polls = read(open_source(tmp_path))
    assert items(polls) == expected
    resumed = open_source(tmp_path)
    resumed.seek(stored(polls[1].position))
    assert items(read(resumed)) == expected[6:]


BAD = st.sampled_from([b"", b"a,b\n", b"x,,1\n", b"\xff,b,1\n"])
TIMES = st.lists(st.integers(0, 30), max_size=12).map(sorted)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(TIMES, BAD), min_size=2, max_size=4),
    st.lists(st.integers(1, 7), min_size=1, max_size=4),
    st.integers(1, 5),
)
def test_overlapping_files_are_merged_and_resume_anywhere(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[tuple[list[int], bytes]],
    sizes: list[int],
    held: int,
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    for number, (times, bad) in enumerate(files):
        name = "abcd"[number]
        write(folder / f"{name}.csv", rows(name, [float(time) for time in times]), bad)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_part, "HELD", held)
        whole = read(open_source(folder), 1000)
        clicks = sum(len(times) for times, _ in files)
        assert len(items(whole)) == len(set(items(whole))) == clicks
        assert sum(reasons(whole).values()) == sum(bad != b"" for _, bad in files)
        for name in "abcd":
            own = [item for item in items(whole) if str(item)[0] == name]
            assert own == [f"{name}{number}" for number in range(len(own))]
        source = open_source(folder)
        pieces: list[Clicks] = []
        while (polled := source.poll(sizes[len(pieces) % len(sizes)])) is not None:
            pieces.append(polled)
        source.close()
        assert told(pieces)[:3] == told(whole)[:3]
        for index, piece in enumerate(pieces):
            resumed = open_source(folder)
            resumed.seek(stored(piece.position))
            assert told(pieces[: index + 1] + read(resumed, 4)) == told(pieces)


def test_merged_clicks_are_in_the_order_of_time_but_for_wrong_clocks(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    times = np.sort(random.uniform(0, 1e5, 20_000)).round(2)
    owners = random.integers(0, 5, len(times))
    for number in range(5):
        own = [float(time) for time in times[owners == number]]
        if number == 2:
            own[50] = 9e9
            own[1000] = 0.0
        write(tmp_path / f"part-{number}.csv.gz", rows(f"p{number}", own))
    source = open_source(tmp_path)
    got = np.concatenate([clicks.times for clicks in read(source, 997)])
    assert len(got) == len(times)
    right = got[(got != 9e9) & (got != 0.0)]
    assert (np.diff(right) < 0).sum() <= 2
    assert any("overlap in time" in note for note in source.warnings)


def test_files_that_are_sorted_are_sorted_as_one_log(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows("a", [5, 1, 9]), b"bad\n")
    write(tmp_path / "b.csv", rows("b", [4, 8, 0]), b"bad\n")
    form = log_format(sort=True)
    polls = read(open_source(tmp_path, form), 2)
    assert items(polls) == ["b2", "a1", "b0", "a0", "b1", "a2"]
    assert reasons(polls) == {"too_few_columns": 2}
    for index, piece in enumerate(polls):
        resumed = open_source([tmp_path / "a.csv", tmp_path / "b.csv"], form)
        resumed.seek(stored(piece.position))
        assert told(polls[: index + 1] + read(resumed, 2)) == told(polls)
    write(tmp_path / "c.csv", rows("c", [3]))
    resumed = open_source(tmp_path, form)
    with pytest.raises(SourceError, match=r"has changed since the snapshot"):
        resumed.seek(polls[1].position)
    resumed.close()


def test_a_file_added_later_is_read_on_after_a_resume(tmp_path: Path) -> None:
    write(tmp_path / "1.csv", rows("a", [1, 2]))
    write(tmp_path / "2.csv", rows("b", [3, 4]))
    (polled,) = read(open_source(tmp_path), 10)
    write(tmp_path / "3.csv", rows("c", [5, 6]))
    with (tmp_path / "2.csv").open("ab") as file:
        file.write(b"b,b2,4.5\n")
    resumed = open_source(tmp_path)
    resumed.seek(stored(polled.position))
    assert items(read(resumed)) == ["b2", "c0", "c1"]
    assert resumed.warnings == []


def test_a_file_added_before_the_position_is_told(tmp_path: Path) -> None:
    write(tmp_path / "2.csv", rows("b", [3, 4]))
    write(tmp_path / "3.csv", rows("c", [5, 6]))
    (polled,) = read(open_source(tmp_path), 10)
    write(tmp_path / "1.csv", rows("a", [1, 2]))
    resumed = open_source(tmp_path)
    resumed.seek(stored(polled.position))
    assert items(read(resumed)) == ["a0", "a1"]
    assert any("1.csv" in note and "from before" in note for note in resumed.warnings)


def test_one_log_becomes_several_and_they_may_move_and_be_compressed(tmp_path: Path) -> None:
    one = write(tmp_path / "1.csv", rows("a", [1, 2, 3]))
    source = open_source(one)
    first = source.poll(1)
    source.close()
    assert first is not None
    two = write(tmp_path / "2.csv", rows("b", [4, 5]))
    resumed = open_source([one, two])
    resumed.seek(stored(first.position))
    second = resumed.poll(1)
    resumed.close()
    assert second is not None
    assert second.items == ["a1"]
    write(tmp_path / "moved" / "1.csv.gz", rows("a", [1, 2, 3]))
    write(tmp_path / "moved" / "2.csv", rows("b", [4, 5]))
    moved = open_source(tmp_path / "moved")
    moved.seek(stored(second.position))
    assert items(read(moved)) == ["a2", "b0", "b1"]


def test_a_missing_and_a_changed_file_are_named(tmp_path: Path) -> None:
    first = write(tmp_path / "1.csv", rows("a", [1, 2]))
    write(tmp_path / "2.csv", rows("b", [3, 4]))
    write(tmp_path / "3.csv", rows("c", [5, 6]))
    source = open_source(tmp_path)
    polled = source.poll(3)
    source.close()
    assert polled is not None
    first.rename(tmp_path / "kept.txt")
    resumed = open_source(tmp_path)
    with pytest.raises(SourceError, match=r"1\.csv: .* missing: put it back"):
        resumed.seek(stored(polled.position))
    resumed.close()
    write(tmp_path / "1.csv", rows("a", [1, 7]))
    resumed = open_source(tmp_path)
    with pytest.raises(SourceError, match=r"1\.csv has changed since the snapshot"):
        resumed.seek(stored(polled.position))
    resumed.close()


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ("logs/*.csv", r"no file matches logs/\*\.csv"),
        (["a.csv", "-"], "- is read alone"),
        (["a.csv", "sim:clicks=5"], "is read alone"),
        (["a.csv", "none.csv"], "none.csv: there is no such file"),
        (["a.csv", 7], "a log is given as a str or a Path, not as 7"),
        ("empty", "is a folder without files"),
    ],
)
def test_what_names_no_logs_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, specs: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("a.csv"), rows("a", [1]))
    Path("empty").mkdir()
    with pytest.raises(SourceError, match=message):
        open_source(specs)


def test_sessions_and_users_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows("a", [1]))
    (tmp_path / "b.csv").write_text("user_id,item_id,timestamp\nu,i,5\n")
    form = log_format(session_column="session_id", user_column="user_id", gap=60.0)
    with pytest.raises(SourceError, match=r"a\.csv has sessions and .*b\.csv only users"):
        open_source(tmp_path, form)


def test_of_thousands_of_notes_alike_one_is_told(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / f"{number}.csv.gz", rows("a", [number]))
        path = tmp_path / f"{number}.csv.gz"
        path.write_bytes(gzip.decompress(path.read_bytes()))
    source = open_source(tmp_path)
    read(source)
    assert len(source.warnings) == 1


def test_files_without_clicks_among_others_do_no_harm(tmp_path: Path) -> None:
    header = "session_id,item_id,timestamp\n"
    (tmp_path / "a.csv").write_text(f"{header}s,x,1\ns,y,2\n")
    (tmp_path / "b.csv").write_text(header)
    (tmp_path / "c.csv").write_text("")
    source = open_source(tmp_path)
    polled = source.poll(10)
    assert polled is not None
    assert polled.items == ["x", "y"]
    assert source.poll(10) is None
    assert source.warnings == []
    source.close()
