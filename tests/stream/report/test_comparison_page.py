from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nextclick.stream.comparison.config import CompareConfig
from nextclick.stream.report.comparison_page import toml_of, write_comparison
from tests.pages import Page, compared

STYLE = Path(__file__).parents[3] / "stream" / "report" / "page.css"
LIGHT, DARK = (
    re.findall(r"--c\d+: (#\w{6});", part)
    for part in STYLE.read_text(encoding="utf-8").split("@media (prefers-color-scheme: dark)")[:2]
)


def page_of(tmp_path: Path, result: dict[str, Any]) -> tuple[Page, dict[str, Any], str]:
    path = tmp_path / "new folder" / "compare.html"
    write_comparison(path, result)
    page = Page(path.read_text(encoding="utf-8"))
    return page, page.data, page.text


def test_the_page_names_nothing_outside_itself(tmp_path: Path) -> None:
    page, _, text = page_of(tmp_path, compared())
    named = {"src", "href", "srcset", "action", "poster"}
    assert [v for _, attrs in page.tags for k, v in attrs.items() if k in named] == ["data:,"]
    assert not re.search(r"@import|\bfetch\(|XMLHttpRequest|\bimport\(", text)
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
    stars = "**" if each["holm"] else ""
    assert f"−{each['difference']:.4f} ± {half:.4f}{stars}" in page.texts["small"]
    assert "Holm’s correction" in text
    assert "class=real" in text


def test_the_script_is_given_curves_kinds_differences_and_alarms(tmp_path: Path) -> None:
    result = compared()
    page, data, _ = page_of(tmp_path, result)
    chart = data["chart"]
    assert chart["names"] == list(result["models"])
    assert chart["points"]["clicks"][-1] == result["windows"][-1]["clicks"]
    assert sum(chart["points"]["scored"]) == result["scored"]
    scored = chart["points"]["scored"]
    for curves, figure in zip(chart["values"], result["figures"], strict=True):
        for curve, found in zip(curves, result["models"].values(), strict=True):
            total = sum(value * count for value, count in zip(curve, scored, strict=True))
            assert total / result["scored"] == pytest.approx(found[figure], abs=1e-4)
    for model, found in zip(data["models"], result["models"].values(), strict=True):
        assert model[0][3] == pytest.approx(
            found["slices"]["place"]["second"][result["figures"][3]], abs=1e-5
        )
    assert sum(data["slices"][:3]) == result["scored"]
    for each in result["differences"]:
        order = list(result["models"])
        pair = f"{order.index(each['model'])}-{order.index(each['other'])}"
        at = result["figures"].index(each["figure"])
        assert data["differences"][pair][at] == [
            each["difference"],
            each["low"],
            each["high"],
            each["holm"],
        ]
    # Every cell that the script fills has its numbers.
    asked = {attrs["data-pair"] for _, attrs in page.tags if "data-pair" in attrs}
    assert asked == set(data["differences"])
    chosen = [attrs for tag, attrs in page.tags if tag == "option" and "selected" in attrs]
    assert len(chosen) == 1


@pytest.mark.parametrize("clicks", [6_000, 40_000])
def test_the_curves_begin_in_the_first_percent_of_the_stream(tmp_path: Path, clicks: int) -> None:
    result = compared(2, clicks)
    points = page_of(tmp_path, result)[1]["chart"]["points"]
    assert points["scored"][0] <= 0.01 * result["scored"] or points["scored"][0] == 32
    assert len(points["clicks"]) > 50
    assert points["clicks"] == sorted(points["clicks"])


def test_alarms_of_the_warm_up_are_not_among_those_of_drift(tmp_path: Path) -> None:
    result = compared(2, 600)
    rise = {"clicks": 6_000, "time": 1.0, "since": 900, "before": 0.25, "after": 0.5}
    fall = {"clicks": 9_123, "time": None, "since": 7_000, "before": 0.5, "after": 0.375}
    next(iter(result["models"].values()))["drift"] = [rise, fall]
    page, data, _ = page_of(tmp_path, result)
    (alarm,) = data["chart"]["alarms"][0]
    assert (alarm["clicks"], alarm["rise"]) == (9_123, False)
    drift, warm_up = page.text.split("<h2>Drift alarms</h2>")[1].split("during the warm-up")
    assert "9,123" in drift
    assert "6,000" not in drift
    assert "6,000" in warm_up


def test_names_are_escaped_wherever_they_stand(tmp_path: Path) -> None:
    result = compared(2, 300)
    mean = '</script><img src=x onerror="alert(1)">'
    result["models"] = {mean: result["models"]["worse by 0"], "b&b": result["models"]["worse by 1"]}
    result["differences"] = []
    result["config"]["models"] = {}
    result["source"] = "<b>'clicks'"
    page, data, text = page_of(tmp_path, result)
    assert "<img" not in text
    assert data["chart"]["names"][0] == mean
    assert "img" not in {tag for tag, _ in page.tags}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", LIGHT)
def test_every_curve_stands_out_on_white(colour: str) -> None:
    # WCAG 2.1, 1.4.11: graphics need a contrast of 3 to 1.
    assert 1.05 / (luminance(colour) + 0.05) >= 3


@pytest.mark.parametrize("colour", DARK)
def test_every_curve_stands_out_in_the_dark(colour: str) -> None:
    assert (luminance(colour) + 0.05) / (luminance("#0f141a") + 0.05) >= 3


def test_there_are_twelve_colours_in_light_and_in_dark() -> None:
    assert len(set(LIGHT)) == len(set(DARK)) == 12


def test_a_stream_too_short_for_anything_still_has_a_page(tmp_path: Path) -> None:
    for clicks in (0, 1, 60):
        page, data, text = page_of(tmp_path, compared(2, clicks))
        assert "too few clicks" in text
        assert len(data["chart"]["names"]) == 2
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
    shown, whole = (tomllib.loads(text) for text in page.texts["pre"] if "[models" in text)
    # What was written where would be written over, or gone on from, by whoever copies it.
    assert set(tomllib.loads(text)) - set(whole) == {
        "clicks_k",
        "json",
        "snapshot_every",
        "keep_snapshots",
        "fresh",
    }
    assert whole["models"] == shown["models"] == config.models
    # In sight is what differs from the defaults, and it asks for the same.
    assert set(shown) == {"gap", "k", "kafka", "models"}
    same = msgspec.convert(shown, CompareConfig).public()
    assert same == msgspec.convert(whole, CompareConfig).public()
