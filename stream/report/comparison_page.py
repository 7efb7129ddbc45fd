"""A page with a comparison: standings, curves, kinds of click, differences; no network needed."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from ..comparison.slices import LABELS, SLICES
from ..output_files import write_whole
from .run_page import moment, title
from .script import SCRIPT
from .style import COLOURS, DASHES, STYLE

_COSTS = (
    ("coverage", "coverage", "{:.1%}"),
    ("popularity", "mean popularity", "{:.3%}"),
    ("score_ms", "ms a click to score", "{:.3f}"),
    ("learn_ms", "to learn", "{:.3f}"),
    ("memory_mb", "MB of state", "{:,.1f}"),
)

_NO_FIGURE = ("snapshots", "snapshot_every", "keep_snapshots", "fresh", "json", "report")
"""Options that no figure depends on."""


def write_comparison(path: str | os.PathLike[str], result: Mapping[str, Any]) -> None:
    """Write a comparison's page.

    Parameters
    ----------
    path
        The HTML file; its folder is made where it is missing.
    result
        What `compare` gave. Names in it may hold anything: they are escaped.

    Raises
    ------
    OSError
        The file cannot be written; one that was there before is untouched.

    """
    write_whole(path, comparison_page(result))


def comparison_page(result: Mapping[str, Any]) -> bytes:
    """Return the page that `write_comparison` writes."""
    # A file's name may hold bytes that are no text; the page shows them with backslashes.
    return "\n".join(_page(result)).encode("utf-8", "backslashreplace")


def toml_of(config: Mapping[str, Any]) -> str:
    """Write a comparison's options as the TOML file that asks for them.

    Examples
    --------
    >>> print(toml_of({"batch": 64, "format": None, "k": [1, 20], "models": {"gru4rec": {}}}))
    batch = 64
    k = [1, 20]
    <BLANKLINE>
    [models.gru4rec]

    """
    tables = {"kafka": config.get("kafka", {})} if config.get("kafka") else {}
    tables |= {f"models.{name}": own for name, own in config["models"].items()}
    lines = [
        f"{key} = {_value(value)}"
        for key, value in config.items()
        if value is not None and not isinstance(value, Mapping)
    ]
    for name, own in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{json.dumps(key)} = {_value(value)}" for key, value in own.items()]
    return "\n".join(lines)


def _value(value: Any) -> str:
    """Write a value as TOML has it: like JSON, but for tables in one line."""
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{json.dumps(key)} = {_value(of)}" for key, of in value.items()) + "}"
        )
    return json.dumps(value, ensure_ascii=False)


def _page(result: Mapping[str, Any]) -> Iterator[str]:
    source, models = str(result["source"]), list(result["models"])
    name = source.rpartition("/")[2]
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    # Says it to the browser too: nothing is fetched.
    yield (
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
    )
    yield f"<title>{len(models)} models: {escape(name)}</title>"
    yield f"<style>{STYLE}</style>\n</head>\n<body>"
    yield f"<h1>{len(models)} models on {escape(name)}</h1>"
    yield f'<p class="faint">{escape(source)}</p>' if name != source else ""
    yield (
        f'<p class="faint">Every model scored each of {result["scored"]:,} clicks before it '
        f"learned it; {result['usable']:,} clicks were read. Figures are over all scored clicks, "
        "an item never seen before being a miss.</p>"
    )
    yield from _standings(result)
    yield "<noscript><p>The curves and the tables below them need JavaScript.</p></noscript>"
    yield '<div class="bar"><label>Figure <select id="figure">'
    most = f"recall@{max(result['k'])}"
    for figure in result["figures"]:
        chosen = " selected" if figure == most else ""
        yield f"<option{chosen}>{title(figure)}</option>"
    yield '</select></label><span class="faint">of the curves and tables below</span></div>'
    yield from _curves(result)
    yield from _slices(result)
    yield from _apart(result)
    yield from _alarms(result)
    yield "<h2>What reproduces it</h2>"
    yield f"<pre>nextclick compare {escape(shlex.quote(source))} --config compare.toml</pre>"
    yield "<p>with this <code>compare.toml</code>:</p>"
    asked = {key: value for key, value in result["config"].items() if key not in _NO_FIGURE}
    yield f"<pre>{escape(toml_of(asked))}</pre>"
    # The only way out of a script element is a "<", and JSON can do without it.
    data = json.dumps(_data(result), separators=(",", ":")).replace("<", "\\u003c")
    yield f'<script id="data" type="application/json">{data}</script>'
    yield f"<script>{SCRIPT}</script>\n</body>\n</html>\n"


def _standings(result: Mapping[str, Any]) -> Iterator[str]:
    most = max(result["k"])
    shown = [f"{metric}@{most}" for metric in ("recall", "mrr", "ndcg")]
    first = next(iter(result["models"]))
    apart = {
        (each["other"], each["figure"]): each
        for each in result["differences"]
        if each["model"] == first
    }
    yield "<h2>Standings</h2>"
    heads = [*(title(figure) for figure in shown), f"{title(shown[0])}, last half"]
    heads += [head for _, head, _ in _COSTS]
    yield '<div class="scroll"><table><thead><tr><th>model</th>'
    yield "".join(f"<th>{head}</th>" for head in heads) + "</tr></thead><tbody>"
    for name, found in result["models"].items():
        yield f'<tr><th scope="row">{escape(name)}</th>'
        for figure in shown:
            yield f"<td>{found[figure]:.4f}{_behind(apart.get((name, figure)))}</td>"
        yield f"<td>{found['last_half'][shown[0]]:.4f}</td>"
        for key, _, form in _COSTS:
            yield f"<td>{form.format(found[key])}</td>"
        yield "</tr>"
    yield "</tbody></table></div>"
    boot = result["bootstrap"]
    if boot["draws"]:
        sure = (
            "Below each figure stands its difference from the first row with half the width of "
            "its 95 % interval, in bold where that excludes 0: a block bootstrap of "
            f"{boot['draws']:,} draws over {boot['blocks']:,} blocks of {boot['block_clicks']:,} "
            "scored clicks."
        )
    else:
        sure = "There are too few clicks to say which differences are real."
    yield (
        f'<p class="faint">{sure} Coverage and popularity are those of {result["lists"]:,} lists '
        f"of {most}: the share of the items that was recommended at all, and the mean share of all "
        "clicks that a recommended item had.</p>"
    )


def _behind(apart: Mapping[str, Any] | None) -> str:
    """Write below a figure its difference from the first row's."""
    if apart is None:
        return ""
    sign = "−" if apart["difference"] > 0 else "+"
    text = f"{sign}{abs(apart['difference']):.4f}"
    if apart["low"] is not None:
        text += f" ± {(apart['high'] - apart['low']) / 2:.4f}"
    return f"<small{' class=real' if apart['real'] else ''}>{text}</small>"


