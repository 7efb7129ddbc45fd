"""FPMC: a factorised Markov chain beside matrix factorisation."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import NeuralRival
from .config import Config
from .encoder import SessionEncoder


class MeanAndLast(SessionEncoder):
    """The mean of the first halves of the window's vectors, beside the second half of the last one.

    Parameters
    ----------
    taste, step
        What the two parts are multiplied by.

    """

    def __init__(self, taste: float, step: float) -> None:
        super().__init__()
        self.taste = taste
        self.step = step

    def initialise(self, generator: torch.Generator) -> None:
        """There is nothing to draw."""

    def forward(self, inputs: Tensor, there: Tensor) -> Tensor:
        """Read windows, see `SessionEncoder.forward`."""
        half = inputs.shape[2] // 2
        weights = there.to(inputs) / there.sum(dim=1, keepdim=True)
        mean = torch.einsum("mk,mkn->mn", weights, inputs[:, :, :half])
        return torch.cat([self.taste * mean, self.step * inputs[:, -1, half:]], dim=1)


class FPMCConfig(Config, frozen=True, kw_only=True):
    """Options of `FPMC`: those of `Config`, and its own.

    Parameters
    ----------
    taste, step
        What the vectors of the session and of its last item are multiplied by: at first, how
        strongly a session predicts its own items, and its last one.

    """

    window: int = 2
    item_learning_rate: float = 0.07
    taste: float = 1.0
    step: float = 1.0


class FPMC(NeuralRival):
    """Factorised personalised Markov chains.

    The score of item i is ``v_u · a_i + b_l · c_i``: how item i suits user u, and how it follows
    the last item l (S. Rendle et al., 2010, "Factorizing Personalized Markov Chains for
    Next-Basket Recommendation", equation 6, for baskets of one item). The user is the session, and
    v_u the mean of vectors of its last K items, as in M. Ludewig & D. Jannach, 2018, "Evaluation of
    Session-based Recommendation Algorithms", section 3.3. An item's row holds a_i and c_i, `size`
    numbers each, and what is read of it has as many; these start equal, so that an item at first
    predicts itself, and then diverge: what follows an item need not come before it.
    """

    name = "fpmc"
    options = FPMCConfig
    config: FPMCConfig
    tied = False

    def make_encoder(self) -> MeanAndLast:
        """Make what reads the session and its last item."""
        return MeanAndLast(self.config.taste, self.config.step)

    @property
    def length(self) -> int:
        """How many numbers an item's row has: twice the size of each of the two factors."""
        return 2 * self.config.size
