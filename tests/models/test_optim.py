from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nextclick.models.optim import EPSILON, adagrad, adagrad_rows, sum_by_row

Touches = list[list[int]]
touches: st.SearchStrategy[Touches] = st.lists(
    st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=5
)


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(0, 10_000))
def test_gradients_of_one_row_are_summed(rows: list[int], seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    vectors = torch.randn(len(rows), 3, generator=draw, dtype=torch.float64)
    numbers = torch.randn(len(rows), generator=draw, dtype=torch.float64)
    unique, of_vectors, of_numbers = sum_by_row(
        torch.tensor(rows, dtype=torch.int64), vectors, numbers
    )
    assert unique.tolist() == sorted(set(rows))
    for gradient, sums in ((vectors, of_vectors), (numbers, of_numbers)):
        assert sums.shape == (len(unique), *gradient.shape[1:])
        for place, row in enumerate(unique.tolist()):
            expected = sum(
                (part for part, other in zip(gradient, rows, strict=True) if other == row),
                start=torch.zeros_like(gradient[0]),
            )
            torch.testing.assert_close(sums[place], expected, rtol=1e-12, atol=1e-14)


@given(touches, st.booleans(), st.integers(0, 10_000))
def test_rows_learn_as_in_a_dense_table(stream: Touches, vectors: bool, seed: int) -> None:
    """Dense reference: each step's whole gradient is made first, then squared."""
    draw = torch.Generator().manual_seed(seed)
    shape = (4,) if vectors else ()
    value = torch.randn(10, *shape, generator=draw, dtype=torch.float64)
    memory = torch.rand(10, *shape, generator=draw, dtype=torch.float64)
    dense, accumulated = value.clone(), memory.clone()
    for rows in stream:
        places = torch.tensor(rows, dtype=torch.int64)
        gradient = torch.randn(len(rows), *shape, generator=draw, dtype=torch.float64)

        whole = torch.zeros_like(dense)
        for row, part in zip(rows, gradient, strict=True):
            whole[row] += part
        accumulated += whole**2
        dense -= 0.3 * whole / (accumulated + EPSILON).sqrt()

        before = value.clone(), memory.clone()
        unique, summed = sum_by_row(places, gradient)
        adagrad_rows(value, memory, unique, summed, 0.3)
        torch.testing.assert_close(value, dense, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(memory, accumulated, rtol=1e-12, atol=1e-12)
        rest = [row for row in range(10) if row not in rows]
        assert torch.equal(value[rest], before[0][rest])
        assert torch.equal(memory[rest], before[1][rest])


def test_untouched_rows_are_not_read() -> None:
    value, memory = torch.full((3, 2), torch.nan), torch.full((3, 2), torch.nan)
    value[1], memory[1] = 1.0, 0.0
    adagrad_rows(value, memory, torch.tensor([1]), torch.ones(1, 2), 0.1)
    assert value.isnan().any(dim=1).tolist() == [True, False, True]
    assert memory.isnan().any(dim=1).tolist() == [True, False, True]


def test_dense_adagrad_is_that_of_torch_where_gradients_are_large() -> None:
    """torch adds its epsilon outside the root; far above it the two agree."""
    draw = torch.Generator().manual_seed(0)
    value = torch.randn(5, 4, generator=draw, dtype=torch.float64)
    memory = torch.zeros_like(value)
    reference = torch.nn.Parameter(value.clone())
    optimizer = torch.optim.Adagrad([reference], lr=0.05, eps=0.0)
    for _ in range(20):
        gradient = torch.randn(5, 4, generator=draw, dtype=torch.float64)
        gradient += gradient.sign()  # At least 1 in size: epsilon is a millionth beside it.
        reference.grad = gradient.clone()
        optimizer.step()
        kept = gradient.clone()
        adagrad(value, memory, gradient, 0.05)
        assert torch.equal(gradient, kept)
        torch.testing.assert_close(value, reference.detach(), rtol=0, atol=20 * 0.05 * EPSILON)
        torch.testing.assert_close(memory, optimizer.state[reference]["sum"], rtol=1e-12, atol=0)


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0])
def test_epsilon_is_inside_the_root(size: float) -> None:
    value, memory = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    adagrad(value, memory, torch.tensor([size], dtype=torch.float64), 0.1)
    assert value.item() == pytest.approx(-0.1 * size / (size**2 + 1e-6) ** 0.5, rel=1e-12)
    assert memory.item() == pytest.approx(size**2, rel=1e-12)


def test_no_gradient_is_no_step() -> None:
    value, memory = torch.ones(2), torch.zeros(2)
    adagrad(value, memory, torch.zeros(2), 0.1)
    adagrad_rows(value, memory, torch.tensor([0]), torch.zeros(1), 0.1)
    assert value.tolist() == [1, 1]
    assert memory.tolist() == [0, 0]


def test_rows_and_dense_updates_are_the_same_to_the_last_bit() -> None:
    draw = torch.Generator().manual_seed(0)
    dense, rows = torch.ones(6, 3), torch.ones(6, 3)
    memories = torch.zeros(6, 3), torch.zeros(6, 3)
    for _ in range(5):
        gradient = torch.randn(6, 3, generator=draw)
        adagrad(dense, memories[0], gradient, 0.1)
        adagrad_rows(rows, memories[1], torch.arange(6), gradient, 0.1)
    torch.testing.assert_close(dense, rows, rtol=1e-6, atol=1e-6)
    assert torch.equal(*memories)
