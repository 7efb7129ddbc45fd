"""Engines and models as a configuration or a snapshot asks for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import msgspec

from nextclick.connectors import Source
from nextclick.models import Recommender, State
from nextclick.models.base import CheckedModel

from .config.model_factory import make_model
from .config.options import ConfigError, build
from .config.run import RunConfig, StreamConfig
from .endpoints import Spec, is_live, is_topic, open_configured_source, source_name, specs_of
from .engine import Engine
from .evaluation.prequential import Prequential
from .evaluation.protocol import Protocol
from .sessions.left_out import LeftOut
from .sessions.sessionizer import Sessionizer
from .snapshots.store import SnapshotError, Snapshots, check_one_model

COUNTED = 1 << 14
"""Clicks that are read at once where they are only counted."""

SESSION_GAP = 86_400.0
"""Seconds that end a session that has an id: it seldom needs cutting, but must expire."""


def count_clicks(spec: Spec, options: StreamConfig) -> int:
    """Return how many clicks a source holds, by reading it once.

    Parameters
    ----------
    spec, options
        The source, and how it is read.

    Raises
    ------
    ConfigError
        It may have no end, or it can be read only once.

    """
    specs = specs_of(spec)
    live = len(specs) == 1 and is_live(specs[0], options.follow)
    if live or not (specs or hasattr(spec, "__len__")):
        why = "has no end" if live else "can be read only once"
        raise ConfigError(
            f"--test-from {options.test_from}: {source_name(spec)} {why}, so nobody knows how many "
            "clicks that is; give a number of clicks, a time after the first click, or a date"
        )
    source, events = open_configured_source(spec, options), options.event_span
    left_out, count = LeftOut(events.count, events.seconds), 0
    try:
        while (clicks := source.poll(COUNTED)) is not None:
            count += len(left_out.admit(clicks))
    finally:
        source.close()
    return count if options.max_clicks is None else min(count, options.max_clicks)


def make_protocol(config: StreamConfig, k: int = 20) -> Protocol:
    """Make the protocol that a configuration asks for.

    Parameters
    ----------
    config
        The options.
    k
        The longest list that there are figures for.

    """
    start = config.test_start
    return Protocol(
        None if start is None else start.given(),
        frozen=config.frozen,
        leave_out=config.leave_out,
        min_session=config.min_session,
        max_items=config.max_items,
        k=k,
    )


def make_engine(
    source: Source,
    config: RunConfig,
    model: Recommender,
    snapshots: Snapshots | None = None,
    spec: str = "",
) -> Engine:
    """Make the engine that a configuration asks for; its sinks are the caller's to add."""
    gap = config.gap_seconds or source.gap or SESSION_GAP
    live = is_live(spec, config.follow) or is_topic(config.recommendations)
    engine = Engine(
        source,
        model,
        Sessionizer(gap, config.lateness_seconds, config.max_sessions, config.max_ahead_seconds),
        batch=config.batch,
        figures=Prequential(window=config.window),
        snapshots=snapshots,
        every=config.every,
        k=config.k,
        after=config.recommend == "every",
        exclude_current=config.exclude == "current",
        # What is read from disk and written to files is the same to the last bit every time.
        max_wait=config.max_wait_seconds if live else None,
        about={"source": spec, "gap": gap, "config": config.public(), "changed": []},
    )
    # A comparison has made it for its models.
    engine.protocol = getattr(model, "protocol", None) or make_protocol(config)
    events = config.event_span
    engine.left_out = LeftOut(events.count, events.seconds)
    return engine


def load_model(folder: str | os.PathLike[str], notify: Callable[[str], None]) -> CheckedModel:
    """Load the model of the newest whole snapshot in a folder, ready to recommend.

    The clicks of a batch that was unfinished when the snapshot was taken are learned first.

    Raises
    ------
    SnapshotError
        There is none.

    """
    found = Snapshots(folder).newest(notify)
    if found is None:
        raise SnapshotError(f"there are no snapshots in {folder}: make some with nextclick run")
    parts, about = found
    check_one_model(about, folder)
    return learned_model(parts, about, "auto")


def learned_engine(
    parts: dict[str, State], about: dict[str, Any], folder: str | os.PathLike[str]
) -> tuple[Engine, RunConfig]:
    """Return an engine, without a source, that has learned all clicks of a snapshot.

    Parameters
    ----------
    parts, about
        The snapshot.
    folder
        Where it is, for messages.

    Returns
    -------
    engine, config
        The engine, and the options of its run.

    Raises
    ------
    SnapshotError
        It is of a comparison.

    """
    check_one_model(about, folder)
    config = _config_of(about, "auto")
    return engine_of(parts, about, config, make_model(config)), config


def learned_model(parts: dict[str, State], about: dict[str, Any], device: str) -> CheckedModel:
    """Return a snapshot's model, the clicks of its unfinished batch learned too."""
    config = _config_of(about, device)
    model = make_model(config)
    engine_of(parts, about, config, model)
    return model


def _config_of(about: dict[str, Any], device: str) -> RunConfig:
    """Return the options of a snapshot's run, for another device."""
    return msgspec.structs.replace(build(RunConfig, about["config"]), device=device)


def engine_of(
    parts: dict[str, State], about: dict[str, Any], config: RunConfig, model: Recommender
) -> Engine:
    """Return an engine, without a source, that has learned all clicks of a snapshot.

    Parameters
    ----------
    parts, about
        The snapshot.
    config
        The options that it was taken with.
    model
        A new model, as these ask for it.

    """
    engine = make_engine(_Nothing(about["gap"]), config, model)
    engine.restore(parts)
    engine.flush()
    return engine


class _Nothing:
    """A source that has ended, for an engine that only restores a model."""

    def __init__(self, gap: float) -> None:
        self.gap = gap

    @property
    def warnings(self) -> list[str]:
        """Nothing to warn of."""
        return []

    def poll(self, limit: int, wait: float = 0.0) -> None:
        """Return nothing."""

    def seek(self, position: dict[str, Any]) -> None:
        """Do nothing."""

    def commit(self, position: dict[str, Any]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
