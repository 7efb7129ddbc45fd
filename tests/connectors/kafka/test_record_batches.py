from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from nextclick.connectors.kafka.kafka_internals import parse
from nextclick.connectors.kafka.record_batches import Record

BYTES = st.none() | st.binary(max_size=200)
HEADERS = st.lists(st.tuples(st.text(max_size=70), BYTES), max_size=3)
RECORDS = st.lists(
    st.tuples(st.integers(0, 2**42), BYTES, BYTES, HEADERS, st.integers(0, 70_000)),
    min_size=1,
    max_size=20,
)


def batch(records: list[Any], codec: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 24)
    offset = 0
    for moment, key, value, headers, step in records:
        builder.append(offset, moment, key, value, headers)
        offset += step + 1
    return bytes(builder.build())


def as_kafka_python(one: Record) -> tuple[Any, ...]:
    headers = list(one.headers)
    if one.sequence >= 0:
        headers = [("sequence", one.sequence.to_bytes(8, "big", signed=True))]
    return one.offset, one.timestamp, one.key, one.value, headers


@given(RECORDS, st.sampled_from([0, 1, 2, 3, 4]))
def test_records_are_what_kafka_python_makes_of_them(records: list[Any], codec: int) -> None:
    data = batch(records, codec)
    slow = [
        (one.offset, one.timestamp, one.key, one.value, one.headers)
        for one in DefaultRecordBatch(data)
    ]
    assert [as_kafka_python(one) for one in parse(DefaultRecordBatch(data))] == slow


@given(st.lists(st.integers(-3, 2**63 - 1), min_size=1, max_size=20), st.booleans())
def test_a_number_as_the_only_header_is_read_at_once(numbers: list[int], also: bool) -> None:
    headers: list[Any] = [
        [("sequence", number.to_bytes(8, "big", signed=True))] for number in numbers
    ]
    if also:
        headers[-1] = [*headers[-1], ("clock", b"12345678")]
    data = batch([(1, b"key", b"value", one, 0) for one in headers])
    parsed = list(parse(DefaultRecordBatch(data)))
    assert [as_kafka_python(one)[4] for one in parsed] == headers
    if not also and min(numbers) >= 0:
        assert [(one.sequence, one.headers) for one in parsed] == [(n, ()) for n in numbers]


def test_long_values_and_many_records() -> None:
    records: list[Any] = [
        (1, b"k" * 9000, b"v" * (1 << 21), [], 0),
        *[(2, b"k", None, [], 0)] * 3000,
    ]
    parsed = list(parse(DefaultRecordBatch(batch(records))))
    assert [len(one.value or b"") for one in parsed] == [1 << 21, *[0] * 3000]
    assert parsed[0].key == b"k" * 9000


@given(RECORDS, st.data())
def test_damage_is_an_error_or_is_seen_as_kafka_python_sees_it(
    records: list[Any], data: st.DataObject
) -> None:
    """The checksum is checked before; this is the second line."""
    whole = bytearray(batch(records))
    at = data.draw(st.integers(61, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    try:
        parsed = [tuple(one) for one in parse(DefaultRecordBatch(bytes(whole)))]
    except CorruptRecordError:
        return
    assert len(parsed) == len(records)


def test_a_batch_that_is_cut_off_is_damaged() -> None:
    data = batch([(1, b"key", b"value", [], 0)] * 3)
    with pytest.raises(CorruptRecordError, match="offset 0 on are damaged"):
        list(parse(DefaultRecordBatch(data[:-2])))
