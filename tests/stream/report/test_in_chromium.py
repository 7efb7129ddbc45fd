from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nextclick.stream.evaluation.prequential import Prequential
from nextclick.stream.report.comparison_page import write_comparison
from nextclick.stream.report.run_page import write_report
from tests.browser import DESKTOP, PHONE, chromium, opened
from tests.pages import compared, run_result

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

KINDS = ("run", "empty", "one", "twelve", "short", "long names", "wicked")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every kind of page, by name."""
    folder = tmp_path_factory.mktemp("pages")
    made = {name: folder / f"{name}.html" for name in KINDS}
    write_report(made["run"], run_result())
    write_report(made["empty"], {"model": "gru4rec", **Prequential().results()})
    one = compared(1, 3000)
    # A comparison's clock is not known before the first 1,024 clicks.
    for window in one["growing"][:20] + one["windows"][:5]:
        window["time"] = None
    write_comparison(made["one"], one)
    write_comparison(made["twelve"], compared(12, 12_000))
    write_comparison(made["short"], compared(2, 40))
    write_comparison(made["long names"], compared(12, 3000, "a model that is worse by"))
    wicked = '</script><img src=x onerror="alert(1)">'
    write_comparison(made["wicked"], compared(2, 300, wicked, source=f"{wicked}.csv"))
    return made


def inside(page: Page) -> bool:
    """Whether nothing is wider than the window, so that the page does not scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def colours(page: Page) -> dict[str, int]:
    """Return the pixels of the chart's canvas by colour, those without one left out."""
    found: dict[str, int] = page.evaluate(
        """() => {
          const canvas = document.querySelector(".uplot canvas"), counts = {};
          const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          for (let at = 0; at < data.length; at += 4)
            if (data[at + 3] === 255) {
              const key = [...data.slice(at, at + 3)]
                .map(part => part.toString(16).padStart(2, "0")).join("");
              counts["#" + key] = (counts["#" + key] || 0) + 1;
            }
          return counts;
        }"""
    )
    return found


def style(page: Page, name: str) -> str:
    found: str = page.evaluate(
        "name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()", name
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("name", KINDS)
def test_a_page_opens_without_complaint_or_request(
    browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    with opened(browser, pages[name], width, scheme) as found:
        assert inside(found.page)
        if name != "empty":
            drawn = colours(found.page)
            assert drawn.get(style(found.page, "--c0"), 0) > 10
        assert found.complaints == []
        assert found.requests == []


def test_dark_and_light_follow_the_reader_even_while_the_page_is_open(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["run"], DESKTOP, "light") as found:
        light = style(found.page, "--c0")
        found.page.emulate_media(color_scheme="dark")
        found.page.wait_for_timeout(300)
        drawn = colours(found.page)
        assert style(found.page, "--c0") != light
        assert drawn.get(style(found.page, "--c0"), 0) > 50
        assert light not in drawn


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_legend_is_above_the_chart_and_there_is_no_blank_band(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    with opened(browser, pages["twelve"], width) as found:
        legend = found.page.locator(".legend").bounding_box()
        plot = found.page.locator(".plot").bounding_box()
        curves = found.page.locator(".uplot").bounding_box()
        assert legend is not None
        assert plot is not None
        assert curves is not None
        assert 0 <= plot["y"] - (legend["y"] + legend["height"]) < 20
        assert curves["height"] == pytest.approx(plot["height"], abs=4)
        assert plot["width"] > width - 160
        chips = [chip.bounding_box() for chip in found.page.locator(".legend > button").all()]
        assert len(chips) == 12
        assert all(chip and chip["height"] < 40 for chip in chips)


def test_a_phone_labels_curves_by_the_numbers_of_the_legend(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["long names"], PHONE) as found:
        places = found.page.locator(".legend > button i").all_text_contents()
        assert places == [str(number) for number in range(1, 13)]
    with opened(browser, pages["long names"], DESKTOP) as found:
        assert set(found.page.locator(".legend > button i").all_text_contents()) == {""}


def over(page: Page, across: float, down: float) -> None:
    """Point at a place of the plot, by its shares of width and height."""
    plot = page.locator(".u-over")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    plot.hover(position={"x": across * box["width"], "y": down * box["height"]})
    page.wait_for_timeout(100)


def test_pointing_shows_a_sorted_table_and_lifts_the_nearest_curve(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["twelve"], DESKTOP) as found:
        over(found.page, 0.6, 0.5)
        values = [float(text) for text in found.page.locator(".reading td").all_text_contents()]
        assert len(values) == 12
        assert values == sorted(values, reverse=True)
        assert "click" in found.page.locator(".reading").inner_text()
        lifted = set()
        for down in range(5, 100, 5):
            over(found.page, 0.6, down / 100)
            lifted |= set(found.page.locator(".legend .lifted span").all_text_contents())
        assert len(lifted) > 2
        found.page.mouse.move(2, 2)
        found.page.wait_for_timeout(100)
        assert not found.page.locator(".reading").is_visible()


def test_a_finger_reads_the_curves_of_a_phone(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["run"], PHONE) as found:
        plot = found.page.locator(".u-over")
        plot.scroll_into_view_if_needed()
        plot.tap(position={"x": 150, "y": 80})
        found.page.wait_for_timeout(100)
        assert found.page.locator(".reading td").count() == 2


def saved(page: Page, kind: str) -> bytes:
    with page.expect_download() as download:
        page.get_by_role("button", name=kind, exact=True).click()
    return Path(download.value.path()).read_bytes()


def numbers(page: Page) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(saved(page, "CSV").decode())))


def test_csv_svg_and_png_hold_what_is_seen(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["twelve"], DESKTOP) as found:
        page = found.page
        page.locator(".legend > button").nth(3).click()
        rows = numbers(page)
        assert "worse by 3" not in rows[0]
        assert "worse by 4" in rows[0]
        root = ET.fromstring(saved(page, "SVG"))
        titles = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
        assert titles == [f"worse by {number}" for number in range(12) if number != 3]
        png = saved(page, "PNG")
        assert png.startswith(b"\x89PNG")
        assert int.from_bytes(png[16:20], "big") == 2 * int(root.attrib["width"])
        assert found.complaints == []


def test_zooming_shows_and_saves_a_part_and_a_button_undoes_it(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["run"], DESKTOP) as found:
        page, whole = found.page, found.page.get_by_role("button", name="Whole stream")
        everything = numbers(page)
        assert whole.is_disabled()
        box = page.locator(".u-over").bounding_box()
        assert box
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 60, steps=4)
        page.mouse.up()
        part = numbers(page)
        assert 0 < len(part) < len(everything)
        assert all(33_000 < int(row["click"]) < 55_000 for row in part)
        # What is drawn may change; where one looks does not.
        page.check("input[name=cumulative]")
        assert [row["click"] for row in numbers(page)] == [row["click"] for row in part]
        whole.click()
        assert len(numbers(page)) == len(everything)


