"""Mill: clicks in, ranks and recommendations out. Knows no transport."""

from __future__ import annotations

from .recommender import Recommender, State, Tested

__all__ = ["Recommender", "State", "Tested"]
