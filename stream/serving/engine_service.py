"""A running engine as what is served."""

from __future__ import annotations

from typing import Any

from ..engine import Engine
from ..monitoring.prometheus import registry
from ..monitoring.server import health
from .engine_answers import EngineAnswers
from .meter import CallMeter
from .request_queue import RequestQueue


class EngineService:
    """Serves an engine while it runs.

    Parameters
    ----------
    engine
        The engine, with its snapshot restored.

    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.registry = registry(engine)
        self._calls = CallMeter(self.registry)
        self.queue = RequestQueue(EngineAnswers(engine), self._calls.observe)

    def ready(self) -> tuple[bool, str]:
        """Return whether the engine has read its source and goes on, and its state."""
        alive, words = health(self.engine)
        if alive and not self.engine.begun:
            return False, "the source has not been read yet"
        away = getattr(self.engine.source, "away", None)
        return (False, str(away)) if alive and away else (alive, words)

    def stats(self) -> dict[str, Any]:
        """Return the figures of the stream, and of the requests."""
        engine = self.engine
        return {
            "model": engine.model.name,
            "clicks": engine.clicks,
            "learned": engine.learned,
            "first": engine.first,
            "late": engine.late,
            "ahead": engine.ahead,
            "rejected": dict(engine.rejected),
            "filtered": engine.left_out.filtered,
            "duplicate": engine.left_out.duplicate,
            "pending": len(engine.pending),
            "catalogue": engine.model.n_items,
            "live_sessions": engine.sessionizer.live,
            "window": {"clicks": engine.figures.window, **engine.figures.sliding()},
            "requests": {
                "answered": self._calls.requests,
                "waiting": len(self.queue),
                "model_cpu_seconds": round(self._calls.busy, 3),
            },
        }
