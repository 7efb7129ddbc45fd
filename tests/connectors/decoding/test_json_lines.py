from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors.decoding.blocks import Decoded
from nextclick.connectors.decoding.json_lines import JsonLinesDecoder
from nextclick.connectors.decoding.lines import LineCutter, Lines
from nextclick.connectors.decoding.log_format import LogFormat, log_format
from nextclick.connectors.source import SourceError

FORM = LogFormat(session="s", item="i", time="t")


def block(text: bytes) -> Lines:
    cutter = LineCutter()
    (lines,) = cutter.feed(text) + cutter.finish()
    return lines


def told(decoded: Decoded) -> tuple[object, ...]:
    kinds = [type(value) for value in decoded.sessions + decoded.items]
    times = [time.hex() for time in decoded.times.tolist()]
    before = decoded.before.tolist()
    return decoded.sessions, decoded.items, kinds, times, before, decoded.rejected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"s":"a","i":7,"t":1.5}', ("a", 7, 1.5)),
        (b'{"t":"2014-04-07T10:51:09.277Z","i":"07","s":0}', (0, "07", 1396867869.277)),
        (b'{"s":"a","i":"b","t":1,"more":[{}]}\r', ("a", "b", 1.0)),
        (b'{"s":"a","i":"b","t":"12"}', ("a", "b", 12.0)),
        (b'{"s":12345678901234567890123,"i":-1,"t":0}', (12345678901234567890123, -1, 0.0)),
        (b"", "blank"),
        (b"{", "bad_json"),
        (b"nonsense", "bad_json"),
        (b'{"s":"a","i":"b","t":NaN}', "bad_json"),
        (b'{"s":"a","i":"b","t":1}{"s":"a","i":"b","t":1}', "bad_json"),
        (b'{"s":"\\ud800","i":"b","t":1}', "bad_json"),
        (b'{"x":' + b"[" * 100_000, "bad_json"),
        (b'{"s":"\xff","i":"b","t":1}', "not_utf8"),
        (b"[1,2]", "wrong_type"),
        (b'{"s":true,"i":"b","t":1}', "wrong_type"),
        (b'{"s":"a","i":1.0,"t":1}', ("a", 1, 1.0)),
        (b'{"s":-0.0,"i":1e3,"t":1}', (0, 1000, 1.0)),
        (b'{"s":"a","i":1.5,"t":1}', "wrong_type"),
        (b'{"s":"a","i":1e20,"t":1}', "wrong_type"),
        (b'{"s":"a","i":["b"],"t":1}', "wrong_type"),
        (b'{"s":"a","i":"b","t":true}', "wrong_type"),
        (b'{"i":"b","t":1}', "no_session"),
        (b'{"s":"","i":"b","t":1}', "no_session"),
        (b'{"s":"a","i":null,"t":1}', "no_item"),
        (b'{"s":"a","i":"b"}', "no_time"),
        (b'{"s":"a","i":"b","t":""}', "no_time"),
        (b'{"s":"a","i":"b","t":"soon"}', "bad_time"),
        (b'{"s":"a","i":"b","t":"nan"}', "time_not_finite"),
        (b'{"s":"a","i":"b","t":1e18}', ("a", "b", 1e9)),
        (b'{"s":"a","i":"b","t":1e25}', "time_out_of_range"),
        (b'{"s":"a","i":"' + b"x" * 1025 + b'","t":1}', "id_too_long"),
    ],
)
def test_each_line_has_its_fate(line: bytes, expected: object) -> None:
    decoded = JsonLinesDecoder(FORM, "clicks.jsonl").decode(block(line + b"\n"))
    if decoded.rejected:
        assert decoded.rejected[0].reason == expected
        assert decoded.rejected[0].position == {"file": "clicks.jsonl", "line": 1}
    else:
        assert (decoded.sessions[0], decoded.items[0], decoded.times[0]) == expected


VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(["2014-04-07T10:51:09.277Z", "2014-04-07", "1.5", "nan", "x" * 1025, 1e18]),
)
OBJECT = st.fixed_dictionaries({}, optional=dict.fromkeys("sitx", VALUE)).map(json.dumps)
GOOD = st.fixed_dictionaries(
    {"s": st.sampled_from(["a", 1]), "i": st.integers(0, 9), "t": st.floats(0, 2e9)}
).map(json.dumps)
DATED = st.fixed_dictionaries(
    {"s": st.just("a"), "i": st.integers(0, 9), "t": st.datetimes().map(lambda t: t.isoformat())}
).map(json.dumps)
LINE = st.one_of(
    GOOD.map(str.encode), DATED.map(str.encode), OBJECT.map(str.encode), st.binary(max_size=9)
)
TEXT = st.one_of(
    st.lists(LINE, min_size=1, max_size=6).map(lambda lines: b"\n".join(lines) + b"\n"),
    # Objects that go over several lines, and several on one.
    st.lists(st.sampled_from([*"{},:[]\n", '"s"', '"a"', '"t":1', '{"s":1,"i":2,"t":3}\n']))
    .map("".join)
    .map(lambda text: text.encode() + b"\n"),
)


@given(TEXT)
def test_the_fast_way_and_the_careful_way_agree_on_any_bytes(text: bytes) -> None:
    decoder = JsonLinesDecoder(FORM, "clicks.jsonl")
    lines = block(text)
    careful = decoder.decode_lines(lines)
    fast = decoder.decode_block(lines)
    assert fast is None or told(fast) == told(careful)
    assert len(careful.items) + len(careful.rejected) == len(lines) == text.count(b"\n")


def test_a_user_takes_the_sessions_place() -> None:
    decoder = JsonLinesDecoder(log_format(user_column="visitor"), "clicks.jsonl")
    text = b'{"visitor":"v","item_id":"b","timestamp":1}\n'
    assert decoder.decode(block(text)).sessions == ["v"]
    assert decoder.by_user


def test_formats_of_delimited_text_are_refused() -> None:
    with pytest.raises(SourceError, match="delimited"):
        JsonLinesDecoder(log_format("yoochoose"), "clicks.jsonl")
    with pytest.raises(SourceError, match="different"):
        JsonLinesDecoder(LogFormat(item="session_id"), "clicks.jsonl")
