from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from nextclick.stream.evaluation.prequential import Prequential
from nextclick.stream.report.run_page import window_curves, write_report

VOID = {"meta", "br", "link", "img"}


class Page(HTMLParser):
    """What a browser would find: the elements, their attributes, and the text of each kind."""

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

    def rows(self) -> list[str]:
        return self.texts.get("td", [])


def result(**others: Any) -> dict[str, Any]:
    """Make the object of a run that lasted 70,000 clicks and met one drift."""
    draw = np.random.default_rng(0).random(70_000)
    ranks = np.where(draw < np.where(np.arange(70_000) < 40_000, 0.6, 0.3), 2, 0)
    figures = Prequential()
    figures.update(ranks, np.arange(2, 70_002), 1_396_861_869.0 + np.arange(70_000))
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
        "peak_memory_mb": 432.1,
        "config": {"batch": 128, "format": None, "model": {"loss": "cross-entropy"}},
        **others,
    }


def page_of(tmp_path: Path, made: dict[str, Any]) -> tuple[Page, str]:
    path = tmp_path / "new folder" / "run.html"
    write_report(path, made)
    text = path.read_text(encoding="utf-8")
    return Page(text), text


def test_the_page_holds_every_figure_count_alarm_and_option(tmp_path: Path) -> None:
    made = result()
    page, _ = page_of(tmp_path, made)
    cells = page.rows()
    for key in ("recall@20", "mrr@20", "ndcg@20"):
        for figures in (made, made["seen"], made["sliding"], made["fading"]):
            assert f"{figures[key]:.4f}" in cells
    for text in ("70,123", "70,111", "41", "12", "70", "3", "67", "4,321", "99", "12.5", "5,610"):
        assert text in cells
    (alarm,) = made["drift"]
    assert f"{alarm['clicks']:,}" in cells
    assert f"{alarm['before']:.3f} → {alarm['after']:.3f}" in cells
    options = page.texts["code"]
    assert options == ["batch", "128", "format", "not set", "model.loss", '"cross-entropy"']


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    page, text = page_of(tmp_path, result())
    names = {name for _, attrs in page.tags for name in attrs}
    assert not names & {"src", "href", "srcset", "data", "action", "poster"}
    assert not {tag for tag, _ in page.tags} & {"link", "iframe", "object", "img"}
    assert "url(" not in text
    assert "@import" not in text


def test_the_curves_can_be_read_out(tmp_path: Path) -> None:
    made = result()
    page, _ = page_of(tmp_path, made)
    data = json.loads(page.texts["script"][0])
    assert [curve["name"] for curve in data] == ["Recall@20", "MRR@20"]
    assert data[0]["xs"] == [window["clicks"] for window in made["windows"]]
    assert data[1]["ys"] == [window["mrr@20"] for window in made["windows"]]
    assert data[0]["notes"][0] == "2014-04-07 11:57 UTC"
    assert sum(tag == "svg" for tag, _ in page.tags) == 2


def test_what_users_supply_is_text_never_markup(tmp_path: Path) -> None:
    wicked = "</script><script>alert('x')</script>\"&"
    made = result(
        model=wicked,
        source=wicked,
        rejected={wicked: 1},
        config={wicked: wicked, "more": {wicked: [wicked]}},
    )
    made["windows"] = [{**made["windows"][0], f"{wicked}@20": 0.5}]
    harmless, _ = page_of(tmp_path, {**result(), "windows": made["windows"][:1]})
    page, text = page_of(tmp_path, made)
    scripts = [tag for tag, _ in page.tags if tag == "script"]
    assert len(scripts) == sum(tag == "script" for tag, _ in harmless.tags) == 2
    assert "<script>alert" not in text
    assert page.texts["h1"] == [wicked]
    assert f"– {wicked}" in page.rows()
    assert json.loads(page.texts["script"][0])[2]["name"].lower() == f"{wicked}@20".lower()


def test_a_run_that_scored_nothing_has_a_page(tmp_path: Path) -> None:
    page, _ = page_of(tmp_path, {"model": "gru4rec", **Prequential().results()})
    assert "no window closed yet" in page.texts["text"]
    assert "0.0000" in page.rows()


def test_odd_names_and_times_have_a_page(tmp_path: Path) -> None:
    made = result(source="bad \udcff name")
    made["windows"] = [{**window, "time": -2e11} for window in made["windows"]]
    page, _ = page_of(tmp_path, made)
    assert "bad \\udcff name" in page.texts["p"]
    assert json.loads(page.texts["script"][0])[0]["notes"][0] == "-2e+11"


def test_a_last_window_hardly_begun_is_not_drawn() -> None:
    full = {"clicks": 100, "time": 1.0, "scored": 100, "recall@20": 0.5, "mrr@20": 0.2}
    begun = {**full, "clicks": 105, "scored": 5, "recall@20": 1.0}
    most = {**full, "clicks": 190, "scored": 90}
    assert window_curves([full, begun])[0].xs == [100]
    assert window_curves([full, most])[0].xs == [100, 190]
    assert window_curves([begun])[0].ys == [1.0]
    assert window_curves([]) == []
