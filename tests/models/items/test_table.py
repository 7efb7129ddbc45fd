from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nextclick.models.compute.snapshot_buffer import SnapshotBuffer
from nextclick.models.items.table import Table, sum_sorted
from nextclick.models.optim import RULES, make_rule

RULE_AND_MOMENTUM = [(name, momentum) for name in RULES for momentum in (0.0, 0.8)]


def table(size: int = 3, rule: str = "adam", momentum: float = 0.8, empty: float = 0.0) -> Table:
    return Table(size, empty, make_rule(rule, 0.1, momentum), torch.device("cpu"), torch.float64)


def tensors(table: Table) -> list[Tensor]:
    return [table.values, *table.optimizer_state]


def copy(table: Table) -> list[Tensor]:
    return [tensor.clone() for tensor in tensors(table)]


def fill(table: Table, rows: int, seed: int = 0) -> None:
    """Put something into the first rows, as learning would."""
    draw = torch.Generator().manual_seed(seed)
    for tensor in tensors(table):
        shape = (rows, *tensor.shape[1:])
        tensor[:rows] = torch.rand(shape, generator=draw, dtype=torch.float64) + 1


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("empty", [0.0, -torch.inf])
def test_rows_never_begun_are_empty(size: int, empty: float) -> None:
    rows = table(size, empty=empty)
    rows.reserve(30)
    assert rows.values.shape == ((len(rows.values), size) if size else (len(rows.values),))
    assert len(rows.values) >= 30
    assert (rows.values == empty).all()
    for memory in rows.optimizer_state:
        assert len(memory) == len(rows.values)
        assert not memory.any()


@given(st.lists(st.sampled_from([1, 500, 1023, 1024, 1025, 3000]), min_size=1, max_size=5))
@settings(max_examples=20)
def test_growing_keeps_values_and_memories(counts: list[int]) -> None:
    rows = table(2, empty=-7.0)
    for seed, count in enumerate(counts):
        held = len(rows.values)
        fill(rows, held, seed)
        before = copy(rows)
        rows.reserve(count)
        assert len(rows.values) >= max(count, held)
        for number, (old, new) in enumerate(zip(before, tensors(rows), strict=True)):
            assert torch.equal(new[:held], old)
            assert (new[held:] == (0.0 if number else -7.0)).all()


def test_growth_is_seldom() -> None:
    rows = table(1)
    places = []
    for count in range(1, 10_000):
        rows.reserve(count)
        places.append(rows.values.data_ptr())
    assert sum(a != b for a, b in pairwise(places)) <= 10


@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize(("rule", "momentum"), RULE_AND_MOMENTUM)
def test_a_row_begun_anew_goes_on_as_a_fresh_one(rule: str, momentum: float, size: int) -> None:
    used, fresh = table(size, rule, momentum), table(size, rule, momentum)
    for rows in (used, fresh):
        rows.reserve(9)
    fill(used, 9)
    before = copy(used)
    begun = torch.tensor([7, 2])
    shape = (2, size) if size else (2,)
    values = torch.arange(1.0, 1 + begun.numel() * max(1, size), dtype=torch.float64).view(shape)
    for rows in (used, fresh):
        rows.begin(begun, values)
    for old, new, other in zip(before, tensors(used), tensors(fresh), strict=True):
        assert torch.equal(new[begun], other[begun])
        rest = torch.tensor([0, 1, 3, 4, 5, 6, 8])
        assert torch.equal(new[rest], old[rest])
    for seed in range(3):
        gradient = torch.rand(shape, generator=torch.Generator().manual_seed(seed)).double()
        for rows in (used, fresh):
            rows.step(begun, gradient)
    assert torch.equal(used.values[begun], fresh.values[begun])
    used.begin(begun, -torch.inf)
    assert (used.values[begun] == -torch.inf).all()


@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize(("rule", "momentum"), RULE_AND_MOMENTUM)
def test_a_step_is_the_rules_on_these_rows(rule: str, momentum: float, size: int) -> None:
    rows = table(size, rule, momentum)
    rows.reserve(20)
    fill(rows, 20)
    touched = torch.tensor([3, 11, 0, 19])
    shape = (4, size) if size else (4,)
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    before, kept = copy(rows), gradient.clone()
    value, *state = (old[touched] for old in before)
    rows.rule.step(value, state, gradient)
    rows.step(touched, gradient)
    assert torch.equal(gradient, kept)
    others = [row for row in range(len(rows.values)) if row not in touched.tolist()]
    for old, new, moved in zip(before, tensors(rows), [value, *state], strict=True):
        assert torch.equal(new[others], old[others])
        # In one pass it rounds otherwise.
        torch.testing.assert_close(new[touched], moved, rtol=1e-13, atol=0)
        assert not torch.equal(new[touched], old[touched])


@pytest.mark.parametrize(("rule", "momentum"), RULE_AND_MOMENTUM)
def test_untouched_rows_are_not_read(rule: str, momentum: float) -> None:
    rows = table(2, rule, momentum)
    rows.reserve(3)
    for tensor in tensors(rows):
        tensor[[0, 2]] = torch.nan
    rows.step(torch.tensor([1]), torch.ones(1, 2, dtype=torch.float64))
    for tensor in tensors(rows):
        assert tensor[:3].isnan().flatten(1).any(dim=1).tolist() == [True, False, True]


