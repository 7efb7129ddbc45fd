"""Blocks of quoted text: read at once, and just as line by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors.decoding.csv_records import RecordCutter
from nextclick.connectors.decoding.delimited import DelimitedDecoder
from nextclick.connectors.decoding.lines import Lines
from nextclick.connectors.decoding.log_format import LogFormat

HEADER = b"session_id,item_id,timestamp"


def decoder_of(delimiter: str) -> DelimitedDecoder:
    header = HEADER.replace(b",", delimiter.encode())
    return DelimitedDecoder(LogFormat(delimiter=delimiter), delimiter, header, "clicks.csv")


def blocks(decoder: DelimitedDecoder, text: bytes) -> list[Lines]:
    cutter = RecordCutter(decoder.count_columns, line=1, offset=29)
    return cutter.feed(text) + cutter.finish()


def columns(decoder: DelimitedDecoder, lines: Lines, whole: bool) -> tuple[object, ...] | None:
    decoded = decoder.decode_block(lines) if whole else decoder.decode_lines(lines)
    if decoded is None:
        return None
    times = [time.hex() for time in decoded.times.tolist()]
    return decoded.sessions, decoded.items, times, decoded.before.tolist(), decoded.rejected


@pytest.mark.parametrize("delimiter", [",", "\t", "::"])
@pytest.mark.parametrize(
    "text",
    [
        b'"a","b","1.5"\n"c","d","2.5"\r\n',
        b'"a, b","say ""hi""",1\n"c",d,2\n',
        b'"a\nb",c,1\n"d\r\ne",f,2\n',
        b'"a","b","2014-04-07T10:51:09.277Z"\nc,d,2014-04-07T10:51:10Z\n',
    ],
)
def test_quoted_text_is_read_at_once(text: bytes, delimiter: str) -> None:
    decoder = decoder_of(delimiter)
    text = text.replace(b",", delimiter.encode())
    (lines,) = blocks(decoder, text)
    at_once = columns(decoder, lines, whole=True)
    by_line = columns(decoder, lines, whole=False)
    assert at_once is not None
    assert at_once == by_line


def test_text_that_holds_numbers_is_read_at_once() -> None:
    decoder = decoder_of(",")
    (lines,) = blocks(decoder, b'a,b,"1700000000000"\nc,d,1700000001000\n')
    assert columns(decoder, lines, whole=True) == (
        ["a", "c"],
        ["b", "d"],
        [(1_700_000_000.0).hex(), (1_700_000_001.0).hex()],
        [0, 0],
        [],
    )


PIECES = st.sampled_from(
    [
        *(b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"::", b":", b"a", b"7", b" ", b"\x1f"),
        *(b'"a"', b'"a,b"', b'"a\nb"', b'"1.5"', b'"1700000000000"', b"1", b"2014-04-07", b"\xff"),
        *(b'"a",b,1\n', b'"a","b","1"\n', b'a,"x""y",2\n', b'"a":::b::3\n', b'"a::b"::c::4\n'),
    ]
)


@given(st.lists(PIECES, max_size=16).map(b"".join), st.sampled_from([",", "::"]))
def test_both_ways_agree_on_any_quotes(text: bytes, delimiter: str) -> None:
    decoder = decoder_of(delimiter)
    for lines in blocks(decoder, text):
        by_line = columns(decoder_of(delimiter), lines, whole=False)
        at_once = columns(decoder_of(delimiter), lines, whole=True) if len(lines) else None
        assert at_once is None or at_once == by_line
