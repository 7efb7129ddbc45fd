"""What counts in a result, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .page import moment

REASONS = {
    "before": "before the test",
    "unseen": "on items never seen before",
    "repeats": "on items of their session",
    "short": "of sessions with too few clicks",
}
"""Why scored clicks do not count, in words."""


def protocol_text(result: Mapping[str, Any]) -> str:
    """Return the protocol of a result in sentences; empty where every scored click counts.

    Parameters
    ----------
    result
        What a run or a comparison returned.

    Examples
    --------
    >>> protocol_text({"protocol": {"leave_out": ["unseen"], "not_counted": {"unseen": 1200}}})
    'Clicks on items never seen before are left out. Not counted: 1,200 on items never seen before.'

    """
    found = result.get("protocol")
    if not found:
        return ""
    sentences = [_test(found)] if found.get("start") else []
    if "unseen" in found["leave_out"]:
        sentences.append("Clicks on items never seen before are left out.")
    if "repeats" in found["leave_out"]:
        sentences.append("Clicks on items of their session are left out, and these are not ranked.")
    if found.get("min_session", 2) > 2:
        sentences.append(f"Sessions with fewer than {found['min_session']:,} clicks do not count.")
    if counts := found["not_counted"]:
        parts = [f"{counts[name]:,} {words}" for name, words in REASONS.items() if name in counts]
        sentences.append(f"Not counted: {', '.join(parts)}.")
    return " ".join(sentences)


def _test(found: Mapping[str, Any]) -> str:
    begun, share = found["begun"], found["start"].get("share")
    if begun is None:
        return "The test has not begun: no click counts."
    part = f" ({100 * share:.3g} % of the stream)" if share else ""
    time = f", {moment(begun['time'])}" if math.isfinite(begun["time"]) else ""
    text = f"The test begins after {begun['clicks']:,} clicks{part}{time}: these do not count"
    return text + (", and after them nothing is learned." if found["frozen"] else ".")
