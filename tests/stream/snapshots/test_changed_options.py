from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nextclick.models import GRU4RecConfig
from nextclick.stream.comparison.compare import compare
from nextclick.stream.comparison.config import CompareConfig
from nextclick.stream.config.options import ConfigError
from nextclick.stream.config.run import RunConfig
from nextclick.stream.runner import run
from nextclick.stream.snapshots.store import Snapshots
from tests.stream.runs import OWN

SMALL = GRU4RecConfig(hidden=8, n_negatives=8, memory=256)
SHOP = "sim:clicks=1500,seed=4"


def config(folder: Path, **options: Any) -> RunConfig:
    given = {"model": SMALL, "device": "cpu", "batch": 16, "snapshots": str(folder / "s")}
    return RunConfig(**{**given, **options})


def resumed(
    folder: Path, before: dict[str, Any], after: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Stop a run after 700 clicks, go on with other options; return result and notes."""
    notes: list[str] = []
    run(SHOP, config(folder, max_clicks=700, **before))
    return run(SHOP, config(folder, **{**before, **after}), notes.append), notes


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"max_items": 100}, {"max_items": 20}),
        ({"max_items": 20}, {"max_items": 100}),
        ({"max_sessions": 200}, {"max_sessions": 15}),
        ({"max_sessions": 15}, {"max_sessions": 200}),
        ({"gap": "1h"}, {"gap": "60s"}),
        ({"gap": "60s"}, {"gap": "1d"}),
        ({"lateness": "60s"}, {"lateness": "1s"}),
        ({"window": 100}, {"window": 30}),
        ({"window": 30}, {"window": 100}),
    ],
)
def test_a_run_goes_on_with_another_value_and_says_from_which_click_on(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any]
) -> None:
    result, notes = resumed(tmp_path, before, after)
    ((name, value),) = after.items()
    option = f"--{name.replace('_', '-')}"
    assert result["changed"] == [
        {"option": option, "clicks": 700, "before": before[name], "after": value}
    ]
    assert f"with {option} {value} instead of {before[name]} from click 701 on" in notes
    assert result["usable"] == 1500
    assert result["scored"] + result["first"] + result["late"] + result["ahead"] == 1500
    assert sum(window["scored"] for window in result["windows"]) == result["scored"]
    if name == "max_items":
        assert result["catalogue"] <= after[name]
    if name == "max_sessions":
        assert result["live_sessions"] <= after[name]


def test_smaller_bounds_hold_at_once(tmp_path: Path) -> None:
    run(SHOP, config(tmp_path, max_clicks=700))
    smaller = {"max_items": 10, "max_sessions": 5}
    result = run(SHOP, config(tmp_path, max_clicks=700, **smaller))
    # Not one click was read since.
    assert (result["catalogue"], result["live_sessions"]) == (10, 5)
    assert result["usable"] == 700


def test_a_change_is_in_every_later_snapshot_and_result(tmp_path: Path) -> None:
    resumed(tmp_path, {"max_items": 90}, {"max_items": 40, "max_clicks": 1000})
    page, figures = tmp_path / "page.html", tmp_path / "figures.json"
    more = {"gap": "30m", "max_items": 40}
    files = {"report": str(page), "json": str(figures)}
    run(SHOP, config(tmp_path, **more, **files))
    changed = json.loads(figures.read_bytes())["changed"]
    assert [(one["option"], one["clicks"]) for one in changed] == [
        ("--max-items", 700),
        ("--gap", 1000),
    ]
    assert "Changed when the run resumed" in page.read_text()
    _, about, _ = Snapshots(tmp_path / "s").load_newest() or ({}, {}, [])
    assert about["changed"] == changed


def test_a_run_that_changes_nothing_says_nothing(tmp_path: Path) -> None:
    result, notes = resumed(tmp_path, {"gap": "30m"}, {"gap": "1800s"})
    assert "changed" not in result
    assert not any("instead of" in note for note in notes)


def test_killed_after_a_change_it_ends_with_the_same_figures(tmp_path: Path) -> None:
    whole, _ = resumed(tmp_path / "a", {"max_items": 90}, {"max_items": 30, "window": 50})
    now = {"max_items": 30, "window": 50}
    resumed(tmp_path / "b", {"max_items": 90}, {**now, "max_clicks": 1101})
    broken = run(SHOP, config(tmp_path / "b", **now))
    for result in (whole, broken):
        for name in OWN:
            result.pop(name, None)
    assert broken == whole


def test_a_comparison_goes_on_with_the_same_bounds_only(tmp_path: Path) -> None:
    begun = CompareConfig(
        models={"popularity": {}}, device="cpu", max_clicks=100, snapshots=str(tmp_path)
    )
    compare(SHOP, begun)
    with pytest.raises(ConfigError, match="--max-items 1000000, not with --max-items 50"):
        compare(SHOP, msgspec.structs.replace(begun, max_items=50))
