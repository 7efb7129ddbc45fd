from __future__ import annotations

import array
import datetime
import decimal
import enum
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.argument_checks import (
    at_least,
    click_lists,
    click_times,
    event_time,
    id_list,
    one_id,
    seed_of,
)


class Labelled:
    """A column whose labels are not its places, as a sorted or filtered one of pandas."""

    def __init__(self, values: list[Any], labels: list[int]) -> None:
        self._of = dict(zip(labels, values, strict=True))

    def __getitem__(self, label: int) -> Any:
        return self._of[label]

    def __len__(self) -> int:
        return len(self._of)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._of.values())


class Text(str):
    pass


class Letter(enum.StrEnum):
    A = "a"


class Number(enum.IntEnum):
    SEVEN = 7


FORMS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "generator": lambda ids: (each for each in ids),
    "keys of a dict": lambda ids: dict.fromkeys(ids).keys(),
    "numpy array": np.array,
    "numpy array of objects": lambda ids: np.array(ids, object),
    "a part of a numpy array": lambda ids: np.array([*ids, ids[0]])[:-1],
    "list of numpy scalars": lambda ids: list(np.array(ids)),
    "pyarrow array": pa.array,
    "pyarrow chunks": lambda ids: pa.chunked_array([ids[:1], ids[1:]]),
    "list of pyarrow scalars": lambda ids: list(pa.array(ids)),
    "labelled column": lambda ids: Labelled(ids, [7, 0, 3][: len(ids)]),
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@forms
@pytest.mark.parametrize("ids", [["hat", "coat", "7"], [7, -3, 0]], ids=["texts", "numbers"])
def test_every_kind_of_sequence_becomes_a_list_of_plain_ids_in_its_order(
    form: Callable[[list[Any]], Any], ids: list[Any]
) -> None:
    found = id_list(form(ids), "items")
    assert found == ids
    assert [type(each) for each in found] == [type(each) for each in ids]


@pytest.mark.parametrize(
    "given_ids",
    [
        torch.tensor([7, -3, 0]),
        [torch.tensor(7), np.int8(-3), np.uint64(0)],
        array.array("q", [7, -3, 0]),
        np.array([7, -3, 0], np.int16),
    ],
)
def test_whole_numbers_of_every_library_become_pythons(given_ids: Any) -> None:
    found = id_list(given_ids, "items")
    assert found == [7, -3, 0]
    assert {type(each) for each in found} == {int}


def test_subclasses_of_text_and_number_become_plain() -> None:
    found = id_list([Text("hat"), Letter.A, Number.SEVEN, np.str_("coat")], "items")
    assert found == ["hat", "a", 7, "coat"]
    assert [type(each) for each in found] == [str, str, int, str]


def test_a_sorted_and_a_filtered_frame_of_pandas_are_read_from_the_first_row_on() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"s": [2, 1, 3], "i": ["x", "y", "z"]})
    assert click_lists(frame.sort_values("s").s, frame.sort_values("s").i) == (
        [1, 2, 3],
        ["y", "x", "z"],
    )
    assert id_list(frame[frame.s > 1].i, "items") == ["x", "z"]
    assert id_list(frame.i.astype("category"), "items") == ["x", "y", "z"]
    with pytest.raises(TypeError, match=r"items\[1\]"):
        id_list(pandas.Series([1, None], dtype="Int64"), "items")
    with pytest.raises(TypeError, match="one column"):
        id_list(frame, "items")


def test_a_series_of_polars_is_read() -> None:
    polars = pytest.importorskip("polars")
    assert id_list(polars.Series(["x", "y"]), "items") == ["x", "y"]
    assert id_list(polars.Series([1, 2]), "items") == [1, 2]


NO_IDS: list[Any] = [
    None,
    True,
    np.bool_(0),
    torch.tensor(data=True),
    1.5,
    17.0,
    math.nan,
    np.float32(3),
    torch.tensor(3.0),
    1j,
    b"hat",
    bytearray(b"hat"),
    ["hat"],
    ("hat", 0.9),
    {"hat": 1},
    np.array([1, 2]),
    np.datetime64("2020-01-01"),
    np.timedelta64(3, "s"),
    decimal.Decimal(3),
    datetime.date(2020, 1, 1),
    object(),
    10**1024,
    -(10**1024),
    "x" * 1025,
]


