"""The network: stacked cells over windows of clicks, and item scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .cells import GRUCell
from .packed import PackedGRU


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
        if not sizes:
            return self.output(start)
        for cell, state in zip(self.cells, start.split(self.hidden, dim=1), strict=True):
            inputs = run(cell, inputs, sizes, state)
        return inputs[last_steps(sizes)]

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


def run(cell: GRUCell, inputs: Tensor, sizes: list[int], state: Tensor) -> Tensor:
    """Run a cell over packed sequences: inputs (t, inputs) to states (t, hidden)."""
    if cell.reset == "before":
        states: Tensor = PackedGRU.apply(  # type: ignore[no-untyped-call]
            inputs, sizes, state, cell.weight_x, cell.weight_h, cell.bias
        )
        return states
    outputs = []
    for projected in cell.project(inputs).split(sizes):
        state = cell(projected, state[: len(projected)])
        outputs.append(state)
    return torch.cat(outputs)


def last_steps(sizes: list[int]) -> Tensor:
    """Give where each packed sequence ends.

    Examples
    --------
    >>> last_steps([3, 1])  # The first sequence has two steps, the others one.
    tensor([3, 1, 2])

    """
    ends = np.cumsum([0, *sizes])
    lengths = np.zeros(sizes[0], np.int64)
    for size in sizes:
        lengths[:size] += 1
    return torch.from_numpy(ends[lengths - 1] + np.arange(sizes[0]))
