"""Beginning a new run with what an earlier one has learned, `begin_from`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, State
from nextclick.models.base import CheckedModel

from ..config.learners import read_options
from ..config.options import ConfigError, build
from ..config.run import RunConfig
from ..notes import Info
from .store import SnapshotError, Snapshots, check_one_model


class WarmStart(NamedTuple):
    """What a run begins with.

    Parameters
    ----------
    parts
        The states of the snapshot, by part.
    about
        The snapshot's facts.
    facts
        What is kept of its origin: ``snapshot``, ``source`` and ``clicks``.

    """

    parts: dict[str, State]
    about: dict[str, Any]
    facts: dict[str, Any]


def prepare(
    config: RunConfig, named: Mapping[str, Any] | None, notify: Callable[[str], None]
) -> tuple[RunConfig, WarmStart | None]:
    """Read the snapshot that a run begins from, unless it goes on from its own.

    Parameters
    ----------
    config
        The options of the run; `begin_from` is given.
    named
        The model's options that a person has named; None: those unlike their defaults.
    notify
        Takes sentences for a person.

    Returns
    -------
    config
        The options, with those of the model as the snapshot has them.
    warm
        What to begin with; None where the run has snapshots of its own, and goes on from those.

    Raises
    ------
    ConfigError, SnapshotError
        There is no such snapshot, or the model was made with other options than those named.

    """
    path = Path(str(config.begin_from))
    own = None if config.fresh else _newest_facts(config.snapshots)
    if own is not None:
        notify(
            Info(
                f"--begin-from {path} was not used: the run resumes from its own snapshots in "
                f"{config.snapshots}"
            )
        )
        then, warm = own, None
    else:
        warm = _read(path, notify)
        then = warm.about
        notify(
            Info(
                f"starting from a model trained on {warm.facts['clicks']:,} clicks of "
                f"{warm.facts['source']}, from the snapshot {warm.facts['snapshot']}"
            )
        )
    if own is not None and "models" in own["config"]:
        return config, None  # Going on finds out, and says so.
    check_one_model(then, path)
    trained = build(RunConfig, then["config"])
    of = f"the model of --begin-from {path}" if own is None else f"the run in {config.snapshots}"
    if trained.learner != config.learner:
        raise ConfigError(
            f"{of} was made with --learner {trained.learner}, not {config.learner}: give the same, "
            "or start without --begin-from"
        )
    _check_model(trained, named if named is not None else _unlike_defaults(config.model), of)
    return msgspec.structs.replace(config, model=trained.model), warm


def put_into(
    model: CheckedModel, learned: CheckedModel, config: RunConfig, warm: WarmStart
) -> None:
    """Load into a new model what another one has learned, without its live sessions.

    Parameters
    ----------
    model
        The new one.
    learned
        The one that has learned, with the same options; its live sessions are forgotten.
    config
        The options of the new run.
    warm
        The snapshot that the other one is of.

    Raises
    ------
    ConfigError
        The new model has no room for all items.

    """
    if learned.n_items > config.max_items:
        raise ConfigError(
            f"--max-items {config.max_items:,}: the model of --begin-from {config.begin_from} "
            f"knows {learned.n_items:,} items: allow as many"
        )
    assert isinstance(learned, OnlineGRU4Rec)  # Others are refused by the configuration.
    # They are other visitors' sessions, whatever they are called.
    learned.forget(list(learned.sessions))
    state = learned.state()
    if config.seed != warm.about["config"]["seed"]:
        drawn = {name: array for name, array in model.state().arrays.items() if "random." in name}
        state.arrays.update(drawn)
    model.restore(state)


def _read(path: Path, notify: Callable[[str], None]) -> WarmStart:
    """Read a snapshot, or the newest whole one of a folder."""
    snapshots = Snapshots(path)
    if (path / "manifest").exists():
        parts, about = snapshots.load(path)
    else:
        found = snapshots.newest(notify)
        if found is None:
            raise SnapshotError(
                f"--begin-from {path}: there is no snapshot there: name one, or a folder of them"
            )
        parts, about = found
    facts = {"snapshot": str(path), "source": about["source"], "clicks": about["clicks"]}
    return WarmStart(parts, about, facts)


def _newest_facts(folder: str | None) -> dict[str, Any] | None:
    """Return the facts of the newest snapshot in a folder, if there is one that can be read."""
    for path in Snapshots(Path(folder)).paths() if folder is not None else []:
        if path.name.startswith("named-"):
            continue
        try:
            facts: dict[str, Any] = json.loads((path / "about.json").read_bytes())
            if "model" in facts["config"] or "models" in facts["config"]:
                return facts
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _unlike_defaults(model_config: GRU4RecConfig) -> dict[str, Any]:
    default = msgspec.to_builtins(GRU4RecConfig())
    given: dict[str, Any] = msgspec.to_builtins(model_config)
    return {option: value for option, value in given.items() if value != default[option]}


def _check_model(trained: RunConfig, named: Mapping[str, Any], of: str) -> None:
    """Check that the options that are named are those that a model was made with."""
    made = msgspec.to_builtins(trained.model)
    wanted = msgspec.to_builtins(read_options(trained.learner, {**made, **named}))
    for option, value in wanted.items():
        if value != made[option]:
            raise ConfigError(
                f"{of} was made with model.{option} {made[option]}, not {value}: leave the "
                "option out, or start without --begin-from"
            )