@pytest.mark.parametrize(
    "value", NO_IDS, ids=[f"{place} {type(value).__name__}" for place, value in enumerate(NO_IDS)]
)
def test_what_is_no_id_is_named_with_its_place(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^items\[2\] "):
        id_list(["hat", 7, value, "coat"], "items")
    with pytest.raises((TypeError, ValueError), match=r"^session "):
        one_id(value, "session")


def test_a_number_with_a_point_is_refused_with_the_remedy() -> None:
    with pytest.raises(TypeError, match=r"items\[1\] is 17.0: .*int\(\)"):
        id_list([3, 17.0], "items")
    with pytest.raises(TypeError, match=r"items\[0\] is 3.0"):
        id_list(np.array([3.0, 17.0]), "items")


@pytest.mark.parametrize(
    "value",
    [
        "abc",
        Text("abc"),
        b"abc",
        bytearray(b"abc"),
        None,
        7,
        2.5,
        {"a": 1},
        {"a"},
        frozenset("a"),
        np.array("abc"),
        np.array([["a", "b"]]),
        torch.zeros((2, 2), dtype=torch.int64),
        pa.table({"s": ["a"]}),
        np.array(["2020-01-01"], "datetime64[ns]"),
        np.array([3], "timedelta64[s]"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_sequence_of_ids_is_refused_by_name(value: Any) -> None:
    with pytest.raises(TypeError, match="items"):
        id_list(value, "items")


def test_the_message_for_one_text_names_the_remedy() -> None:
    with pytest.raises(TypeError, match=r"sessions must be a sequence .* give \['abc'\]"):
        click_lists("abc", ["x", "y", "z"])


def test_a_set_serves_where_the_order_does_not_count() -> None:
    assert sorted(id_list({3, 1, 2}, "sessions", ordered=False), key=int) == [1, 2, 3]


@pytest.mark.parametrize(("sessions", "items"), [(1, 2), (2, 1), (0, 1)])
def test_there_are_as_many_sessions_as_items(sessions: int, items: int) -> None:
    with pytest.raises(ValueError, match=f"{sessions} sessions and {items} items"):
        click_lists(["a"] * sessions, ["x"] * items)


@given(st.lists(st.one_of(st.text(max_size=30), st.integers(-(10**40), 10**40)), max_size=20))
def test_texts_and_whole_numbers_of_every_kind_come_back_as_they_went_in(ids: list[Any]) -> None:
    assert id_list(ids, "items") == ids
    assert id_list(tuple(ids), "items") == ids


@pytest.mark.parametrize(
    "value", [True, 3.0, "3", None, math.nan, [3], np.float64(3), np.timedelta64(3, "s")]
)
def test_a_count_is_a_whole_number(value: Any) -> None:
    with pytest.raises(TypeError, match="k must be a whole number"):
        at_least(value, "k", 0)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3), Number.SEVEN])
def test_whole_numbers_of_every_library_are_counts(value: Any) -> None:
    assert at_least(value, "k", 1) == int(value)
    assert type(at_least(value, "k", 1)) is int
    with pytest.raises(ValueError, match="k must be at least 8, not"):
        at_least(value, "k", 8)


@pytest.mark.parametrize("value", [3, 3.5, np.float32(3.5), np.int64(3), -math.inf, 0, -5.0])
def test_a_time_becomes_a_float(value: Any) -> None:
    assert event_time(value) == value
    assert type(event_time(value)) is float


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "3",
        math.nan,
        np.float64("nan"),
        math.inf,
        10**400,
        datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        np.datetime64("2020-01-01"),
        np.timedelta64(3, "s"),
        [3.0],
    ],
    ids=repr,
)
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="time must be a"):
        event_time(value)


def test_the_message_for_a_datetime_names_the_remedy() -> None:
    with pytest.raises(TypeError, match=r"timestamp\(\)"):
        event_time(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))


@forms
@pytest.mark.parametrize("times", [[1.5, -2.0, 1e9], [3, 0, 2]], ids=["floats", "whole"])
def test_times_come_in_every_kind_of_sequence(
    form: Callable[[list[Any]], Any], times: list[Any]
) -> None:
    found = click_times(form(times), "abc")
    assert found is not None
    assert found.dtype == np.float64
    assert found.tolist() == times


def test_a_time_that_is_not_known_is_nan_or_none() -> None:
    assert click_times(None, "ab") is None
    for times in ([None, math.nan], pa.array([None, None], pa.float64()), np.full(2, np.nan)):
        found = click_times(times, "ab")
        assert found is not None
        assert np.isnan(found).all()
    empty = click_times([], "")
    assert empty is not None
    assert empty.shape == (0,)


def test_times_of_pandas_are_read_from_the_first_row_on() -> None:
    pandas = pytest.importorskip("pandas")
    times = pandas.Series([1.0, None, 3.0], index=[2, 0, 1])
    found = click_times(times, "abc")
    assert found is not None
    assert found.tolist()[::2] == [1.0, 3.0]
    with pytest.raises(TypeError, match="datetime64"):
        click_times(pandas.to_datetime(times, unit="s"), "abc")


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ("12", "times must be a sequence of epoch seconds, not one text: a time is a number"),
        (b"12", "not bytes"),
        (1.5, "times must be a sequence of epoch seconds, not 1.5"),
        ({1.0, 2.0}, "in order, not a set"),
        ({1.0: 2.0, 2.0: 3.0}, "in order, not a dict"),
        (np.zeros((2, 1)), "of other dimensions"),
        (np.zeros(2, "datetime64[s]"), r"times holds datetime64\[s\] values: a time is a number"),
        ([1.0], "there are 1 times and 2 clicks"),
        (np.zeros(3), "there are 3 times and 2 clicks"),
        ([1.0, "2"], r"times\[1\] must be a number of epoch seconds, not '2'"),
        ([1.0, True], r"times\[1\] must be a number"),
        ([1.0, np.datetime64("2020-01-01")], r"times\[1\] must be a number"),
        ([1.0, datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)], r"give its timestamp\(\)"),
        ([1.0, math.inf], r"times\[1\] is inf: give finite epoch seconds, or NaN"),
        (np.array([-np.inf, 1.0]), r"times\[0\] is -inf"),
        ([10**400, 1.0], r"times\[0\] is inf"),
    ],
)
def test_what_is_no_column_of_times_is_refused_with_its_place(times: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        click_times(times, "ab")


@pytest.mark.parametrize("seed", [1 << 63, -(1 << 63) - 1, 1.5, "one", None, True])
def test_a_seed_is_a_whole_number_that_torch_takes(seed: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="seed must be"):
        seed_of(seed)
    assert seed_of(-5) == -5


def test_a_remedy_is_named_only_where_it_helps() -> None:
    with pytest.raises(TypeError, match=r"is nan: an id is a string or an integer$"):
        one_id(math.nan, "item")
    with pytest.raises(TypeError, match=r"not bytes$"):
        id_list(b"hat", "items")
