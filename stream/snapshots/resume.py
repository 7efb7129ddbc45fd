"""Going on from a snapshot, with the options that it was begun with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nextclick.connectors import BEGIN_FROM
from nextclick.models import State

from ..config.options import ConfigError, flag, parse_duration
from ..config.run import RunConfig
from .store import Snapshots

FIXED = (
    "session_column",
    "user_column",
    "item_column",
    "time_column",
    "time_unit",
    "format",
    "sort",
    "partitions",
    "session_from",
    "time_from",
    "gap",
    "lateness",
    "max_ahead",
    "max_sessions",
    "max_items",
    "batch",
    "seed",
    "window",
)
"""Options that a figure depends on, besides the model's: a run cannot go on with others than it
was begun with."""

DEFAULTS = RunConfig().public()

DURATIONS = ("--gap", "--lateness", "--max-ahead")
"""Those of them that can be written in several ways."""


def load_state(
    snapshots: Snapshots, config: dict[str, Any], notify: Callable[[str], None]
) -> tuple[dict[str, State], dict[str, Any]] | None:
    """Read the newest whole snapshot, if the run can go on from it.

    Parameters
    ----------
    snapshots
        Those of the run.
    config
        Its options now, as `RunConfig.public` gives them.
    tell
        Takes sentences for a person: what is resumed, what was skipped.

    Returns
    -------
    tuple or None
        The states by part, and the snapshot's facts; None where there is no snapshot.

    Raises
    ------
    ConfigError, SnapshotError
        The run was begun with other options, or no snapshot is whole.

    """
    found = snapshots.load_newest()
    if found is None:
        return None
    parts, about, skipped = found
    for damage in skipped:
        notify(f"skipped a damaged snapshot, {damage}")
    check_fixed(about["config"], config, snapshots.folder)
    notify(f"going on from the snapshot at {about['clicks']:,} clicks in {snapshots.folder}")
    return parts, about


def check_fixed(then: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """Check that a run goes on with the options that it was begun with, as far as they matter.

    Parameters
    ----------
    then, now
        The options of both, as `RunConfig.public` gives them.
    folder
        Where the snapshots are, for the message.

    Raises
    ------
    ConfigError
        One differs.

    """
    if ("models" in then) != ("models" in now):
        other = "compare" if "models" in then else "run"
        raise ConfigError(
            f"the snapshots in {folder} are of nextclick {other}: give another folder with "
            "--snapshots, or start anew with --fresh"
        )
    before, after = _fixed(then), _fixed(now)
    for option, new in after.items():
        old = before.get(option)
        if old == new or (option in DURATIONS and _seconds(old, option) == _seconds(new, option)):
            continue
        # A comparison begins from no snapshot, and with one the model keeps its options.
        own = "models" in now or option.startswith("model.")
        remedy = "or start anew with --fresh" if own else BEGIN_FROM
        raise ConfigError(
            f"the run in {folder} was begun {_typed(option, old)}, not {_typed(option, new)}: "
            f"give the same, {remedy}"
        )


def _fixed(config: dict[str, Any]) -> dict[str, Any]:
    """Give the options that a figure depends on, with the names that they are typed by."""
    # A run that was begun before an option was there has its default.
    options = {flag(option): config.get(option, DEFAULTS.get(option)) for option in FIXED}
    options |= {f"model.{option}": value for option, value in config.get("model", {}).items()}
    if "models" in config:
        # A comparison: the figures hold what is asked for from their first click on.
        options |= {"--models": ",".join(config["models"]), "--k": config["k"]}
        options |= {f"the options of {name}": own for name, own in config["models"].items()}
    return options


def _typed(option: str, value: Any) -> str:
    """Return an option with its value, as it is typed."""
    if value is None or value is False:
        return f"without {option}"
    if value is True:
        return f"with {option}"
    typed = ",".join(map(str, value)) if isinstance(value, list) else value
    return f"with {option} {typed}"


def _seconds(duration: str | float | None, option: str) -> float | None:
    return None if duration is None else parse_duration(duration, option)
