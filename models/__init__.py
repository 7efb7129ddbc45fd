"""Mill: arrays in, ranks and recommendations out. Knows no transport."""

from __future__ import annotations

from .export import ExportedModel, ExportError, export_model, load_export
from .gru4rec.config import GRU4RecConfig
from .gru4rec.online import OnlineGRU4Rec
from .queries import Allowed, Answer, Query
from .recommender import BatchResult, Recommender, State
from .river_ranker import NextClickRanker

__all__ = [
    "Allowed",
    "Answer",
    "BatchResult",
    "ExportError",
    "ExportedModel",
    "GRU4RecConfig",
    "NextClickRanker",
    "OnlineGRU4Rec",
    "Query",
    "Recommender",
    "State",
    "export_model",
    "load_export",
]
