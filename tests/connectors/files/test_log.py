from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors.clicks import Clicks, Position
from nextclick.connectors.decoding.log_format import LogFormat, log_format
from nextclick.connectors.files.log import LogSource
from nextclick.connectors.source import SourceError

HEADER = b"session_id,item_id,timestamp\n"


def read(source: LogSource, limit: int = 128) -> list[Clicks]:
    polls = []
    while (clicks := source.poll(limit)) is not None:
        assert len(clicks) <= limit
        polls.append(clicks)
    source.close()
    return polls


def told(polls: list[Clicks]) -> tuple[object, ...]:
    return (
        [session for clicks in polls for session in clicks.sessions],
        [item for clicks in polls for item in clicks.items],
        [time for clicks in polls for time in clicks.times.tolist()],
        [record for clicks in polls for record in clicks.rejected],
    )


def reasons(polls: list[Clicks]) -> Counter[str]:
    return Counter(record.reason for clicks in polls for record in clicks.rejected)


def counted(polls: list[Clicks]) -> int:
    return sum(len(clicks) + len(clicks.rejected) for clicks in polls)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_every_kind_of_text_log_gives_the_same_clicks(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    rows = [("a", "x", 1.5), ("b", "y", 2.0), ("a", "z", 3.0)]
    if kind == "jsonl":
        lines = [f'{{"session_id":"{s}","item_id":"{i}","timestamp":{t}}}' for s, i, t in rows]
    else:
        mark = {"csv": ",", "tsv": "\t"}[kind]
        lines = [HEADER.decode().strip().replace(",", mark)]
        lines += [mark.join(map(str, row)) for row in rows]
    text = "\n".join(lines).encode()
    pack: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        ".gz": gzip.compress,
        ".zst": zstandard.compress,
    }
    path = tmp_path / f"clicks.{kind}{suffix}"
    path.write_bytes(pack[suffix](text))
    polls = read(LogSource(path), limit=2)
    assert told(polls) == (["a", "b", "a"], ["x", "y", "z"], [1.5, 2.0, 3.0], [])
    assert [len(clicks) for clicks in polls] == [2, 1]


LINE = st.sampled_from(
    [b"a,x,1", b"b,y,2.5", b"c,z,3\r", b'"q",y,4', b"", b"a,b", b"a,,1", b"a,b,nan", b"\xff,b,1"]
)


@settings(max_examples=60)
@given(
    st.lists(LINE, max_size=40),
    st.booleans(),
    st.lists(st.integers(1, 7), min_size=1, max_size=5),
)
def test_poll_sizes_and_resuming_anywhere_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ended: bool, sizes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("log") / "clicks.csv"
    path.write_bytes(HEADER + b"\n".join(lines) + (b"\n" if ended and lines else b""))
    whole = read(LogSource(path), 1000)
    assert counted(whole) == len(path.read_bytes().splitlines(True)) - 1
    source = LogSource(path)
    pieces: list[Clicks] = []
    positions: list[Position] = []
    while (clicks := source.poll(sizes[len(pieces) % len(sizes)])) is not None:
        pieces.append(clicks)
        positions.append(clicks.position)
    source.close()
    assert told(pieces) == told(whole)
    for index, position in enumerate(positions):
        resumed = LogSource(path)
        resumed.seek(position)
        assert told(pieces[: index + 1] + read(resumed)) == told(whole)


