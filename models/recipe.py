"""The options of the learner, with the defaults that learn fastest from clicks seen once."""

from __future__ import annotations

from typing import Literal

import msgspec


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `OnlineGRU4Rec` is made of and how it learns.

    Parameters
    ----------
    hidden
        Size of the hidden state, and of an item's embedding, which is tied to it.
    window
        K: gradients flow through the last K clicks of a session.
    reset
        Form of the GRU cell: ``"before"`` or ``"after"``, see `GRUCell`.
    negatives
        Sampled negatives a batch; the batch's own targets are candidates too.
    alpha
        Negatives are drawn by popularity to this power.
    rate
        Adagrad's step size for the network's weights.
    item_rate
        Adagrad's step size for the item tables: an item is seen far less often than the network.
    spread
        Initial weights of the network are uniform in ±spread,
    item_spread
        and those of the item embeddings in ±item_spread.
    identity, open_gate
        How strongly a session foretells its own last item before anything is learned; see
        `GRUCell.initialise`.
    bias
        Whether each item has a bias that is learned.
    kinship
        What part of the embedding of the item clicked before its first click a new item is given
        on top of its random one: whoever clicks that item may like this one too.

    Raises
    ------
    ValueError
        An option is out of its range.

    Examples
    --------
    >>> Recipe(hidden=0)
    Traceback (most recent call last):
    ...
    ValueError: hidden must be at least 1, not 0

    """

    hidden: int = 100
    window: int = 10
    reset: Literal["before", "after"] = "before"
    negatives: int = 2048
    alpha: float = 0.75
    rate: float = 0.02
    item_rate: float = 0.1
    spread: float = 0.05
    item_spread: float = 0.2
    identity: float = 4.0
    open_gate: float = 2.0
    bias: bool = False
    kinship: float = 0.15

    def __post_init__(self) -> None:
        """Check the ranges."""
        for option in ("hidden", "window"):
            if getattr(self, option) < 1:
                raise ValueError(f"{option} must be at least 1, not {getattr(self, option)}")
        for option in ("negatives", "alpha", "spread", "item_spread"):
            if not getattr(self, option) >= 0:
                raise ValueError(f"{option} must not be negative, but is {getattr(self, option)}")
        for option in ("rate", "item_rate"):
            if not getattr(self, option) > 0:
                raise ValueError(f"{option} must be more than 0, not {getattr(self, option)}")
        if self.reset not in ("before", "after"):
            raise ValueError(f"reset must be 'before' or 'after', not {self.reset!r}")
