from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nextclick.models.gru4rec.cells import GATES, Cell, GRUCell, LSTMCell, RNNCell, make_cell


def randomise(cell: Cell) -> None:
    generator = torch.Generator().manual_seed(3)
    for weight in cell.parameters():
        weight.data = torch.randn(weight.shape, generator=generator, dtype=torch.float64)


def random_cell(inputs: int, hidden: int, reset: str) -> GRUCell:
    cell = GRUCell(inputs, hidden, reset)
    randomise(cell)
    return cell


def weight_x(cell: Cell) -> Tensor:
    assert cell.weight_x is not None
    return cell.weight_x.data


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def test_reset_before_is_the_definition() -> None:
    cell = random_cell(3, 5, "before")
    W_z, W_r, W_c = weight_x(cell).chunk(3)
    U_z, U_r, U_c = cell.weight_h.chunk(3)
    b_z, b_r, b_c = cell.bias.chunk(3)
    x, h = randn(4, 3), randn(4, 5)
    z = torch.sigmoid(x @ W_z.T + h @ U_z.T + b_z)
    r = torch.sigmoid(x @ W_r.T + h @ U_r.T + b_r)
    c = torch.tanh(x @ W_c.T + (r * h) @ U_c.T + b_c)
    expected = (1 - z) * h + z * c
    torch.testing.assert_close(cell(cell.project(x), h), expected, rtol=1e-12, atol=1e-12)


def test_reset_after_is_torch_gru() -> None:
    cell = random_cell(3, 5, "after")
    reference = torch.nn.GRU(3, 5, batch_first=True).double()
    W_z, W_r, W_c = weight_x(cell).chunk(3)
    U_z, U_r, U_c = cell.weight_h.data.chunk(3)
    b_z, b_r, b_c = cell.bias.data.chunk(3)
    # torch keeps the gates as reset, update, new, and blends with z and 1 - z exchanged.
    reference.weight_ih_l0.data = torch.cat([W_r, -W_z, W_c])
    reference.weight_hh_l0.data = torch.cat([U_r, -U_z, U_c])
    reference.bias_ih_l0.data = torch.cat([b_r, -b_z, b_c])
    b_h = cell.get_parameter("bias_h").data
    reference.bias_hh_l0.data = torch.cat([torch.zeros(10).double(), b_h])
    x, h = randn(4, 7, 3), randn(4, 5)
    expected, _ = reference(x, h[None])
    for step in range(7):
        h = cell(cell.project(x[:, step]), h)
        torch.testing.assert_close(h, expected[:, step], rtol=1e-12, atol=1e-12)


def test_lstm_is_torch_lstm() -> None:
    cell = LSTMCell(3, 5)
    randomise(cell)
    reference = torch.nn.LSTM(3, 5, batch_first=True).double()
    for weight, theirs in (
        (weight_x(cell), reference.weight_ih_l0),
        (cell.weight_h.data, reference.weight_hh_l0),
        (cell.bias.data, reference.bias_ih_l0),
    ):
        enter, keep, leave, candidate = weight.chunk(4)
        theirs.data = torch.cat([enter, keep, candidate, leave])
    reference.bias_hh_l0.data = torch.zeros(20, dtype=torch.float64)
    x, state = randn(4, 7, 3), randn(4, 10)
    h, m = state[:, :5], state[:, 5:]
    expected, (_, memory) = reference(x, (h[None].contiguous(), m[None].contiguous()))
    for step in range(7):
        state = cell(cell.project(x[:, step]), state)
        torch.testing.assert_close(state[:, :5], expected[:, step], rtol=1e-12, atol=1e-12)
        assert torch.equal(cell.output(state), state[:, :5])
    torch.testing.assert_close(state[:, 5:], memory[0], rtol=1e-12, atol=1e-12)


