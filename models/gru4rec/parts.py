"""The parts of the learner, as its options say."""

from __future__ import annotations

import torch

from .cells import GATES
from .config import GRU4RecConfig
from .network import GRU4Rec


def make_network(config: GRU4RecConfig, generator: torch.Generator) -> GRU4Rec:
    """Make the network, and draw its weights."""
    reads = {"tied": config.output_size, "separate": config.layers[0], "one-hot": None}
    network = GRU4Rec(
        reads[config.embedding],
        config.layers,
        cell=config.cell,
        reset=config.reset,
        feed_forward=config.feed_forward,
        activation=config.activation,
        input_dropout=config.input_dropout,
        dropout=config.dropout,
    )
    network.initialise(config.init_range, config.identity, config.update_gate_bias, generator)
    return network


def input_size(config: GRU4RecConfig) -> int | None:
    """Return the length of an item's input embedding; None where it is that of the scores."""
    first = config.layers[0]
    sizes = {"tied": None, "separate": first, "one-hot": GATES[config.cell] * first}
    return sizes[config.embedding]
