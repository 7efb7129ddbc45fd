"""Mill: arrays in, ranks and recommendations out. Knows no transport."""

from __future__ import annotations

from .export import ExportedModel, ExportError, export_model, load_export
from .learner import OnlineGRU4Rec
from .recipe import Recipe
from .recommender import Recommender, State, Tested
from .river_ranker import NextClickRanker

__all__ = [
    "ExportError",
    "ExportedModel",
    "NextClickRanker",
    "OnlineGRU4Rec",
    "Recipe",
    "Recommender",
    "State",
    "Tested",
    "export_model",
    "load_export",
]
