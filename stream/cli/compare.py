"""The command ``nextclick compare``: its options, and what it shows at the end."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import msgspec

from ..comparison.config import MODELS, CompareConfig
from ..config.declaration import OUTPUT, option
from ..config.learners import checked_models
from ..config.options import ConfigError, merge
from ..config.texts import read_model
from ..report.text_tables import TableForm, text_table
from . import log
from .comparison_tables import ArenaProgress, standings
from .exit_codes import NO_CLICKS
from .flags import Given, ServiceOptions, Source, command
from .terminal import errors, notify, output, show

SHOWN_AS = {"json": "figures", "report": "page"}
"""What a comparison calls the files that it has written."""


class CompareFlags(ServiceOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options that ``nextclick compare`` has besides those of a comparison."""

    model: Annotated[
        dict[str, Any],
        option(
            "Option of one model, such as gru4rec.hidden=200; may be repeated.", MODELS, file=False
        ),
    ] = msgspec.field(default_factory=dict)
    table: Annotated[
        TableForm | None,
        option(
            "Print one table of this form and nothing else, for a page, a paper or a program.",
            OUTPUT,
            file=False,
        ),
    ] = None


def lay(below: Given, given: Given) -> Given:
    """Lay options over others: ``models`` chooses among the models below, ``model`` sets options.

    Examples
    --------
    >>> lay({"models": {"gru4rec": {"hidden": 50}}}, {"model": {"gru4rec.window": 3}})
    {'models': {'gru4rec': {'hidden': 50, 'window': 3}}}

    """
    given = dict(given)
    if isinstance(given.get("models"), dict):  # Of a file.
        return merge(below, given)
    listed, assigned = given.pop("models", None), given.pop("model", {})
    return {**merge(below, given), "models": choose(below.get("models", {}), listed, assigned)}


@command(CompareConfig, CompareFlags, lay=lay)
def compare_command(source: Source, config: CompareConfig, given: Given) -> None:
    """Compare models on the same clicks; each scores every batch before learning it."""
    with log.loading():
        from ..comparison.compare import compare
        from ..runner import UnwrittenError

    form = given.get("table")
    try:
        with ArenaProgress(errors, config.max_clicks) as progress:
            result = compare(source, config, notify, progress)
    except UnwrittenError as error:
        _print(error.result, form)
        raise
    _print(result, form)
    for what in ("json", "report", "clicks", "snapshots"):
        path = getattr(config, what)
        if path is not None and form is None:
            show(f"{SHOWN_AS.get(what, what)}: {path}")
    if not result["usable"]:
        sys.exit(NO_CLICKS)


def _print(result: dict[str, Any], form: TableForm | None) -> None:
    if form is not None:
        for line in text_table(result, form).splitlines():
            show(line)
        return
    for part in standings(result):
        output.print(part)


def choose(
    tables: dict[str, dict[str, Any]], listed: list[str] | None, assigned: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the models to compare, with their options.

    Parameters
    ----------
    tables
        The models so far, each with its options.
    listed
        What ``--models`` names: only these, in this order; None for those of the file.
    assigned
        What ``--model`` sets, as ``model.option``.

    Raises
    ------
    ConfigError
        A model is not known, or has an option set and does not take part.

    Examples
    --------
    >>> tables = {"gru4rec": {"hidden": 50}}
    >>> choose(tables, ["gru4rec-network", "gru4rec"], {"gru4rec.window": 3})
    {'gru4rec-network': {}, 'gru4rec': {'hidden': 50, 'window': 3}}
    >>> choose(tables, ["gru4rec:window=3"], {})
    {'gru4rec:window=3': {'hidden': 50, 'kind': 'gru4rec', 'window': 3}}

    """
    chosen = list(tables) if listed is None else listed
    models = {name: _contestant(name, tables) for name in chosen}
    checked_models(models)
    for path, value in assigned.items():
        name, dot, option = path.rpartition(".")
        if not (dot and option):
            raise ConfigError(f"--model {path}: write model.option=value, as in gru4rec.hidden=200")
        if name not in models:
            checked_models({name: _contestant(name, tables)})
            raise ConfigError(
                f"--model {path}: {name} is not in the comparison; add it to --models"
            )
        models[name][option] = value
    return models


def _contestant(name: str, tables: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the options of a model that is named: of its table, or of that of which it varies."""
    if name in tables:
        return dict(tables[name])
    given = read_model(name, "--models")
    if "kind" not in given:
        return given
    base = tables.get(given["kind"], {})
    return {**base, **given, "kind": base.get("kind", given["kind"])}