def test_a_poll_gives_exactly_as_many_as_asked_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    rows = b"".join(b"session-%d,item-%d,%d\n" % (n // 3, n % 99, n) for n in range(120_000))
    path.write_bytes(HEADER + rows)
    polls = read(LogSource(path), 999)
    assert [len(clicks) for clicks in polls[:-1]] == [999] * (len(polls) - 1)
    assert told(polls)[2] == [float(n) for n in range(120_000)]
    for at in (0, len(polls) // 2, len(polls) - 1):
        source = LogSource(path)
        source.seek(polls[at].position)
        assert told(read(source, 999)) == told(polls[at + 1 :])


def test_a_poll_returns_after_a_thousand_rejected_in_a_row(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(HEADER + b"a,b,1\n" + b"bad\n" * 2500 + b"a,c,2\n")
    polls = read(LogSource(path))
    assert [(len(clicks), len(clicks.rejected)) for clicks in polls] == [
        (1, 1000),
        (0, 1000),
        (1, 500),
    ]


def test_a_rejected_record_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(HEADER + b"a,b,1\n\na,c,soon\n")
    (clicks,) = read(LogSource(path))
    assert [(r.reason, r.position, r.raw) for r in clicks.rejected] == [
        ("blank", {"file": str(path), "line": 3}, b""),
        ("bad_time", {"file": str(path), "line": 4}, b"a,c,soon"),
    ]


def test_a_log_that_has_grown_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    for before, after in [
        (b"a,b,1\n", b"a,c,2\n"),
        (b"a,b,1", b"\na,c,2\n"),
        (b"a,b,1", b"\r\na,c,2\n"),
        (b"a,b,1\r", b"\na,c,2"),
    ]:
        path.write_bytes(HEADER + before)
        (clicks,) = read(LogSource(path))
        with path.open("ab") as file:
            file.write(after)
        source = LogSource(path)
        source.seek(clicks.position)
        (more,) = read(source)
        assert more.items == ["c"]
        assert more.rejected == []
        assert more.position["line"] == 3


@pytest.mark.parametrize(
    "text",
    [HEADER + b"a,b,1\n", HEADER + b"a,X,1\na,c,2\n", HEADER + b"a,b,1\na,c,22\n", HEADER],
)
def test_a_log_that_has_changed_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(HEADER + b"a,b,1\na,c,2")
    (clicks,) = read(LogSource(path))
    path.write_bytes(text)
    source = LogSource(path)
    with pytest.raises(SourceError, match=r"clicks\.csv has changed since the snapshot.*--fresh"):
        source.seek(clicks.position)
    source.close()


def test_a_position_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(HEADER)
    source = LogSource(path)
    with pytest.raises(SourceError, match="another kind"):
        source.seek({"row": 1})
    source.close()


def test_the_start_can_be_sought(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(HEADER + b"a,b,1\n")
    source = LogSource(path)
    assert source.poll(1) is not None
    source.seek({"line": 0, "offset": 0, "crc": 0})
    assert told(read(source)) == (["a"], ["b"], [1.0], [])


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
        "time_out_of_range",
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


def test_a_log_without_clicks_ends_at_once(tmp_path: Path) -> None:
    for name, text in (("a.csv", HEADER), ("b.csv", HEADER.strip()), ("c.jsonl", b"")):
        path = tmp_path / name
        path.write_bytes(text)
        assert read(LogSource(path)) == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", b"", "has no header: the file is empty"),
        ("a.csv.gz", b"plain text", "no column 'session_id'"),
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


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    path = tmp_path / "clicks.csv"
    path.write_bytes(mark + HEADER + b"a,b,1\n")
    assert told(read(LogSource(path)))[0] == ["a"]
    path.write_bytes(mark + b"a,b,1\n")
    form = log_format(header=False, session_column="1", item_column="2", time_column="3")
    assert told(read(LogSource(path, form)))[0] == ["a"]


def test_yoochoose_as_published(tmp_path: Path) -> None:
    path = tmp_path / "yoochoose-clicks.dat"
    path.write_bytes(
        b"1,2014-04-07T10:54:09.868Z,214536500,0\n2,2014-04-07T13:56:37.614Z,214662742,S\n"
        b"1,2014-04-07T10:51:09.277Z,214536502,0\n"
    )
    polls = read(LogSource(path, log_format("yoochoose")))
    assert told(polls)[:3] == (
        ["1", "1", "2"],
        ["214536502", "214536500", "214662742"],
        [1396867869.277, 1396868049.868, 1396878997.614],
    )


def test_diginetica_as_published(tmp_path: Path) -> None:
    path = tmp_path / "train-item-views.csv"
    path.write_bytes(
        b"sessionId;userId;itemId;timeframe;eventdate\n1;NA;81766;526309;2016-05-09\n"
        b"1;NA;31331;1031018;2016-05-09\n2;NA;32118;243569;2016-05-08\n"
    )
    source = LogSource(path, log_format("diginetica"))
    assert source.gap is None
    assert told(read(source))[:3] == (
        ["2", "1", "1"],
        ["32118", "81766", "31331"],
        [1462665600 + 243.569, 1462752000 + 526.309, 1462752000 + 1031.018],
    )


def test_retailrocket_as_published(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(
        b"timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n"
        b"1433224214164,992329,view,248676,\n1433221999827,111016,addtocart,318965,\n"
        b"1433221955914,483717,view,253185,\n1433222276276,599528,transaction,356475,4000\n"
    )
    source = LogSource(path, log_format("retailrocket"))
    assert source.gap == 1800.0
    polls = read(source)
    assert told(polls)[:3] == (
        ["257597", "483717", "992329"],
        ["355908", "253185", "248676"],
        [1433221332.117, 1433221955.914, 1433224214.164],
    )
    assert reasons(polls) == {"not_a_click": 2}
    assert [record.position["line"] for record in polls[0].rejected] == [4, 6]


def test_recbole_takes_the_session_and_else_the_user(tmp_path: Path) -> None:
    path = tmp_path / "log.inter"
    path.write_bytes(b"user_id:token\titem_id:token\ttimestamp:float\nu\ti\t2\nu\tj\t1\n")
    source = LogSource(path)
    assert source.gap == 1800.0
    assert told(read(source))[:2] == (["u", "u"], ["j", "i"])
    path.write_bytes(
        b"user_id:token\tsession_id:token\titem_id:token\ttimestamp:float\nu\ts\ti\t2\n"
    )
    source = LogSource(path, log_format("recbole"))
    assert source.gap is None
    assert told(read(source))[0] == ["s"]


def test_sorting_keeps_the_order_of_equal_times_and_every_record(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    random_ = random.Random(2)
    rows = [(n, random_.randrange(500)) for n in range(3000)]
    lines = [b"bad" if n % 3 == 0 else b"s%d,i%d,%d" % (n, n, time) for n, time in rows]
    path.write_bytes(HEADER + b"\n".join(lines))
    form = LogFormat(sort=True)
    polls = read(LogSource(path, form), 100)
    assert counted(polls) == 3000
    expected = sorted((time, n) for n, time in rows if n % 3)
    assert told(polls)[0] == [f"s{n}" for _, n in expected]
    for at in (0, 5, len(polls) - 1):
        source = LogSource(path, form)
        source.seek(polls[at].position)
        assert told(read(source, 77)) == told(polls[at + 1 :])
    with path.open("ab") as file:
        file.write(b"\ns,i,0")
    source = LogSource(path, form)
    with pytest.raises(SourceError, match=r"changed since the snapshot.*--fresh"):
        source.seek(polls[0].position)


def test_users_and_gap_come_with_the_user_column(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(b"session_id,item_id,timestamp,user_id\ns,i,1,u\n")
    source = LogSource(path, log_format(user_column="user_id", gap=600.0))
    assert source.gap == 600.0
    assert told(read(source))[0] == ["u"]
