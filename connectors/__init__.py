"""Doors: clicks come in, recommendations go out. Knows no model."""

from __future__ import annotations

from .clicks import Click, Clicks, Id, Position, Rejected
from .source import Source, SourceError

__all__ = ["Click", "Clicks", "Id", "Position", "Rejected", "Source", "SourceError"]
