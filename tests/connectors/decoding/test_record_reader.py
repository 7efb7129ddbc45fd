from __future__ import annotations

import datetime
import decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors import LogFormat, SourceError
from nextclick.connectors.decoding.blocks import LEFT_OUT, Entry
from nextclick.connectors.decoding.record_reader import LONGEST_LIST, RecordReader
from nextclick.connectors.decoding.time_unit import TimeScale
from nextclick.connectors.decoding.values import LONGEST_ID, UnusableError


def read(record: Any, **form: Any) -> list[Any]:
    """Return clicks as tuples, and why others are none as texts."""
    given: Any = {"session": "s", "item": "i", "time": "t", **form}
    reader = RecordReader(LogFormat(**given), TimeScale(given.get("unit")))
    return [shown(entry) for entry in reader.read(record)]


def shown(entry: Entry) -> Any:
    if isinstance(entry, UnusableError):
        return "filtered" if entry is LEFT_OUT else f"{entry.reason}: {entry.detail}"
    return entry[:3] if entry[3] is None else entry


PLAIN = {"s": "anna", "i": "hat", "t": 5}


@pytest.mark.parametrize(
    ("path", "record"),
    [
        ("properties.product_id", {"properties": {"product_id": "hat"}}),
        ("payload.after.item_id", {"payload": {"before": None, "after": {"item_id": "hat"}}}),
        ("items[0]", {"items": ["hat", "bag"]}),
        ("items[-1].id", {"items": [{"id": "bag"}, {"id": "hat"}]}),
        ("items.0.id", {"items": [{"id": "hat"}]}),
        (
            "properties.product_id",
            {"properties.product_id": "hat", "properties": {"product_id": 1}},
        ),
        ('properties."a.b"', {"properties": {"a.b": "hat"}}),
        ("data.id", {"data": '{"id": "hat"}'}),
        ("größe.é", {"größe": {"é": "hat"}}),
        ("a..b", {"a..b": "hat"}),
    ],
)
def test_a_field_is_found_by_its_path(path: str, record: dict[str, Any]) -> None:
    assert read({**PLAIN, **record}, item=path) == [("anna", "hat", 5.0)]


@pytest.mark.parametrize(
    ("path", "record", "fault"),
    [
        ("a.b", {}, "no_item: there is no 'a.b': 'a' is null or missing"),
        ("a.b.c", {"a": {"b": None}}, "no_item: there is no 'a.b.c': 'a.b' is null or missing"),
        ("a.b", {"a": {"x": 1}}, "no_item: there is no 'a.b'"),
        ("a[3]", {"a": [1]}, "no_item: there is no 'a[3]'"),
        ("a.b", {"a": "text"}, "no_item: there is no 'a.b'"),
        ("a.b", {"a": {"b": [1]}}, "wrong_type: 'a.b' is a list"),
        ("a.b", {"a": {"b": True}}, "wrong_type: 'a.b' is true"),
        ("a[].b", {"a": {"b": 1}}, "wrong_type: 'a' is no list"),
        ("a[].b", {"a": None}, "no_item: there is no 'a'"),
        ("a[].b", {"a": []}, "no_item: the list 'a' is empty"),
    ],
)
def test_a_field_that_is_missing_is_named_by_its_path(
    path: str, record: dict[str, Any], fault: str
) -> None:
    (found,) = read({**PLAIN, **record}, item=path)
    assert found.startswith(fault)


def test_a_list_becomes_clicks_in_order() -> None:
    record = {"s": 1, "events": [{"aid": 7, "ts": 1}, {"aid": None}, {"aid": 8, "ts": 3}]}
    assert read(record, item="events[].aid", time="events[].ts") == [
        (1, 7, 1.0),
        "no_item: there is no 'events[1].aid'",
        (1, 8, 3.0),
    ]


def test_lists_of_equal_length_are_read_side_by_side() -> None:
    record = {"s": 1, "ids": ["a", "b"], "times": [1, 2]}
    assert read(record, item="ids[]", time="times[]") == [(1, "a", 1.0), (1, "b", 2.0)]
    (fault,) = read({**record, "times": [1]}, item="ids[]", time="times[]")
    assert fault == "lists_differ: the lists differ in length: 'ids' has 2, 'times' has 1"


def test_a_list_inside_a_list_is_read_within_it() -> None:
    orders = [
        {"at": 1, "lines": [{"sku": "a"}, {"sku": "b"}]},
        {"at": 2, "lines": []},
        {"at": 3},
        {"at": 4, "lines": [{"sku": "c"}, {}]},
    ]
    record = {"s": 1, "orders": orders}
    assert read(record, item="orders[].lines[].sku", time="orders[].at") == [
        (1, "a", 1.0),
        (1, "b", 1.0),
        "no_item: there is no 'orders[2].lines'",
        (1, "c", 4.0),
        "no_item: there is no 'orders[3].lines[1].sku'",
    ]


def test_a_text_is_a_list_of_its_words_or_of_json() -> None:
    assert [click[1] for click in read({**PLAIN, "i": "N1 N2  N3"}, item="i[]")] == [
        "N1",
        "N2",
        "N3",
    ]
    assert [click[1] for click in read({**PLAIN, "i": '["a b", 2]'}, item="i[]")] == ["a b", 2]


