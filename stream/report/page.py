"""What the pages share: templates, files in them, numbers in words, and where a result is from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent

SCRIPTS = ("uPlot.js", "series.js", "chart.js", "overlay.js", "controls.js", "export.js")
"""What the chart needs, in this order."""

STYLES = ("uPlot.css", "page.css")


def render(template: str, facts: Mapping[str, Any]) -> bytes:
    """Return a page, whole in one file.

    Parameters
    ----------
    template
        A file in this folder that extends ``page.html.j2``.
    facts
        What it names. Texts are escaped, whatever they hold.

    """
    text = _environment().get_template(template).render(facts)
    # A file's name may hold bytes that are no text; the page shows them with backslashes.
    return text.encode("utf-8", "backslashreplace")


def title(key: str) -> str:
    """Write a figure's key as a name: ``recall@20`` is Recall@20, ``mrr@20`` is MRR@20."""
    name, at, k = key.partition("@")
    return (name.capitalize() if name == "recall" else name.upper()) + at + k


def number(value: object) -> str:
    """Write a count or a figure; a dash where there is none.

    Examples
    --------
    >>> number(12_345), number(0.5), number(1234.5), number(None)
    ('12,345', '0.5000', '1,234', '–')

    """
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        digits = 4 if abs(value) <= 1 else 1 if abs(value) < 1000 else 0
        return f"{value:,.{digits}f}"
    return "–"


def moment(time: float | None) -> str:
    """Write an event time as a date, or as a plain number where the calendar has none for it."""
    if time is None:
        return "–"
    try:
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time):%Y-%m-%d %H:%M} UTC"
    except OverflowError:
        return f"{time:g}"


def origin(result: Mapping[str, Any]) -> str:
    """Return the line of a page that tells where its result is from, as far as that is known."""
    found = result.get("provenance", {})
    config = result.get("config", {})
    seed, seeds = config.get("seed"), config.get("seeds", 1)
    date = found.get("date")
    parts = [
        f"nextclick {found['version']}" if "version" in found else "",
        f"commit {found['commit']}" if found.get("commit") else "",
        found.get("machine") or "",
        f"{datetime.fromisoformat(date):%Y-%m-%d %H:%M} UTC" if date else "",
        ""
        if seed is None
        else f"seed {seed}"
        if seeds == 1
        else f"seeds {seed} to {seed + seeds - 1}",
    ]
    return " · ".join(part for part in parts if part)


def differing(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are not as they are by default, tables within tables too.

    Examples
    --------
    >>> differing({"batch": 64, "model": {"loss": "bpr"}}, {"batch": 64, "model": {"loss": "top1"}})
    {'model': {'loss': 'bpr'}}

    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            if own := differing(value, default):
                found[key] = own
        elif key not in defaults or value != default:
            found[key] = value
    return found


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Go through all options: the dotted name, and the value as TOML writes it."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            unset = value is None
            yield f"{prefix}{key}", "not set" if unset else json.dumps(value, ensure_ascii=False)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "title": title, "moment": moment}
    made.globals |= {"asset": asset, "scripts": SCRIPTS, "styles": STYLES}
    return made


def asset(name: str) -> str:
    """Return a file of this folder."""
    return (FOLDER / name).read_text(encoding="utf-8")
