"""A network computed in one float type while its weights are kept in another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .network import GRU4Rec

KEPT = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.float32,
}
"""The type in which weights, states and item tables are kept, for each type of the arithmetic.

A number in bfloat16 has eight binary digits: a step of learning of less than 0.2 % of a weight
would leave it as it is, and items whose scores are near each other would tie. So only the network
itself is computed in bfloat16. Its weights, the optimizer's state, the states, the item
tables and all scores stay in float32.
"""


class Precision(nn.Module):
    """Runs a network in a float type of its own; what goes in and comes out has the weights' type.

    Parameters
    ----------
    network
        Holds the weights, which gradients reach in their own type.
    dtype
        ``"float32"``, ``"float64"`` or ``"bfloat16"``.

    Raises
    ------
    ValueError
        There is no such type.

    """

    def __init__(self, network: GRU4Rec, dtype: str) -> None:
        super().__init__()
        if dtype not in KEPT:
            raise ValueError(f"dtype must be one of {', '.join(KEPT)}, not {dtype!r}")
        self.network = network
        self.kept = KEPT[dtype]
        self.dtype: torch.dtype = getattr(torch, dtype)

    def forward(self, method: str, *arguments: Any) -> Tensor:
        """Call a method of the network: ``forward``, ``states``, ``step`` or ``output``."""
        result: Tensor = getattr(self.network, method)(*arguments)
        return result

    def run(self, method: str, *arguments: Any) -> Tensor:
        """Call a method of the network in the arithmetic's type."""
        if self.dtype == self.kept:
            return self.forward(method, *arguments)
        weights = {name: weight.to(self.dtype) for name, weight in self.named_parameters()}
        cast = [a.to(self.dtype) if isinstance(a, Tensor) else a for a in arguments]
        result: Tensor = functional_call(self, weights, (method, *cast))
        return result.to(self.kept)
