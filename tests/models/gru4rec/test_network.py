from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nextclick.models.gru4rec.cells import GATES
from nextclick.models.gru4rec.network import ACTIVATIONS, GRU4Rec, drop, last_steps, run

LAYERS = [[4], [5, 3], [2, 6, 4]]
CELLS = [("gru", "before"), ("gru", "after"), ("lstm", "before"), ("rnn", "before")]


def network(
    hidden: list[int],
    cell: str = "gru",
    reset: str = "before",
    inputs: int | None = 4,
    **options: Any,
) -> GRU4Rec:
    model = GRU4Rec(inputs, hidden, cell=cell, reset=reset, **options).double()
    draw = torch.Generator().manual_seed(3)
    for weight in model.parameters():
        weight.data = torch.randn(weight.shape, generator=draw, dtype=torch.float64)
    return model


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pack(windows: list[Tensor], width: int = 4) -> tuple[Tensor, list[int]]:
    """Pack windows of falling length: all first steps, then all second steps, …."""
    sizes = [
        sum(len(window) > step for window in windows)
        for step in range(max((len(window) for window in windows), default=0))
    ]
    steps = [window[step] for step, size in enumerate(sizes) for window in windows[:size]]
    return torch.stack(steps) if steps else torch.zeros(0, width, dtype=torch.float64), sizes


@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=9),
    st.sampled_from(LAYERS),
    st.sampled_from(CELLS),
    st.sampled_from([[], [3], [2, 5]]),
    st.booleans(),
    st.integers(0, 10_000),
)
@settings(max_examples=80)
def test_packed_windows_run_as_each_would_alone(
    lengths: list[int],
    hidden: list[int],
    cell: tuple[str, str],
    feed_forward: list[int],
    one_hot: bool,
    seed: int,
) -> None:
    inputs = None if one_hot else 4
    model = network(hidden, *cell, inputs, feed_forward=feed_forward)
    width = GATES[cell[0]] * hidden[0] if one_hot else 4
    windows = [
        randn(length, width, seed=seed + place)
        for place, length in enumerate(sorted(lengths, reverse=True))
    ]
    start = randn(len(windows), model.width, seed=seed)
    outputs = model(*pack(windows), start)
    assert model.size == [*hidden, *feed_forward][-1]
    assert outputs.shape == (len(windows), model.size)
    for place, window in enumerate(windows):
        state = start[place : place + 1]
        for click in window:
            state = model.step(click[None], state)
        expected = model.output(state)[0]
        torch.testing.assert_close(outputs[place], expected, rtol=1e-12, atol=1e-12)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_last_steps_are_where_the_windows_end(lengths: list[int]) -> None:
    lengths = sorted(lengths, reverse=True)
    windows = [torch.tensor([[0.0]] * (length - 1) + [[1.0]]) for length in lengths]
    packed, sizes = pack(windows)
    places = last_steps(sizes)
    assert sorted(places.tolist()) == packed.ravel().nonzero().ravel().tolist()
    steps = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    assert [int(steps[place]) + 1 for place in places] == lengths


@pytest.mark.parametrize("hidden", LAYERS)
@pytest.mark.parametrize(("cell", "reset"), CELLS)
def test_a_step_hands_each_layers_new_output_to_the_next(
    hidden: list[int], cell: str, reset: str
) -> None:
    model = network(hidden, cell, reset)
    below, state = randn(3, 4), randn(3, model.width)
    found = model.step(below, state)
    place = 0
    for layer in model.cells:
        part = slice(place, place + layer.width)
        new = layer(layer.project(below), state[:, part])
        assert torch.equal(found[:, part], new)
        below = new[:, : layer.hidden]
        place += layer.width
    assert torch.equal(model.output(found), below)


