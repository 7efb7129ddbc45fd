"""A page with a run's figures, curves, alarms, counts and options. It needs no network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..config.learners import DEFAULT, names
from ..config.run import RunConfig
from ..evaluation.growing_windows import SHORTEST
from ..output_files import write_whole
from .curves import Curves, alarm_text, chart_data, join, split_alarms
from .page import differing, flat, moment, number, origin, render, title
from .protocol_text import protocol_text
from .static_chart import Curve, Mark, curves_svg
from .trials import INTERLEAVED_HEADS, SHADOW_HEADS, interleaved_rows, shadow_rows

_COUNTS = [
    ("clicks", "clicks read"),
    ("scored", "scored"),
    ("learned", "learned"),
    ("first", "first of a session, not scored"),
    ("unseen", "scored, item never seen before (a miss)"),
    ("late", "late, not learned"),
    ("ahead", "too far ahead of the stream, not learned"),
    ("duplicate", "duplicate, not learned"),
    ("filtered", "left out by --where"),
]

_MACHINE = [
    ("catalogue", "items in the catalogue"),
    ("live_sessions", "live sessions"),
    ("seconds", "seconds"),
    ("clicks_per_second", "clicks per second"),
    ("compiling_seconds", "seconds of compiling, once on a machine"),
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
    model, source = str(result.get("model", "model")), str(result.get("source", ""))
    figures = [key for key in result if "@" in key]
    heads = [(title(key), result[key]) for key in figures]
    heads += [
        (key.replace("_", " "), result[key])
        for key in ("clicks", "clicks_per_second")
        if key in result
    ]
    names, curves = run_curves(result)
    warm_up, drift = split_alarms(result.get("drift", []))
    lines = zip(names, curves.values.tolist(), strict=True)
    marks = [
        Mark(alarm["clicks"], alarm_text(alarm), alarm["after"] > alarm["before"])
        for alarm in drift
    ]
    alarms = [drift, *([] for _ in names[1:])] if names else []
    config = result.get("config") or {}
    set_ = dict(flat(differing(config, _defaults(config))))
    facts = {
        "model": model,
        "source": source,
        "origin": origin(result),
        "heads": heads,
        "protocol": protocol_text(result),
        "frozen": bool(result.get("protocol", {}).get("frozen")),
        "figures": [title(key) for key in figures],
        "picture": curves_svg([Curve(name, curves.clicks, ys) for name, ys in lines], marks),
        "shortest": SHORTEST,
        "longest": config.get("window"),
        "alarm_heads": ["at click", "hit rate", "began after", "event time"],
        "drift": _alarm_rows(drift),
        "warm_up": _alarm_rows(warm_up),
        "scopes": _scopes(result, figures),
        "shadow_heads": SHADOW_HEADS,
        "shadows": shadow_rows(result),
        "interleaved_heads": INTERLEAVED_HEADS,
        "interleaved": interleaved_rows(result),
        "counts": _counts(result),
        "machine": [[label, number(result[key])] for key, label in _MACHINE if key in result],
        "changed": _changes(result),
        "options_set": list(set_.items()),
        "options_default": [row for row in flat(config) if row[0] not in set_],
        "data": {
            "title": f"{model}, {source}" if source else model,
            "chart": chart_data(curves, names, [" and ".join(names)], alarms, comparable=False),
        },
    }
    return render("run.html.j2", facts)


def _defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as they are where none is given, those of the run's own model."""
    learner = config.get("learner")
    return RunConfig(learner=learner if learner in names() else DEFAULT).public() | {
        "learner": DEFAULT
    }


def run_curves(result: Mapping[str, Any]) -> tuple[list[str], Curves]:
    """Return the names of a run's curves, one for each figure of its windows, and the curves."""
    windows, growing = result.get("windows", []), result.get("growing", [])
    keys = [key for key in windows[0] if "@" in key] if windows else []
    growing = [window for window in growing if all(key in window for key in keys)]
    values = [[window[key] for window in windows] for key in keys]
    early = [[window[key] for window in growing] for key in keys]
    return [title(key) for key in keys], join(windows, values, growing, early)


def _scopes(result: Mapping[str, Any], figures: Sequence[str]) -> list[list[str]]:
    rows = [["all scored clicks", *(number(result[key]) for key in figures)]]
    for scope, label in _SCOPES:
        if scope in result:
            rows.append([label, *(number(result[scope].get(key)) for key in figures)])
    return rows


def _counts(result: Mapping[str, Any]) -> list[list[str]]:
    rejected = result.get("rejected", {})
    rows = [[label, number(result[key])] for key, label in _COUNTS if key in result]
    rows.append(["rejected", number(sum(rejected.values()))])
    return rows + [[f"– {reason}", number(count)] for reason, count in sorted(rejected.items())]


def _changes(result: Mapping[str, Any]) -> list[list[str]]:
    """Return the options that a run went on with other values of, and from which click on."""
    return [
        [
            change["option"],
            number(change["clicks"] + 1),
            *("not given" if change[at] is None else str(change[at]) for at in ("before", "after")),
        ]
        for change in result.get("changed", [])
    ]


def _alarm_rows(alarms: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            number(alarm["clicks"]),
            f"{alarm['before']:.3f} → {alarm['after']:.3f}",
            number(alarm["since"]),
            moment(alarm["time"]),
        ]
        for alarm in alarms
    ]
