"""The part of a windowed rival that reads a session."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class SessionEncoder(nn.Module, ABC):
    """Makes of a session's last clicks one vector, whose product with an item's is its score."""

    @abstractmethod
    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights on the CPU, so that all devices draw the same."""

    @abstractmethod
    def forward(self, inputs: Tensor, there: Tensor) -> Tensor:
        """Read windows.

        Parameters
        ----------
        inputs
            (m, k, size): the vectors of the clicks before the scored one, the latest last.
        there
            bool (m, k): there is such a click; the last is always there.

        Returns
        -------
        Tensor
            (m, size).

        """
