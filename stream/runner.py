"""A run put together from its configuration: begun, or taken up where a snapshot left it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import torch

from nextclick.connectors import JsonLinesSink, Source, log_format, open_source
from nextclick.models import OnlineGRU4Rec, State

from .config import ConfigError, RunConfig, build, flag
from .engine import SINKS, Engine, peak_memory_mb
from .prequential import Prequential
from .sessionizer import Sessionizer
from .snapshots import SnapshotError, Snapshots

USER_GAP = 1_800.0
"""Seconds that end a user's session where nothing else is said, as is the custom of the field."""

SESSION_GAP = 86_400.0
"""Seconds that end a session that has an id: it seldom needs cutting, but must expire."""

FIXED = (
    "session_column",
    "user_column",
    "item_column",
    "time_column",
    "time_unit",
    "format",
    "sort",
    "gap",
    "lateness",
    "max_sessions",
    "max_items",
    "batch",
    "seed",
    "window",
    "model",
)
"""Options that a figure depends on: a run cannot go on with others than it was begun with."""


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Set torch's threads: small operations gain nothing from many, and ranking has its own."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run(
    spec: str,
    config: RunConfig,
    tell: Callable[[str], None] = lambda sentence: None,
    progress: Callable[[Engine], None] | None = None,
) -> dict[str, Any]:
    """Carry out a run.

    Parameters
    ----------
    spec
        The source, see `open_source`.
    config
        What to do with it.
    tell
        Takes sentences for a person: what is resumed, what was skipped.
    progress
        Called after every batch.

    Returns
    -------
    dict
        The figures, in JSON's types.

    Raises
    ------
    ConfigError, SourceError, SnapshotError, SinkError
        The run cannot be done; the message names the place and the remedy.

    """
    began = time.monotonic()
    check_outputs(spec, config)
    with ExitStack() as stack:
        source = open_source(
            spec,
            log_format(
                config.format,
                session_column=config.session_column,
                user_column=config.user_column,
                item_column=config.item_column,
                time_column=config.time_column,
                time_unit=config.time_unit,
                sort=config.sort,
                gap=USER_GAP if config.user_column else None,
            ),
        )
        stack.callback(source.close)
        snapshots, saved = None, None
        if config.snapshots is not None:
            snapshots = Snapshots(Path(config.snapshots), config.keep_snapshots)
            stack.callback(snapshots.close)
            snapshots.lock()
            saved = None if config.fresh else _newest(snapshots, spec, config, tell)
        engine = make_engine(source, config, snapshots, spec)
        if saved is not None:
            engine.restore(saved)
        for name in SINKS:
            path = getattr(config, name)
            if path is not None:
                # A file that an earlier part of this run has written is written on.
                written = engine.written.get(name, {})
                known = written.get("to") == str(Path(path).resolve())
                sink = JsonLinesSink(path, written["length"] if known else None)
                stack.callback(sink.close)
                setattr(engine, name, sink)
        engine.k = config.k if engine.recommendations else 0
        before = engine.clicks
        with _stopping(engine), _threads(max(1, (os.cpu_count() or 1) // 2)):
            engine.run(config.max_clicks, progress)
        for warning in source.warnings:
            tell(warning)
        seconds = time.monotonic() - began
        return {
            **engine.results(),
            "source": spec,
            "seconds": seconds,
            "clicks_per_second": (engine.clicks - before) / seconds,
            "peak_memory_mb": peak_memory_mb(),
            "config": msgspec.to_builtins(config),
        }


def check_outputs(spec: str, config: RunConfig) -> None:
    """Refuse to write over the source, or two outputs into one file.

    Raises
    ------
    ConfigError
        Two options, or an option and the source, name the same file.

    """
    taken = {Path(spec).resolve(): "the source"}
    for option in ("json", "report", *SINKS):
        path = getattr(config, option)
        if path is None:
            continue
        place = Path(path).resolve()
        if place in taken:
            raise ConfigError(f"{flag(option)} {path} is {taken[place]} too: name another file")
        taken[place] = flag(option)


def make_engine(
    source: Source, config: RunConfig, snapshots: Snapshots | None = None, spec: str = ""
) -> Engine:
    """Make the engine that a configuration asks for; its sinks are the caller's to add."""
    gap = config.gap_seconds or source.gap or SESSION_GAP
    try:
        model = OnlineGRU4Rec(
            config.model,
            # A session that the sessionizer has just pushed out is forgotten after its batch.
            max_sessions=config.max_sessions + config.batch,
            max_items=config.max_items,
            seed=config.seed,
            device=config.device,
        )
    except ValueError as error:
        raise ConfigError(f"--device: {error}") from error
    return Engine(
        source,
        model,
        Sessionizer(gap, config.lateness_seconds, config.max_sessions),
        batch=config.batch,
        figures=Prequential(window=config.window),
        snapshots=snapshots,
        every=config.every,
        about={"source": spec, "gap": gap, "config": msgspec.to_builtins(config)},
    )


def load_model(folder: Path, tell: Callable[[str], None]) -> OnlineGRU4Rec:
    """Load the model of the newest whole snapshot in a folder, ready to recommend.

    The clicks of a batch that was unfinished when the snapshot was taken are learned first.

    Raises
    ------
    SnapshotError
        There is none.

    """
    found = Snapshots(folder).load_newest()
    if found is None:
        raise SnapshotError(f"there are no snapshots in {folder}: make some with nextclick run")
    parts, about, skipped = found
    for damage in skipped:
        tell(f"skipped a damaged snapshot, {damage}")
    config = msgspec.structs.replace(build(RunConfig, about["config"]), device="auto")
    engine = make_engine(_Nothing(about["gap"]), config)
    engine.restore(parts)
    engine.flush()
    assert isinstance(engine.model, OnlineGRU4Rec)
    return engine.model


def _newest(
    snapshots: Snapshots, spec: str, config: RunConfig, tell: Callable[[str], None]
) -> dict[str, State] | None:
    """Read the newest whole snapshot, if the run can go on from it."""
    found = snapshots.load_newest()
    if found is None:
        return None
    parts, about, skipped = found
    for damage in skipped:
        tell(f"skipped a damaged snapshot, {damage}")
    now = msgspec.to_builtins(config)
    for option in FIXED:
        then = about["config"].get(option)
        if then == now[option]:
            continue
        if option == "model":
            for part, value in now["model"].items():
                if then.get(part) != value:
                    option, then, now = f"model.{part}", then.get(part), {f"model.{part}": value}
                    break
        name = option if option.startswith("model.") else flag(option)
        raise ConfigError(
            f"the run in {snapshots.folder} was begun with {name} {then}, not {now[option]}: "
            "give the same, or start anew with --fresh"
        )
    tell(f"going on from the snapshot at {about['clicks']:,} clicks in {snapshots.folder}")
    return parts


@contextmanager
def _stopping(engine: Engine) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the run in good order; a second one ends it at once."""
    before: dict[signal.Signals, Any] = {}

    def stop(number: int, frame: FrameType | None) -> None:
        engine.stop()
        for name, handler in before.items():
            signal.signal(name, handler)

    try:
        for name in (signal.SIGINT, signal.SIGTERM):
            before[name] = signal.signal(name, stop)
    except ValueError:  # Not the main thread: whoever runs us there stops us with `stop`.
        before = {}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


class _Nothing:
    """A source that has ended, for an engine that only restores a model."""

    def __init__(self, gap: float) -> None:
        self.gap = gap

    @property
    def warnings(self) -> list[str]:
        """Nothing to warn of."""
        return []

    def poll(self, limit: int, wait: float = 0.0) -> None:
        """Give nothing."""

    def seek(self, position: dict[str, Any]) -> None:
        """Do nothing."""

    def commit(self, position: dict[str, Any]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
