"""Snapshots of older formats, read as if they had been written in today's.

A format has a number, which is in the manifest. Whoever changes what the files of a snapshot
hold raises `FORMAT` by one and adds to `STEPS` the function that brings a snapshot of the number
before into the new form. So a snapshot of any version from format 6 on is read by every later one,
step by step. What the arrays of a model hold may also be brought up to date where that model is
restored, by what it finds there (`CheckedModel._upgraded`).

The tests keep small snapshots of every format (``tests/stream/snapshots/data``): add one there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nextclick.models.gru4rec.config import with_present_names
from nextclick.models.recommender import State

FORMAT = 7
"""The number of the format that is written."""

Snapshot = tuple[dict[str, State], dict[str, Any]]
"""The states by part, and the facts."""

_LINE = re.compile(r"nextclick snapshot (\d{1,9})")


def first_line(number: int = FORMAT) -> str:
    """Return the first line of a manifest.

    Examples
    --------
    >>> first_line(6)
    'nextclick snapshot 6'

    """
    return f"nextclick snapshot {number}"


def format_of(line: str) -> int:
    """Return the number of the format that a manifest's first line names, 0 for none."""
    match = _LINE.fullmatch(line)
    return int(match[1]) if match else 0


def unreadable(number: int) -> str | None:
    """Return why a snapshot of a format cannot be read, and what helps; None where it can.

    Examples
    --------
    >>> unreadable(FORMAT), unreadable(FORMAT + 1)
    (None, 'written by a newer version of nextclick (format 8, this one reads 6 to 7): update it')

    """
    oldest = min(STEPS)
    if oldest <= number <= FORMAT:
        return None
    if number > FORMAT:
        return (
            f"written by a newer version of nextclick (format {number}, this one reads {oldest} to "
            f"{FORMAT}): update it"
        )
    return (
        f"written by a version of nextclick from before format {oldest}, which is no longer "
        "read: start over with --fresh, or use that version"
    )


def upgraded(number: int, snapshot: Snapshot) -> Snapshot:
    """Return a snapshot of an older format in today's form."""
    for step in range(number, FORMAT):
        snapshot = STEPS[step](snapshot)
    return snapshot


def _from_6(snapshot: Snapshot) -> Snapshot:
    """Rename the options to their present names, and list those that have changed.

    A memory from before the boost existed gets one.
    """
    parts, about = snapshot
    changed = list(about.get("changed", []))
    config = dict(about.get("config", {}))
    if "model" in config:
        model = config["model"] = with_present_names(config["model"])
        if model.setdefault("memory_boost", None) is None:
            model["memory_boost"] = True
            if model.get("memory"):
                change = {"option": "model.memory_boost", "before": False, "after": True}
                changed.append({**change, "clicks": about["clicks"]})
    if "models" in config:
        named = config["models"].items()
        config["models"] = {name: with_present_names(options) for name, options in named}
    if "config" in about:
        about = {**about, "config": config}
    return parts, {**about, "changed": changed}


STEPS: dict[int, Callable[[Snapshot], Snapshot]] = {6: _from_6}
"""By the number of a format, what brings a snapshot of it into the next one."""
