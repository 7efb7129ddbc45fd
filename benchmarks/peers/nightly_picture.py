"""The picture of `nightly.py`: Recall@20 by day, and the processor seconds that it took.

    .venv/bin/python -m benchmarks.peers.nightly_picture docs/results/nightly.json \
        docs/results/nightly.svg

Draws what the file has: nights that have not been run yet are left out, and a note names them. The
figures are those over all scored clicks: what a model cannot be asked about is its miss.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

WIDTH, HEIGHT = 860, 380
LEFT, RIGHT, TOP, BOTTOM = 52, 560, 74, 320
BARS, END = 600, 836

STYLE = """
.nights { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.nights .ground { fill: #ffffff; } .nights text { fill: #57606a; }
.nights .title, .nights .name { fill: #1c2128; } .nights .title { font-weight: 600; }
.nights .grid { stroke: #d8dee4; }
.nights path { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
.nights .line0 { stroke: #1f6feb; } .nights .fill0 { fill: #1f6feb; }
.nights .line1 { stroke: #b35900; } .nights .fill1 { fill: #b35900; }
.nights .line2 { stroke: #6e7781; } .nights .fill2 { fill: #6e7781; }
@media (prefers-color-scheme: dark) {
.nights .ground { fill: #0d1117; } .nights text { fill: #9aa4af; }
.nights .title, .nights .name { fill: #e6edf3; } .nights .grid { stroke: #333b45; }
.nights .line0 { stroke: #6cb0ff; } .nights .fill0 { fill: #6cb0ff; }
.nights .line1 { stroke: #ffa657; } .nights .fill1 { fill: #ffa657; }
.nights .line2 { stroke: #8b949e; } .nights .fill2 { fill: #8b949e; }
}
"""


class Way(NamedTuple):
    """A way to have a model: its recall on each day from the second on, and its seconds."""

    name: str
    recalls: list[float]
    seconds: float


def ways(found: dict[str, Any]) -> tuple[list[Way], list[str]]:
    """Return the three ways to have a model, and the nights that have not been run."""
    own, nights = found["nextclick"], found["nights"]
    days = range(1, len(own["seconds"]))

    def over_all(night: str, day: int) -> float:
        recall, _, clicks = nights[night]["tests"][str(day)]
        return float(recall * clicks / own["tests"][f"all {day}"][2])

    each_night = [f"0-{day - 1}" for day in days]
    run = [night for night in each_night if night in nights]
    missing = [night for night in each_night if night not in nights]
    if missing:  # A line has no holes.
        run = each_night[: each_night.index(missing[0])]
    return [
        Way(
            "nextclick, one pass",
            [own["tests"][f"all {day}"][0] for day in days],
            own["seconds"][-1],
        ),
        Way(
            "GRU4Rec, trained anew every night",
            [over_all(night, day) for night, day in zip(run, days, strict=False)],
            sum(nights[night]["seconds"] for night in run),
        ),
        Way(
            "GRU4Rec, trained in the first night",
            [over_all("0-0", day) for day in days],
            nights["0-0"]["seconds"],
        ),
    ], missing


def described(found: Sequence[Way]) -> str:
    """Return what the picture shows, for those who cannot see it."""
    told = [
        f"{way.name}: {way.recalls[0]:.1%} on day 2, {way.recalls[-1]:.1%} on day "
        f"{len(way.recalls) + 1}, {way.seconds:,.0f} processor seconds"
        for way in found
    ]
    return f"Recall@20 by day of the first week of yoochoose. {'; '.join(told)}."


def drawn(found: Sequence[Way]) -> str:
    """Draw the curves beside the bars, as an SVG with its own ground, light or dark."""
    recalls = [recall for way in found for recall in way.recalls]
    low, high = math.floor(min(recalls) * 20) / 20, math.ceil(max(recalls) * 20) / 20
    days = max(len(way.recalls) for way in found)

    def across(day: int) -> float:
        return round(LEFT + 16 + (RIGHT - LEFT - 32) * day / max(days - 1, 1), 1)

    def up(recall: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * (recall - low) / (high - low), 1)

    text = escape(described(found))
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="nights" role="img" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" aria-label="{text}">'
        ),
        f"<title>{text}</title><style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        f'<text class="title" x="{LEFT}" y="30">Recall@20 over all clicks of a day, in %</text>',
        f'<text class="title" x="{BARS}" y="30">Processor seconds, all days</text>',
    ]
    for step in range(round((high - low) * 20) + 1):
        y = up(low + step / 20)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}"/>')
        label = f"{100 * low + 5 * step:.0f}"
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{label}</text>')
    for day in range(days):
        place = f'x="{across(day)}" y="{BOTTOM + 22}" text-anchor="middle"'
        parts.append(f"<text {place}>day {day + 2}</text>")
    for number, way in enumerate(found):
        points = [(across(day), up(recall)) for day, recall in enumerate(way.recalls)]
        path = "M" + " ".join(f"{x:g} {y:g}" for x, y in points)
        parts.append(f'<path class="line{number}" d="{path}"/>')
        parts += [f'<circle class="fill{number}" cx="{x}" cy="{y}" r="3.5"/>' for x, y in points]
    parts += _bars(found)
    return "\n".join([*parts, "</svg>\n"])


def _bars(found: Sequence[Way]) -> list[str]:
    """Draw a bar for each way, with its name: the legend of the curves too."""
    longest = max(way.seconds for way in found)
    parts = []
    for number, way in enumerate(found):
        y = TOP + 12 + number * 84
        # Room for the number beside the longest bar.
        wide = round((END - BARS - 62) * way.seconds / longest, 1)
        parts += [
            f'<text class="name" x="{BARS}" y="{y}">{escape(way.name)}</text>',
            f'<rect class="fill{number}" x="{BARS}" y="{y + 9}" width="{wide}" height="22"/>',
            f'<text class="name" x="{BARS + wide + 8}" y="{y + 25}">{way.seconds:,.0f} s</text>',
        ]
    return parts


def main(
    file: Annotated[Path, typer.Argument(help="What nightly.py has found.")],
    picture: Annotated[Path, typer.Argument(help="The SVG to write.")],
) -> None:
    """Draw the picture, and print what to say in its place."""
    found, missing = ways(json.loads(file.read_text(encoding="utf-8")))
    picture.write_text(drawn(found), encoding="utf-8")
    typer.echo(described(found))
    if missing:
        typer.echo(f"not run yet, and left out: {', '.join(missing)}", err=True)


if __name__ == "__main__":
    typer.run(main)