def test_a_cumulative_curve_ends_at_the_figure_of_the_whole_stream(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["run"], DESKTOP) as found:
        found.page.check("input[name=cumulative]")
        last = numbers(found.page)[-1]
    made = run_result()
    assert float(last["Recall@20"]) == pytest.approx(made["recall@20"], abs=1e-4)
    assert float(last["MRR@20"]) == pytest.approx(made["mrr@20"], abs=1e-4)
    with opened(browser, pages["twelve"], PHONE) as found:
        found.page.check("input[name=cumulative]")
        last = numbers(found.page)[-1]
    for name, own in compared(12, 12_000)["models"].items():
        assert float(last[name]) == pytest.approx(own["recall@5"], abs=1e-4)


def test_the_difference_to_the_first_model_is_that_of_the_curves(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["twelve"], DESKTOP) as found:
        found.page.locator("input[name=smoothing]").fill("0")
        plain = numbers(found.page)
        found.page.check("input[name=difference]")
        apart = numbers(found.page)
    for row, own in zip(plain, apart, strict=True):
        assert float(own["worse by 0"]) == 0
        expected = float(row["worse by 5"]) - float(row["worse by 0"])
        assert float(own["worse by 5"]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("axis", ["log", "time"])
def test_every_axis_draws_the_curves(browser: Browser, pages: dict[str, Path], axis: str) -> None:
    with opened(browser, pages["run"], DESKTOP) as found:
        found.page.select_option("select[name=axis]", axis)
        found.page.wait_for_timeout(200)
        assert colours(found.page).get(style(found.page, "--c0"), 0) > 50
        root = ET.fromstring(saved(found.page, "SVG"))
        texts = {each.text for each in root.iter("{http://www.w3.org/2000/svg}text")}
        assert {"log": "10k", "time": "2014-04-07"}[axis] in texts
        assert found.complaints == []


def test_points_of_unknown_time_are_left_out_on_the_axis_of_event_time(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["one"], DESKTOP) as found:
        drawn = [row["worse by 0"] != "" for row in numbers(found.page)]
        assert all(drawn)
        found.page.select_option("select[name=axis]", "time")
        rows = numbers(found.page)
        assert [row["worse by 0"] != "" for row in rows] == [row["time"] != "" for row in rows]
        assert sum(row["time"] == "" for row in rows) == 20
        assert colours(found.page).get(style(found.page, "--c0"), 0) > 50
        assert found.complaints == []


def test_the_figure_that_is_picked_fills_chart_and_tables(
    browser: Browser, pages: dict[str, Path]
) -> None:
    result = compared(12, 12_000)
    with opened(browser, pages["twelve"], DESKTOP) as found:
        page = found.page
        page.select_option("#figure", "MRR@5")
        assert set(page.locator(".picked").all_text_contents()) == {"MRR@5"}
        cell = page.locator("#slices tbody tr").nth(2).locator("td").first.inner_text()
        own = result["models"]["worse by 2"]["slices"]["place"]["second"]["mrr@5"]
        assert cell == f"{own:.3f}"
        each = next(each for each in result["differences"] if each["figure"] == "mrr@5")
        shown = page.locator("#differences td[data-pair='0-1']").first
        stars = "**" if each["holm"] else ""
        assert shown.inner_text() == f"+{each['difference']:.4f}{stars}"
        page.locator("input[name=smoothing]").fill("0")
        last = float(numbers(page)[-2]["worse by 0"])
        assert last == pytest.approx(result["models"]["worse by 0"]["windows"]["mrr@5"][-2], abs=1)


def test_a_chart_takes_new_points_while_it_is_shown(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["empty"], DESKTOP) as found:
        page = found.page
        page.evaluate(
            """() => {
              const points = {clicks: [], times: [], scored: []};
              const data = {points, names: ["one", "two"], figures: ["Recall@20"],
                values: [[[], []]], alarms: [[], []], comparable: true};
              const chart = nextclick.chart(document.getElementById("chart"), data);
              for (let at = 1; at <= 50; at++)
                chart.append({clicks: 100 * at, time: at, scored: 90}, [[at / 100, null]]);
            }"""
        )
        page.wait_for_timeout(300)
        rows = numbers(page)
        assert [rows[0]["one"], rows[-1]["one"]] == ["0.01", "0.5"]
        assert rows[0]["two"] == ""
        assert found.complaints == []


def test_a_chart_replaces_its_last_points_and_its_alarms_under_the_cursor(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["empty"], DESKTOP) as found:
        page = found.page
        page.evaluate(
            """() => {
              const data = {points: {clicks: [], times: [], scored: []}, names: ["one"],
                figures: ["Recall@20"], values: [[[]]], alarms: [[]], comparable: false};
              window.chart = nextclick.chart(document.getElementById("chart"), data);
              window.put = (from, ...clicks) => chart.replace(from,
                {clicks, times: clicks, scored: clicks.map(() => 9)}, [[clicks.map(() => 0.5)]]);
              put(0, 100, 200, 300, 400, 500, 600);
            }"""
        )
        over(page, 0.99, 0.5)
        page.wait_for_function("!document.querySelector('.reading').hidden")
        page.evaluate("put(2, 310)")
        page.evaluate("chart.mark([[{clicks: 250, rise: true, text: 'it rose'}]])")
        page.wait_for_timeout(300)
        assert [row["click"] for row in numbers(page)] == ["100", "200", "310"]
        assert b"it rose" in saved(page, "SVG")
        page.evaluate("put(0)")
        page.wait_for_timeout(300)
        assert page.locator(".plot .nothing").is_visible()
        page.evaluate("put(0, 50)")
        page.wait_for_timeout(300)
        assert [row["click"] for row in numbers(page)] == ["50"]
        assert found.complaints == []


@pytest.fixture(scope="module")
def blank(browser: Browser, pages: dict[str, Path]) -> Iterator[Page]:
    with opened(browser, pages["empty"], DESKTOP) as found:
        yield found.page


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("cumulative([0, 1, null, 1], [10, 30, 5, 40])", [0, 0.75, None, 0.875]),
        ("smooth([0, 1], [1, 1], 0)", [0, 1]),
        ("smooth([0.3, 0.3, 0.3], [1, 9, 5], 0.9)", [0.3, 0.3, 0.3]),
        ("smooth([0, 1], [1, 3], 0.5)", [0, 1.5 / 1.75]),
        ("above([0.5, null], [0.25, 1])", [0.25, None]),
        ("rising([1, 3, 2])", [1, 3, 3]),
        ("rising([null, 2, null, 1])", [2, 2, 2, 2]),
        ("rising([null])", None),
        ("rising([1e300])", None),
        ("spread([50, 50, 52], 10, 0, 100)", [50, 60, 70]),
        ("spread([99, 98], 10, 0, 100)", [100, 90]),
        ("spread([1, 2, 3], 10, 0, 12)", [1, 11, None]),
        ("valueAt([0, 10], [0, 1], 5)", 0.5),
        ("valueAt([0, 10], [0, 1], 11)", None),
        ("short(12500)", "12.5k"),
        ("figure(-0.25, true)", "−0.2500"),
    ],
)
def test_what_is_computed_of_curves(blank: Page, call: str, expected: Any) -> None:
    value = blank.evaluate(f"nextclick.{call}")
    assert value == (pytest.approx(expected) if isinstance(expected, (list, float)) else expected)
