"""Mill: arrays in, ranks and recommendations out. Knows no transport."""

from __future__ import annotations

from .learner import OnlineGRU4Rec
from .recipe import Recipe
from .recommender import Recommender, State, Tested

__all__ = ["OnlineGRU4Rec", "Recipe", "Recommender", "State", "Tested"]
