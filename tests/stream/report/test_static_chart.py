from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextclick.stream.report.static_chart import Curve, Mark, curves_svg

SVG = "{http://www.w3.org/2000/svg}"


def drawn(picture: str) -> list[list[tuple[float, float]]]:
    """Read the curves' points back, in the picture's pixels; the legend's strokes left out."""
    root = ET.fromstring(picture)
    paths = [path.get("d", "") for path in root.iter(f"{SVG}path")]
    numbers = [
        [float(number) for number in re.findall(r"[-\d.e+]+", path)]
        for path in paths
        if not re.search("[hz]", path)
    ]
    return [list(zip(path[::2], path[1::2], strict=True)) for path in numbers]


def test_points_lie_where_their_values_say() -> None:
    picture = curves_svg([Curve("one", [250, 500, 1000], [0.0, 0.5, 1.0])])
    root = ET.fromstring(picture)
    left, right = float(root.get("data-left", "")), float(root.get("data-right", ""))
    assert root.get("data-last") == "1000"
    ((low, middle, high),) = drawn(picture)
    assert [point[0] for point in (low, middle, high)] == pytest.approx(
        [left + (right - left) * share for share in (0.25, 0.5, 1)], abs=0.1
    )
    assert low[1] > middle[1] > high[1]
    assert low[1] - middle[1] == pytest.approx(middle[1] - high[1], abs=0.2)


shares = st.lists(st.floats(0, 1), max_size=30)


@given(
    columns=st.lists(shares, max_size=12),
    width=st.sampled_from([380, 820]),
    stretch=st.floats(1, 1e9),
)
def test_any_curves_stay_within_the_picture(
    columns: list[list[float]], width: int, stretch: float
) -> None:
    curves = [
        Curve(f"model {number}", [stretch * (1 + at) for at in range(len(ys))], ys)
        for number, ys in enumerate(columns)
    ]
    picture = curves_svg(curves, width=width)
    root = ET.fromstring(picture)
    height = float(root.get("height", ""))
    for curve in drawn(picture):
        assert all(40 <= x <= width and 0 <= y <= height for x, y in curve)
    assert len(drawn(picture)) == sum(len(ys) > 1 for ys in columns)
    assert len(list(root.iter(f"{SVG}circle"))) == sum(len(ys) == 1 for ys in columns)
    assert ("no window closed yet" in picture) == (not any(columns))


def test_twelve_curves_look_different_and_are_all_named() -> None:
    curves = [Curve(f"model {number}", [1, 2], [0.1, 0.2]) for number in range(12)]
    for width in (380, 820):
        root = ET.fromstring(curves_svg(curves, width=width))
        legend = [text for text in root.iter(f"{SVG}text") if text.get("class") == "legend"]
        assert [text.text for text in legend] == [curve.name for curve in curves]
        assert all(float(text.get("x", "")) < width - 60 for text in legend)
        paths = [path.get("class") for path in root.iter(f"{SVG}path")]
        assert len(set(paths)) == 12


def test_marks_say_what_happened() -> None:
    picture = curves_svg(
        [Curve("one", [1, 100], [0.1, 0.2])], [Mark(50, "fell", False), Mark(70, "rose", True)]
    )
    titles = [title.text for title in ET.fromstring(picture).iter(f"{SVG}title")]
    assert titles == ["fell", "rose", "one"]


def test_names_cannot_break_out_of_the_picture() -> None:
    wicked = "<script>alert('&')</script>\""
    picture = curves_svg([Curve(wicked, [1], [1.0])], [Mark(1, wicked, True)], title=wicked)
    root = ET.fromstring(picture)
    assert not list(root.iter(f"{SVG}script"))
    assert root.get("aria-label") == wicked
    assert [title.text for title in root.iter(f"{SVG}title")] == [wicked, wicked]
