"""A page with a run's figures, curves, alarms, counts and options. It needs no network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from ..output_files import write_whole
from .static_chart import Curve, Mark, curves_svg

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1c2128; --faint: #59636e;
  --line: #d8dee4; --strong: #0b5bd3; }
@media (prefers-color-scheme: dark) { :root { --ground: #0f141a; --ink: #e6edf3;
  --faint: #9aa4af; --line: #333b45; --strong: #6cb0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 900px; padding: 24px 20px 48px; background: var(--ground);
  color: var(--ink); line-height: 1.5;
  font: 15px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 32px 0 8px; }
p { margin: 4px 0; }
.faint, figcaption { color: var(--faint); overflow-wrap: anywhere; }
.heads { display: flex; flex-wrap: wrap; gap: 10px 32px; margin: 20px 0 8px; }
.heads b { display: block; font-size: 28px; font-weight: 650; line-height: 1.2;
  color: var(--strong); font-variant-numeric: tabular-nums; }
figure { margin: 0; }
figure svg { display: block; width: 100%; height: auto; touch-action: pan-y; }
figure svg.narrow { display: none; }
.readout { min-height: 24px; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 0 5px 24px; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
th { font-weight: 600; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; }
.pairs td { text-align: left; overflow-wrap: anywhere; white-space: normal; }
.columns { display: flex; flex-wrap: wrap; gap: 0 64px; }
code { font: 13px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
@media (max-width: 600px) {
  body { padding: 16px 14px 32px; }
  figure svg.wide { display: none; }
  figure svg.narrow { display: block; }
  th, td { padding-left: 12px; }
  .readout { min-height: 46px; }
}
"""

# Point at a curve and the nearest window's figures are read out below it.
_SCRIPT = """
for (const figure of document.querySelectorAll("figure")) {
  const curves = JSON.parse(figure.querySelector("script").textContent);
  const readout = figure.querySelector(".readout");
  const nearest = (xs, x) => xs.reduce(
    (best, at, i) => Math.abs(at - x) < Math.abs(xs[best] - x) ? i : best, 0);
  for (const svg of figure.querySelectorAll("svg")) {
    const left = +svg.dataset.left, right = +svg.dataset.right, last = +svg.dataset.last;
    const cursor = svg.querySelector(".cursor");
    const read = event => {
      const box = svg.getBoundingClientRect();
      const at = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
      const x = (at - left) / (right - left) * last;
      const shown = curves.filter(curve => curve.xs.length);
      if (!shown.length) return;
      const xs = shown[0].xs, i = nearest(xs, x);
      const place = left + (right - left) * xs[i] / last;
      cursor.setAttribute("x1", place);
      cursor.setAttribute("x2", place);
      cursor.setAttribute("visibility", "visible");
      readout.textContent = ["click " + xs[i].toLocaleString("en"), shown[0].notes[i]].concat(
        shown.map(c => c.name + " " + c.ys[nearest(c.xs, xs[i])].toFixed(4))
      ).filter(text => text).join("  ·  ");
    };
    svg.addEventListener("pointermove", read);
    svg.addEventListener("pointerdown", read);
  }
}
"""

_COUNTS = [
    ("clicks", "clicks read"),
    ("scored", "scored"),
    ("learned", "learned"),
    ("first", "first of their session, not scored"),
    ("unseen", "scored, item never seen before (a miss)"),
    ("late", "late, not learned"),
    ("ahead", "too far ahead of the stream, not learned"),
]

_MACHINE = [
    ("catalogue", "items in the catalogue"),
    ("live_sessions", "live sessions"),
    ("seconds", "seconds"),
    ("clicks_per_second", "clicks per second"),
    ("peak_memory_mb", "peak memory, MB"),
]

_SCOPES = [
    ("seen", "items seen before"),
    ("sliding", "last window"),
    ("fading", "fading"),
]


def write_report(path: str | os.PathLike[str], result: Mapping[str, Any]) -> None:
    """Write a run's page.

    Parameters
    ----------
    path
        The HTML file; its folder is made where it is missing.
    result
        The run's result, the object that ``--json`` writes. A key that is missing leaves its
        line out. Ids and names in it may hold anything: they are escaped.

    Raises
    ------
    OSError
        The file cannot be written; one that was there before is untouched.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_report(f"{folder}/run.html", {"model": "gru4rec", "clicks": 3, "scored": 2})
    ...     "gru4rec" in Path(folder, "run.html").read_text(encoding="utf-8")
    True

    """
    write_whole(path, report_page(result))


def report_page(result: Mapping[str, Any]) -> bytes:
    """Return the page that `write_report` writes."""
    # A file's name may hold bytes that are no text; the page shows them with backslashes.
    return "\n".join(_page(result)).encode("utf-8", "backslashreplace")