@pytest.mark.parametrize("reset", ["before", "after"])
def test_two_layers_are_two_gru_layers_of_torch(reset: str) -> None:
    """Without an old state, as in a window of one click, both forms of the reset agree."""
    model = network([5, 3], reset=reset)
    reference = torch.nn.GRU(4, 5).double(), torch.nn.GRU(5, 3).double()
    window = randn(6 if reset == "after" else 1, 4, seed=1)
    outputs = window[:, None]
    with torch.no_grad():
        for cell, layer in zip(model.cells, reference, strict=True):
            assert cell.weight_x is not None
            saved = {
                # torch keeps the gates as reset, update, new, with z and 1 - z exchanged.
                name: torch.cat([gate, -update, candidate])
                for name, (update, gate, candidate) in {
                    "weight_ih_l0": cell.weight_x.chunk(3),
                    "weight_hh_l0": cell.weight_h.chunk(3),
                    "bias_ih_l0": cell.bias.chunk(3),
                }.items()
            }
            saved["bias_hh_l0"] = torch.zeros(3 * cell.hidden, dtype=torch.float64)
            if reset == "after":
                saved["bias_hh_l0"][-cell.hidden :] = cell.get_parameter("bias_h")
            layer.load_state_dict(saved)
            outputs, _ = layer(outputs)
        found = model(window, [1] * len(window), torch.zeros(1, 8, dtype=torch.float64))
    torch.testing.assert_close(found, outputs[-1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("hidden", LAYERS)
@pytest.mark.parametrize("cell", GATES)
def test_width_is_that_of_all_layers_and_the_output_that_of_the_last(
    hidden: list[int], cell: str
) -> None:
    model = network(hidden, cell)
    times = 2 if cell == "lstm" else 1  # An output and a memory.
    assert model.width == times * sum(hidden)
    state = torch.arange(2.0 * model.width).view(2, model.width)
    last = model.width - times * hidden[-1]
    assert torch.equal(model.output(state), state[:, last : last + hidden[-1]])


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("feed_forward", [[], [7]])
def test_nothing_to_run_is_no_trouble(cell: str, feed_forward: list[int]) -> None:
    model = network([5, 3], cell, feed_forward=feed_forward, dropout=0.5)
    nothing, state = torch.zeros(0, 4).double(), torch.zeros(0, model.width).double()
    assert model(nothing, [], state, partial(torch.rand, generator=torch.Generator())).shape == (
        0,
        model.size,
    )
    assert model.step(nothing, state).shape == (0, model.width)


@pytest.mark.parametrize(("cell", "reset"), CELLS)
def test_gradient_of_packed_windows_is_that_of_finite_differences(cell: str, reset: str) -> None:
    model = network([3, 2], cell, reset, feed_forward=[3])
    inputs, sizes = pack([randn(length, 4, seed=length) for length in (4, 2, 2, 1)])
    start = randn(4, model.width)
    leaves = (inputs.requires_grad_(), start.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, h: model(x, sizes, h), leaves)
    weights = list(model.parameters())
    assert all(
        gradient.abs().sum() > 0
        for gradient in torch.autograd.grad(model(inputs, sizes, start).sum(), weights)
    )


@pytest.mark.parametrize(("cell", "reset"), CELLS)
def test_one_hot_input_is_a_row_of_the_first_cells_weights(cell: str, reset: str) -> None:
    """Gradients too: that of a row sums what reaches it."""
    whole = network([4, 3], cell, reset, inputs=6)
    model = network([4, 3], cell, reset, inputs=None)
    weights = dict(whole.named_parameters())
    first = weights.pop("layers.0.weight_x")
    model.load_state_dict({name: weight.detach() for name, weight in weights.items()})
    table = first.detach().T.clone().requires_grad_()
    clicks = [torch.tensor(window) for window in ([5, 1, 1, 0], [2, 5], [3])]
    start = randn(3, model.width)
    unit = torch.eye(6, dtype=torch.float64)
    expected = whole(*pack([unit[window] for window in clicks], 6), start)
    packed, sizes = pack([window[:, None] for window in clicks])
    found = model(table[packed.ravel()], sizes, start)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    direction = randn(3, 3, seed=1)
    gradients = torch.autograd.grad((found * direction).sum(), [table, *model.parameters()])
    theirs = torch.autograd.grad((expected * direction).sum(), [first, *weights.values()])
    torch.testing.assert_close(gradients[0], theirs[0].T, rtol=1e-12, atol=1e-12)
    for one, other in zip(gradients[1:], theirs[1:], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert not gradients[0][4].any()  # Nobody clicked it.


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("linear", lambda x: x),
        ("relu", torch.relu),
        ("tanh", torch.tanh),
        ("elu", torch.nn.functional.elu),
        ("gelu", torch.nn.functional.gelu),
    ],
)
def test_feed_forward_layers_follow_the_last_output(name: str, function: Any) -> None:
    assert name in ACTIVATIONS
    model = network([5, 3], feed_forward=[4, 2], activation=name)
    state = randn(6, 8)
    expected = state[:, 5:]
    weights = list(model.top.parameters())
    assert [tuple(weight.shape) for weight in weights] == [(4, 3), (4,), (2, 4), (2,)]
    for weight, bias in (weights[:2], weights[2:]):
        expected = function(expected @ weight.T + bias)
    torch.testing.assert_close(model.output(state), expected, rtol=1e-12, atol=1e-12)


def test_feed_forward_layers_begin_near_the_identity() -> None:
    model = GRU4Rec(4, [6], feed_forward=[6, 4], activation="linear").double()
    state = randn(3, 6)
    model.initialise(0.0, 4.0, 2.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.output(state), state[:, :4])
    model.initialise(0.01, 4.0, 2.0, torch.Generator().manual_seed(0))
    near = model.output(state)
    assert not torch.equal(near, state[:, :4])
    torch.testing.assert_close(near, state[:, :4], rtol=0, atol=0.2)


def test_the_same_seed_gives_the_same_weights() -> None:
    models = [GRU4Rec(4, [5, 3], cell="lstm", feed_forward=[4]) for _ in range(3)]
    for model, seed in zip(models, [1, 1, 2], strict=True):
        model.initialise(0.1, 4.0, 2.0, torch.Generator().manual_seed(seed))
    one, same, other = (torch.nn.utils.parameters_to_vector(m.parameters()) for m in models)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_torch_finds_every_weight_once() -> None:
    def count(model: GRU4Rec) -> int:
        return sum(weight.numel() for weight in model.parameters())

    cells = 5 * (4 + 5 + 1) + 3 * (5 + 3 + 1)
    assert count(network([5, 3])) == 3 * cells
    assert count(network([5, 3], "lstm")) == 4 * cells
    assert count(network([5, 3], "rnn")) == cells
    assert count(network([5, 3], "rnn", inputs=None)) == cells - 5 * 4
    assert count(network([5, 3], "rnn", feed_forward=[2])) == cells + 2 * (3 + 1)


@given(st.sampled_from([0.1, 0.5, 0.8]), st.integers(0, 10_000))
@settings(max_examples=20)
def test_dropping_leaves_out_a_share_and_keeps_the_mean(share: float, seed: int) -> None:
    values = torch.full((300, 200), 3.0, dtype=torch.float64)
    draw = partial(torch.rand, generator=torch.Generator().manual_seed(seed))
    dropped = drop(values, share, draw)
    gone = dropped == 0
    error = (share * (1 - share) / values.numel()) ** 0.5
    assert abs(gone.double().mean().item() - share) < 5 * error
    torch.testing.assert_close(dropped[~gone], values[~gone] / (1 - share))
    assert abs(dropped.mean().item() - 3.0) < 5 * 3.0 * error / (1 - share)
    # Values fall out one by one, neither by rows nor by columns.
    assert 0 < gone[0].double().mean() < 1
    assert 0 < gone[:, 0].double().mean() < 1


def test_nothing_is_dropped_where_nothing_is_asked_for() -> None:
    values, generator = randn(5, 4), torch.Generator().manual_seed(0)
    random = generator.get_state()
    assert torch.equal(drop(values, 0.5, None), values)
    assert torch.equal(drop(values, 0.0, generator), values)
    assert torch.equal(generator.get_state(), random)


@pytest.mark.parametrize(("cell", "reset"), CELLS)
@pytest.mark.parametrize("shares", [(0.4, 0.0), (0.0, 0.4), (0.3, 0.5)])
def test_dropout_is_on_the_way_up_and_not_on_the_way_through_time(
    cell: str, reset: str, shares: tuple[float, float]
) -> None:
    below, between = shares
    options: dict[str, Any] = {"input_dropout": below, "dropout": between, "feed_forward": [3]}
    model, clean = network([6, 5], cell, reset, **options), network([6, 5], cell, reset)
    assert model.random
    assert not clean.random
    inputs, sizes = pack([randn(length, 4, seed=length) for length in (4, 2, 2, 1)])
    start = randn(4, model.width)
    found = model(inputs, sizes, start, torch.Generator().manual_seed(5))

    generator = torch.Generator().manual_seed(5)
    outputs = drop(inputs, below, generator)
    for layer, state in zip(model.cells, start.split(model.widths, dim=1), strict=True):
        states = run(layer, outputs, sizes, state)
        outputs = drop(states[:, : layer.hidden], between, generator)
    expected = model.top(outputs[last_steps(sizes)])
    assert torch.equal(found, expected)

    without = model(inputs, sizes, start)
    assert not torch.isclose(found, without).any(dim=1).all()
    steps = [model.step(inputs[:1], start[:1]) for _ in range(2)]
    assert torch.equal(*steps)
    assert torch.equal(model(inputs, sizes, start), without)


@pytest.mark.parametrize("cell", GATES)
def test_dropout_reaches_every_depth(cell: str) -> None:
    """Where all that can vary is cut off but one place, this place still varies."""
    inputs, sizes = randn(200, 4), [200]

    def differs(model: GRU4Rec) -> bool:
        start = torch.zeros(200, model.width, dtype=torch.float64)
        dropped = model(inputs, sizes, start, torch.Generator().manual_seed(0))
        return not torch.equal(dropped, model(inputs, sizes, start))

    assert differs(network([6, 5], cell, input_dropout=0.5))
    assert not differs(network([6, 5], cell))
    # Of the last layer: its outputs are zero or scaled up.
    model = network([5], cell, dropout=0.5)
    start = torch.zeros(200, model.width, dtype=torch.float64)
    clean = model(inputs, sizes, start)
    last = model(inputs, sizes, start, torch.Generator().manual_seed(0))
    assert 0.4 < (last == 0).double().mean() < 0.6
    torch.testing.assert_close(last[last != 0], 2 * clean[last != 0])
    # Between the layers: the outputs are more than zeros and scaled up.
    model = network([6, 5], cell, dropout=0.5)
    start = torch.zeros(200, model.width, dtype=torch.float64)
    clean = model(inputs, sizes, start)
    deep = model(inputs, sizes, start, torch.Generator().manual_seed(0))
    assert not torch.isclose(deep, 2 * clean)[deep != 0].all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reset": "between"}, "before, after"),
        ({"cell": "tcn"}, "gru, lstm or rnn"),
        ({"activation": "sine"}, "linear, relu, tanh, elu, gelu, not 'sine'"),
    ],
)
def test_an_unknown_name_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GRU4Rec(3, [5], **options)  # type: ignore[arg-type]
