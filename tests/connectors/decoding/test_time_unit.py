from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors.decoding.log_format import TimeUnit
from nextclick.connectors.decoding.time_unit import UNITS, TimeScale
from nextclick.connectors.decoding.values import UnusableError, usable_times

PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


@pytest.mark.parametrize("unit", UNITS)
def test_the_size_of_the_first_time_tells_the_unit_of_all(unit: str) -> None:
    scale = TimeScale()
    for seconds in (1.7e9, 0.5e9, 3e9):
        assert scale.seconds(seconds * PER_SECOND[unit]) == seconds
    assert scale.unit == unit
    assert bool(scale.note("a.csv")) == (unit != "s")


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("other", UNITS)
def test_a_time_in_another_unit_is_refused_and_named(unit: str, other: str) -> None:
    scale = TimeScale()
    scale.seconds(1.7e9 * PER_SECOND[unit])
    if unit == other:
        return
    with pytest.raises(UnusableError) as caught:
        scale.seconds(1.7e9 * PER_SECOND[other])
    assert caught.value.reason == "mixed_time_units"


def test_a_unit_that_is_given_reads_all_numbers_and_has_no_note() -> None:
    scale = TimeScale("ms")
    assert (scale.seconds(1000.0), scale.seconds(1.7e12)) == (1.0, 1.7e9)
    assert scale.note("a.csv") == []
    assert scale.state == {}


def test_zero_tells_no_unit() -> None:
    scale = TimeScale()
    assert [scale.seconds(number) for number in (0.0, 1.7e12, 0.0)] == [0.0, 1.7e9, 0.0]


def test_a_first_time_that_is_a_date_stands_for_seconds() -> None:
    scale = TimeScale()
    assert scale.read("1970-01-02") == 86_400.0
    with pytest.raises(UnusableError, match="milliseconds"):
        scale.read("1700000000000")


NUMBERS = st.one_of(
    st.just(0.0),
    st.floats(allow_nan=True),
    st.tuples(st.floats(-2e9, 3e9), st.sampled_from([1.0, 1e3, 1e6, 1e9])).map(
        lambda pair: pair[0] * pair[1]
    ),
)


@given(st.lists(NUMBERS, min_size=1, max_size=6), st.sampled_from([None, *UNITS]))
def test_a_column_is_read_as_its_numbers_or_not_at_all(numbers: list[float], unit: None) -> None:
    whole, single = TimeScale(unit), TimeScale(unit)
    times = whole.column(np.array(numbers))
    if times is not None:
        assert np.array_equal(times, [single.seconds(number) for number in numbers], equal_nan=True)
        assert whole.unit == single.unit


TEXTS = st.one_of(
    NUMBERS.map(repr),
    st.integers(0, 2 * 10**12).map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(["", " 5", "5 ", "+5", ".5", "5.", "1e5", "1e400", "nan(1)", "0x10", "1_0"]),
)


@given(st.lists(TEXTS, min_size=1, max_size=5), st.sampled_from([None, *UNITS]))
def test_a_column_of_texts_is_read_as_each_text_or_not_at_all(
    texts: list[str], unit: TimeUnit | None
) -> None:
    whole, single = TimeScale(unit), TimeScale(unit)
    times = whole.texts(pa.array(texts))
    if times is not None and usable_times(times):
        assert times.tolist() == [single.read(text) for text in texts]
        assert whole.unit == single.unit


@pytest.mark.parametrize(
    ("texts", "times"),
    [
        (["1700000000000", "1700000001000"], [1.7e9, 1_700_000_001.0]),
        (["2014-04-07T10:51:09.277", "2014-04-07"], [1396867869.277, 1396828800.0]),
    ],
)
def test_plain_texts_are_read_at_once(texts: list[str], times: list[float]) -> None:
    read = TimeScale().texts(pa.array(texts))
    assert read is not None
    assert read.tolist() == times
