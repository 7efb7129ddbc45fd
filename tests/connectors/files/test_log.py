from __future__ import annotations

import gzip
import random
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
from tests.connectors.files.logs import HEADER, counted, read, reasons, told


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


def test_a_log_without_clicks_ends_at_once(tmp_path: Path) -> None:
    for name, text in (("a.csv", HEADER), ("b.csv", HEADER.strip()), ("c.jsonl", b"")):
        path = tmp_path / name
        path.write_bytes(text)
        assert read(LogSource(path)) == []


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
