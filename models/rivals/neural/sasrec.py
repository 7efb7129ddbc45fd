"""SASRec: self-attention over a session's last clicks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .attention import Attention, FeedForward, Norm
from .base import NeuralRival
from .config import Config
from .encoder import SessionEncoder


class SASRecConfig(Config, frozen=True, kw_only=True):
    """Options of `SASRec`: those of `Config`, and its own.

    Parameters
    ----------
    blocks, heads
        Blocks of attention, and heads of each.
    init_range
        Initial matrices are uniform in ±init_range.
    gain
        The last norm's gain at first: how strongly a session then predicts its last item.
    slope
        How much the first attention falls with each click of distance, see `Attention`.
    identity
        How much of what is attended to comes through at first, see `Attention`.

    """

    learning_rate: float = 0.002
    item_learning_rate: float = 0.07
    blocks: int = 1
    heads: int = 1
    init_range: float = 0.05
    gain: float = 0.4
    slope: float = 0.5
    identity: float = 0.5


class Block(nn.Module):
    """Attention, then a feed-forward layer, each ``x + f(norm(x))``."""

    def __init__(self, size: int, heads: int, steps: int) -> None:
        super().__init__()
        self.before = Norm(size)
        self.attention = Attention(size, heads, steps)
        self.between = Norm(size)
        self.layers = FeedForward(size, size, nn.ReLU())

    def forward(self, inputs: Tensor, allowed: Tensor, asked: int) -> Tensor:
        """Go through the block; only the last `asked` places are given."""
        normed = self.before(inputs)
        held = inputs[:, -asked:] + self.attention(normed[:, -asked:], normed, allowed[:, -asked:])
        result: Tensor = held + self.layers(self.between(held))
        return result


class SelfAttentive(SessionEncoder):
    """What SASRec reads a window by."""

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        size, steps = config.size, config.window
        self.config = config
        self.places = nn.Parameter(torch.empty(steps, size))
        self.blocks = nn.ModuleList(Block(size, config.heads, steps) for _ in range(config.blocks))
        self.last = Norm(size)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights; the places' vectors start at zero."""
        config = self.config
        self.places.zero_()
        for block in self.blocks:
            assert isinstance(block, Block)
            block.before.initialise()
            block.attention.initialise(config.init_range, config.identity, config.slope, generator)
            block.between.initialise()
            block.layers.initialise(config.init_range, generator)
        self.last.initialise(config.gain)

    def forward(self, inputs: Tensor, there: Tensor) -> Tensor:
        """Read windows, see `SessionEncoder.forward`: the output at the last place."""
        steps = inputs.shape[1]
        held = inputs + self.places[-steps:]
        causal = torch.ones(steps, steps, dtype=torch.bool, device=held.device).tril()
        # A place before the window's first click attends to itself: its softmax must not be empty.
        itself = torch.eye(steps, dtype=torch.bool, device=held.device)
        allowed = (causal & there[:, None, :]) | itself
        for block in self.blocks[:-1]:
            held = block(held, allowed, steps)
        result: Tensor = self.last(self.blocks[-1](held, allowed, 1)[:, 0])
        return result


class SASRec(NeuralRival):
    """Self-attentive sequential recommendation, learned online.

    W.-C. Kang & J. McAuley, 2018, "Self-Attentive Sequential Recommendation": a session's last K
    items, each with a vector of its place counted from the end, go through blocks of causal
    attention and feed-forward layers; the output at the last place times an item's vector is the
    item's score. Items are read and scored by one table. Each click of a batch is learned once, as
    what comes after its window.

    The paper's loss is the binary cross-entropy with one uniform negative; the default here is the
    cross-entropy with the logQ correction over many, with which SASRec is known to gain
    (A. Klenitskiy & A. Vasilev, 2023, "Turning Dross Into Gold Loss: is BERT4Rec really better than
    SASRec?"; A. Petrov & C. Macdonald, 2023, "gSASRec: Reducing Overconfidence in Sequential
    Recommendation Trained with Negative Sampling"). There is no dropout: nothing is read twice.
    """

    name = "sasrec"
    options = SASRecConfig
    config: SASRecConfig

    def make_encoder(self) -> SelfAttentive:
        """Make the blocks."""
        return SelfAttentive(self.config)
