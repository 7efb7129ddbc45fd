"""Nothing disappears that docs/operate/versions.md promises to keep; see tests/docs/promises.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.docs.promises import FILE, now, shape

PROMISED = json.loads(FILE.read_text(encoding="utf-8"))


def missing(promised: Any, there: Any, place: str = "") -> list[str]:
    """Return what was promised and is not there; more may be there."""
    if isinstance(promised, dict):
        lost = []
        for key, value in promised.items():
            if key not in there:
                lost.append(f"{place}/{key}")
            else:
                lost += missing(value, there[key], f"{place}/{key}")
        return lost
    if isinstance(promised, list):
        # What is null in one run may have a value in another.
        kinds = {str(each).partition(": ")[0] for each in there}
        return [
            f"{place}: {each}"
            for each in promised
            if each not in there
            and not (str(each).endswith(": null") and str(each).partition(": ")[0] in kinds)
        ]
    return [] if promised == there else [f"{place}: {promised}, not {there}"]


@pytest.fixture(scope="module")
def present() -> Any:
    # By way of JSON, as the file.
    return json.loads(json.dumps(now()))


@pytest.mark.parametrize("subject", PROMISED)
def test_what_is_promised_is_there(subject: str, present: Any) -> None:
    assert missing(PROMISED[subject], present[subject]) == [], (
        "a version promises to keep these (docs/operate/versions.md)"
    )


def test_the_promises_are_of_every_command_package_and_file() -> None:
    assert {"run", "compare", "serve", "replay", "recommend", "inspect"} <= PROMISED["flags"].keys()
    assert "--snapshots" in PROMISED["flags"]["run"]
    assert PROMISED["python"]["models.OnlineGRU4Rec.recommend"][:3] == ["self", "items", "k"]
    assert "recall@20: number" in PROMISED["files"]["run"]
    assert "/v1/recommend" in PROMISED["http"]["paths"]
    assert "nextclick_clicks_total" in PROMISED["http"]["metrics"]
    assert PROMISED["snapshot formats"][:2] == [6, 7]


def test_what_is_gone_or_of_another_kind_is_found_and_what_is_new_is_not() -> None:
    promised = {"run": shape({"a": 1, "b": [{"c": "x"}], "d": None})}
    assert missing(promised, {"run": shape({"a": 2.5, "b": [{"c": "y", "e": 1}], "d": 3})}) == []
    there = {"run": shape({"a": "one", "b": []})}
    assert missing(promised, there) == ["/run: a: number", "/run: b[].c: text", "/run: d: null"]
    assert missing(promised, {}) == ["/run"]
