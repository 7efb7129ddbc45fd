"""What one rank has: its rows, its sessions' states, and the whole network and memory."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..gru4rec.config import GRU4RecConfig
from ..gru4rec.mixed_precision import Precision
from ..gru4rec.network import GRU4Rec
from ..gru4rec.parts import input_size
from ..gru4rec.trainer import Updater
from ..items.item_table import ItemVectors
from ..optim import make_rule
from .buckets import Buckets
from .group import Group
from .recall import Recall
from .shard import SessionStates


class Shard:
    """A rank's shard of the items and of the sessions, with the whole network and the memory.

    Parameters
    ----------
    config
        Of the model.
    group
        The ranks.
    network
        With its first weights, which are the same at every rank.
    seed
        Of the memory.
    device, dtype
        Where and in which arithmetic the rank computes, see `OnlineGRU4Rec`.

    """

    def __init__(
        self,
        config: GRU4RecConfig,
        group: Group,
        network: GRU4Rec,
        seed: int,
        device: torch.device,
        dtype: str,
    ) -> None:
        self.config = config
        self.group = group
        self.device = device
        self.buckets = Buckets(group.size, group.rank)
        self.network = network
        self.precision = Precision(network, dtype)
        self.dtype = self.precision.kept
        network.to(device, self.dtype)
        self.items = ItemVectors(
            config.output_size,
            input_size(config),
            config.item_spread,
            make_rule(config.optimizer, config.item_learning_rate, config.momentum),
            device,
            self.dtype,
        )
        self.updater = Updater(config, network, self.items)
        self.states = SessionStates(network.width, device, self.dtype)
        self.recall = Recall(config, seed, self.buckets, group.rank) if config.memory else None

    def to_device(self, array: NDArray[np.generic]) -> Tensor:
        """Return an array where the rank computes."""
        return torch.from_numpy(array).to(self.device)
