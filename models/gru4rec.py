"""The network: stacked cells over windows of clicks, and item scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .cells import GRUCell


class GRU4Rec(nn.Module):
    """Recurrent network from a session's clicks to a vector that scores items.

    Hidasi et al., 2016, "Session-based Recommendations with Recurrent Neural Networks". The item
    tables live outside (`ItemTable`): the network sees the embedded clicks ``x_t = E[i_t]`` and
    gives ``h_t``; the scores of all items are ``h_t @ E_outᵀ + b``.

    Parameters
    ----------
    inputs
        Size of an item's embedding.
    hidden
        Sizes of the hidden states, one a layer.
    reset
        Form of the cell, see `GRUCell`.

    """

    def __init__(self, inputs: int, hidden: Sequence[int], reset: str = "before") -> None:
        super().__init__()
        sizes = [inputs, *hidden]
        self.cells = [
            GRUCell(size_in, size, reset) for size_in, size in zip(sizes, hidden, strict=False)
        ]
        self.layers = nn.ModuleList(self.cells)  # So that torch finds their weights.
        self.hidden = list(hidden)

    @property
    def width(self) -> int:
        """Size of a session's state: the hidden states of all layers."""
        return sum(self.hidden)

    def forward(self, inputs: Tensor, sizes: list[int], start: Tensor) -> Tensor:
        """Run over packed windows.

        Parameters
        ----------
        inputs
            (sum of sizes, inputs): all first steps, then all second steps, ….
        sizes
            How many windows have each step; falling.
        start
            (n, width): the states before the windows; n is ``sizes[0]``.

        Returns
        -------
        Tensor
            (n, hidden of the last layer): the output at each window's last step.

        """
        states = start.split(self.hidden, dim=1)
        if not sizes:
            return self.output(start)
        last = len(self.hidden) - 1
        for layer, (cell, state) in enumerate(zip(self.cells, states, strict=True)):
            outputs, finished = [], []
            for projected in cell.project(inputs).split(sizes):
                active = len(projected)
                if active < len(state):
                    finished.append(state[active:])
                    state = state[:active]
                state = cell(projected, state)
                outputs.append(state)
            if layer < last:
                inputs = torch.cat(outputs)
        finished.append(state)
        return torch.cat(finished[::-1])

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Take one step: inputs (n, inputs) and states (n, width) to states (n, width)."""
        new = []
        for cell, old in zip(self.cells, state.split(self.hidden, dim=1), strict=True):
            inputs = cell(cell.project(inputs), old)
            new.append(inputs)
        return torch.cat(new, dim=1)

    def output(self, state: Tensor) -> Tensor:
        """Give what scores items from states: (n, width) to (n, hidden of the last layer)."""
        return state[:, -self.hidden[-1] :]
