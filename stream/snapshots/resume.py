"""Going on from a snapshot, with the options that it was begun with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nextclick.connectors import BEGIN_FROM
from nextclick.models import State

from ..config.declaration import declared
from ..config.options import ConfigError
from ..config.run import RunConfig
from ..notes import Info
from .store import Snapshots

FIXED = {each.flag: each for each in declared(RunConfig).values() if each.option.fixed}
"""Options that a figure depends on, besides the model's: a run cannot go on with others than it
was begun with, but for those that are changeable."""


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
    notify
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
    found = snapshots.newest(notify)
    if found is None:
        return None
    parts, about = found
    check_fixed(about["config"], config, snapshots.folder)
    changed = changes(about["config"], config, about["clicks"])
    about["changed"] = [*about["changed"], *changed]
    at = f"{about['clicks']:,} clicks in {snapshots.folder}"
    notify(Info(f"resuming from the snapshot at {at}"))
    for change in changed:
        notify(change_note(change))
    return parts, about


def changes(then: dict[str, Any], now: dict[str, Any], clicks: int) -> list[dict[str, Any]]:
    """Return the changeable options of a run that it goes on with other values of.

    Parameters
    ----------
    then, now
        The options of both, as `RunConfig.public` gives them.
    clicks
        How many clicks it has read.

    Returns
    -------
    list of dict
        For each ``option``, as it is typed, ``clicks`` and the values ``before`` and ``after``:
        that of ``after`` holds from the next click on.

    """
    if "models" in now:
        return []
    found = []
    for option, each in FIXED.items():
        before, after = (config.get(each.name, each.default) for config in (then, now))
        if each.option.changeable and not _same(option, before, after):
            found.append({"option": option, "clicks": clicks, "before": before, "after": after})
    return found


def change_note(change: dict[str, Any]) -> str:
    """Return a change of an option as a sentence.

    Examples
    --------
    >>> change_note({"option": "--gap", "clicks": 7000, "before": None, "after": "1h"})
    'with --gap 1h instead of without --gap from click 7,001 on'

    """
    option, first = change["option"], change["clicks"] + 1
    after, before = (_typed(option, change[which]) for which in ("after", "before"))
    return f"{after} instead of {before.removeprefix(f'with {option} ')} from click {first:,} on"


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
            "--snapshots, or start over with --fresh"
        )
    before, after = _fixed(then), _fixed(now)
    if "models" not in now:
        after = {name: new for name, new in after.items() if not _changeable(name)}
    for option, new in after.items():
        old = before.get(option)
        if _same(option, old, new):
            continue
        # A comparison begins from no snapshot, and with one the model keeps its options.
        own = "models" in now or option == "--learner" or option.startswith("model.")
        remedy = "or start over with --fresh" if own else BEGIN_FROM
        raise ConfigError(
            f"the run in {folder} was started {_typed(option, old)}, not {_typed(option, new)}: "
            f"give the same, {remedy}"
        )


def _fixed(config: dict[str, Any]) -> dict[str, Any]:
    """Return the options that a figure depends on, with the names that they are typed by."""
    # A run that was begun before an option was there has its default.
    options = {flag: config.get(each.name, each.default) for flag, each in FIXED.items()}
    options |= {f"model.{option}": value for option, value in config.get("model", {}).items()}
    if "models" in config:
        # A comparison: the figures hold what is asked for from their first click on.
        options |= {"--models": ",".join(config["models"]), "--k": config["k"]}
        options |= {f"the options of {name}": own for name, own in config["models"].items()}
    return options


def _changeable(option: str) -> bool:
    return option in FIXED and FIXED[option].option.changeable


def _typed(option: str, value: Any) -> str:
    """Return an option with its value, as it is typed."""
    if value is None or value is False:
        return f"without {option}"
    if value is True:
        return f"with {option}"
    typed = ",".join(map(str, value)) if isinstance(value, list) else value
    return f"with {option} {typed}"


def _same(option: str, old: Any, new: Any) -> bool:
    """Whether two values of an option are the same, however they are written: 1h is 60m."""
    parse = FIXED[option].option.parse if option in FIXED else None
    if old == new or parse is None or old is None or new is None:
        return bool(old == new)
    return bool(parse(old, option) == parse(new, option))
