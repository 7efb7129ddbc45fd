"""Results to make pages of, and what a page holds."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np

from nextclick.models import Recommender
from nextclick.stream.comparison.arena import Arena
from nextclick.stream.evaluation.prequential import Prequential
from tests.small_models import Recent

VOID = {"meta", "br", "link", "img", "input"}


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the texts of each kind."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        assert self.open == []

    @property
    def data(self) -> Any:
        """What the page's scripts are given."""
        found = re.search(
            r'<script id="data" type="application/json">(.*?)</script>', self.text, re.DOTALL
        )
        assert found
        return json.loads(found[1])

    def cells(self) -> list[str]:
        return self.texts.get("td", []) + self.texts.get("th", [])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


def run_result(clicks: int = 70_000, **others: Any) -> dict[str, Any]:
    """Return the result of a run that warmed up, and met one fall of its hit rate."""
    share = 0.6 * (1 - np.exp(-np.arange(clicks) / 6_000))
    share[40_000:] -= 0.3
    ranks = np.where(np.random.default_rng(0).random(clicks) < share, 2, 0)
    figures = Prequential()
    figures.update(ranks, np.arange(2, clicks + 2), 1_396_861_869.0 + np.arange(clicks))
    return {
        "model": "gru4rec",
        "source": "clicks.csv.gz",
        "clicks": 70_123,
        "learned": 70_111,
        "first": 41,
        "late": 12,
        "rejected": {"no_item": 3, "bad_json": 67},
        **figures.results(),
        "catalogue": 4_321,
        "live_sessions": 99,
        "seconds": 12.5,
        "clicks_per_second": 5_609.8,
        "compiling_seconds": 0.0,
        "peak_memory_mb": 432.1,
        "config": {"batch": 128, "format": None, "seed": 3, "model": {"loss": "cross-entropy"}},
        **others,
    }


def compared(
    models: int = 3, clicks: int = 6000, label: str = "worse by", **others: Any
) -> dict[str, Any]:
    """Return what a comparison of models gives that are each a little worse than the last."""
    rivals: dict[str, Recommender] = {f"{label} {n}": Recent(worse=n) for n in range(models)}
    arena = Arena(rivals, [1, 5])
    draw = np.random.default_rng(0)
    sessions = draw.integers(1 + clicks // 10, size=clicks).tolist()
    items = (draw.zipf(1.4, size=clicks) % 30).tolist()
    for start in range(0, clicks, 50):
        part = slice(start, start + 50)
        arena.test_then_learn(sessions[part], items[part], time=1.4e9 + 40 * start)
    return {
        "source": "clicks.csv.gz",
        "clicks": clicks,
        "usable": clicks,
        "config": {"batch": 50, "k": [1, 5], "models": {name: {} for name in rivals}},
        **arena.results(),
        **others,
    }
