from __future__ import annotations

import pytest
import torch

from nextclick.models.cells import GRUCell


def random_cell(inputs: int, hidden: int, reset: str) -> GRUCell:
    cell = GRUCell(inputs, hidden, reset).double()
    generator = torch.Generator().manual_seed(3)
    for weight in cell.parameters():
        weight.data = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    return cell


def test_reset_before_is_the_definition() -> None:
    cell = random_cell(3, 5, "before")
    W_z, W_r, W_c = cell.weight_x.chunk(3)
    U_z, U_r, U_c = cell.weight_h.chunk(3)
    b_z, b_r, b_c = cell.bias.chunk(3)
    x = torch.randn(4, 3, dtype=torch.float64)
    h = torch.randn(4, 5, dtype=torch.float64)
    z = torch.sigmoid(x @ W_z.T + h @ U_z.T + b_z)
    r = torch.sigmoid(x @ W_r.T + h @ U_r.T + b_r)
    c = torch.tanh(x @ W_c.T + (r * h) @ U_c.T + b_c)
    expected = (1 - z) * h + z * c
    torch.testing.assert_close(cell(cell.project(x), h), expected, rtol=1e-12, atol=1e-12)


def test_reset_after_is_torch_gru() -> None:
    cell = random_cell(3, 5, "after")
    reference = torch.nn.GRU(3, 5, batch_first=True).double()
    W_z, W_r, W_c = cell.weight_x.data.chunk(3)
    U_z, U_r, U_c = cell.weight_h.data.chunk(3)
    b_z, b_r, b_c = cell.bias.data.chunk(3)
    # torch keeps the gates as reset, update, new, and blends with z and 1 - z exchanged.
    reference.weight_ih_l0.data = torch.cat([W_r, -W_z, W_c])
    reference.weight_hh_l0.data = torch.cat([U_r, -U_z, U_c])
    reference.bias_ih_l0.data = torch.cat([b_r, -b_z, b_c])
    reference.bias_hh_l0.data = torch.cat([torch.zeros(10).double(), cell.bias_h.data])
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    h = torch.randn(4, 5, dtype=torch.float64)
    expected, _ = reference(x, h[None])
    for step in range(7):
        h = cell(cell.project(x[:, step]), h)
        torch.testing.assert_close(h, expected[:, step], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reset", ["before", "after"])
def test_an_untrained_cell_holds_its_last_input(reset: str) -> None:
    cell = GRUCell(50, 50, reset)
    cell.initialise(0.01, identity=4.0, open_gate=4.0, generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, 50) * 0.1
    first = cell(cell.project(x[:1]), torch.zeros(1, 50))
    second = cell(cell.project(x[1:]), first)
    nearness = torch.cosine_similarity(second, x)
    assert nearness[1] > 0.9
    assert nearness[0] < 0.5


def test_the_same_seed_gives_the_same_weights() -> None:
    cells = [GRUCell(4, 6), GRUCell(4, 6), GRUCell(4, 6)]
    for cell, seed in zip(cells, [1, 1, 2], strict=True):
        cell.initialise(0.1, 1.0, 0.0, torch.Generator().manual_seed(seed))
    assert torch.equal(cells[0].weight_h, cells[1].weight_h)
    assert not torch.equal(cells[0].weight_h, cells[2].weight_h)


def test_an_unknown_reset_is_refused() -> None:
    with pytest.raises(ValueError, match="before, after"):
        GRUCell(3, 5, "between")
