"""The picture of one pass beside a model trained every night."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.peers.nightly_picture import described, drawn, ways

RESULTS = Path(__file__).parents[3] / "docs" / "results"


def found(nights: int) -> dict[str, Any]:
    """Return what the benchmark has found after some nights of a week of four days."""
    return {
        "nights": {
            f"0-{last}": {
                "seconds": 100.0 * (last + 1),
                "tests": {str(day): [0.5, 0.3, 80] for day in range(last + 1, 4)},
            }
            for last in range(nights)
        },
        "nextclick": {
            "seconds": [10.0, 20.0, 30.0, 40.0],
            "tests": {f"all {day}": [0.7, 0.4, 100] for day in range(1, 4)},
        },
    }


def test_what_a_model_cannot_be_asked_about_is_its_miss() -> None:
    (own, nightly, frozen), missing = ways(found(3))
    assert own.recalls == pytest.approx([0.7] * 3)
    assert nightly.recalls == frozen.recalls == pytest.approx([0.4] * 3)
    assert [own.seconds, nightly.seconds, frozen.seconds] == [40, 600, 100]
    assert missing == []


def test_nights_that_are_missing_end_the_line_and_are_named() -> None:
    week = found(3)
    del week["nights"]["0-1"]
    (_, nightly, _), missing = ways(week)
    assert (len(nightly.recalls), nightly.seconds, missing) == (1, 100, ["0-1"])


def test_the_picture_is_whole_needs_nothing_else_and_has_both_grounds() -> None:
    shown, _ = ways(found(2))
    picture = drawn(shown)
    root = ElementTree.fromstring(picture)
    assert root.get("role") == "img"
    assert root.get("aria-label") == described(shown)
    assert "prefers-color-scheme: dark" in picture
    assert not re.search(r"url\(|@import|href|https?://(?!www\.w3\.org/2000/svg)", picture)
    names = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert all(way.name in names for way in shown)


def test_the_picture_in_the_documentation_is_of_the_figures_there() -> None:
    shown, _ = ways(json.loads((RESULTS / "nightly.json").read_text(encoding="utf-8")))
    assert (RESULTS / "nightly.svg").read_text(encoding="utf-8") == drawn(shown), (
        "draw it anew with benchmarks.peers.nightly_picture"
    )
