"""The options of the neural rivals."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from ...gru4rec.size_check import FIRST_ROWS, WEIGHT, negatives_need, window_needs
from ...option_checks import check_fields


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of every neural rival; each has defaults of its own.

    Parameters
    ----------
    size
        Length of an item's vector.
    window
        K: a session is known by its last K clicks.
    loss
        ``"cross-entropy"``, ``"binary-cross-entropy"``, ``"bpr"`` or ``"bpr-max"``, over the
        batch's own items and the sampled ones, see `losses`.
    n_negatives, alpha
        Number of items sampled a batch, by popularity to the power alpha.
    logq
        How much of the correction for the sampling the cross-entropies make.
    learning_rate, item_learning_rate
        Adagrad's step sizes for the network and for the items' vectors.
    item_spread
        A new item's vector is uniform in ±item_spread.
    neighbour_init
        What part of the vector of the item clicked just before it is added to a new item's.

    Raises
    ------
    ValueError
        A setting is out of its range.

    """

    size: int = 100
    window: int = 10
    loss: Literal["cross-entropy", "binary-cross-entropy", "bpr", "bpr-max"] = "cross-entropy"
    n_negatives: int = 2048
    alpha: float = 0.75
    logq: float = 1.0
    learning_rate: float = 0.02
    item_learning_rate: float = 0.1
    item_spread: float = 0.2
    neighbour_init: float = 0.15

    def __post_init__(self) -> None:
        """Check types and ranges."""
        check_fields(self)
        for name in ("size", "window", "heads", "blocks"):
            if getattr(self, name, 1) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("n_negatives", "alpha", "item_spread"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("learning_rate", "item_learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be more than 0, not {getattr(self, name)}")

    def needs(self, width: int) -> dict[str, int]:
        """Return how many bytes the options take at least, by option; a number takes `width`."""
        size, blocks = self.size, getattr(self, "blocks", 1)
        needs = {
            f"size={size}": FIRST_ROWS * size * width,
            f"window={self.window}": window_needs(self.window),
            f"n_negatives={self.n_negatives}": negatives_need(self.n_negatives, size, width),
        }
        if hasattr(self, "blocks"):
            # Four matrices of attention, and two that are four times as wide.
            needs[f"size={size} in {blocks} blocks"] = WEIGHT * width * 12 * size * size * blocks
        return needs
