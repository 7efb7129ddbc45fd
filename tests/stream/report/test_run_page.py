from __future__ import annotations

from pathlib import Path
from typing import Any

from nextclick.models import GRU4RecConfig
from nextclick.stream.config.run import RunConfig
from nextclick.stream.evaluation.prequential import Prequential
from nextclick.stream.report.run_page import write_report
from tests.pages import Page, run_result


def page_of(tmp_path: Path, made: dict[str, Any]) -> Page:
    path = tmp_path / "new folder" / "run.html"
    write_report(path, made)
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_holds_every_figure_count_and_alarm(tmp_path: Path) -> None:
    made = run_result()
    page = page_of(tmp_path, made)
    cells = page.cells()
    for key in ("recall@20", "mrr@20", "ndcg@20"):
        for figures in (made, made["seen"], made["sliding"], made["fading"]):
            assert f"{figures[key]:.4f}" in cells
    for text in ("70,123", "70,111", "41", "12", "70", "3", "67", "4,321", "99", "12.5", "5,610"):
        assert text in cells
    for alarm in made["drift"]:
        assert f"{alarm['clicks']:,}" in cells
        assert f"{alarm['before']:.3f} → {alarm['after']:.3f}" in cells


def test_only_options_that_differ_are_in_sight_and_the_others_are_folded(tmp_path: Path) -> None:
    config = RunConfig(batch=128, model=GRU4RecConfig(loss="bpr")).public()
    page = page_of(tmp_path, run_result(config=config))
    before, folded = page.text.split("options at their defaults</summary>")
    shown = before.split("<h2>Options</h2>")[1]
    for name, value in (("batch", "128"), ("model.loss", "bpr")):
        assert f"<code>{name}</code>" in shown
        assert f"<code>{name}</code>" not in folded
        assert value in shown
    assert "<code>lateness</code>" not in shown
    for name in ("lateness", "seed", "model.hidden"):
        assert f"<code>{name}</code>" in folded


def test_a_run_with_no_option_of_its_own_says_so(tmp_path: Path) -> None:
    page = page_of(tmp_path, run_result(config=RunConfig().public()))
    assert "All are at their defaults." in page.texts["p"]


def test_the_page_names_nothing_outside_itself(tmp_path: Path) -> None:
    page = page_of(tmp_path, run_result())
    named = {"src", "href", "srcset", "data", "action", "poster"}
    links = [(tag, key, value) for tag, attrs in page.tags for key, value in attrs.items()]
    # A page without an icon has the browser ask for one.
    assert [link for link in links if link[1] in named] == [("link", "href", "data:,")]
    assert not {tag for tag, _ in page.tags} & {"iframe", "object", "img"}
    assert "@import" not in page.text


def test_the_licence_of_the_chart_is_in_the_page(tmp_path: Path) -> None:
    page = page_of(tmp_path, run_result())
    assert "The MIT License (MIT)" in page.text
    assert "uPlot 1.6.32" in page.texts["footer"][0]


def test_the_page_says_where_it_is_from(tmp_path: Path) -> None:
    found = {
        "version": "1.2.3",
        "commit": "abc1234+",
        "machine": "a processor, 2 cores, Linux",
        "date": "2026-05-04T03:02:01+00:00",
    }
    page = page_of(tmp_path, run_result(provenance=found))
    line = (
        "nextclick 1.2.3 · commit abc1234+ · a processor, 2 cores, Linux · "
        "2026-05-04 03:02 UTC · seed 3"
    )
    assert line in page.texts["p"]
    unknown = page_of(tmp_path, run_result(provenance={**found, "commit": None}))
    assert "commit" not in next(text for text in unknown.texts["p"] if "1.2.3" in text)


def test_the_curves_begin_in_the_first_percent_of_the_stream(tmp_path: Path) -> None:
    for clicks in (6_000, 70_000, 400_000):
        made = run_result(clicks)
        chart = page_of(tmp_path, made).data["chart"]
        assert chart["names"] == ["Recall@20", "MRR@20"]
        points = chart["points"]
        assert points["clicks"][0] <= 0.01 * clicks
        assert points["clicks"][-1] == clicks + 1
        assert len(points["clicks"]) > 50
        assert sum(points["scored"]) == clicks
        assert points["clicks"] == sorted(points["clicks"])
        recall = chart["values"][0][0]
        total = sum(r * n for r, n in zip(recall, points["scored"], strict=True))
        assert abs(total / clicks - made["recall@20"]) < 1e-4


def test_alarms_of_the_warm_up_are_not_among_those_of_drift(tmp_path: Path) -> None:
    made = run_result()
    rises = [alarm for alarm in made["drift"] if alarm["after"] > alarm["before"]]
    falls = [alarm for alarm in made["drift"] if alarm["after"] < alarm["before"]]
    assert rises
    assert falls
    page = page_of(tmp_path, made)
    marked = page.data["chart"]["alarms"]
    assert [alarm["clicks"] for alarm in marked[0]] == [alarm["clicks"] for alarm in falls]
    assert marked[1] == []
    drift, warm_up = page.text.split("<h2>Drift alarms</h2>")[1].split("during the warm-up")
    assert f"{falls[0]['clicks']:,}" in drift
    assert f"{rises[0]['clicks']:,}" in warm_up
    assert f"{rises[0]['clicks']:,}" not in drift


def test_what_users_supply_is_text_never_markup(tmp_path: Path) -> None:
    wicked = "</script><script>alert('x')</script>\"&"
    made = run_result(
        model=wicked,
        source=wicked,
        rejected={wicked: 1},
        config={wicked: wicked, "more": {wicked: [wicked]}},
    )
    made["windows"] = [{**made["windows"][0], f"{wicked}@20": 0.5}]
    harmless = page_of(tmp_path, {**run_result(), "windows": made["windows"][:1]})
    page = page_of(tmp_path, made)
    scripts = [tag for tag, _ in page.tags if tag == "script"]
    assert len(scripts) == sum(tag == "script" for tag, _ in harmless.tags)
    assert "<script>alert" not in page.text
    assert page.texts["h1"] == [wicked]
    assert f"– {wicked}" in page.cells()
    assert page.data["chart"]["names"][2].lower() == f"{wicked}@20".lower()


def test_a_run_that_scored_nothing_has_a_page(tmp_path: Path) -> None:
    page = page_of(tmp_path, {"model": "gru4rec", **Prequential().results()})
    assert "no window closed yet" in page.text
    assert "0.0000" in page.cells()


def test_odd_names_and_times_have_a_page(tmp_path: Path) -> None:
    made = run_result(source="bad \udcff name")
    made["drift"] = [{**alarm, "time": -2e11} for alarm in made["drift"]]
    page = page_of(tmp_path, made)
    assert "bad \\udcff name" in page.texts["p"]
    assert "-2e+11" in page.cells()


def test_without_scripts_there_is_a_picture(tmp_path: Path) -> None:
    page = page_of(tmp_path, run_result())
    picture = page.text.split("<noscript>")[1].split("</noscript>")[0]
    assert "<svg" in picture
    assert "Recall@20" in picture
