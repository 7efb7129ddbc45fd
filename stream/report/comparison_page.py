"""A page with a comparison: standings, curves, kinds of click, differences; no network needed."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..comparison.config import CompareConfig
from ..comparison.slices import LABELS, SLICES
from ..output_files import write_whole
from .curves import Curves, chart_data, join, split_alarms
from .page import differing, moment, number, origin, render, title
from .protocol_text import protocol_text
from .static_chart import Curve, curves_svg

_COSTS = (
    ("coverage", "coverage", "{:.1%}"),
    ("popularity", "mean popularity", "{:.3%}"),
    ("score_ms", "ms per click to score", "{:.3f}"),
    ("learn_ms", "to learn", "{:.3f}"),
    ("memory_mb", "MB of state", "{:,.1f}"),
)

_FILES = ("json", "report", "clicks", "clicks_k")
_NO_FIGURE = ("snapshots", "snapshot_every", "keep_snapshots", "fresh", *_FILES)
"""Options that no figure depends on."""


def write_comparison(path: str | os.PathLike[str], result: Mapping[str, Any]) -> None:
    """Write a comparison's page.

    Parameters
    ----------
    path
        The HTML file; its folder is made where it is missing.
    result
        What `compare` returned. Names in it may hold anything: they are escaped.

    Raises
    ------
    OSError
        The file cannot be written; one that was there before is untouched.

    """
    write_whole(path, comparison_page(result))


def comparison_page(result: Mapping[str, Any]) -> bytes:
    """Return the page that `write_comparison` writes."""
    source, names = str(result["source"]), list(result["models"])
    name = source.rpartition("/")[2]
    most = f"recall@{max(result['k'])}"
    chosen = result["figures"].index(most)
    curves = comparison_curves(result)
    alarms = [split_alarms(found["drift"]) for found in result["models"].values()]
    asked = {key: value for key, value in result["config"].items() if key not in _NO_FIGURE}
    facts = {
        "source": source,
        "name": name,
        "origin": origin(result),
        "models": names,
        "scored": result["scored"],
        "protocol": protocol_text(result),
        "frozen": bool(result.get("protocol", {}).get("frozen")),
        "usable": result["usable"],
        "heads": _heads(most),
        "standings": _standings(result, most),
        "certainty": _certainty(result["bootstrap"]) if len(names) > 1 else "",
        "seeds": _seeds(result),
        "lists": result["lists"],
        "most": max(result["k"]),
        "figures": result["figures"],
        "chosen": chosen,
        "picture": _picture(curves, names, chosen),
        "slices": _slices(result),
        "alarm_heads": ["model", "at click", "hit rate", "began after", "event time"],
        "drift": _alarm_rows(names, [drift for _, drift in alarms]),
        "warm_up": _alarm_rows(names, [warm_up for warm_up, _ in alarms]),
        "command": _command(result),
        "toml": toml_of({**_changed(asked), "models": asked["models"]}),
        "toml_whole": toml_of(asked),
        "data": {
            "title": name,
            "chart": chart_data(
                curves,
                names,
                [title(figure) for figure in result["figures"]],
                [drift for _, drift in alarms],
                comparable=True,
            ),
            **_tables(result),
        },
    }
    return render("comparison.html.j2", facts)


def comparison_curves(result: Mapping[str, Any]) -> Curves:
    """Return the curves of a comparison, figure by figure those of all models."""
    windows, growing = result["windows"], result.get("growing", [])
    models = result["models"].values()

    def of(key: str) -> list[list[float]]:
        return [found[key][figure] for figure in result["figures"] for found in models]

    return join(windows, of("windows"), growing, of("growing") if growing else ())


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
    return "\n".join(lines).lstrip("\n")


def _value(value: Any) -> str:
    """Write a value as TOML has it: like JSON, but for tables in one line."""
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{json.dumps(key)} = {_value(of)}" for key, of in value.items()) + "}"
        )
    return json.dumps(value, ensure_ascii=False)


def _changed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are not at their defaults; `k` in any case, since figures show it."""
    defaults = CompareConfig(models={"popularity": {}}).public()
    return differing(config, {key: value for key, value in defaults.items() if key != "k"})


def _heads(most: str) -> list[str]:
    k = most.partition("@")[2]
    shown = [title(f"{metric}@{k}") for metric in ("recall", "mrr", "ndcg")]
    return [*shown, f"{shown[0]}, last half", *(head for _, head, _ in _COSTS)]