def test_a_step_on_no_rows_is_no_step() -> None:
    rows = table()
    rows.reserve(5)
    fill(rows, 5)
    before = copy(rows)
    rows.step(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3, dtype=torch.float64))
    assert all(torch.equal(a, b) for a, b in zip(before, tensors(rows), strict=True))


@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize("other_rows", [1, 5, 3000])
@pytest.mark.parametrize("used", [1, 9, 1500])
def test_a_restored_table_goes_on_the_same(used: int, other_rows: int, size: int) -> None:
    """Whatever the table held that takes the state."""
    rows, other = (table(size, empty=-torch.inf) for _ in range(2))
    rows.reserve(used)
    fill(rows, used)
    other.reserve(other_rows)
    fill(other, other_rows, seed=1)
    state = rows.state(used, SnapshotBuffer())
    assert {len(array) for array in state.values()} == {used}
    kept = {name: array.clone() for name, array in state.items()}
    other.restore(state)
    assert (other.values[used:] == -torch.inf).all()
    for both in (rows, other):
        both.reserve(used + 1)
        both.begin(torch.tensor([used]), 0.5)
        touched = torch.tensor([0, used])
        both.step(touched, torch.ones((2, size) if size else (2,), dtype=torch.float64))
    for ours, theirs in zip(tensors(rows), tensors(other), strict=True):
        assert torch.equal(ours[: used + 1], theirs[: used + 1])
    for name, array in kept.items():
        assert torch.equal(state[name], array)  # A copy, on both ways.


def test_a_table_has_the_type_asked_for() -> None:
    rows = Table(3, 0.0, make_rule("adam", 0.1, 0.5), torch.device("cpu"), torch.float32)
    rows.reserve(2000)
    exact = table()
    exact.reserve(5)
    fill(exact, 5)
    rows.restore(exact.state(5, SnapshotBuffer()))
    assert {tensor.dtype for tensor in tensors(rows)} == {torch.float32}
    assert torch.equal(rows.values[:5], exact.values[:5].float())


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=20), min_size=1, max_size=3),
    st.booleans(),
    st.integers(0, 10_000),
)
def test_gradients_of_one_row_are_summed_and_no_item_has_none(
    parts: list[list[int]], vectors: bool, seed: int
) -> None:
    size = 3 if vectors else 0
    rows = table(size)
    rows.reserve(10)
    draw = torch.Generator().manual_seed(seed)
    found = [
        (
            torch.tensor(part, dtype=torch.int64),
            torch.rand((len(part), *[size] * vectors), generator=draw, dtype=torch.float64),
        )
        for part in parts
    ]
    kept = [gradient.clone() for _, gradient in found]
    for _ in range(2):  # Nothing of the first time is left at the second.
        touched, sums = rows.sum(*found)
        assert len(set(touched.tolist())) == len(touched)
        assert {row for part in parts for row in part} - {0} == set(touched.tolist()) - {0}
        for row, total in zip(touched.tolist(), sums, strict=True):
            expected = torch.zeros_like(total)
            for part, gradient in found:
                expected += gradient[part == row].sum(dim=0) if row else 0
            torch.testing.assert_close(total, expected, rtol=1e-12, atol=1e-14)
    assert all(torch.equal(old, new) for old, (_, new) in zip(kept, found, strict=True))


def test_the_sum_of_a_transposed_gradient_is_that_of_its_rows() -> None:
    rows = table(2)
    rows.reserve(4)
    gradient = torch.arange(6, dtype=torch.float64).view(2, 3).T
    touched, sums = rows.sum((torch.tensor([3, 2, 3]), gradient))
    assert touched.tolist() == [3, 2]
    assert sums.tolist() == [[2.0, 8.0], [1.0, 4.0]]


@given(st.lists(st.integers(0, 9), max_size=20), st.booleans(), st.integers(0, 10_000))
def test_a_gpu_finds_the_same_sums(numbers: list[int], vectors: bool, seed: int) -> None:
    size = 3 if vectors else 0
    table_of_ten = table(size)
    table_of_ten.reserve(10)
    rows = torch.tensor(numbers, dtype=torch.int64)
    shape = (len(numbers), *[size] * vectors)
    draw = torch.Generator().manual_seed(seed)
    gradient = torch.rand(shape, generator=draw, dtype=torch.float64)
    touched, sums = table_of_ten.sum((rows, gradient))
    sorted_rows, sorted_sums = sum_sorted(rows, gradient)
    # As many as were given: no item comes in the places of those that come again.
    distinct = sorted(set(numbers))
    assert sorted_rows.tolist() == distinct + [0] * (len(numbers) - len(distinct))
    assert not sorted_sums[sorted_rows == 0].any()
    order = touched.argsort()
    assert touched[order].tolist() == sorted_rows[sorted_rows != 0].tolist()
    assert torch.equal(sums[order], sorted_sums[sorted_rows != 0])
