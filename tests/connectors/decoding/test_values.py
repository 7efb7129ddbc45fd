from __future__ import annotations

import datetime
import math
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors.decoding.values import (
    UnusableError,
    check_id,
    check_time,
    dates_to_times,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1396861869.277", 1396861869.277),
        (" 1e3\t", 1000.0),
        ("-5", -5.0),
        ("+.5", 0.5),
        ("1970-01-02", 86400.0),
        ("1970-01-01T01", 3600.0),
        ("1970-01-01 00:01", 60.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T00:00:00.1234567", 0.123456),
        ("1970-01-01T02:00:00+02:00", 0.0),
        ("1970-01-01T00:00:00-0130", 5400.0),
        ("1969-12-31T23:59:59.5Z", -0.5),
        ("2014-04-07T10:51:09.277Z", 1396867869.277),
    ],
)
def test_a_time_is_a_number_or_an_iso_date(text: str, time: float) -> None:
    assert parse_time(text) == time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "1_000",
        "0x10",
        "2014-13-01",
        "2014-02-30",
        "2014-04-07T25:00",
        "1,5",
        "١٢٣",
        "2014-04-07T10:51:60",
        "2014-04-07T10:51:09+25:00",
        "0000-01-01",
        "07.04.2014",
        "1.5 s",
    ],
)
def test_what_is_neither_is_a_bad_time(text: str) -> None:
    with pytest.raises(UnusableError) as caught:
        parse_time(text)
    assert caught.value.reason == "bad_time"


def test_a_unit_scales_numbers_and_not_dates() -> None:
    assert parse_time("1500", 1000.0) == 1.5
    assert parse_time("1970-01-01T00:00:01Z", 1000.0) == 1.0


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_not_finite_is_named_so(time: float) -> None:
    with pytest.raises(UnusableError) as caught:
        check_time(time)
    assert caught.value.reason == "time_not_finite"


def test_milliseconds_taken_for_seconds_are_out_of_range() -> None:
    with pytest.raises(UnusableError) as caught:
        check_time(1396861869277.0)
    assert caught.value.reason == "time_out_of_range"
    assert "seconds" in caught.value.detail


def test_an_id_has_1024_characters_at_most() -> None:
    assert check_id("é" * 1024, "item", "no_item") == "é" * 1024
    with pytest.raises(UnusableError) as caught:
        check_id("é" * 1025, "item", "no_item")
    assert caught.value.reason == "id_too_long"


@pytest.mark.parametrize("sign", [1, -1])
def test_an_id_has_1024_digits_at_most(sign: int) -> None:
    longest = sign * (10**1024 - 1)
    assert check_id(longest, "item", "no_item") == longest
    with pytest.raises(UnusableError) as caught:
        check_id(longest + sign, "item", "no_item")
    assert caught.value.reason == "id_too_long"


@given(st.datetimes(min_value=datetime.datetime(1, 1, 1)), st.sampled_from(["", "Z"]))
def test_the_fast_way_reads_dates_like_the_careful_one(
    moment: datetime.datetime, zone: str
) -> None:
    text = moment.isoformat() + zone
    times = dates_to_times(pa.array([text]))
    assert times is not None
    assert times.tolist() == [parse_time(text)]
    assert np.isclose(times[0], moment.replace(tzinfo=datetime.UTC).timestamp(), atol=1e-5)


PARTS = st.sampled_from(
    re.findall(
        r"\S+",
        "1 20 2014 - -04-07 -12-31 T : 10 :51 :09 . .277 Z UTC +02 +02:00 -0030 é 0000 9999 60",
    )
) | st.sampled_from(["", " "])


@given(st.lists(st.lists(PARTS, max_size=8).map("".join), min_size=1, max_size=3))
def test_the_fast_way_never_accepts_what_the_careful_one_does_not(texts: list[str]) -> None:
    times = dates_to_times(pa.array(texts, pa.string()))
    if times is not None:
        assert times.tolist() == [parse_time(text) for text in texts]