def window_curves(windows: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Give one curve for each figure of the windows, such as Recall@20, over clicks read.

    A last window that is less than a tenth full would show chance, and is left out.
    """
    if len(windows) > 1 and windows[-1].get("scored", 1) < 0.1 * windows[-2].get("scored", 0):
        windows = windows[:-1]
    names = [key for key in windows[0] if "@" in key] if windows else []
    xs = [window["clicks"] for window in windows]
    return [Curve(title(name), xs, [window[name] for window in windows]) for name in names]


def drift_marks(alarms: Iterable[Mapping[str, Any]]) -> list[Mark]:
    """Give one mark for each alarm, at the click where it was raised."""
    return [
        Mark(
            alarm["clicks"],
            f"hit rate {alarm['before']:.3f} → {alarm['after']:.3f}",
            alarm["after"] > alarm["before"],
        )
        for alarm in alarms
    ]


def _page(result: Mapping[str, Any]) -> Iterator[str]:
    model = str(result.get("model", "model"))
    source = str(result.get("source", ""))
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    # Says it to the browser too: nothing is fetched.
    yield (
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
    )
    yield f"<title>{escape(model)}: {escape(source)}</title>"
    yield f"<style>{_STYLE}</style>\n</head>\n<body>"
    yield f"<h1>{escape(model)}</h1>"
    yield f'<p class="faint">{escape(source)}</p>' if source else ""
    yield '<p class="faint">Every click was predicted first and learned after.</p>'
    figures = [key for key in result if "@" in key]
    yield '<div class="heads">'
    for key in [*figures, "clicks", "clicks_per_second"]:
        if key in result:
            yield f"<div><b>{_number(result[key])}</b>{escape(_heading(key))}</div>"
    yield "</div>"
    yield from _chart(result)
    yield from _alarms(result.get("drift", []))
    yield "<h2>Figures</h2>"
    rows = [["all scored clicks", *(_number(result[key]) for key in figures)]]
    for scope, label in _SCOPES:
        if scope in result:
            rows.append([label, *(_number(result[scope].get(key)) for key in figures)])
    yield from _table(["over", *(title(key) for key in figures)], rows)
    yield '<div class="columns"><div><h2>Clicks</h2>'
    rows = [[label, _number(result[key])] for key, label in _COUNTS if key in result]
    rejected = result.get("rejected", {})
    rows.append(["rejected", _number(sum(rejected.values()))])
    rows += [[f"– {reason}", _number(count)] for reason, count in sorted(rejected.items())]
    yield from _table(["what", "clicks"], rows)
    yield "</div>"
    rows = [[label, _number(result[key])] for key, label in _MACHINE if key in result]
    if rows:
        yield "<div><h2>Run</h2>"
        yield from _table(["what", "value"], rows)
        yield "</div>"
    yield "</div>"
    if result.get("config"):
        yield '<h2>Options</h2>\n<div class="scroll"><table class="pairs">'
        for name, value in _flat(result["config"]):
            yield (
                f"<tr><td><code>{escape(name)}</code></td>"
                f"<td><code>{escape(value)}</code></td></tr>"
            )
        yield "</table></div>"
    yield f"<script>{_SCRIPT}</script>\n</body>\n</html>\n"


def _chart(result: Mapping[str, Any]) -> Iterator[str]:
    windows = result.get("windows", [])
    curves = window_curves(windows)
    marks = drift_marks(result.get("drift", []))
    # Shrunk to a phone's width the wide drawing could not be read, so there is a narrow one.
    wide, narrow = curves_svg(curves, marks), curves_svg(curves, marks, width=380, height=300)
    notes = [moment(window["time"]) for window in windows]
    data = [{"name": c.name, "xs": c.xs, "ys": c.ys, "notes": notes} for c in curves]
    yield "<h2>Along the stream</h2>\n<figure>"
    yield wide.replace('class="curves"', 'class="curves wide"', 1)
    yield narrow.replace('class="curves"', 'class="curves narrow"', 1)
    yield '<p class="readout faint">Point at the curves to read a window.</p>'
    if windows:
        size = _number(windows[0].get("scored"))
        yield (
            f"<figcaption>Each point is a window of {size} scored clicks, drawn where it ended. "
            "Dashed uprights are drift alarms, on a rise ▲ or a fall ▼ of the hit rate."
            "</figcaption>"
        )
    # The only way out of a script element is a "<", and JSON can do without it.
    text = json.dumps(data).replace("<", "\\u003c")
    yield f'<script type="application/json">{text}</script>\n</figure>'


def _alarms(alarms: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "<h2>Drift alarms</h2>"
    if not alarms:
        yield '<p class="faint">None: the hit rate did not change for long.</p>'
        return
    rows = [
        [
            _number(alarm["clicks"]),
            f"{alarm['before']:.3f} → {alarm['after']:.3f}",
            _number(alarm["since"]),
            moment(alarm["time"]),
        ]
        for alarm in alarms
    ]
    shown = " open" if len(rows) <= 8 else ""
    yield f"<details{shown}><summary>{len(rows)} changes of the hit rate</summary>"
    yield from _table(["at click", "hit rate", "began after", "event time"], rows)
    yield "</details>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield '<div class="scroll"><table>'
    yield "<tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
    yield "</table></div>"


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Give every option with its dotted name and its value as TOML writes it."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            unset = value is None
            yield f"{prefix}{key}", "not set" if unset else json.dumps(value, ensure_ascii=False)


def title(key: str) -> str:
    """Write a figure's key as a name: ``recall@20`` is Recall@20, ``mrr@20`` is MRR@20."""
    name, at, k = key.partition("@")
    return (name.capitalize() if name == "recall" else name.upper()) + at + k


def _heading(key: str) -> str:
    return title(key) if "@" in key else key.replace("_", " ")


def _number(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        digits = 4 if abs(value) <= 1 else 1 if abs(value) < 1000 else 0
        return f"{value:,.{digits}f}"
    return "–"


def moment(time: float) -> str:
    """Write an event time as a date, or as a plain number where the calendar has none for it."""
    try:
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time):%Y-%m-%d %H:%M} UTC"
    except OverflowError:
        return f"{time:g}"
