from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.connectors import ItemRecord
from nextclick.models.items.vocabulary import Vocabulary
from nextclick.stream.recommendations import catalogue_places
from nextclick.stream.recommendations.item_data import MOST_SELECTIONS, ItemData
from nextclick.stream.recommendations.item_index import SLACK, FieldIndex

Id = str | int

ids: st.SearchStrategy[Id] = st.integers(0, 9) | st.integers(0, 9).map(str) | st.sampled_from("ab")
scalars: st.SearchStrategy[Any] = (
    st.sampled_from(["red", "blue", "2", "2.0", "true", ""]) | st.integers(0, 3) | st.booleans()
) | st.sampled_from([1.5, 2.0])
fields = st.dictionaries(
    st.sampled_from(["colour", "size"]), scalars | st.lists(scalars, max_size=3), max_size=2
)
datum = st.tuples(ids, fields, st.booleans())
admitted = st.lists(ids, min_size=1, max_size=6)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), datum),
        st.tuples(st.just("forget"), ids),
        st.tuples(st.just("replace"), st.lists(datum, max_size=4)),
        st.tuples(st.just("admit"), admitted),
        st.tuples(st.just("withdraw"), admitted),
        st.tuples(st.just("evict"), st.integers(0, 6)),
        st.tuples(st.just("restore"), st.none()),
        st.tuples(st.just("prepare"), st.none()),
        st.tuples(st.just("look"), st.none()),
    ),
    max_size=25,
)
filters = st.dictionaries(
    st.sampled_from(["colour", "size", "shape"]), st.lists(scalars, min_size=1, max_size=3)
)


class Plain:
    """What `ItemData` knows, as anybody would write it."""

    def __init__(self) -> None:
        self.data: dict[str, tuple[dict[str, Any], bool]] = {}

    def put(self, item: Id, named: dict[str, Any], available: bool) -> None:
        self.data[str(item)] = named, available

    def allows(self, item: Id, wanted: dict[str, list[Any]]) -> bool:
        named, available = self.data.get(str(item), ({}, True))
        return available and all(
            any(same(value, one) for value in flat(named.get(name, [])) for one in values)
            for name, values in wanted.items()
        )


def flat(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def same(value: Any, wanted: Any) -> bool:
    """Whether a value is the one wanted, which may be a text for a number."""
    forms = {written(wanted)}
    if isinstance(wanted, str):
        with suppress(ValueError):
            forms.add(written(float(wanted)))
    return written(value) in forms


def written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def apply(step: tuple[str, Any], data: ItemData, plain: Plain, vocabulary: Vocabulary) -> None:
    kind, what = step
    if kind == "put":
        data.put(*what)
        plain.put(*what)
    elif kind == "forget":
        data.forget(what)
        plain.data.pop(str(what), None)
    elif kind == "replace":
        other = ItemData()
        plain.data = {}
        for one in what:
            other.put(*one)
            plain.put(*one)
        data.replace(list(records_of(other)))
    elif kind == "admit":
        vocabulary.admit(what)
        vocabulary.touch(what)
    elif kind == "withdraw":
        used = vocabulary.used
        rows, new = vocabulary.admit(what)
        vocabulary.withdraw(rows[new].tolist(), used)
    elif kind == "evict":
        bound, vocabulary.bound = vocabulary.bound, what
        vocabulary.evict()
        vocabulary.bound = bound
    elif kind == "restore":
        # The same rows and admissions, with other items.
        values, arrays = vocabulary.state()
        held = [item for item in values["items"] if item is not None]
        turned = iter(held[1:] + held[:1])
        values["items"] = [None if item is None else next(turned) for item in values["items"]]
        vocabulary.restore(values, arrays)
    elif kind == "prepare":
        data.prepare(vocabulary)


def records_of(data: ItemData) -> Iterator[ItemRecord]:
    for record in data._records:
        if record is not None:
            yield record


def check(data: ItemData, plain: Plain, vocabulary: Vocabulary, wanted: dict[str, Any]) -> None:
    allowed = data.allowed(wanted)
    items = {row: vocabulary.id_of(row) for row in np.flatnonzero(vocabulary.admissions).tolist()}
    if allowed is None:
        assert all(plain.allows(item, wanted) for item in items.values())
        return
    mask = allowed.rows(vocabulary)
    assert len(mask) == vocabulary.used
    for row, item in items.items():
        assert mask[row] == plain.allows(item, wanted), (item, wanted)
    for item in [*items.values(), *plain.data, "unknown"]:
        assert (item in allowed) == plain.allows(item, wanted)


@settings(max_examples=300)
@given(steps=steps, wanted=st.lists(filters, min_size=1, max_size=2))
def test_masks_are_those_of_a_plain_reference_whatever_happens(
    steps: list[tuple[str, Any]], wanted: list[dict[str, Any]]
) -> None:
    data, plain, vocabulary = ItemData(), Plain(), Vocabulary()
    for step in steps:
        apply(step, data, plain, vocabulary)
        if step[0] == "look":
            for one in ({}, *wanted):
                check(data, plain, vocabulary, one)
    for one in ({}, *wanted):
        check(data, plain, vocabulary, one)
    known = {item: one for item, one in plain.data.items() if one != ({}, True)}
    assert len(data) == len(known)
    assert data.unavailable == sum(not available for _, available in known.values())
    assert {item: data.fields(item) for item in known} == {i: n for i, (n, _) in known.items()}
    assert data.names == sorted({name for named, _ in known.values() for name in named})


def test_who_has_missed_many_moves_looks_at_every_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_places, "MOST_MOVES", 4)
    data, vocabulary = ItemData(), Vocabulary()
    vocabulary.admit(range(20))
    data.put(3, {}, available=False)
    assert (allowed := data.allowed()) is not None
    assert not allowed.rows(vocabulary)[4]
    for item in range(20):
        data.put(item, {}, available=item == 3)
    assert np.flatnonzero(allowed.rows(vocabulary)).tolist() == [0, 4]