def test_rnn_is_torch_rnn() -> None:
    cell = RNNCell(3, 5)
    randomise(cell)
    reference = torch.nn.RNN(3, 5, batch_first=True).double()
    reference.weight_ih_l0.data = weight_x(cell)
    reference.weight_hh_l0.data = cell.weight_h.data
    reference.bias_ih_l0.data = cell.bias.data
    reference.bias_hh_l0.data = torch.zeros(5, dtype=torch.float64)
    x, h = randn(4, 7, 3), randn(4, 5)
    expected, _ = reference(x, h[None])
    for step in range(7):
        h = cell(cell.project(x[:, step]), h)
        torch.testing.assert_close(h, expected[:, step], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", GATES)
def test_a_cell_has_its_gates_and_widths(name: str) -> None:
    cell = make_cell(name, 3, 5)
    assert cell.gates == GATES[name]
    assert weight_x(cell).shape == (5 * GATES[name], 3)
    assert cell.weight_h.shape == (5 * GATES[name], 5)
    assert cell.bias.shape == (5 * GATES[name],)
    assert cell.width == (10 if name == "lstm" else 5)
    state = cell(cell.project(torch.ones(2, 3)), torch.zeros(2, cell.width))
    assert state.shape == (2, cell.width)
    assert cell.output(state).shape == (2, 5)


@pytest.mark.parametrize("name", GATES)
def test_a_one_hot_cell_reads_rows_of_its_weights(name: str) -> None:
    """Handed row i of Wᵀ, it does what W does to the i-th unit vector."""
    whole, cell = make_cell(name, 6, 5), make_cell(name, None, 5)
    randomise(whole)
    assert cell.weight_x is None
    cell.double()
    cell.load_state_dict({n: w for n, w in whole.state_dict().items() if n != "weight_x"})
    state = randn(6, cell.width)
    expected = whole(whole.project(torch.eye(6, dtype=torch.float64)), state)
    found = cell(cell.project(weight_x(whole).T), state)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "reset", "last", "earlier"),
    [
        ("gru", "before", 0.9, 0.5),
        ("gru", "after", 0.9, 0.5),
        ("lstm", "before", 0.8, 0.6),  # With no more than an input gate to open, it adds up.
        ("rnn", "before", 0.9, 0.5),
    ],
)
def test_an_untrained_cell_holds_its_last_input(
    name: str, reset: str, last: float, earlier: float
) -> None:
    cell = make_cell(name, 50, 50, reset)
    cell.initialise(0.01, identity=4.0, open_gate=4.0, generator=torch.Generator().manual_seed(0))
    x = randn(2, 50).float() * 0.1
    first = cell(cell.project(x[:1]), torch.zeros(1, cell.width))
    second = cell(cell.project(x[1:]), first)
    nearness = torch.cosine_similarity(cell.output(second), x)
    assert nearness[1] > last
    assert nearness[0] < earlier


@pytest.mark.parametrize("inputs", [4, None])
@pytest.mark.parametrize("name", GATES)
def test_the_same_seed_gives_the_same_weights(name: str, inputs: int | None) -> None:
    cells = [make_cell(name, inputs, 6) for _ in range(3)]
    for cell, seed in zip(cells, [1, 1, 2], strict=True):
        cell.initialise(0.1, 1.0, 0.0, torch.Generator().manual_seed(seed))
    for one, same, other in zip(*(cell.parameters() for cell in cells), strict=True):
        assert torch.equal(one, same)
        assert not one.any() or not torch.equal(one, other)  # Biases are zero.


@pytest.mark.parametrize("name", GATES)
def test_weights_are_uniform_beside_the_identity_and_the_open_gate(name: str) -> None:
    cell = make_cell(name, 40, 30)
    cell.initialise(0.1, 2.0, 1.5, torch.Generator().manual_seed(0))
    identity = torch.zeros_like(weight_x(cell))
    identity[-30:].fill_diagonal_(2.0)
    for weight in (weight_x(cell) - identity, cell.weight_h.detach()):
        assert weight.abs().max() <= 0.1 + 1e-6
        assert weight.std().item() == pytest.approx(0.2 / 12**0.5, rel=0.05)
    opened = 0 if name == "rnn" else 30  # It has no gate to open.
    assert (cell.bias[:opened] == 1.5).all()
    assert not cell.bias[opened:].any()


def test_an_unknown_reset_is_refused() -> None:
    with pytest.raises(ValueError, match="before, after"):
        GRUCell(3, 5, "between")


def test_an_unknown_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="gru, lstm or rnn, not 'tcn'"):
        make_cell("tcn", 3, 5)
