from __future__ import annotations

import json
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from nextclick.models import Recommender
from nextclick.stream.comparison.arena import Arena
from nextclick.stream.comparison.config import CompareConfig
from nextclick.stream.report.comparison_page import toml_of, write_comparison
from nextclick.stream.report.style import COLOURS, DASHES
from tests.small_models import Recent

VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the texts of each kind."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        assert self.open == []

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


def compared(models: int = 3, clicks: int = 6000, **others: Any) -> dict[str, Any]:
    """What a comparison of models that are each a little worse than the last would give."""
    rivals: dict[str, Recommender] = {f"worse by {n}": Recent(worse=n) for n in range(models)}
    arena = Arena(rivals, [1, 5])
    draw = np.random.default_rng(0)
    sessions = draw.integers(1 + clicks // 10, size=clicks).tolist()
    items = (draw.zipf(1.4, size=clicks) % 30).tolist()
    for start in range(0, clicks, 50):
        part = slice(start, start + 50)
        arena.test_then_learn(sessions[part], items[part], time=1.4e9 + start)
    return {
        "source": "clicks.csv.gz",
        "clicks": clicks,
        "usable": clicks,
        "config": {"batch": 50, "k": [1, 5], "models": {name: {} for name in rivals}},
        **arena.results(),
        **others,
    }


def page_of(tmp_path: Path, result: dict[str, Any]) -> tuple[Page, dict[str, Any], str]:
    path = tmp_path / "new folder" / "compare.html"
    write_comparison(path, result)
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found
    return Page(text), json.loads(found[1]), text


def test_the_page_names_nothing_outside_itself(tmp_path: Path) -> None:
    page, _, text = page_of(tmp_path, compared())
    assert not {"src", "href", "action", "data"} & {key for _, attrs in page.tags for key in attrs}
    # The namespace of SVG is a name, and no browser looks it up.
    assert re.findall(r"https?://[^\"']+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"url\((?!#)|@import|\bfetch\(|XMLHttpRequest|\bimport\(", text)
    policies = [attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs]
    assert policies
    assert "default-src 'none'" in str(policies[0])


def test_the_standings_hold_every_figure_of_every_model(tmp_path: Path) -> None:
    result = compared()
    page, _, text = page_of(tmp_path, result)
    cells = page.texts["td"]
    for name, found in result["models"].items():
        assert name in page.texts["th"]
        for figure in ("recall@5", "mrr@5", "ndcg@5"):
            assert f"{found[figure]:.4f}" in cells
        assert f"{found['coverage']:.1%}" in cells
        assert f"{found['last_half']['recall@5']:.4f}" in cells
    each = next(each for each in result["differences"] if each["figure"] == "recall@5")
    half = (each["high"] - each["low"]) / 2
    assert f"−{each['difference']:.4f} ± {half:.4f}" in page.texts["small"]
    assert "class=real" in text


def test_the_script_is_given_curves_kinds_differences_and_alarms(tmp_path: Path) -> None:
    result = compared()
    page, data, _ = page_of(tmp_path, result)
    assert len(data["windows"]) == len(result["windows"]) > 10
    for model, (name, found) in zip(data["models"], result["models"].items(), strict=True):
        assert model["name"] == name
        for figure, own in zip(result["figures"], model["windows"], strict=True):
            assert own == pytest.approx(found["windows"][figure], abs=1e-5)
        assert model["slices"][0][3] == pytest.approx(
            found["slices"]["place"]["second"][result["figures"][3]], abs=1e-5
        )
        assert model["drift"] == found["drift"]
    assert sum(data["slices"][:3]) == result["scored"]
    for each in result["differences"]:
        order = list(result["models"])
        pair = f"{order.index(each['model'])}-{order.index(each['other'])}"
        at = result["figures"].index(each["figure"])
        assert data["apart"][pair][at] == [each["difference"], each["low"], each["high"]]
    # Every cell that the script fills has its numbers, and every model its key in the legend.
    asked = {attrs["data-pair"] for tag, attrs in page.tags if "data-pair" in attrs}
    assert asked == set(data["apart"])
    assert sum(tag == "button" for tag, _ in page.tags) == 3 + len(result["models"])
    chosen = [attrs for tag, attrs in page.tags if tag == "option" and "selected" in attrs]
    assert len(chosen) == 1


def test_names_are_escaped_wherever_they_stand(tmp_path: Path) -> None:
    result = compared(2, 300)
    mean = '</script><img src=x onerror="alert(1)">'
    result["models"] = {mean: result["models"]["worse by 0"], "b&b": result["models"]["worse by 1"]}
    result["differences"] = []
    result["config"]["models"] = {}
    result["source"] = "<b>'clicks'"
    page, data, text = page_of(tmp_path, result)
    assert "<img" not in text
    assert data["models"][0]["name"] == mean
    assert "img" not in {tag for tag, _ in page.tags}


def test_twelve_models_are_told_apart_and_so_are_twice_as_many(tmp_path: Path) -> None:
    _, data, _ = page_of(tmp_path, compared(24, 400))
    looks = [(model["colour"], model["dash"]) for model in data["models"]]
    assert len(set(looks)) == 24
    assert len({colour for colour, _ in looks[:12]}) == 12
    assert len(set(COLOURS)) == 12
    assert len(set(DASHES)) == 4


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", COLOURS)
def test_every_curve_stands_out_on_white(colour: str) -> None:
    # WCAG 2.1, 1.4.11: graphics need a contrast of 3 to 1.
    assert 1.05 / (luminance(colour) + 0.05) >= 3


def test_a_stream_too_short_for_anything_still_has_a_page(tmp_path: Path) -> None:
    for clicks in (0, 1, 60):
        page, data, text = page_of(tmp_path, compared(2, clicks))
        assert "too few clicks" in text
        assert len(data["models"]) == 2
        assert page.texts["p"]


def test_the_options_on_the_page_are_the_file_that_asks_for_them(tmp_path: Path) -> None:
    config = CompareConfig(
        models={"gru4rec": {"hidden": [8, 4], "cell": "lstm"}, "gru4rec-network": {}},
        k=[3, 10],
        gap="20m",
        json='a "quoted" \\ name.json',
        kafka={"sasl": {"mechanism": "PLAIN"}, "client.id": "ü"},
    )
    text = toml_of(config.public())
    again = msgspec.convert(tomllib.loads(text), CompareConfig)
    # Secrets are not shown, so what is shown is what must come back.
    assert again.public() == config.public()
    assert again.models == config.models
    page, _, _ = page_of(tmp_path, compared(2, 300, config=config.public()))
    (shown,) = (tomllib.loads(text) for text in page.texts["pre"] if "[models" in text)
    # What was written where would be written over, or gone on from, by whoever copies it.
    assert set(tomllib.loads(text)) - set(shown) == {
        "json",
        "snapshot_every",
        "keep_snapshots",
        "fresh",
    }
    assert shown["models"] == config.models
