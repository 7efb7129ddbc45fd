"""BERT4Rec: attention in both directions over a session's last clicks, learned by gaps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...items.vocabulary import NO_ITEM
from .attention import Attention, FeedForward, Norm, uniform
from .base import NeuralRival
from .config import Config
from .encoder import SessionEncoder


class BERT4RecConfig(Config, frozen=True, kw_only=True):
    """Options of `BERT4Rec`: those of `Config`, and its own.

    Parameters
    ----------
    blocks, heads
        Blocks of attention, and heads of each.
    masked
        Each click of a window is masked with this probability, to be learned from the others.
    init_range
        Initial matrices are uniform in ±init_range.
    gain
        How strongly a session at first predicts the items that the mask attends to.
    slope
        How much the first attention falls with each click of distance, see `Attention`.

    """

    learning_rate: float = 0.002
    item_learning_rate: float = 0.07
    blocks: int = 1
    heads: int = 1
    masked: float = 0.2
    init_range: float = 0.05
    gain: float = 1.0
    slope: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        if not 0 <= self.masked < 1:
            raise ValueError(f"masked must be from 0 to below 1, not {self.masked}")


class Block(nn.Module):
    """Attention, then a feed-forward layer, each ``norm(x + f(x))``."""

    def __init__(self, size: int, heads: int, steps: int) -> None:
        super().__init__()
        self.attention = Attention(size, heads, steps)
        self.between = Norm(size)
        self.layers = FeedForward(size, 4 * size, nn.GELU())
        self.after = Norm(size)

    def forward(self, inputs: Tensor, allowed: Tensor, asked: int) -> Tensor:
        """Go through the block; only the last `asked` places are given."""
        own = inputs[:, -asked:]
        held = self.between(own + self.attention(own, inputs, allowed))
        result: Tensor = self.after(held + self.layers(held))
        return result


class Cloze(SessionEncoder):
    """What BERT4Rec reads a window by: it fills gaps, and the next click is one at the end."""

    def __init__(self, config: BERT4RecConfig) -> None:
        super().__init__()
        size, steps = config.size, config.window + 1
        self.config = config
        self.places = nn.Parameter(torch.empty(steps, size))
        self.mask = nn.Parameter(torch.empty(size))
        self.blocks = nn.ModuleList(Block(size, config.heads, steps) for _ in range(config.blocks))
        self.project = nn.Parameter(torch.empty(size, size))
        self.shift = nn.Parameter(torch.empty(size))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights; the vectors of places and mask start at zero."""
        config = self.config
        for block in self.blocks:
            assert isinstance(block, Block)
            block.attention.initialise(config.init_range, 1.0, config.slope, generator)
            block.between.initialise()
            block.layers.initialise(config.init_range, generator)
            block.after.initialise()
        for vector in (self.places, self.mask, self.shift):
            vector.zero_()
        uniform(self.project, config.init_range, generator)
        self.project.diagonal().add_(config.gain)

    def forward(self, inputs: Tensor, there: Tensor) -> Tensor:
        """Read windows with the mask after their end, see `SessionEncoder.forward`."""
        end = torch.zeros_like(inputs[:, :1])
        last = torch.ones_like(there[:, :1])
        gaps = torch.cat([torch.zeros_like(there), last], dim=1)
        return self.fill(torch.cat([inputs, end], dim=1), torch.cat([there, last], 1), gaps, 1)[
            :, 0
        ]

    def fill(self, inputs: Tensor, there: Tensor, gaps: Tensor, asked: int) -> Tensor:
        """Return the predicted vectors at the last places of windows.

        Parameters
        ----------
        inputs
            (m, k, size): the clicks' vectors; those at gaps are not read.
        there, gaps
            bool (m, k): which places hold a click, and which of these are masked.
        asked
            How many of the last places are wanted.

        Returns
        -------
        Tensor
            (m, asked, size).

        """
        steps = inputs.shape[1]
        held = torch.where(gaps[:, :, None], self.mask, inputs) + self.places[-steps:]
        # A place before the window's first click attends to itself: its softmax must not be empty.
        itself = torch.eye(steps, dtype=torch.bool, device=held.device)
        allowed = there[:, None, :] | itself
        for block in self.blocks[:-1]:
            held = block(held, allowed, steps)
        held = self.blocks[-1](held, allowed[:, -asked:], asked)
        return nn.functional.gelu(held @ self.project + self.shift)


class BERT4Rec(NeuralRival):
    """Bidirectional self-attention, learned online by the Cloze task.

    F. Sun et al., 2019, "BERT4Rec: Sequential Recommendation with Bidirectional Encoder
    Representations from Transformer": a session's last K items and a mask after them go through
    blocks of attention in both directions; what comes out at the mask, times an item's vector, is
    the item's score. In training, clicks of a window are masked at random and predicted from those
    around them; as in the paper there are besides windows where just the last click is masked,
    which is what is asked in the end: here each window of a batch is learned in both ways. No
    window reaches past its batch, and a batch is learned after it has been scored.

    As with `SASRec` the loss is the cross-entropy over sampled items, and there is no dropout.
    """

    name = "bert4rec"
    options = BERT4RecConfig
    config: BERT4RecConfig
    encoder: Cloze

    def make_encoder(self) -> Cloze:
        """Make the blocks."""
        return Cloze(self.config)

    def examples(
        self, clicks: Tensor, there: Tensor, inputs: Tensor, outputs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the scored clicks, and gaps in the windows that end with them."""
        drawn = torch.rand(clicks.shape, generator=self._draws, dtype=torch.float64)
        there = torch.cat([there, torch.ones_like(there[:, :1])], dim=1)
        gaps = (drawn.to(self.device) < self.config.masked) & there & (clicks != NO_ITEM)
        if not gaps.any():
            return outputs, clicks[:, -1]
        filled = self.encoder.fill(inputs, there, gaps, clicks.shape[1])[gaps]
        return torch.cat([outputs, filled]), torch.cat([clicks[:, -1], clicks[gaps]])
