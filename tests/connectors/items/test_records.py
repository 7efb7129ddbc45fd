from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors import ItemRecord
from nextclick.connectors.decoding.values import UnusableError
from nextclick.connectors.items.records import (
    LARGEST_RECORD,
    MOST_FIELDS,
    Collected,
    decode_item,
)

TEXTS = st.text(max_size=12)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "record"),
    [
        ({"item_id": 17}, ItemRecord(17, True, b"{}")),
        ({"item_id": "17", "available": False}, ItemRecord("17", False, b"{}")),
        ({"item_id": "a", "available": None, "title": None}, ItemRecord("a", True, b"{}")),
        ({"item_id": 1, "x": {"y": [[]]}}, ItemRecord(1, True, b'{"x":{"y":[[]]}}')),
        ({"x": [1, "é"], "item_id": -3}, ItemRecord(-3, True, '{"x":[1,"é"]}'.encode())),
    ],
)
def test_a_record_is_an_item_its_availability_and_fields(value: Any, record: ItemRecord) -> None:
    assert decode_item(json.dumps(value).encode()) == record
    assert decode_item(json.dumps(value, ensure_ascii=False).encode(), b"key") == record


def test_a_record_without_an_id_has_that_of_its_key() -> None:
    assert decode_item(b'{"x": 1}', b"17") == ItemRecord("17", True, b'{"x":1}')


@pytest.mark.parametrize(
    ("value", "key", "words"),
    [
        (b"", None, "not valid JSON"),
        (b"17", None, "not a JSON object"),
        (b"[]", None, "not a JSON object"),
        (b'{"x": 1}', None, "there is no 'item_id'"),
        (b'{"x": 1}', b"", "'key' is empty"),
        (b'{"x": 1}', b"\xff", "the key is not UTF-8"),
        (b'{"item_id": ""}', None, "'item_id' is empty"),
        (b'{"item_id": 1.5}', None, "a text or a whole number"),
        (b'{"item_id": true}', None, "a text or a whole number"),
        (b'{"item_id": [1]}', None, "a text or a whole number"),
        (b'{"item_id": "%s"}' % (b"x" * 1025), None, "1,025 characters"),
        (b'{"item_id": 1, "available": "no"}', None, "'available' must be true or false"),
        (b'{"item_id": 1, "available": 0}', None, "'available' must be true or false"),
        (b'{"item_id": 1, "x": "\xff"}', None, "not UTF-8"),
        (b'{"item_id": 1, "x": "\\udc00"}', None, "not valid JSON"),
        (b'{"item_id": 1, "x": NaN}', None, "not valid JSON"),
        (b'{"item_id": 1, "x": %s}' % (b"[" * 9000), None, "not valid JSON"),
        (b'{"item_id": 1, "x": %s%s}' % (b"[" * 18, b"]" * 18), None, "nested more than 16 levels"),
        (b'{"item_id": 1, "x": "%s"}' % (b"x" * LARGEST_RECORD), None, "16,384 are allowed"),
        (b'{"item_id": 1, "%s": 1}' % (b"x" * 101), None, "more than 100 characters"),
        (
            json.dumps({"item_id": 1} | {str(at): 1 for at in range(MOST_FIELDS + 1)}).encode(),
            None,
            "65 further fields",
        ),
    ],
)
def test_what_is_no_record_says_why(value: bytes, key: bytes | None, words: str) -> None:
    with pytest.raises(UnusableError) as told:
        decode_item(value, key)
    assert words in told.value.detail


@given(value=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_read_or_refused(value: bytes) -> None:
    try:
        record = decode_item(value, b"key")
    except UnusableError:
        return
    assert isinstance(json.loads(record.fields), dict)


def test_a_later_record_replaces_the_whole_of_an_earlier_one() -> None:
    collected = Collected(2)
    collected.take(ItemRecord(1, False, b'{"x":1}'))
    collected.take(ItemRecord("1", True, b'{"y":1}'))
    collected.take(ItemRecord(2, False))
    with pytest.raises(UnusableError, match="too_many_items"):
        collected.take(ItemRecord(3, False))
    collected.take(ItemRecord(2))
    collected.take(ItemRecord(3, False))
    assert collected.records() == [ItemRecord("1", True, b'{"y":1}'), ItemRecord(3, False)]
