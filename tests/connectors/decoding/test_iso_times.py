from __future__ import annotations

import datetime
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors.clicks import LATEST_TIME
from nextclick.connectors.decoding.iso_times import parse_moment
from nextclick.connectors.decoding.values import UnusableError, check_time, parse_time

NOON = 1750000000.0
"""2025-06-15, 15:06:40 in UTC: a Sunday, the last day of week 24 and day 166 of the year."""


@pytest.mark.parametrize(
    "text",
    [
        "2025-06-15T15:06:40Z",
        "2025-06-15 15:06:40 UTC",
        "2025-06-15 15:06:40 GMT",
        "2025-06-15t15:06:40z",
        "20250615T150640Z",
        "20250615t150640",
        "20250615 150640",
        "+002025-06-15T15:06:40Z",
        "2025-06-15T15:06:40,0Z",
        "2025-06-15T15:06:40.000000000Z",
        "2025-06-15T17:06:40+02:00",
        "2025-06-15T17:06:40+0200",
        "2025-06-15T17:06:40+02",
        "2025-06-15 17:06:40 +0200",
        "2025-06-15T10:06:40\u221205:00",
        "2025-06-15T20:51:40+05:45",
        "2025-06-15T17:06:40+02:00[Europe/Berlin]",
        "2025-06-15T17:06:40[Europe/Berlin]",
        "2025-06-15T17:06:40 [Europe/Berlin]",
        "2025-06-15 17:06:40 Europe/Berlin",
        "2025-06-15T15:06:40Z[UTC][u-ca=iso8601]",
        "2025-W24-7T15:06:40Z",
        "2025W247T150640Z",
        "2025-166T15:06:40Z",
        "2025166T150640Z",
        " 2025-06-15T15:06:40Z\t",
    ],
)
def test_every_form_of_a_moment_is_read(text: str) -> None:
    assert parse_time(text) == NOON


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2025-06", "2025-06-01"),
        ("2025-W24", "2025-06-09"),
        ("2025-06-15T24:00", "2025-06-16"),
        ("2016-12-31T23:59:60Z", "2017-01-01"),
        ("2025-06-15T15:06:40,5", "2025-06-15T15:06:40.5"),
        ("2025-06-15T15,5", "2025-06-15T15:30"),
        ("20250615T1506.25Z", "2025-06-15T15:06:15"),
        ("2025-06-15T15:06:40.1234569", "2025-06-15T15:06:40.123456"),
        # The clocks go back an hour: of two equal times the first is meant.
        ("2025-10-26T02:30[Europe/Berlin]", "2025-10-26T00:30Z"),
    ],
)
def test_parts_that_are_left_out_and_fractions(text: str, same: str) -> None:
    assert parse_time(text) == parse_time(same)


@pytest.mark.parametrize(
    "text",
    [
        "2025-06-15T24:01",
        "2025-06-15T15:60",
        "2025-06-15T15:06:61",
        "2025-W54-1",
        "2025-W24-8",
        "2025-366",
        "2025-000",
        "2025-06-15T15:06:40 CEST",
        "2025-06-15T15:06:40[Europe/Atlantis]",
        "2025-06-15T15:06:40[../../etc/passwd]",
        "2025-06-15T15:06:40+02:60",
        "2025/06/15",
        "2025-06-15T",
        "-000001-01-01",
        "+012025-06-15",
    ],
)
def test_what_is_no_moment_is_a_bad_time(text: str) -> None:
    with pytest.raises(UnusableError) as caught:
        parse_time(text)
    assert caught.value.reason == "bad_time"


@given(st.datetimes(min_value=datetime.datetime(1, 1, 1)))
def test_the_basic_form_is_the_extended_one(moment: datetime.datetime) -> None:
    basic = moment.strftime("%Y%m%dT%H%M%S").rjust(15, "0") + f",{moment.microsecond:06}Z"
    assert parse_moment(basic) == parse_time(moment.isoformat())


@given(st.text(alphabet="0123456789-:.,TZWtz +[]/UCEuropeBlin", max_size=30))
def test_any_text_is_a_time_or_named(text: str) -> None:
    with suppress(UnusableError):
        assert abs(check_time(parse_time(text))) < LATEST_TIME