def _curves(result: Mapping[str, Any]) -> Iterator[str]:
    yield '<h2><span class="picked"></span> along the stream</h2>'
    yield '<div id="plot"></div>'
    yield (
        '<p class="wide"><button type="button" id="whole" disabled>Whole stream</button> '
        '<button type="button" id="all">All</button> <button type="button" id="none">None</button> '
        '<span class="faint" id="where"></span></p><div id="legend">'
    )
    for number, name in enumerate(result["models"]):
        colour, dash = _look(number)
        yield (
            '<button type="button" aria-pressed="true"><svg width="28" height="8">'
            f'<line x1="0" x2="28" y1="4" y2="4" stroke="{colour}" stroke-width="3" '
            f'stroke-dasharray="{dash}"/></svg><span>{escape(name)}</span><b></b></button>'
        )
    yield (
        '</div><p class="faint">Point at the curves to read a window in the legend, press a name '
        "to hide its curve, drag to zoom. Triangles are drift alarms, on a rise or a fall of the "
        "hit rate.</p>"
    )


def _slices(result: Mapping[str, Any]) -> Iterator[str]:
    yield '<h2><span class="picked"></span> by kind of click</h2>'
    yield '<div class="scroll"><table id="slices"><thead><tr><th></th>'
    for line, kinds in SLICES.items():
        yield f'<th colspan="{len(kinds)}" scope="colgroup" class="first">{LABELS[line]}</th>'
    yield "</tr><tr><th>model</th>"
    scored = max(1, result["scored"])
    for line, kinds in SLICES.items():
        for kind in kinds:
            share = result["slices"][line][kind] / scored
            first = ' class="first"' if kind == kinds[0] else ""
            yield f"<th{first}>{LABELS[kind]}<br><span class=faint>{share:.1%}</span></th>"
    yield "</tr></thead><tbody>"
    cells = "".join(
        '<td class="first"></td>' + "<td></td>" * (len(kinds) - 1) for kinds in SLICES.values()
    )
    for name in result["models"]:
        yield f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
    yield "</tbody></table></div>"
    yield (
        '<p class="faint">Below each kind stands its share of the scored clicks. The deeper the '
        "blue, the nearer to the best of the column.</p>"
    )


