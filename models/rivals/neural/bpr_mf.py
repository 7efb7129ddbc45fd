"""BPR-MF: matrix factorisation, learned by ranking pairs, with a session in the user's place."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from .base import NeuralRival
from .config import Config
from .encoder import SessionEncoder


class Mean(SessionEncoder):
    """The mean of the window's vectors, times a constant.

    Parameters
    ----------
    strength
        The constant.

    """

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def initialise(self, generator: torch.Generator) -> None:
        """There is nothing to draw."""

    def forward(self, inputs: Tensor, there: Tensor) -> Tensor:
        """Return ``strength · mean_j v_j``; see `SessionEncoder.forward`."""
        weights = there.to(inputs) / there.sum(dim=1, keepdim=True)
        return self.strength * torch.einsum("mk,mkn->mn", weights, inputs)


class BPRMFConfig(Config, frozen=True, kw_only=True):
    """Options of `BPRMF`: those of `Config`, and its own.

    Parameters
    ----------
    strength
        What the mean of the vectors is multiplied by: at first, how strongly a session predicts
        its own items.

    """

    loss: Literal["cross-entropy", "binary-cross-entropy", "bpr", "bpr-max"] = "bpr"
    window: int = 2
    item_learning_rate: float = 0.07
    strength: float = 2.0


class BPRMF(NeuralRival):
    """Matrix factorisation over sessions.

    The score of item i is ``p · q_i`` (S. Rendle et al., 2009, "BPR: Bayesian Personalized Ranking
    from Implicit Feedback", section 4.3.1) where the user's vector p is the mean of the vectors of
    the session's last K items, since a session that has just begun has none of its own (B. Hidasi
    et al., 2016, "Session-based Recommendations with Recurrent Neural Networks", section 4). The
    gradient of BPR's pairwise loss flows into these items too (S. Kabbur et al., 2013, "FISM:
    Factored Item Similarity Models for Top-N Recommender Systems").
    """

    name = "bpr-mf"
    options = BPRMFConfig
    config: BPRMFConfig

    def make_encoder(self) -> Mean:
        """Make the mean."""
        return Mean(self.config.strength)
