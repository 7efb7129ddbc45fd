"""Clicks in, ranks and recommendations out. Knows no transport.

Names are imported when they are first used: torch takes seconds, and the command line needs only
the models' options to show its help or to find a mistake.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "Allowed": "queries",
    "Answer": "queries",
    "BatchResult": "recommender",
    "ExportError": "export",
    "ExportedModel": "export",
    "GRU4RecConfig": "gru4rec.config",
    "NextClickRanker": "river_ranker",
    "OnlineGRU4Rec": "gru4rec.online",
    "Query": "queries",
    "Recommender": "recommender",
    "State": "recommender",
    "export_model": "export",
    "load_export": "export",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the file that it is at home in."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
