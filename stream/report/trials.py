"""Shadows and interleaving of a run as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .page import number, title

SHADOW_HEADS = ["shadow", "figure", "value", "model in service minus shadow", "scored clicks"]
INTERLEAVED_HEADS = ["lists", "value"]


def interval(found: Mapping[str, Any], key: str) -> str:
    """Return a value with its 95 % interval.

    Examples
    --------
    >>> interval({"difference": 0.0123, "low": 0.01, "high": 0.02}, "difference")
    '+0.0123 (+0.0100 to +0.0200)'
    >>> interval({"preference": 0.6, "low": 0.55, "high": 0.65}, "preference")
    '0.600 (0.550 to 0.650)'

    """
    form = "+.4f" if key == "difference" else ".3f"
    text = format(found[key], form)
    if found["low"] is None:
        return text
    return f"{text} ({format(found['low'], form)} to {format(found['high'], form)})"


def seconds_per_click(shadow: Mapping[str, Any]) -> str:
    """Return what a shadow costs, in words.

    Examples
    --------
    >>> seconds_per_click({"seconds_per_click": 0.00042})
    '0.42 ms/click'

    """
    return f"{1000 * shadow['seconds_per_click']:.2f} ms/click"


def shadow_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each figure of each shadow."""
    rows = []
    for shadow in result.get("shadows", []):
        dropped = shadow["dropped"]
        more = f", dropped at click {number(dropped['clicks'])}" if dropped else ""
        name = f"{shadow['model']} ({seconds_per_click(shadow)}{more})"
        for figure, value in shadow["figures"].items():
            apart = interval(shadow["differences"][figure], "difference")
            scored = number(shadow["scored"])
            rows.append([name, title(figure), number(value), apart, scored])
    return rows


def interleaved_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows about interleaved lists; none where there were none."""
    merged = result.get("interleaved")
    if merged is None:
        return []
    rows = [
        ["won by the model in service", number(merged["wins"])],
        [f"won by {merged['model']}", number(merged["losses"])],
        ["won by neither", number(merged["ties"])],
    ]
    if merged["preference"] is not None:
        rows.append(["preference for the model in service", interval(merged, "preference")])
    return rows
