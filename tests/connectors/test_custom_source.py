from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.connectors import Clicks, Rejected, SimulatedShop, SourceError, check_polled


class Mine(SimulatedShop):
    """A source of one's own, as far as messages go."""


def taken(limit: int = 10, **columns: Any) -> Clicks:
    whole: dict[str, Any] = {"sessions": ["a", "b"], "items": [1, 2], "times": np.array([1.0, 2.0])}
    clicks = check_polled(Mine(), Clicks(**{**whole, **columns}), limit, before=100)
    assert clicks is not None
    return clicks


@pytest.mark.parametrize(
    "items",
    [
        np.array([7, 8]),
        np.array([7, 8], np.uint8),
        np.array([7, 8], object),
        (7, 8),
        iter([7, 8]),
        [np.int32(7), np.int64(8)],
        pa.array([7, 8]),
        pa.chunked_array([[7], [8]]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_columns_of_any_library_become_lists_of_plain_numbers(items: Any) -> None:
    clicks = taken(items=items)
    assert clicks.items == [7, 8]
    assert [type(item) for item in clicks.items] == [int, int]


@pytest.mark.parametrize("items", [np.array(["x", "y"]), pa.array(["x", "y"]), [np.str_("x"), "y"]])
def test_texts_become_plain_texts(items: Any) -> None:
    clicks = taken(items=items)
    assert clicks.items == ["x", "y"]
    assert [type(item) for item in clicks.items] == [str, str]


@pytest.mark.parametrize(
    "times",
    [
        [1, 2],
        (1.0, 2.0),
        np.array([1, 2], np.int32),
        np.array([1, 2], np.float32),
        np.array([1, 2], object),
        np.array(["1970-01-01T00:00:01", "1970-01-01T00:00:02"], "datetime64[ns]"),
        pa.array([1.0, 2.0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_times_become_float64(times: Any) -> None:
    clicks = taken(times=times)
    assert clicks.times.dtype == np.float64
    assert clicks.times.tolist() == [1.0, 2.0]


def test_what_is_in_its_final_form_is_not_touched() -> None:
    polled = Clicks(["a", 3], ["x", "ü"], np.array([1.0, 2.0]), {"at": {"0": 7}}, places=[{}, {}])
    assert check_polled(Mine(), polled, 2) is polled
    assert check_polled(Mine(), None, 2) is None


def test_a_position_has_the_types_of_json() -> None:
    clicks = taken(position={"row": np.int64(7), "parts": (1, np.float64(2.5)), "last": None})
    assert clicks.position == {"row": 7, "parts": [1, 2.5], "last": None}
    assert type(clicks.position["row"]) is int


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"items": [1]}, "Mine.poll: its columns differ in length: 2 sessions, 1 items, 2 times"),
        ({"times": np.zeros(3)}, "2 sessions, 2 items, 3 times"),
        ({"items": [1, None]}, r"items\[1\] is None \(click 102 of the stream\).*rejected"),
        ({"items": [float("nan"), 1]}, r"items\[0\] is nan .*leave the click out"),
        ({"items": [1.0, 2.0]}, r"items\[0\] is 1.0 .*a string or an integer"),
        ({"items": [True, 1]}, r"items\[0\] is True .*bool"),
        ({"items": [b"x", "y"]}, r"items\[0\] is b'x'.*bytes"),
        ({"items": "xy"}, "items is of the type str; give a list"),
        ({"items": {"x": 1, "y": 2}}, "items is of the type dict"),
        ({"items": 5}, "items is of the type int"),
        ({"items": ["", "x"]}, r"items\[0\] is ''.*empty"),
        ({"items": ["x", "y" * 1025]}, r"items\[1\].*1,025 characters"),
        ({"items": [1, 10**1024]}, r"items\[1\].*more than 1,024 digits"),
        ({"items": ["x", "\ud800"]}, r"items\[1\].*unpaired surrogate"),
        ({"sessions": [None, "a"]}, r"sessions\[0\] is None \(click 101"),
        ({"times": np.array([1.0, np.nan])}, r"times\[1\] is nan .*not finite"),
        ({"times": np.array([1.0, np.inf])}, r"times\[1\] is inf"),
        ({"times": np.array([1.0, 1.7e12])}, r"times\[1\].*is it in seconds"),
        ({"times": ["1.0", "2.0"]}, "times is of <U3"),
        ({"times": [1.0, None]}, r"times\[1\]|times cannot be read"),
        ({"times": np.zeros((2, 1))}, "times is of float64 in 2 dimensions"),
        ({"position": "row 7"}, "position is of the type str; it is a dict"),
        ({"position": {"rows": {7}}}, r"position\['rows'\] is of the type set, which JSON"),
        ({"position": {0: 7}}, "position has the key 0; JSON keys are strings"),
        ({"places": [{}]}, "2 clicks and 1 places"),
        ({"places": [1, 2]}, r"places\[0\] is of the type int"),
        ({"rejected": ["no item"]}, r"rejected\[0\] is of the type str; it is a Rejected"),
        ({"rejected": [Rejected("x", "y", {}, "raw")]}, r"rejected\[0\].raw is of the type str"),  # type: ignore[arg-type]
        ({"limit": 1}, "it returned 2 clicks where 1 were requested"),
    ],
)
def test_a_broken_contract_names_the_class_the_field_and_the_click(
    columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(SourceError, match=message) as error:
        taken(**columns)
    assert str(error.value).startswith("Mine.poll: ")


def test_what_is_no_batch_of_clicks_is_told() -> None:
    with pytest.raises(
        SourceError, match=r"Mine\.poll: it returned of the type list; it must return Clicks"
    ):
        check_polled(Mine(), [("a", "x", 1.0)], 10)


@given(
    st.lists(st.one_of(st.text(max_size=20), st.integers(), st.none(), st.floats(), st.booleans()))
)
def test_ids_come_out_as_they_went_in_or_are_refused(ids: list[Any]) -> None:
    count = len(ids)
    polled = Clicks(ids, [1] * count, np.zeros(count))
    try:
        clicks = check_polled(Mine(), polled, 100)
    except SourceError:
        assert not all(type(key) in (str, int) and key != "" for key in ids)
        return
    assert clicks is not None
    assert clicks.sessions == ids
    assert {type(key) for key in clicks.sessions} <= {str, int}
