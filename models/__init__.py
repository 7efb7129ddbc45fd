"""Mill: arrays in, ranks and recommendations out. Knows no transport."""

from __future__ import annotations

from .export import ExportedModel, ExportError, export_model, load_export
from .gru4rec.config import Recipe
from .gru4rec.online import OnlineGRU4Rec
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