def test_a_condition_chooses_records_and_elements() -> None:
    record = {"s": 1, "t": 1, "events": [{"aid": 1, "k": "view"}, {"aid": 2, "k": "cart"}]}
    options = {"item": "events[].aid", "where": "events[].k = 'cart' and s = 1"}
    assert read(record, **options) == ["filtered", (1, 2, 1.0)]
    assert read({**record, "events": None}, **options) == ["filtered"]
    assert read({**record, "events": []}, item="events[].aid", where="s = 2") == ["filtered"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (17.0, 17),
        (-0.0, 0),
        (17, 17),
        ("17.0", "17.0"),
        (decimal.Decimal("17.00"), 17),
        (b"hat", "hat"),
        (10**30, 10**30),
        (17.5, "wrong_type"),
        (1e300, "wrong_type"),
        (float("inf"), "wrong_type"),
        (float("nan"), "no_item"),
        ("", "no_item"),
        (None, "no_item"),
        (b"\xff", "not_utf8"),
        ("x" * (LONGEST_ID + 1), "id_too_long"),
        (10**LONGEST_ID, "id_too_long"),
        ({}, "wrong_type"),
    ],
)
def test_an_id_is_a_text_or_a_whole_number(value: object, expected: object) -> None:
    (entry,) = read({**PLAIN, "i": value})
    assert (entry.partition(":")[0] if isinstance(entry, str) else entry[1]) == expected


def test_several_fields_are_joined_to_one_id() -> None:
    record = {**PLAIN, "brand": "a+b", "model": 7.0, "x": {"y": "c"}}
    assert read(record, item="brand+x.y+model") == [("anna", "a\\+b+c+7", 5.0)]
    assert read({**record, "brand": "a", "x": {"y": "b+c"}}, item="brand+x.y") == [
        ("anna", "a+b\\+c", 5.0)
    ]
    assert read({**record, "brand+model": "z"}, item="brand+model") == [("anna", "z", 5.0)]
    assert read({**PLAIN, "brand": "a"}, item="brand+model") == ["no_item: there is no 'model'"]


@given(st.tuples(*[st.text(min_size=1, max_size=4)] * 2), st.tuples(*[st.text(min_size=1)] * 2))
def test_joined_ids_are_equal_only_where_all_fields_are(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    ids = [read({**PLAIN, "a": a, "b": b}, item="a+b")[0][1] for a, b in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime.datetime(1970, 1, 1, 0, 0, 1, 500000), 1.5),
        (
            datetime.datetime(1970, 1, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
            0,
        ),
        (datetime.date(1970, 1, 2), 86400.0),
        (decimal.Decimal("1.5"), 1.5),
        ("19700101T000001,5Z", 1.5),
        (10**400, "time_not_finite"),
        ([1], "wrong_type"),
        (True, "wrong_type"),
    ],
)
def test_a_time_may_be_of_any_type_that_formats_have(value: object, expected: object) -> None:
    (entry,) = read({**PLAIN, "t": value})
    assert (entry.partition(":")[0] if isinstance(entry, str) else entry[2]) == expected


def test_elements_of_an_event_are_known_by_their_places() -> None:
    record = {"s": 1, "t": 1, "e": "x", "items": ["a", "a"]}
    assert [click[3] for click in read(record, item="items[]", event="e")] == ["x", "x\0001"]
    own = {"s": 1, "t": 1, "items": [{"e": 1, "i": "a"}, {"i": "b"}]}
    assert read(own, item="items[].i", event="items[].e") == [(1, "a", 1.0, 1), (1, "b", 1.0)]


def test_a_list_has_a_bound() -> None:
    record = {**PLAIN, "i": ["a"] * (LONGEST_LIST + 1)}
    (fault,) = read(record, item="i[]")
    assert fault.startswith("list_too_long")
    assert len(read({**PLAIN, "i": ["a"] * LONGEST_LIST}, item="i[]")) == LONGEST_LIST


def test_headers_and_keys_are_refused_where_there_are_none() -> None:
    for name in ("header:session", "key:user.id"):
        with pytest.raises(SourceError, match="those of a topic"):
            RecordReader(LogFormat(session=name), TimeScale())


LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["17.0", "1700000000000", "2025-06-15T15:06:40,5z", "a b", '{"b": 1}', "[1]"]),
    st.dates(),
    st.binary(max_size=3),
)
KEYS = st.sampled_from(["s", "i", "t", "a", "b", "a.b", "a+b", ""])
RECORD = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
PATHS = st.sampled_from(
    ["i", "a.b", "a[].b", "a[]", "a[0]", "a.b[].i[]", "a+b", "a[].b+i", '"a.b"', "i[].a", "[].i"]
)
WHERE = st.sampled_from(
    [None, "a.b > 1 or i is null", "not a[].b = 'x'", "s in ('a', 1, true)", "t <= '2' and a"]
)
REASONS = {
    *("no_session", "no_item", "no_time", "wrong_type", "bad_time", "time_not_finite", "not_utf8"),
    *("time_out_of_range", "mixed_time_units", "id_too_long", "lists_differ", "filtered"),
}


@given(
    st.lists(st.dictionaries(KEYS, RECORD, max_size=6), min_size=1, max_size=4), PATHS, PATHS, WHERE
)
def test_any_record_becomes_clicks_or_has_a_named_reason(
    records: list[Any], item: str, time: str, where: str | None
) -> None:
    reader = RecordReader(
        LogFormat(session="s", item=item, time=time, where=where, event="a.b"), TimeScale()
    )
    for record in records:
        entries = reader.read(record)
        assert entries
        for entry in entries:
            if isinstance(entry, UnusableError):
                assert entry.reason in REASONS
                assert entry is LEFT_OUT or entry.detail
            else:
                session, found, moment, _ = entry
                assert {type(session), type(found)} <= {str, int}
                assert session != ""
                assert found != ""
                assert abs(moment) < 253_402_300_800
