"""The network: stacked cells over windows of clicks, feed-forward layers on top."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..compute.device import HOST
from ..compute.transfer import to_device
from .cells import Cell, GRUCell, make_cell
from .packed_gru import PackedGRU

ACTIVATIONS = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
}


class GRU4Rec(nn.Module):
    """Recurrent network from a session's clicks to a vector that scores items.

    Hidasi et al., 2016, "Session-based Recommendations with Recurrent Neural Networks". The item
    tables live outside (`ItemTable`): the network sees the embedded clicks ``x_t = E[i_t]`` and
    gives ``f(h_t)``; the scores of all items are ``f(h_t) @ E_outᵀ + b``.

    Parameters
    ----------
    inputs
        Size of an item's embedding; None for one-hot input, where what comes in is the item's row
        of the first cell's input weights.
    hidden
        Sizes of the hidden states, one a layer.
    cell, reset
        Form of the cells: ``gru``, ``lstm`` or ``rnn``; and see `GRUCell`.
    feed_forward, activation
        Sizes of the layers of ``f``, none or more, and what follows each of them.
    input_dropout, dropout
        Share of the embedding, and of every layer's output, that is left out in training.

    """

    def __init__(
        self,
        inputs: int | None,
        hidden: Sequence[int],
        *,
        cell: str = "gru",
        reset: str = "before",
        feed_forward: Sequence[int] = (),
        activation: str = "tanh",
        input_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            names = ", ".join(ACTIVATIONS)
            raise ValueError(f"activation must be one of {names}, not {activation!r}")
        self.cells: list[Cell] = []
        for size in hidden:
            self.cells.append(make_cell(cell, inputs, size, reset))
            inputs = size
        self.layers = nn.ModuleList(self.cells)  # So that torch finds their weights.
        self.widths = [cell.width for cell in self.cells]
        self.input_dropout = input_dropout
        self.dropout = dropout
        self.top = nn.Sequential()
        self.size = hidden[-1]
        for size in feed_forward:
            self.top.extend([nn.Linear(self.size, size), ACTIVATIONS[activation]()])
            self.size = size

    @property
    def width(self) -> int:
        """Size of a session's state: the states of all layers."""
        return sum(self.widths)

    @property
    def random(self) -> bool:
        """Whether a pass in training differs from one in testing."""
        return bool(self.dropout or self.input_dropout)

    @torch.no_grad()
    def initialise(
        self, spread: float, identity: float, open_gate: float, generator: torch.Generator
    ) -> None:
        """Draw the weights: of the cells, see `Cell.initialise`; ``f`` starts near the identity."""
        for cell in self.cells:
            cell.initialise(spread, identity, open_gate, generator)
        for layer in self.top:
            if isinstance(layer, nn.Linear):
                drawn = torch.rand(layer.weight.shape, generator=generator, dtype=torch.float64)
                layer.weight.copy_((2 * drawn - 1) * spread)
                layer.weight.diagonal().add_(1.0)
                layer.bias.zero_()

    def forward(
        self,
        inputs: Tensor,
        sizes: list[int],
        start: Tensor,
        dropping: torch.Generator | None = None,
    ) -> Tensor:
        """Run over packed windows.

        Parameters
        ----------
        inputs
            (sum of sizes, inputs): all first steps, then all second steps, ….
        sizes
            How many windows have each step; falling.
        start
            (n, width): the states before the windows; n is ``sizes[0]``.
        dropping
            Source of the dropout's random numbers, on the CPU; None: nothing is dropped.

        Returns
        -------
        Tensor
            (n, size): ``f(h)`` at each window's last step.

        """
        if not sizes:
            return self.output(start)
        inputs = drop(inputs, self.input_dropout, dropping)
        for cell, state in zip(self.cells, start.split(self.widths, dim=1), strict=True):
            inputs = drop(cell.output(run(cell, inputs, sizes, state)), self.dropout, dropping)
        outputs: Tensor = self.top(inputs.index_select(0, last_steps(sizes, inputs.device)))
        return outputs

    def states(self, inputs: Tensor, sizes: list[int], start: Tensor) -> Tensor:
        """Return the states after every step of windows, packed as for `forward`: (t, width).

        Nothing is dropped.
        """
        found = []
        for cell, state in zip(self.cells, start.split(self.widths, dim=1), strict=True):
            found.append(run(cell, inputs, sizes, state))
            inputs = cell.output(found[-1])
        return torch.cat(found, dim=1)

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Take one step: inputs (n, inputs) and states (n, width) to states (n, width)."""
        new = []
        for cell, old in zip(self.cells, state.split(self.widths, dim=1), strict=True):
            new.append(cell(cell.project(inputs), old))
            inputs = cell.output(new[-1])
        return torch.cat(new, dim=1)

    def output(self, state: Tensor) -> Tensor:
        """Return what scores items from states: (n, width) to (n, size)."""
        outputs: Tensor = self.top(self.cells[-1].output(state[:, -self.widths[-1] :]))
        return outputs


def drop(values: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Leave out a share of values, and scale the others up so that their mean stays."""
    if not share or generator is None:
        return values
    kept = torch.rand(values.shape, generator=generator) >= share
    return values * to_device(kept.numpy(), values.device).to(values.dtype) / (1 - share)


def run(cell: Cell, inputs: Tensor, sizes: list[int], state: Tensor) -> Tensor:
    """Run a cell over packed sequences: inputs (t, inputs) to states (t, width)."""
    if isinstance(cell, GRUCell) and cell.reset == "before" and cell.weight_x is not None:
        states: Tensor = PackedGRU.apply(  # type: ignore[no-untyped-call]
            inputs, sizes, state, cell.weight_x, cell.weight_h, cell.bias
        )
        return states
    outputs = []
    for projected in cell.project(inputs).split(sizes):
        state = cell(projected, state[: len(projected)])
        outputs.append(state)
    return torch.cat(outputs)


def last_steps(sizes: list[int], device: torch.device = HOST) -> Tensor:
    """Return where each packed sequence ends, on a device.

    Examples
    --------
    >>> last_steps([3, 1])  # The first sequence has two steps, the others one.
    tensor([3, 1, 2])

    """
    end, places = sum(sizes), []
    shorter = 0
    for size in reversed(sizes):
        # Of the last step all end there; of each other one those that have no further step.
        end -= size
        if size > shorter:
            places.append(torch.arange(end + shorter, end + size, device=device))
            shorter = size
    return torch.cat(places)
