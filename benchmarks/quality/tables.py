"""Markdown tables of figures and differences."""

from __future__ import annotations

import math

from benchmarks.quality.side_by_side import Standings
from benchmarks.quality.verdicts import Interval


def percent(value: float) -> str:
    """Write a figure in percent."""
    return f"{100 * value:.2f}"


def spread(found: Interval, scale: float = 100, digits: int = 2) -> str:
    """Write a difference with its interval."""
    value, low, high = (scale * end for end in (found.value, found.low, found.high))
    if math.isnan(low):
        return f"{value:+.{digits}f} (too few clicks)"
    return f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def ratio(found: Interval) -> str:
    """Write a mean of logarithms of ratios as the ratio, with its interval."""
    value, low, high = (math.exp(end) for end in (found.value, found.low, found.high))
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def header(*names: str) -> None:
    """Begin a table."""
    print("\n" + row(*names) + "\n" + "| --- " * len(names) + "|")


def row(*cells: str) -> str:
    """Make a table's row."""
    return "| " + " | ".join(cells) + " |"


def both(standings: Standings, model: str, group: int = 0) -> str:
    """Write a model's two figures."""
    recall, mrr = (standings.figure(f"{name}@20", model, group) for name in ("recall", "mrr"))
    return f"{percent(recall)}/{percent(mrr)}"
