from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from nextclick.connectors.files.log import LogSource
from nextclick.connectors.source import SourceError
from tests.connectors.files.logs import HEADER, counted, read, reasons, told


def garbage(random_: random.Random) -> bytes:
    """Return one line of some kind of garbage; none of them is a click."""
    kinds: list[Callable[[], bytes]] = [
        lambda: b"",
        lambda: b"s,i",
        lambda: b"s,i,1,2,3",
        lambda: b"s,i,NaN",
        lambda: b"s,i,1e999",
        lambda: b"s,i,tomorrow",
        lambda: b"s,i,1396861869277000",
        lambda: b",i,1",
        lambda: b"s,,1",
        lambda: b"s,i,",
        lambda: b's,"i,1',
        lambda: b"s," + "müsli".encode("latin-1") + b",1",
        lambda: "s,i,1".encode("utf-16"),
        lambda: b"s," + b"x" * 1_000_000 + b",1",
        lambda: random_.randbytes(50).replace(b"\n", b"") + b"\xff",
    ]
    return random_.choice(kinds)()


def test_a_log_with_garbage_of_every_kind_accounts_for_every_line(tmp_path: Path) -> None:
    random_ = random.Random(3)
    lines = [b"s%d,i%d,%d" % (n // 4, n % 50, n) for n in range(20_000)]
    places = set(random_.sample(range(len(lines)), 200))
    good = [line for n, line in enumerate(lines) if n not in places]
    lines = [garbage(random_) if n in places else line for n, line in enumerate(lines)]
    text = HEADER + b"\n".join(lines)
    total = text.count(b"\n")
    path = tmp_path / "clicks.csv"
    path.write_bytes(text)
    polls = read(LogSource(path))
    assert counted(polls) == total
    assert sum(reasons(polls).values()) == total - len(good)
    assert [f"{s},{i},{t:.0f}".encode() for s, i, t in zip(*told(polls)[:3], strict=True)] == good
    lines_named = [record.position["line"] for clicks in polls for record in clicks.rejected]
    assert lines_named == sorted(set(lines_named))
    assert {
        "blank",
        "too_few_columns",
        "too_many_columns",
        "time_not_finite",
        "bad_time",
        "mixed_time_units",
        "no_session",
        "no_item",
        "no_time",
        "bad_csv",
        "not_utf8",
        "id_too_long",
    } <= set(reasons(polls))


@pytest.mark.parametrize("kind", [".csv", ".jsonl"])
def test_binary_rubbish_is_counted_and_never_a_traceback(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"clicks{kind}"
    rubbish = random.Random(5).randbytes(300_000)
    path.write_bytes((HEADER if kind == ".csv" else b"") + rubbish)
    polls = read(LogSource(path))
    assert counted(polls) == rubbish.count(b"\n") + (not rubbish.endswith(b"\n"))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_truncated_log_gives_its_whole_lines_and_warns(tmp_path: Path, suffix: str) -> None:
    rows = [b"s%d,i%d,%d" % (n, n * n % 1009, n) for n in range(50_000)]
    text = HEADER + b"\n".join(rows) + b"\n"
    packed = gzip.compress(text) if suffix == ".gz" else zstandard.compress(text)
    path = tmp_path / f"clicks.csv{suffix}"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    source = LogSource(path)
    polls = read(source)
    sessions = told(polls)[0]
    assert isinstance(sessions, list)
    assert sessions == [f"s{n}" for n in range(len(sessions))]
    assert len(sessions) > 10_000
    (warning,) = source.warnings
    rejected = [record for clicks in polls for record in clicks.rejected]
    assert [record.reason for record in rejected] == ["truncated"] * len(rejected)
    assert len(rejected) <= 1
    assert str(path) in warning
    assert f"line {1 + len(sessions) + len(rejected)}:" in warning
    resumed = LogSource(path)
    resumed.seek(polls[3].position)
    assert told(read(resumed)) == told(polls[4:])
    assert resumed.warnings == [warning]


def test_a_line_longer_than_16_mib_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv.zst"
    long = b"x" * (17 << 20)
    path.write_bytes(zstandard.compress(HEADER + b"a,b,1\n" + long + b"\na,c,2\n" + long))
    polls = read(LogSource(path))
    assert told(polls)[1] == ["b", "c"]
    assert reasons(polls) == {"line_too_long": 2}
    assert len(polls[0].rejected[0].raw or b"") == 65536
    source = LogSource(path)
    assert source.poll(1) is not None
    clicks = source.poll(1)
    assert clicks is not None
    source.seek(clicks.position)
    assert counted(read(source)) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", b"", "has no header: the file is empty"),
        ("a.csv.gz", b"plain text", "one column: 'plain text'.*name the right column"),
        ("a.csv.gz", b"\x00damaged", "has no header: .*damaged"),
        ("a.csv", b"sessionid,item_id,timestamp\n", "'session_id'.*did you mean 'sessionid'"),
        ("a.csv", b"session_id,sku,timestamp\n", "columns are: session_id, sku.*--item-column"),
        ("a.csv", b"session_id,item_id,when\n", "--time-column"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "is not a log but a picture"),
        ("a.csv", "session_id,item_id,timestamp".encode("utf-16"), "UTF-16: .*iconv"),
        ("a.csv", b'"session_id,item_id,timestamp\n', "line 1, the header"),
        ("a.parquet", b"", "cannot be read as Parquet"),
        ("a.parquet", b"PAR1 and nothing else", "cannot be read as Parquet"),
        ("a.parquet", b"\x00\x01\x02", "cannot be read as Parquet"),
        ("a.xlsx", b"", "is empty"),
        ("a.gz", b"", "is empty"),
        ("a", b"", "is empty"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_remedy(
    tmp_path: Path, name: str, text: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(text)
    with pytest.raises(SourceError, match=rf"(?s){name}.*{message}"):
        LogSource(path)


@pytest.mark.parametrize("name", ["none.csv", "none.jsonl", "none.parquet"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="no such file"):
        LogSource(tmp_path / name)
    folder = tmp_path / f"folder-{name}"
    folder.mkdir()
    with pytest.raises(SourceError, match="folder"):
        LogSource(folder)
