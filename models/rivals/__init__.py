"""Rivals: other models of the next click, each in a file of its own, on the same contract."""

from __future__ import annotations

from ..recommender import Recommender
from .context_tree import ContextTree
from .item_knn import ItemKNN
from .markov import Markov
from .popularity import Popularity
from .rules import Rules
from .session_popularity import SessionPopularity
from .stan import Stan
from .vsknn import VSkNN
from .vstan import VStan

RIVALS: dict[str, type[Recommender]] = {
    "popularity": Popularity,
    "session-popularity": SessionPopularity,
    "markov": Markov,
    "rules": Rules,
    "item-knn": ItemKNN,
    "vsknn": VSkNN,
    "stan": Stan,
    "vstan": VStan,
    "context-tree": ContextTree,
}
"""The rivals by name. Each takes ``max_sessions``, ``max_items``, ``seed`` and its own options, all
by keyword."""
