from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.items.vocabulary import NO_ITEM, Vocabulary
from nextclick.models.recommender import Arrays

Id = str | int
Batches = list[tuple[list[Id], int]]
some_ids = st.one_of(st.integers(0, 6), st.integers(0, 6).map(str), st.text(max_size=2))
ids: st.SearchStrategy[list[Id]] = st.lists(some_ids, max_size=9)
batches: st.SearchStrategy[Batches] = st.lists(st.tuples(ids, st.integers(1, 12)), max_size=8)


def evict(vocabulary: Vocabulary, bound: int) -> list[int]:
    vocabulary.bound = bound
    return vocabulary.evict()


def as_text(values: dict[str, Any], arrays: Arrays) -> str:
    return json.dumps([values, {name: array.tolist() for name, array in arrays.items()}])


def plain(vocabulary: Vocabulary) -> str:
    return as_text(*vocabulary.state())


def follow(vocabulary: Vocabulary, stream: Batches) -> None:
    for items, bound in stream:
        vocabulary.admit(items)
        vocabulary.touch(items)
        evict(vocabulary, bound)


@given(batches)
def test_it_is_a_dict_from_which_the_least_recently_clicked_leave(stream: Batches) -> None:
    vocabulary = Vocabulary()
    rows: dict[Id, int] = {}
    recent: list[Id] = []
    left: set[int] = set()
    for items, bound in stream:
        found, new = vocabulary.admit(items)
        assert found.dtype == np.int64
        assert new.dtype == np.bool_
        for item, row, is_new in zip(items, found.tolist(), new.tolist(), strict=True):
            assert is_new == (item not in rows)
            if is_new:
                # A row that was left is used again before a further one is begun.
                assert row in left if left else row == max(rows.values(), default=0) + 1
                left.discard(row)
                rows[item] = row
            assert row == rows[item]
            recent = [other for other in recent if other != item] + [item]
        vocabulary.touch(items)

        gone, recent = recent[: max(0, len(recent) - bound)], recent[-bound:]
        evicted = evict(vocabulary, bound)
        assert evicted == [rows.pop(item) for item in gone]
        left.update(evicted)

        assert len(vocabulary) == len(rows)
        assert vocabulary.used == 1 + max([*rows.values(), *left], default=0)
        assert all(vocabulary.id_of(row) == item for item, row in rows.items())
        assert all(type(vocabulary.id_of(row)) is type(item) for item, row in rows.items())
        asked = [*gone, *recent, "never clicked"]
        looked_up = vocabulary.rows_of(asked)
        assert looked_up.dtype == np.int64
        assert looked_up.tolist() == [rows.get(item, NO_ITEM) for item in asked]
        assert len(vocabulary) == len(rows)  # Looking up admits nothing.


@given(batches, ids)
def test_a_withdrawal_leaves_no_trace(stream: Batches, items: list[Id]) -> None:
    vocabulary = Vocabulary()
    follow(vocabulary, stream)
    before, used = plain(vocabulary), vocabulary.used
    rows, new = vocabulary.admit(items)
    vocabulary.withdraw(rows[new].tolist(), used)
    assert plain(vocabulary) == before
    for row in rows[new].tolist():
        with pytest.raises((KeyError, IndexError)):
            vocabulary.id_of(row)
    again, new_again = vocabulary.admit(items)
    assert again.tolist() == rows.tolist()
    assert new_again.tolist() == new.tolist()


@given(batches, batches)
def test_restored_from_json_it_goes_on_the_same(first: Batches, then: Batches) -> None:
    unbroken, restored = Vocabulary(), Vocabulary()
    follow(unbroken, first)
    values, arrays = unbroken.state()
    text = plain(unbroken)
    restored.admit(["of another life"])
    restored.restore(json.loads(json.dumps(values)), arrays)
    follow(unbroken, then)
    assert as_text(values, arrays) == text  # The state is a copy.
    follow(restored, then)
    assert plain(restored) == plain(unbroken)
    restored_rows = restored.rows_of(list(range(7))).tolist()
    assert restored_rows == unbroken.rows_of(list(range(7))).tolist()


def test_items_that_were_not_touched_come_back_as_the_latest() -> None:
    one, other = Vocabulary(), Vocabulary()
    follow(one, [(["x", "y", "z"], 2)])
    one.admit(["u", "v"])  # The first of them in the row that x has left.
    other.restore(*one.state())
    assert evict(other, 0) == evict(one, 0) == [2, 3, 1, 4]


def test_a_restored_one_does_not_share_the_state() -> None:
    vocabulary = Vocabulary()
    follow(vocabulary, [(["x", "y"], 1)])
    state = vocabulary.state()
    text = as_text(*state)
    vocabulary.restore(*state)
    follow(vocabulary, [(["z", "w"], 1)])
    assert as_text(*state) == text


def test_a_text_and_a_number_are_different_items() -> None:
    rows, _ = Vocabulary().admit(["7", 7, "7", 7])
    assert rows.tolist() == [1, 2, 1, 2]


def test_looking_items_up_and_admitting_them_does_not_touch_them() -> None:
    vocabulary = Vocabulary()
    follow(vocabulary, [(["x", "y"], 2)])
    vocabulary.rows_of(["x"])
    vocabulary.admit(["x"])
    assert evict(vocabulary, 1) == [1]


@pytest.mark.parametrize("row", [0, 1])
def test_a_row_without_an_item_has_no_id(row: int) -> None:
    vocabulary = Vocabulary()
    follow(vocabulary, [(["x", "y"], 1)])
    with pytest.raises(KeyError, match=f"row {row} holds no item"):
        vocabulary.id_of(row)


def test_nothing_in_is_nothing_out() -> None:
    vocabulary = Vocabulary()
    rows, new = vocabulary.admit([])
    assert len(rows) == len(new) == len(vocabulary.rows_of([])) == len(vocabulary) == 0
    assert vocabulary.used == 1
    assert evict(vocabulary, 0) == []
