"""Doors: clicks come in, recommendations go out. Knows no model."""

from __future__ import annotations

from .clicks import Click, Clicks, Id, Position, Rejected
from .formats import LogFormat, log_format
from .log import LogSource
from .open import open_source
from .pipe import PipeSource
from .simulator import SimulatedShop
from .sinks import JsonLinesSink, SinkError, dead_letter
from .source import Source, SourceError

__all__ = [
    "Click",
    "Clicks",
    "Id",
    "JsonLinesSink",
    "LogFormat",
    "LogSource",
    "PipeSource",
    "Position",
    "Rejected",
    "SimulatedShop",
    "SinkError",
    "Source",
    "SourceError",
    "dead_letter",
    "log_format",
    "open_source",
]
