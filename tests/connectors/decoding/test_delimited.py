from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors.clicks import Rejected
from nextclick.connectors.decoding.blocks import Decoded
from nextclick.connectors.decoding.delimited import DelimitedDecoder
from nextclick.connectors.decoding.lines import LineCutter, Lines
from nextclick.connectors.decoding.log_format import PRESETS, LogFormat

HEADER = b"session_id,item_id,timestamp"


def block(text: bytes) -> Lines:
    cutter = LineCutter(line=1, offset=29)
    (lines,) = cutter.feed(text) + cutter.finish()
    return lines


def told(decoded: Decoded) -> tuple[object, ...]:
    times = [time.hex() for time in decoded.times.tolist()]
    return decoded.sessions, decoded.items, times, decoded.before.tolist(), decoded.rejected


def fate(line: bytes, form: LogFormat | None = None, header: bytes = HEADER) -> str:
    decoder = DelimitedDecoder(form or LogFormat(), ",", header, "clicks.csv")
    decoded = decoder.decode(block(line + b"\n"))
    if decoded.rejected:
        return decoded.rejected[0].reason
    return f"{decoded.sessions[0]}|{decoded.items[0]}|{decoded.times[0]}"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"a,b,1.5", "a|b|1.5"),
        (b"007,1.0,1", "007|1.0|1.0"),
        (b"a,b,1.5\r", "a|b|1.5"),
        (b'"a","b,c","1.5"', "a|b,c|1.5"),
        (b'"say ""hi""",b,1', 'say "hi"|b|1.0'),
        (b'a"b,c,1', 'a"b|c|1.0'),
        (b"NA,null,1", "NA|null|1.0"),
        (b"a,b,2014-04-07T10:51:09.277Z", "a|b|1396867869.277"),
        (b"", "blank"),
        (b"  \t", "blank"),
        (b"a,b", "too_few_columns"),
        (b"a,b,1,2", "too_many_columns"),
        (b",b,1", "no_session"),
        (b'a,"",1', "no_item"),
        (b"a,b, ", "no_time"),
        (b"a,b,soon", "bad_time"),
        (b"a,b,NaN", "time_not_finite"),
        (b"a,b,-inf", "time_not_finite"),
        (b"a,b,1e400", "time_not_finite"),
        (b"a,b,1396861869277", "a|b|1396861869.277"),
        (b"a,b,1e25", "time_out_of_range"),
        (b'a,"b,1', "bad_csv"),
        (b'a,"b"c,1', "bad_csv"),
        (b"a,\xff,1", "not_utf8"),
        (b"a," + b"x" * 1025 + b",1", "id_too_long"),
        (b"a," + "é".encode() * 1024 + b",1", "a|" + "é" * 1024 + "|1.0"),
    ],
)
def test_each_line_has_its_fate(line: bytes, expected: str) -> None:
    assert fate(line) == expected


def test_bytes_that_are_not_utf8_do_no_harm_in_a_column_without_use() -> None:
    assert fate(b"a,b,1,caf\xe9", header=HEADER + b",name") == "a|b|1.0"


def test_a_rejected_line_says_where_it_stands() -> None:
    decoder = DelimitedDecoder(LogFormat(), ",", HEADER, "clicks.csv")
    decoded = decoder.decode(block(b"a,b,1\na,b\n"))
    assert decoded.rejected == [
        Rejected(
            "too_few_columns",
            "the line has 2 columns instead of 3",
            {"file": "clicks.csv", "line": 3},
            b"a,b",
        )
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"a,b,1\nc,d,2.5\r\n",
        b"a,b,2014-04-07T10:51:09.277Z\nc,d,2014-04-07T10:51:10Z\n",
        b"a,b,2014-04-07 10:51\nc,d,2014-04-07\n",
    ],
)
def test_a_plain_block_takes_the_fast_way(text: bytes) -> None:
    decoder = DelimitedDecoder(LogFormat(), ",", HEADER, "clicks.csv")
    fast = decoder.decode_block(block(text))
    assert fast is not None
    assert told(fast) == told(decoder.decode_lines(block(text)))


