from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nextclick.models.gru4rec import GRU4Rec

LAYERS = [[4], [5, 3], [2, 6, 4]]


def network(hidden: list[int], reset: str = "before", inputs: int = 4) -> GRU4Rec:
    model = GRU4Rec(inputs, hidden, reset).double()
    draw = torch.Generator().manual_seed(3)
    for weight in model.parameters():
        weight.data = torch.randn(weight.shape, generator=draw, dtype=torch.float64)
    return model


def pack(windows: list[torch.Tensor]) -> tuple[torch.Tensor, list[int]]:
    """Pack windows of falling length: all first steps, then all second steps, …."""
    sizes = [
        sum(len(window) > step for window in windows)
        for step in range(max((len(window) for window in windows), default=0))
    ]
    steps = [window[step] for step, size in enumerate(sizes) for window in windows[:size]]
    return torch.stack(steps) if steps else torch.zeros(0, 4, dtype=torch.float64), sizes


@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=9),
    st.sampled_from(LAYERS),
    st.sampled_from(["before", "after"]),
    st.integers(0, 10_000),
)
@settings(max_examples=50)
def test_packed_windows_run_as_each_would_alone(
    lengths: list[int], hidden: list[int], reset: str, seed: int
) -> None:
    model = network(hidden, reset)
    draw = torch.Generator().manual_seed(seed)
    windows = [
        torch.randn(length, 4, generator=draw, dtype=torch.float64)
        for length in sorted(lengths, reverse=True)
    ]
    start = torch.randn(len(windows), model.width, generator=draw, dtype=torch.float64)
    inputs, sizes = pack(windows)
    outputs = model(inputs, sizes, start)
    assert outputs.shape == (len(windows), hidden[-1])
    for place, window in enumerate(windows):
        state = start[place : place + 1]
        for click in window:
            state = model.step(click[None], state)
        expected = model.output(state)[0]
        torch.testing.assert_close(outputs[place], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("hidden", LAYERS)
@pytest.mark.parametrize("reset", ["before", "after"])
def test_a_step_hands_each_layers_new_state_to_the_next(hidden: list[int], reset: str) -> None:
    model = network(hidden, reset)
    draw = torch.Generator().manual_seed(0)
    below = torch.randn(3, 4, generator=draw, dtype=torch.float64)
    state = torch.randn(3, sum(hidden), generator=draw, dtype=torch.float64)
    found = model.step(below, state)
    place = 0
    for cell, size in zip(model.cells, hidden, strict=True):
        below = cell(cell.project(below), state[:, place : place + size])
        assert torch.equal(found[:, place : place + size], below)
        place += size
    assert torch.equal(model.output(found), below)


@pytest.mark.parametrize("reset", ["before", "after"])
def test_two_layers_are_two_gru_layers_of_torch(reset: str) -> None:
    """Without an old state, as in a window of one click, both forms of the reset agree."""
    model = network([5, 3], reset)
    reference = torch.nn.GRU(4, 5).double(), torch.nn.GRU(5, 3).double()
    draw = torch.Generator().manual_seed(1)
    window = torch.randn(6 if reset == "after" else 1, 4, generator=draw, dtype=torch.float64)
    outputs = window[:, None]
    with torch.no_grad():
        for cell, layer in zip(model.cells, reference, strict=True):
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
                saved["bias_hh_l0"][-cell.hidden :] = cell.bias_h
            layer.load_state_dict(saved)
            outputs, _ = layer(outputs)
        found = model(window, [1] * len(window), torch.zeros(1, 8, dtype=torch.float64))
    torch.testing.assert_close(found, outputs[-1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("hidden", LAYERS)
def test_width_is_that_of_all_layers_and_the_output_that_of_the_last(hidden: list[int]) -> None:
    model = network(hidden)
    assert model.width == sum(hidden)
    state = torch.arange(2.0 * model.width).view(2, model.width)
    assert torch.equal(model.output(state), state[:, model.width - hidden[-1] :])


def test_nothing_to_run_is_no_trouble() -> None:
    model = network([5, 3])
    nothing = torch.zeros(0, 4, dtype=torch.float64)
    assert model(nothing, [], torch.zeros(0, 8, dtype=torch.float64)).shape == (0, 3)
    assert model.step(nothing, torch.zeros(0, 8, dtype=torch.float64)).shape == (0, 8)


def test_gradient_of_packed_windows_is_that_of_finite_differences() -> None:
    model = network([3, 2])
    draw = torch.Generator().manual_seed(2)
    windows = [
        torch.randn(length, 4, generator=draw, dtype=torch.float64) for length in (4, 2, 2, 1)
    ]
    inputs, sizes = pack(windows)
    start = torch.randn(4, 5, generator=draw, dtype=torch.float64)
    leaves = (inputs.requires_grad_(), start.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, h: model(x, sizes, h), leaves)
    weights = list(model.parameters())
    assert all(
        gradient.abs().sum() > 0
        for gradient in torch.autograd.grad(model(inputs, sizes, start).sum(), weights)
    )


def test_torch_finds_every_weight_once() -> None:
    assert sum(weight.numel() for weight in network([5, 3]).parameters()) == 3 * (
        5 * (4 + 5 + 1) + 3 * (5 + 3 + 1)
    )


def test_an_unknown_reset_is_refused() -> None:
    with pytest.raises(ValueError, match="before, after"):
        GRU4Rec(3, [5], "between")