def test_a_number_and_the_text_that_writes_it_are_one_item() -> None:
    data = ItemData()
    data.put("17", {"title": "socks"}, available=False)
    assert data.fields(17) == data.fields("17") == {"title": "socks"}
    assert (allowed := data.allowed()) is not None
    assert 17 not in allowed
    assert "017" in allowed
    data.put(17, {})
    assert len(data) == 0


def test_there_is_room_for_so_many_items_and_what_is_known_stays() -> None:
    data = ItemData(most=2)
    assert data.put(1, {"x": 1})
    assert data.put(2, {"x": 2})
    assert not data.put(3, {"x": 3}, available=False)
    assert data.put(2, {"x": 5})
    assert (len(data), data.unavailable, data.fields(3)) == (2, 0, {})
    data.forget(1)
    assert data.put(3, {}, available=False)
    assert data.replace([ItemRecord(7, True, b'{"x":1}'), ItemRecord(8, False, b"{}")]) == 0
    assert len(data) == 2


def test_fields_called_like_an_items_own_are_not_shown() -> None:
    data = ItemData()
    data.put(1, {"item": "x", "score": 9, "title": 'a "score":'})
    data.put(2, {"title": "b"})
    assert data.shown(1) == b'"title":"a \\"score\\":"'
    assert (data.shown(2), data.shown(3)) == (b'"title":"b"', b"")
    assert (allowed := data.allowed({"item": ["x"]})) is not None
    assert 1 in allowed


def test_values_that_no_longer_count_leave_the_index() -> None:
    index, generations = FieldIndex(), np.zeros(3, np.int64)
    for turn in range(20 * SLACK):
        generations[1] = turn
        index.add(1, turn, "red" if turn % 2 else "blue")
        index.end(1 if turn else 0, generations)
    assert len(index) <= 2 * SLACK + 2
    assert index.places(["red"], generations).tolist() == [1]
    assert index.places(["blue"], generations).tolist() == []


def test_masks_of_few_filters_and_of_living_models_are_kept() -> None:
    data, vocabulary = ItemData(), Vocabulary()
    vocabulary.admit(range(5))
    first = data.allowed({"x": ["0"]})
    assert data.allowed({"x": [0]}) is first
    for value in range(2 * MOST_SELECTIONS):
        allowed = data.allowed({"x": [value]})
        assert allowed is not None
        allowed.rows(vocabulary)
    assert data.allowed({"x": ["0"]}) is not first
    gone = weakref.ref(vocabulary)
    del vocabulary
    gc.collect()
    assert gone() is None


def test_a_catalogue_that_is_restored_may_have_other_items_in_its_rows() -> None:
    data, vocabulary, other = ItemData(), Vocabulary(), Vocabulary()
    data.put("hat", {}, available=False)
    assert (allowed := data.allowed()) is not None
    vocabulary.admit(["hat", "shoes", "socks"])
    other.admit(["shoes", "hat"])
    assert np.flatnonzero(~allowed.rows(vocabulary)).tolist() == [1]
    vocabulary.restore(*other.state())
    assert np.flatnonzero(~allowed.rows(vocabulary)).tolist() == [2]
