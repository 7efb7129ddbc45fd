from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from nextclick.models import GRU4RecConfig
from nextclick.stream import RunConfig, run

SMALL = GRU4RecConfig(hidden=8, n_negatives=8)


def recommended(
    path: Path, exclude: Literal["current", "none"], k: int
) -> tuple[dict[str, Any], list[Any]]:
    config = RunConfig(
        recommendations=str(path),
        recommend="every",
        exclude=exclude,
        k=k,
        model=SMALL,
        device="cpu",
    )
    result = run("sim:clicks=600,items=50,seed=2", config)
    return result, [json.loads(line) for line in path.read_text().splitlines()]


def test_lists_after_clicks_leave_out_the_item_just_clicked(tmp_path: Path) -> None:
    whole, with_clicked = recommended(tmp_path / "none", "none", 6)
    result, without = recommended(tmp_path / "current", "current", 5)
    assert len(without) == len(with_clicked) == 600
    for record, other in zip(without, with_clicked, strict=True):
        pairs = zip(other["items"], other["scores"], strict=True)
        kept = [(item, score) for item, score in pairs if item != other["clicked"]][:5]
        assert list(zip(record["items"], record["scores"], strict=True)) == kept
    assert any(other["clicked"] in other["items"] for other in with_clicked)
    # What is evaluated is the same.
    figures = ("recall@20", "mrr@20", "ndcg@20")
    assert {name: whole[name] for name in figures} == {name: result[name] for name in figures}


def test_it_is_left_out_unless_it_is_asked_for() -> None:
    assert RunConfig().exclude == "current"
