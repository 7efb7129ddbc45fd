"""The options of the learner, with the defaults that learn fastest from clicks seen once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ..option_checks import check_fields

MOST_LAYERS = 100
"""Layers of the network at most, recurrent and others."""

FORMER_NAMES = {
    "rate": "learning_rate",
    "item_rate": "item_learning_rate",
    "negatives": "n_negatives",
    "sightings": "min_count",
    "idle": "max_idle",
    "kinship": "neighbour_init",
    "spread": "init_range",
    "open_gate": "update_gate_bias",
}
"""The options' names in snapshots and exports written before they were renamed."""


def with_present_names(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with the names of today, whenever they were written."""
    return {FORMER_NAMES.get(name, name): value for name, value in options.items()}


class GRU4RecConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Architecture and training options of `OnlineGRU4Rec`.

    Parameters
    ----------
    hidden
        Size of the hidden state; a list gives one size per layer.
    cell
        ``"gru"``, ``"lstm"`` or ``"rnn"``.
    reset
        Form of the GRU cell: ``"before"`` or ``"after"``, see `GRUCell`.
    embedding
        Input embedding of an item: ``"tied"``, the vector that the scores use; ``"separate"``, a
        separate vector, as long as the first hidden state; ``"one-hot"``, its row of the first
        cell's input weights.
    feed_forward
        Sizes of layers between the hidden state and the scores.
    activation
        Activation of these layers: ``linear``, ``relu``, ``tanh``, ``elu`` or ``gelu``.
    bias
        Whether each item has a learned bias.
    window
        K: gradients flow through the last K clicks of a session.
    n_negatives
        Sampled negatives per batch; the batch's own targets are candidates too.
    alpha
        Negatives are drawn by popularity to this power; 0: uniformly.
    half_life
        Half-life of popularity, in clicks, to draw negatives from recently clicked items; 0: no
        decay. The table for drawing negatives is rebuilt every 1,024 clicks, so a shorter
        half-life takes effect late.
    loss
        ``"cross-entropy"``, ``"full-cross-entropy"`` (over the whole catalogue, without sampling),
        ``"binary-cross-entropy"``, ``"bpr"``, ``"bpr-max"``, ``"top1"`` or ``"top1-max"``.
    logq
        Share of the sampling correction (logQ) that the cross-entropies apply.
    smoothing
        Label smoothing of the cross-entropies over candidates or catalogue.
    regularisation
        Weight of the regulariser of BPR-max, see `bpr_max`.
    elu
        ELU parameter for scores below zero in BPR-max, see `bpr_max`.
    optimizer
        ``"adagrad"``, ``"row-adagrad"``, ``"rmsprop"`` or ``"adam"``.
    learning_rate
        Learning rate of the network's weights.
    item_learning_rate
        Learning rate of the item tables, higher because each item is updated far less often.
    momentum
        Momentum: share of the previous step that is added to the next.
    clip
        Gradients are clipped to this norm; 0: never.
    input_dropout, dropout
        Dropout rates in training, of the inputs and of each recurrent layer's outputs.
    init_range
        Initial weights of the network are uniform in ±init_range.
    item_spread
        Initial item embeddings are uniform in ±item_spread.
    identity
        How strongly an untrained model predicts the session's last item: added to the diagonal of
        the candidate's input weights, see `Cell.initialise`.
    update_gate_bias
        Initial bias of the update gate, see `Cell.initialise`.
    min_count
        Number of clicks at which an item enters the catalogue; until then it is never recommended
        and counts as never seen.
    max_idle
        Seconds without a click, in event time, after which an item leaves the catalogue; 0: never.
    neighbour_init
        Share of the previous item's embedding that is added to a new item's random embedding, since
        consecutive items are often similar.
    memory
        Number of recent clicks kept as evidence in addition to the network's scores, see `Memory`;
        0: the network alone.
    memory_rate
        Learning rate of the weights of that evidence.
    memory_boost
        Whether each item with evidence gets a learned factor, see `boost.py`.

    Raises
    ------
    ValueError
        An option is out of its range.

    Examples
    --------
    >>> GRU4RecConfig(hidden=0)
    Traceback (most recent call last):
    ...
    ValueError: hidden must be at least 1, not 0

    """

    hidden: int | list[int] = 100
    cell: Literal["gru", "lstm", "rnn"] = "gru"
    reset: Literal["before", "after"] = "before"
    embedding: Literal["tied", "separate", "one-hot"] = "tied"
    feed_forward: list[int] = []
    activation: Literal["linear", "relu", "tanh", "elu", "gelu"] = "tanh"
    bias: bool = False
    window: int = 5
    n_negatives: int = 2048
    alpha: float = 0.5
    half_life: float = 0.0
    loss: Literal[
        "cross-entropy",
        "full-cross-entropy",
        "binary-cross-entropy",
        "bpr",
        "bpr-max",
        "top1",
        "top1-max",
    ] = "cross-entropy"
    logq: float = 1.0
    smoothing: float = 0.0
    regularisation: float = 0.0
    elu: float = 0.0
    optimizer: Literal["adagrad", "row-adagrad", "rmsprop", "adam"] = "adagrad"
    learning_rate: float = 0.02
    item_learning_rate: float = 0.1
    momentum: float = 0.0
    clip: float = 0.0
    input_dropout: float = 0.0
    dropout: float = 0.0
    init_range: float = 0.05
    item_spread: float = 0.2
    identity: float = 4.0
    update_gate_bias: float = 2.0
    min_count: int = 1
    max_idle: float = 0.0
    neighbour_init: float = 0.15
    memory: int = 1 << 18
    memory_rate: float = 0.05
    memory_boost: bool = True

    @property
    def layers(self) -> list[int]:
        """Sizes of the hidden states, one a layer."""
        return self.hidden if isinstance(self.hidden, list) else [self.hidden]

    @property
    def output_size(self) -> int:
        """Size of the network's output, and of the embeddings that it is multiplied by."""
        return [*self.layers, *self.feed_forward][-1]

    def __post_init__(self) -> None:
        """Check types and ranges."""
        check_fields(self)
        if not self.layers:
            raise ValueError("hidden must name at least one layer")
        if len(self.layers) + len(self.feed_forward) > MOST_LAYERS:
            raise ValueError(f"hidden and feed_forward may name {MOST_LAYERS} layers in all")
        for option, values in (
            ("hidden", self.layers),
            ("feed_forward", self.feed_forward),
            ("window", [self.window]),
            ("min_count", [self.min_count]),
        ):
            for value in values:
                if value < 1:
                    raise ValueError(f"{option} must be at least 1, not {value}")
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{field.name} must be a finite number, not {value}")
        for option in (
            "n_negatives",
            "alpha",
            "init_range",
            "item_spread",
            "clip",
            "max_idle",
            "memory",
            "regularisation",
        ):
            if getattr(self, option) < 0:
                raise ValueError(f"{option} must not be negative, but is {getattr(self, option)}")
        if self.half_life and self.half_life < 1:
            raise ValueError(f"half_life must be 0 or at least 1, not {self.half_life}")
        for option in ("learning_rate", "item_learning_rate", "memory_rate"):
            if getattr(self, option) <= 0:
                raise ValueError(f"{option} must be more than 0, not {getattr(self, option)}")
        for option in ("momentum", "input_dropout", "dropout", "smoothing"):
            if not 0 <= getattr(self, option) < 1:
                raise ValueError(f"{option} must be from 0 to below 1, not {getattr(self, option)}")
