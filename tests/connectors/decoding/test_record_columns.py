"""Records read column by column: as each by itself, or not at all."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors import LogFormat
from nextclick.connectors.decoding.blocks import LEFT_OUT, Decoded, Decoding
from nextclick.connectors.decoding.record_columns import RecordColumns
from nextclick.connectors.decoding.record_reader import RecordReader
from nextclick.connectors.decoding.time_unit import TimeScale

FORMS = [
    LogFormat(session="u.id", item="p.sku", time="t"),
    LogFormat(session="u.id", item="p.sku", time="t", where="k in ('v', 'c') or p.price > 5"),
    LogFormat(session="u.id", item="p.sku", time="t", where="1 = 1", event="id"),
    LogFormat(session="u.id", item="k+p.sku", time="t", event="k+id"),
    LogFormat(session="u", item="e[].i", time="e[].t", event="id"),
    LogFormat(session="u", item="e[].i", time="e[].t", where="e[].i > 1 and k = 'v'"),
    LogFormat(session="u", item="a[]", time="b[]", event="a[]"),
    LogFormat(session="u", item="e[0].i", time="t"),
    LogFormat(session="0", item="k", time="t"),
]

LEAF = st.one_of(
    st.sampled_from([None, True, "", "x", "v", "c", 0, 1, 7, 17.0, 1.5, 10**25, "1700000000"]),
    st.sampled_from(["2014-04-07", 1_700_000_000_000, '{"id": 3}', "[1, 2]", "N1 N2", "+\\", []]),
    st.sampled_from(["x" * 1025, 10**1024, 1e25]),
)
GOOD_ID = st.sampled_from(["x", "y", 7, "7", 17.0, "a+b"])
GOOD_TIME = st.sampled_from([1_700_000_000, 1_700_000_001.5])


def mapping(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {}, optional={name: st.one_of(one, one, one, LEAF) for name, one in fields.items()}
    )


RECORD = st.one_of(
    mapping(
        u=st.one_of(GOOD_ID, mapping(id=GOOD_ID)),
        p=mapping(sku=GOOD_ID, price=st.sampled_from([1, 9.5, "6"])),
        k=st.sampled_from("vcx"),
        id=GOOD_ID,
        t=GOOD_TIME,
        e=st.lists(mapping(i=GOOD_ID, t=GOOD_TIME), max_size=3),
        a=st.lists(GOOD_ID, max_size=3),
        b=st.lists(GOOD_TIME, max_size=3),
    ),
    st.fixed_dictionaries(
        {
            "u": st.fixed_dictionaries({"id": GOOD_ID}),
            "p": st.fixed_dictionaries({"sku": GOOD_ID}),
            "k": st.sampled_from("vcx"),
            "t": GOOD_TIME,
            "e": st.lists(st.fixed_dictionaries({"i": GOOD_ID, "t": GOOD_TIME}), min_size=1),
        },
        optional={"p.sku": GOOD_ID, "k+p.sku": GOOD_ID, "id": GOOD_ID},
    ),
    st.lists(LEAF, max_size=2),
)


def one_by_one(form: LogFormat, records: list[Any]) -> tuple[Decoded, str | None]:
    reader, decoding = RecordReader(form, TimeScale()), Decoding()
    for record in records:
        decoding.record(reader.read(record), lambda: ({}, b"", 0, None))
    return decoding.done(), reader.scale.unit


def told(decoded: Decoded) -> tuple[Any, ...]:
    parts = None if decoded.parts is None else decoded.parts.tolist()
    kinds = [*map(type, decoded.sessions), *map(type, decoded.items)]
    clicks = decoded.sessions, decoded.items, decoded.times.tolist(), decoded.events
    return clicks, kinds, decoded.before.tolist(), parts, [one.reason for one in decoded.rejected]


@given(st.lists(RECORD, min_size=1, max_size=4), st.sampled_from(FORMS))
def test_records_are_read_together_as_one_by_one(records: list[Any], form: LogFormat) -> None:
    scale = TimeScale()
    together = RecordColumns(form).read(records, scale)
    if together is not None:
        expected, unit = one_by_one(form, records)
        assert told(together) == told(expected)
        assert scale.unit == unit


@pytest.mark.parametrize("form", FORMS[:-1])
def test_records_without_anything_odd_are_read_together(form: LogFormat) -> None:
    chance = random.Random(1)
    records = [
        {
            "u": {"id": number} if "." in str(form.session) else number,
            "p": {"sku": f"i{number}", "price": number},
            "k": chance.choice("vcx"),
            "id": number,
            "t": 1_700_000_000 + number,
            "e": [{"i": n, "t": 1_700_000_000.5} for n in range(1, 4)],
            "a": [1, 2],
            "b": [1_700_000_000, 1_700_000_001],
        }
        for number in range(20)
    ]
    together = RecordColumns(form).read(json.loads(json.dumps(records)), TimeScale())
    assert together is not None
    assert told(together) == told(one_by_one(form, records)[0])


def test_lists_in_lists_are_read_one_by_one() -> None:
    assert not RecordColumns(LogFormat(item="orders[].lines[].sku")).fits


def test_what_a_condition_leaves_out_needs_no_click() -> None:
    form = LogFormat(session="u", item="p.sku", time="t", where="k = 'v'")
    records = [{"k": "search"}, {"k": "v", "u": 1, "p": {"sku": 2}, "t": 3}, {"k": "x", "t": []}]
    together = RecordColumns(form).read(records, TimeScale())
    assert together is not None
    assert (together.items, together.before.tolist()) == ([2], [1])
    assert [one.reason for one in together.rejected] == [LEFT_OUT.reason] * 2
