"""The command ``nextclick compare``: its options, and what it shows at the end."""

from __future__ import annotations

import sys
from typing import Annotated, Any

from ..comparison.compare import compare
from ..comparison.config import CompareConfig
from ..comparison.registry import check_names, names
from ..config.options import ConfigError, build, load_toml, merge, parse_assignments
from ..runner import UnwrittenError
from . import flags
from .comparison_tables import ArenaProgress, standings
from .exit_codes import NO_CLICKS
from .terminal import errors, notify, output, show

MODELS = "The models"
SHOWN_AS = {"json": "figures", "report": "page"}
"""What a comparison calls the files that it has written."""


def compare_command(
    source: flags.Source,
    models: Annotated[
        str | None,
        flags.option(MODELS, f"Which, commas between them: {', '.join(names())}."),
    ] = None,
    model: Annotated[
        list[str] | None,
        flags.option(MODELS, "An option of one, such as gru4rec.hidden=200; may be repeated."),
    ] = None,
    k: Annotated[
        str | None,
        flags.option(
            MODELS,
            "For how many recommendations there are figures. \\[default: 1,5,10,20]",
            "--k",
            "-k",
        ),
    ] = None,
    config: flags.Config = None,
    format: flags.Format = None,  # noqa: A002
    session_column: flags.SessionColumn = None,
    user_column: flags.UserColumn = None,
    item_column: flags.ItemColumn = None,
    time_column: flags.TimeColumn = None,
    time_unit: flags.TimeUnit = None,
    sort: flags.Sort = False,
    max_clicks: flags.MaxClicks = None,
    until_end: flags.UntilEnd = False,
    partitions: flags.Partitions = None,
    session_from: flags.SessionFrom = None,
    time_from: flags.TimeFrom = None,
    idle: flags.Idle = None,
    on_missing_offsets: flags.OnMissingOffsets = None,
    group: flags.Group = None,
    gap: flags.Gap = None,
    lateness: flags.Lateness = None,
    max_ahead: flags.MaxAhead = None,
    max_sessions: flags.MaxSessions = None,
    max_items: flags.MaxItems = None,
    batch: flags.Batch = None,
    device: flags.Device = None,
    seed: flags.Seed = None,
    snapshots: flags.Snapshots = None,
    snapshot_every: flags.SnapshotEvery = None,
    keep_snapshots: flags.KeepSnapshots = None,
    fresh: flags.Fresh = False,
    json: flags.Json = None,
    report: flags.Report = None,
    dead_letters: flags.DeadLetters = None,
) -> None:
    """Compare models on the same clicks: each scores every batch, then learns it."""
    chosen = flags.given(locals(), without=("models", "model", "k"))
    if k is not None:
        chosen["k"] = flags.parse_numbers(k, "--k")
    given = load_toml(config, CompareConfig) if config else {}
    given["models"] = choose(given.get("models", {}), models, model or [])
    settings = build(CompareConfig, merge(given, chosen))
    try:
        with ArenaProgress(errors) as progress:
            result = compare(source, settings, notify, progress)
    except UnwrittenError as error:
        _print(error.result)
        raise
    _print(result)
    for what in ("json", "report", "snapshots"):
        path = getattr(settings, what)
        if path is not None:
            show(f"{SHOWN_AS.get(what, what)}: {path}")
    if not result["usable"]:
        sys.exit(NO_CLICKS)


def _print(result: dict[str, Any]) -> None:
    for part in standings(result):
        output.print(part)


def choose(
    tables: dict[str, dict[str, Any]], listed: str | None, assigned: list[str]
) -> dict[str, dict[str, Any]]:
    """Give the models to compare, with their options.

    Parameters
    ----------
    tables
        The models that the file names, each with its options.
    listed
        What ``--models`` names: only these, in this order; None for those of the file.
    assigned
        What ``--model`` sets, each ``model.option=value``.

    Raises
    ------
    ConfigError
        A model is not known, is named twice, or has an option set and does not take part.

    Examples
    --------
    >>> choose({"gru4rec": {"hidden": 50}}, "gru4rec-network, gru4rec", ["gru4rec.window=3"])
    {'gru4rec-network': {}, 'gru4rec': {'hidden': 50, 'window': 3}}

    """
    chosen = list(tables)
    if listed is not None:
        chosen = [name.strip() for name in listed.split(",") if name.strip()]
        for name in chosen:
            if chosen.count(name) > 1:
                raise ConfigError(f"--models names {name} twice")
    check_names(chosen)
    models = {name: dict(tables.get(name, {})) for name in chosen}
    for path, value in parse_assignments(assigned, "--model").items():
        name, dot, option = path.partition(".")
        if not (dot and option):
            raise ConfigError(f"--model {path}: write model.option=value, as in gru4rec.hidden=200")
        check_names([name])
        if name not in models:
            raise ConfigError(f"--model {path}: {name} does not take part, add it to --models")
        models[name][option] = value
    return models
