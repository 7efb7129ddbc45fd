from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models.gru4rec.cells import GRUCell
from nextclick.models.gru4rec.packed_gru import PackedGRU

falling = st.lists(st.integers(1, 6), min_size=1, max_size=5).map(lambda s: sorted(s)[::-1])


def leaves(sizes: list[int], seed: int) -> tuple[GRUCell, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    cell = GRUCell(3, 4).double()
    for weight in cell.parameters():
        weight.data = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    inputs = torch.randn(sum(sizes), 3, generator=generator, dtype=torch.float64)
    start = torch.randn(sizes[0], 4, generator=generator, dtype=torch.float64)
    return cell, inputs.requires_grad_(), start.requires_grad_()


@given(falling, st.integers(0, 999))
@settings(max_examples=30)
def test_states_and_gradients_are_those_of_the_cell_step_by_step(
    sizes: list[int], seed: int
) -> None:
    cell, inputs, start = leaves(sizes, seed)
    weights = list(cell.parameters())
    packed = PackedGRU.apply(inputs, sizes, start, *weights)  # type: ignore[no-untyped-call]
    outputs, state = [], start
    for projected in cell.project(inputs).split(sizes):
        state = cell(projected, state[: len(projected)])
        outputs.append(state)
    plain = torch.cat(outputs)
    torch.testing.assert_close(packed, plain, rtol=1e-12, atol=1e-12)
    direction = torch.randn(plain.shape, dtype=torch.float64)
    found = torch.autograd.grad((packed * direction).sum(), [inputs, start, *weights])
    expected = torch.autograd.grad((plain * direction).sum(), [inputs, start, *weights])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_the_start_needs_no_gradient() -> None:
    cell, inputs, start = leaves([3, 2], 0)
    fixed = start.detach()
    packed = PackedGRU.apply(inputs, [3, 2], fixed, *cell.parameters())  # type: ignore[no-untyped-call]
    packed.sum().backward()
    assert inputs.grad is not None
    assert fixed.grad is None
