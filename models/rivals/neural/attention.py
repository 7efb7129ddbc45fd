"""Self-attention over windows of clicks, and the layer after it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention that falls with distance, by learned numbers.

    ``o_i = W_o concat_h Σ_j softmax_j(q_i · k_j / √n − fall_h,|i−j|) v_j`` with q, k and v linear
    in the inputs: A. Vaswani et al., 2017, "Attention Is All You Need", section 3.2, and for the
    last term P. Shaw et al., 2018, "Self-Attention with Relative Position Representations", in the
    form of one number a head and distance (C. Raffel et al., 2020, "Exploring the Limits of
    Transfer Learning with a Unified Text-to-Text Transformer").

    Parameters
    ----------
    size, heads
        Numbers in a vector, and heads that share them evenly.
    steps
        The longest window.

    Raises
    ------
    ValueError
        The heads cannot share the numbers evenly.

    """

    def __init__(self, size: int, heads: int, steps: int) -> None:
        super().__init__()
        if size % heads:
            raise ValueError(f"size must be a multiple of heads, but {size} is not one of {heads}")
        self.heads = heads
        self.query = nn.Parameter(torch.empty(size, size))
        self.key = nn.Parameter(torch.empty(size, size))
        self.value = nn.Parameter(torch.empty(size, size))
        self.mix = nn.Parameter(torch.empty(size, size))
        self.fall = nn.Parameter(torch.empty(heads, steps))

    @torch.no_grad()
    def initialise(
        self, spread: float, identity: float, slope: float, generator: torch.Generator
    ) -> None:
        """Draw the weights.

        Parameters
        ----------
        spread
            All matrices are uniform in ±spread.
        identity
            This multiple of the identity is added to those of the values and of the output.
        slope
            How much it falls at first with each click of distance beyond the first.
        generator
            Source of the random numbers, on the CPU.

        """
        for weight in (self.query, self.key, self.value, self.mix):
            uniform(weight, spread, generator)
        for weight in (self.value, self.mix):
            weight.diagonal().add_(identity)
        distance = torch.arange(self.fall.shape[1], dtype=torch.float64)
        self.fall.copy_(slope * (distance - 1).clamp(min=0))

    def forward(self, queries: Tensor, inputs: Tensor, allowed: Tensor) -> Tensor:
        """Attend.

        Parameters
        ----------
        queries
            (m, q, size): what stands at the last q of the k places.
        inputs
            (m, k, size): what is attended to.
        allowed
            bool (m or 1, q, k): which inputs a query may attend to; at least one each.

        Returns
        -------
        Tensor
            (m, q, size).

        """
        many, asked, size = queries.shape
        held = inputs.shape[1]
        shape = (many, -1, self.heads, size // self.heads)
        query = (queries @ self.query).view(shape)
        key = (inputs @ self.key).view(shape)
        value = (inputs @ self.value).view(shape)
        places = torch.arange(held, device=inputs.device)
        distance = (places[held - asked :, None] - places).abs()
        scores = torch.einsum("mqhn,mkhn->mhqk", query, key) / math.sqrt(size // self.heads)
        scores = scores - self.fall[:, distance]
        weights = scores.masked_fill(~allowed[:, None], -torch.inf).softmax(dim=3)
        found = torch.einsum("mhqk,mkhn->mqhn", weights, value)
        return found.reshape(many, asked, size) @ self.mix


class FeedForward(nn.Module):
    """Two layers at every place by itself: ``f(x W_1 + b_1) W_2 + b_2``.

    Parameters
    ----------
    size, inner
        Numbers in a vector, and between the layers.
    function
        f.

    """

    def __init__(self, size: int, inner: int, function: nn.Module) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.empty(size, inner))
        self.first_bias = nn.Parameter(torch.empty(inner))
        self.second = nn.Parameter(torch.empty(inner, size))
        self.second_bias = nn.Parameter(torch.empty(size))
        self.function = function

    @torch.no_grad()
    def initialise(self, spread: float, generator: torch.Generator) -> None:
        """Draw the matrices uniform in ±spread; the biases start at zero."""
        for weight in (self.first, self.second):
            uniform(weight, spread, generator)
        for bias in (self.first_bias, self.second_bias):
            bias.zero_()

    def forward(self, inputs: Tensor) -> Tensor:
        """Go through the layers: (…, size) to (…, size)."""
        within = self.function(inputs @ self.first + self.first_bias)
        result: Tensor = within @ self.second + self.second_bias
        return result


class Norm(nn.LayerNorm):
    """Layer normalisation, learned gain and shift included (Ba et al., 2016)."""

    @torch.no_grad()
    def initialise(self, gain: float = 1.0) -> None:
        """Start with this gain and no shift."""
        self.weight.fill_(gain)
        self.bias.zero_()


def uniform(weight: Tensor, spread: float, generator: torch.Generator) -> None:
    """Draw a weight uniform in ±spread, in place."""
    drawn = torch.rand(weight.shape, generator=generator, dtype=torch.float64)
    weight.copy_((2 * drawn - 1) * spread)
