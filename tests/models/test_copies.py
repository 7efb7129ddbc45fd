from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nextclick.models.copies import LARGE, Copies

ROWS = LARGE // 400
"""Of 100 numbers in float32: one row more makes a large array."""


def table(rows: int = ROWS + 1) -> Tensor:
    return torch.arange(rows * 100, dtype=torch.float32).view(rows, 100)


def state(copies: Copies, *tensors: Tensor) -> list[Tensor]:
    copies.begin()
    return [copies.of(tensor) for tensor in tensors]


@pytest.mark.parametrize("rows", [3, ROWS + 1])
def test_a_copy_stays_as_it_is(rows: int) -> None:
    source = table(rows)
    before = source.clone()
    (held,) = state(Copies(), source)
    source.zero_()
    assert torch.equal(held, before)


@given(st.lists(st.integers(0, ROWS), max_size=5), st.sampled_from([torch.float64, torch.int64]))
def test_rows_are_copied_in_the_order_wanted(rows: list[int], dtype: torch.dtype) -> None:
    source, chosen = table().to(dtype), np.array(rows, np.int64)
    copied = Copies().of(source, chosen)
    assert torch.equal(copied, source[chosen])
    assert copied.dtype == dtype


def test_many_rows_are_copied_in_the_order_wanted() -> None:
    source, rows = table(), np.arange(ROWS, -1, -1)
    assert torch.equal(Copies().of(source, rows), source.flip(0))


def test_memory_is_used_again_when_nobody_holds_the_copy() -> None:
    copies = Copies()
    places = set()
    for value in range(3):
        one, other = state(copies, table().fill_(value), table().fill_(-value))
        assert (one == value).all()
        assert (other == -value).all()
        places |= {one.data_ptr(), other.data_ptr()}
        del one, other
    assert len(places) == 2


@given(st.lists(st.booleans(), max_size=6))
def test_a_held_copy_is_never_written_over(holds: list[bool]) -> None:
    copies, held = Copies(), []
    for value, holding in enumerate(holds):
        (made,) = state(copies, table().fill_(value))
        # A view holds the memory, however far from the copy itself.
        held += [(value, made.numpy()[5:, 1:])] if holding else []
        del made
    assert all((view == value).all() for value, view in held)


def test_a_table_may_grow_and_shrink() -> None:
    copies = Copies()
    for rows in (ROWS + 1, 5 * ROWS, 2, 2 * ROWS):
        (made,) = state(copies, table(rows))
        assert torch.equal(made, table(rows))


def test_no_memory_goes_along_into_a_pickle_or_a_copy() -> None:
    copies = Copies()
    state(copies, table())
    assert len(pickle.dumps(copies)) < 200
    assert not copy.deepcopy(copies)._buffers


def test_what_is_learned_is_copied_without_its_gradient() -> None:
    weight = torch.nn.Parameter(table(2))
    assert not Copies().of(weight).requires_grad