def _apart(result: Mapping[str, Any]) -> Iterator[str]:
    models = list(result["models"])
    yield '<h2>Differences in <span class="picked"></span></h2>'
    yield '<div class="scroll"><table id="apart"><thead><tr><th>row less column</th>'
    yield (
        "".join(f"<th>{number + 1}</th>" for number in range(len(models))) + "</tr></thead><tbody>"
    )
    for row, name in enumerate(models):
        yield f'<tr><th scope="row">{row + 1} {escape(name)}</th>'
        for column in range(len(models)):
            if row == column:
                yield "<td></td>"
            else:
                pair, turn = f"{min(row, column)}-{max(row, column)}", 1 if row < column else -1
                yield f'<td data-pair="{pair}" data-turn="{turn}"></td>'
        yield "</tr>"
    yield "</tbody></table></div>"
    yield (
        '<p class="faint">Green: the row’s model is ahead, red: behind, and chance alone would not '
        "explain it. Grey: the 95 % interval holds 0. Point at a cell, or tap it, for its "
        'interval. <b id="interval"></b></p>'
    )


def _alarms(result: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>Drift alarms</h2>"
    rows = [
        (alarm["clicks"], name, alarm)
        for name, found in result["models"].items()
        for alarm in found["drift"]
    ]
    if not rows:
        yield '<p class="faint">None: no model’s hit rate changed for long.</p>'
        return
    yield f"<details><summary>{len(rows):,} changes of a hit rate</summary>"
    yield '<div class="scroll"><table><thead><tr><th>model</th><th>at click</th><th>hit rate</th>'
    yield "<th>began after</th><th>event time</th></tr></thead><tbody>"
    for clicks, name, alarm in sorted(rows, key=lambda row: row[:2]):
        when = "–" if alarm["time"] is None else moment(alarm["time"])
        yield (
            f'<tr><th scope="row">{escape(name)}</th><td>{clicks:,}</td>'
            f"<td>{alarm['before']:.3f} → {alarm['after']:.3f}</td>"
            f"<td>{alarm['since']:,}</td><td>{when}</td></tr>"
        )
    yield "</tbody></table></div></details>"


def _data(result: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the script draws: models, figures and kinds by their places."""
    figures, order = result["figures"], list(result["models"])
    models = []
    for number, (name, found) in enumerate(result["models"].items()):
        colour, dash = _look(number)
        models.append(
            {
                "name": name,
                "colour": colour,
                "dash": dash,
                "windows": [_rounded(found["windows"][figure]) for figure in figures],
                "slices": [
                    _rounded([found["slices"][line][kind][figure] for figure in figures])
                    for line, kinds in SLICES.items()
                    for kind in kinds
                ],
                "drift": found["drift"],
            }
        )
    apart: dict[str, list[Any]] = {}
    for each in result["differences"]:
        pair = f"{order.index(each['model'])}-{order.index(each['other'])}"
        apart.setdefault(pair, []).append([each["difference"], each["low"], each["high"]])
    counts = [result["slices"][line][kind] for line, kinds in SLICES.items() for kind in kinds]
    return {"models": models, "windows": result["windows"], "slices": counts, "apart": apart}


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 5) for value in values]


def _look(number: int) -> tuple[str, str]:
    """Give a model's colour and dashes; after twelve colours the dashes differ."""
    turn, place = divmod(number, len(COLOURS))
    return COLOURS[place], DASHES[(place + turn) % len(DASHES)]
