"""Curves over the clicks of a stream, drawn as one SVG that stands alone or in a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

# One colour a series, told apart on a light and on a dark ground; past six they are dashed too.
_LIGHT = ["#1f6feb", "#d1431f", "#1a7f37", "#8250df", "#9a6700", "#0e8394"]
_DARK = ["#6cb0ff", "#ff9270", "#5fd07a", "#c9a2ff", "#e3b341", "#4fd0e0"]

_STYLE = """
.curves { --ink: #1c2128; --faint: #6a737d; --grid: #d8dee4;
  font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.curves text { fill: var(--faint); }
.curves .title { fill: var(--ink); font-weight: 600; font-size: 13px; }
.curves .legend { fill: var(--ink); }
.curves .grid { stroke: var(--grid); stroke-width: 1; }
.curves .axis, .curves .cursor { stroke: var(--faint); stroke-width: 1; }
.curves .mark { stroke: var(--faint); stroke-width: 1; stroke-dasharray: 2 3; }
.curves .sign { fill: var(--faint); }
.curves .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.curves .dashed { stroke-dasharray: 6 3; }
"""

_DARK_INK = ".curves { --ink: #e6edf3; --faint: #9aa4af; --grid: #333b45; }"


class Curve(NamedTuple):
    """One named line: its values ``ys`` at the clicks ``xs``, which rise."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


class Mark(NamedTuple):
    """Something that happened at a click: an upright line with a tip, a text, and a direction."""

    x: float
    text: str
    up: bool


def curves_svg(
    curves: Sequence[Curve],
    marks: Sequence[Mark] = (),
    title: str = "",
    width: int = 820,
    height: int = 320,
) -> str:
    """Draw curves of figures between 0 and 1 over clicks.

    Parameters
    ----------
    curves
        The lines, at most twelve told apart; where there is nothing to draw the picture says so.
    marks
        What to mark along the stream, such as drift alarms.
    title
        A heading within the picture.
    width, height
        The picture's size in pixels, the legend's rows not counted. It also scales.

    Returns
    -------
    str
        An ``<svg>`` element with its own style, light or dark as the reader prefers. The
        attributes ``data-left``, ``data-right`` and ``data-last`` say between which abscissae
        lie the clicks from 0 to the last.

    Examples
    --------
    >>> picture = curves_svg([Curve("Recall@20", [10_000, 20_000], [0.5, 0.6])])
    >>> picture.startswith("<svg"), "Recall@20" in picture
    (True, True)

    """
    left, right = 44, width - 14
    legend, top = _legend([curve.name for curve in curves], left, right, 34 if title else 16)
    bottom = top + height - 70
    drawn = [(x, y) for curve in curves for x, y in zip(curve.xs, curve.ys, strict=True)]
    last = max([1.0, *(x for x, _ in drawn), *(mark.x for mark in marks)])
    step = _step(max([0.1, *(y for _, y in drawn)]), 5)
    ceiling = step * math.ceil(max([0.1, *(y for _, y in drawn)]) / step - 1e-9)

    def across(x: float) -> float:
        return round(left + (right - left) * x / last, 1)

    def up(y: float) -> float:
        return round(bottom - (bottom - top) * y / ceiling, 1)

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="curves" role="img" '
            f'viewBox="0 0 {width} {bottom + 44}" width="{width}" height="{bottom + 44}" '
            f'aria-label="{escape(title or "Curves over the clicks of the stream")}" '
            f'data-left="{left}" data-right="{right}" data-last="{last:.17g}">'
        ),
        f"<style>{_style()}</style>",
    ]
    if title:
        parts.append(f'<text class="title" x="{left}" y="16">{escape(title)}</text>')
    parts += legend
    for count in range(round(ceiling / step) + 1):
        y = up(count * step)
        kind = "grid" if count else "axis"
        parts.append(f'<line class="{kind}" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>')
        label = f"{count * step:.2f}"
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{label}</text>')
    tick = max(1.0, _step(last, (right - left) // 80))
    for count in range(int(last / tick * (1 + 1e-9)) + 1):
        x = across(count * tick)
        # A label at the very edge would be cut off.
        anchor = "end" if x > right - 16 else "middle"
        parts.append(f'<line class="axis" x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 4}"/>')
        parts.append(
            f'<text x="{x}" y="{bottom + 18}" text-anchor="{anchor}">{short(count * tick)}</text>'
        )
    middle = (left + right) / 2
    parts.append(f'<text x="{middle}" y="{bottom + 36}" text-anchor="middle">clicks read</text>')
    for mark in marks:
        x = across(mark.x)
        tip = f"M{x - 4} {top} h8 l-4 -7 z" if mark.up else f"M{x - 4} {top - 7} h8 l-4 7 z"
        parts.append(
            f'<g><title>{escape(mark.text)}</title><path class="sign" d="{tip}"/>'
            f'<line class="mark" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/></g>'
        )
    for number, curve in enumerate(curves):
        points = [(across(x), up(y)) for x, y in zip(curve.xs, curve.ys, strict=True)]
        path = "M" + " ".join(f"{x:g} {y:g}" for x, y in points)
        name = f"<title>{escape(curve.name)}</title>"
        if len(points) == 1:
            x, y = points[0]
            parts.append(
                f'<circle class="dot {_hue(number)}" cx="{x:g}" cy="{y:g}" r="3">{name}</circle>'
            )
        elif points:
            parts.append(f'<path class="line {_hue(number)}" d="{path}">{name}</path>')
    if not drawn:
        y = (top + bottom) / 2
        parts.append(f'<text x="{middle}" y="{y}" text-anchor="middle">no window closed yet</text>')
    parts.append(f'<line class="cursor" y1="{top}" y2="{bottom}" visibility="hidden"/>')
    parts.append("</svg>")
    return "\n".join(parts)


def short(count: float) -> str:
    """Write a round number of clicks briefly.

    Examples
    --------
    >>> short(500), short(25_000), short(1_200_000), short(3e9)
    ('500', '25k', '1.2M', '3G')

    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.4g}{unit}"
    return f"{count:.4g}"


def _style() -> str:
    hues = [
        "".join(
            f".curves .line.hue{number} {{ stroke: {colour}; }}"
            f" .curves .dot.hue{number} {{ fill: {colour}; }}\n"
            for number, colour in enumerate(colours)
        )
        for colours in (_LIGHT, _DARK)
    ]
    return f"{_STYLE}{hues[0]}@media (prefers-color-scheme: dark) {{\n{_DARK_INK}\n{hues[1]}}}\n"


def _hue(number: int) -> str:
    dashed = " dashed" if number // len(_LIGHT) % 2 else ""
    return f"hue{number % len(_LIGHT)}{dashed}"


def _legend(names: Sequence[str], left: int, right: int, top: int) -> tuple[list[str], int]:
    """Lay the names out in rows; return the elements and where the plot may start below them."""
    parts: list[str] = []
    x, y = left, top
    for number, name in enumerate(names):
        shown = name if len(name) <= 32 else name[:31] + "…"
        # The font's metrics are not known here: 7.5 pixels a letter is a wide guess.
        wide = 30 + math.ceil(7.5 * len(shown)) + 14
        if x > left and x + wide > right:
            x, y = left, y + 18
        parts.append(
            f'<path class="line {_hue(number)}" d="M{x} {y - 4} h22"/>'
            f'<text class="legend" x="{x + 28}" y="{y}">{escape(shown)}</text>'
        )
        x += wide
    return parts, y + (18 if names else 4)


def _step(reach: float, most: int) -> float:
    """Return a round step (1, 2 or 5 times a power of ten) that fits a reach at most so often."""
    rough = reach / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