FIELD = st.one_of(
    st.sampled_from(b"a 007 NA 1 1.5 nan -inf 1e400 1e-400 1e5 +1 .5 5. - 0x1p3 view".split()),
    st.sampled_from(b"2014-04-07 2014-04-07T10:51:09.277Z 0000-01-01 253402300800".split()),
    st.sampled_from([b"", b" 2 ", b'"', b'"q"', b'""', b"\r", b"\x00", b"\x0b1", b"x" * 1025]),
    # Not UTF-8, a byte order mark, a surrogate, a space that is no blank.
    st.sampled_from([b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc2\xa0"]),
    st.binary(max_size=4),
    st.floats().map(lambda time: repr(time).encode()),
    st.datetimes().map(lambda time: time.isoformat().encode()),
)
GOOD = st.tuples(
    st.sampled_from([b"a", b"b", b"7"]),
    st.sampled_from([b"x", b"y", "é".encode()]),
    st.one_of(
        st.integers(0, 2**40).map(lambda time: str(time).encode()),
        st.floats(0, 2e9).map(lambda time: repr(time).encode()),
    ),
).map(b",".join)
LINE = st.one_of(GOOD, st.lists(FIELD, max_size=5).map(b",".join), st.binary(max_size=12))
TEXT = st.lists(LINE, min_size=1, max_size=6).map(lambda lines: b"\n".join(lines) + b"\n")
FORMS = st.sampled_from(
    [
        (LogFormat(), HEADER),
        (LogFormat(unit="ms"), HEADER),
        (LogFormat(session="1", item="2", time="3", header=False), None),
        (LogFormat(only=("event", "view")), HEADER + b",event"),
        (LogFormat(date="eventdate", unit="ms"), HEADER + b",eventdate"),
    ]
)


@given(TEXT, FORMS)
def test_the_fast_way_and_the_careful_way_agree_on_any_bytes(
    text: bytes, form: tuple[LogFormat, bytes | None]
) -> None:
    decoder = DelimitedDecoder(form[0], ",", form[1], "clicks.csv")
    lines = block(text)
    careful = decoder.decode_lines(lines)
    fast = decoder.decode_block(lines)
    assert fast is None or told(fast) == told(careful)
    assert len(careful.items) + len(careful.rejected) == len(lines) == text.count(b"\n")


@given(st.lists(LINE.filter(lambda line: b"\n" not in line), min_size=1, max_size=6))
def test_a_lines_fate_does_not_depend_on_its_neighbours(texts: list[bytes]) -> None:
    decoder = DelimitedDecoder(LogFormat(), ",", HEADER, "clicks.csv")
    together = decoder.decode(block(b"\n".join(texts) + b"\n"))
    alone = [decoder.decode(block(text + b"\n")) for text in texts]
    assert together.items == [item for one in alone for item in one.items]
    assert together.times.tolist() == [time for one in alone for time in one.times.tolist()]
    assert [r.reason for r in together.rejected] == [r.reason for o in alone for r in o.rejected]


def test_any_delimiter_will_do() -> None:
    for delimiter in "\t;|^ ]-\\":
        header = HEADER.replace(b",", delimiter.encode())
        decoder = DelimitedDecoder(LogFormat(), delimiter, header, "clicks.csv")
        text = b'a,b,1\n"c",d,2\n'.replace(b",", delimiter.encode())
        decoded = decoder.decode(block(text))
        assert (decoded.sessions, decoded.items) == (["a", "c"], ["b", "d"])


def test_without_a_header_further_columns_are_no_matter() -> None:
    decoder = DelimitedDecoder(PRESETS["yoochoose"], ",", None, "clicks.dat")
    text = (
        b"1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,S,x\n1,2\n"
    )
    decoded = decoder.decode(block(text))
    assert decoded.items == ["214536502", "214536500"]
    assert [record.reason for record in decoded.rejected] == ["too_few_columns"]
