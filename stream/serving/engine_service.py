"""A running engine as what is served."""

from __future__ import annotations

import time
from typing import Any

from ..engine import Engine
from ..evaluation.prequential import Prequential
from ..monitoring.prometheus import registry
from ..monitoring.server import health
from ..recommendations.item_follower import FollowedItems
from .engine_answers import EngineAnswers
from .meter import CallMeter, PostMeter
from .request_queue import RequestQueue


class EngineService:
    """Serves an engine while it runs.

    Parameters
    ----------
    engine
        The engine, with its snapshot restored.
    items
        The data of the items; None where there are none.

    """

    def __init__(self, engine: Engine, items: FollowedItems | None = None) -> None:
        self.engine = engine
        self.items = items
        self.registry = registry(engine)
        self._calls = CallMeter(self.registry)
        self.posts = PostMeter(self.registry)
        self.queue = RequestQueue(EngineAnswers(engine), self._calls.observe)

    def ready(self) -> tuple[bool, str]:
        """Return whether the engine has read its source and goes on, and its state."""
        alive, words = health(self.engine)
        if alive and not self.engine.begun:
            return False, "the source has not been read yet"
        away = getattr(self.engine.source, "away", None)
        if not away and self.items is not None:
            away = self.items.away
        return (False, str(away)) if alive and away else (alive, words)

    @property
    def figures(self) -> Prequential:
        """The figures of the stream."""
        return self.engine.figures

    def stats(self) -> dict[str, Any]:
        """Return the figures of the stream, and of the requests."""
        engine = self.engine
        stats = {
            "model": engine.model.name,
            "source": engine.about.get("source", ""),
            "clicks": engine.clicks,
            "learned": engine.learned,
            "learned_seconds_ago": round(time.monotonic() - engine.learned_at, 3),
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
            **({} if engine.items is None else {"items": engine.items.stats()}),
            "requests": {
                "answered": self._calls.requests,
                "waiting": len(self.queue),
                "model_cpu_seconds": round(self._calls.busy, 3),
            },
            "posted": self.posts.stats(),
            **engine.trials.stats(),
        }
        lag = getattr(engine.source, "lag", None)
        if lag is not None:
            stats["lag"] = [part._asdict() for part in lag()]
        return stats