def _standings(result: Mapping[str, Any], most: str) -> list[dict[str, Any]]:
    k = most.partition("@")[2]
    first = next(iter(result["models"]))
    apart = {
        (each["other"], each["figure"]): each
        for each in result["differences"]
        if each["model"] == first
    }
    rows = []
    for name, found in result["models"].items():
        cells: list[dict[str, Any]] = []
        for figure in (f"{metric}@{k}" for metric in ("recall", "mrr", "ndcg")):
            each = apart.get((name, figure))
            behind, real = ("", False) if each is None else (_behind(each), each["real"])
            value = f"{found[figure]:.4f}"
            if "spread" in found:
                value += f" ± {found['spread'][figure]:.4f}"
            cells.append({"value": value, "behind": behind, "real": real})
        plain = [f"{found['last_half'][most]:.4f}"]
        plain += [form.format(found[key]) for key, _, form in _COSTS]
        cells += [{"value": value, "behind": "", "real": False} for value in plain]
        rows.append({"name": name, "cells": cells})
    return rows


def _behind(apart: Mapping[str, Any]) -> str:
    """Return a figure's difference from the first row's, with half the width of its interval."""
    sign = "−" if apart["difference"] > 0 else "+"
    text = f"{sign}{abs(apart['difference']):.4f}"
    if apart["low"] is not None:
        text += f" ± {(apart['high'] - apart['low']) / 2:.4f}"
    return text + ("**" if apart.get("holm") else "")


def _command(result: Mapping[str, Any]) -> str:
    """Return what makes the comparison anew: a command, or Python for clicks from memory."""
    source = str(result["source"])
    if result.get("in_memory"):
        return f"compare(clicks, CompareConfig(...))  # clicks: the {source}"
    return f"nextclick compare {shlex.quote(source)} --config compare.toml"


def _seeds(result: Mapping[str, Any]) -> str:
    """Return what is to be known of figures of several seeds; nothing where there is one."""
    several = [found["spread"] for found in result["models"].values() if "spread" in found]
    if not several:
        return ""
    return (
        f"Figures of models that take a seed are means of {result['config']['seeds']} seeds ± "
        "their standard deviation; intervals are over time and seeds together."
    )


def _certainty(bootstrap: Mapping[str, Any]) -> str:
    if not bootstrap["draws"]:
        return "There are too few clicks to tell which differences are significant."
    return (
        "Below each figure is its difference from the first row, with half the width of its 95 "
        "% interval, in bold if the interval excludes 0: a block bootstrap with "
        f"{bootstrap['draws']:,} draws over {bootstrap['blocks']:,} blocks of "
        f"{bootstrap['block_clicks']:,} scored clicks. Two stars mark what is also significant "
        "after Holm’s correction for the number of differences in the figure."
    )


def _picture(curves: Curves, names: Sequence[str], figure: int) -> str:
    own = curves.values[figure * len(names) : (figure + 1) * len(names)].tolist()
    return curves_svg([Curve(name, curves.clicks, ys) for name, ys in zip(names, own, strict=True)])


def _slices(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    scored = max(1, result["scored"])

    def head(line: str, kind: str) -> dict[str, str]:
        label, _, meaning = LABELS[kind].partition(": ")
        share = f"{result['slices'][line][kind] / scored:.1%}"
        return {"label": label, "meaning": meaning, "share": share}

    return [
        {"label": LABELS[line], "kinds": [head(line, kind) for kind in kinds]}
        for line, kinds in SLICES.items()
    ]


def _alarm_rows(
    names: Sequence[str], alarms: Sequence[Sequence[Mapping[str, Any]]]
) -> list[list[str]]:
    rows = [
        (alarm["clicks"], name, alarm)
        for name, own in zip(names, alarms, strict=True)
        for alarm in own
    ]
    return [
        [
            name,
            number(clicks),
            f"{alarm['before']:.3f} → {alarm['after']:.3f}",
            number(alarm["since"]),
            moment(alarm["time"]),
        ]
        for clicks, name, alarm in sorted(rows, key=lambda row: row[:2])
    ]


def _tables(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the script fills the tables with: models, figures and kinds by their places."""
    figures, order = result["figures"], list(result["models"])
    kinds = [(line, kind) for line, kinds in SLICES.items() for kind in kinds]
    apart: dict[str, list[Any]] = {}
    for each in result["differences"]:
        pair = f"{order.index(each['model'])}-{order.index(each['other'])}"
        apart.setdefault(pair, []).append(
            [each["difference"], each["low"], each["high"], each.get("holm", False)]
        )
    return {
        "models": [
            [
                np.round([found["slices"][line][kind][figure] for figure in figures], 5).tolist()
                for line, kind in kinds
            ]
            for found in result["models"].values()
        ],
        "slices": [result["slices"][line][kind] for line, kind in kinds],
        "differences": apart,
    }
