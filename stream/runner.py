"""A run put together from its configuration: begun, or taken up where a snapshot left it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import torch

from nextclick.connectors import KafkaLog, Source
from nextclick.models import OnlineGRU4Rec, Recommender
from nextclick.models.device import cores

from .config import RunConfig, StreamConfig
from .doors import check_outputs, is_live, is_topic, open_sink, open_the_source
from .engine import SINKS, Engine, peak_memory_mb
from .options import ConfigError, build
from .prequential import Prequential
from .resuming import load_state
from .sessionizer import Sessionizer
from .snapshots import SnapshotError, Snapshots
from .telemetry import serve

SESSION_GAP = 86_400.0
"""Seconds that end a session that has an id: it seldom needs cutting, but must expire."""


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
    return carry_out(spec, config, make_model(config), config.public(), tell, progress)


def carry_out(
    spec: str,
    config: RunConfig,
    model: Recommender,
    public: dict[str, Any],
    tell: Callable[[str], None],
    progress: Callable[[Engine], None] | None,
) -> dict[str, Any]:
    """Drive a model along a source, from a snapshot where there is one; see `run`.

    Parameters
    ----------
    spec, config
        The source, and how to go through it.
    model
        What is tested and trained.
    public
        The options to keep in snapshots and to show with the figures.
    tell, progress
        As for `run`.

    """
    began = time.monotonic()
    check_outputs(spec, config)
    with ExitStack() as stack:
        # What kafka-python logs is told in errors and notes; its own words are of no help.
        stack.enter_context(KafkaLog())
        source = open_the_source(spec, config)
        stack.callback(source.close)
        snapshots, saved = None, None
        if config.snapshots is not None:
            snapshots = Snapshots(Path(config.snapshots), config.keep_snapshots)
            stack.callback(snapshots.close)
            snapshots.lock()
            saved = None if config.fresh else load_state(snapshots, public, tell)
        engine = make_engine(source, config, model, snapshots, spec)
        engine.about["config"] = public
        engine.tell = tell
        if saved is not None:
            engine.restore(saved)
        for name in SINKS:
            where = getattr(config, name)
            if where is not None:
                sink = open_sink(engine, name, where, config)
                stack.callback(sink.close)
                engine.sinks[name] = sink
        if config.metrics_port is not None:
            address = stack.enter_context(
                serve(engine, config.metrics_port, config.metrics_address)
            )
            tell(f"metrics for Prometheus at {address}")
        before = engine.clicks
        with _stopping(engine), _threads(max(1, cores() // 2)):
            engine.run(config.max_clicks, progress)
        if not engine.clicks:
            tell(_nothing_read(spec, engine.rejected.total()))
        seconds = time.monotonic() - began
        return {
            **engine.results(),
            "source": spec,
            "seconds": seconds,
            "clicks_per_second": (engine.clicks - before) / seconds,
            "peak_memory_mb": peak_memory_mb(),
            "config": public,
        }


def _nothing_read(spec: str, rejected: int) -> str:
    if not rejected:
        return f"no click was read: there is none in {spec}"
    return (
        f"no usable click was read: all {rejected:,} records of {spec} were rejected; see the "
        "reasons, and --dead-letters FILE for the records themselves"
    )


def make_model(config: RunConfig) -> OnlineGRU4Rec:
    """Make the model that a configuration asks for.

    Raises
    ------
    ConfigError
        It cannot compute on the device.

    """
    try:
        return OnlineGRU4Rec(
            config.model,
            max_sessions=model_sessions(config),
            max_items=config.max_items,
            seed=config.seed,
            device=config.device,
        )
    except ValueError as error:
        raise ConfigError(f"--device: {error}") from error


def model_sessions(config: StreamConfig) -> int:
    """Give a model's bound on live sessions.

    One that the sessionizer has just pushed out is forgotten after its batch.
    """
    return config.max_sessions + config.batch


def make_engine(
    source: Source,
    config: RunConfig,
    model: Recommender,
    snapshots: Snapshots | None = None,
    spec: str = "",
) -> Engine:
    """Make the engine that a configuration asks for; its sinks are the caller's to add."""
    gap = config.gap_seconds or source.gap or SESSION_GAP
    live = is_live(spec) or is_topic(config.recommendations)
    return Engine(
        source,
        model,
        Sessionizer(gap, config.lateness_seconds, config.max_sessions, config.max_ahead_seconds),
        batch=config.batch,
        figures=Prequential(window=config.window),
        snapshots=snapshots,
        every=config.every,
        k=config.k,
        after=config.recommend == "every",
        # What is read from disk and written to files is the same to the last bit every time.
        max_wait=config.max_wait_seconds if live else None,
        about={"source": spec, "gap": gap, "config": config.public()},
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
    if "models" in about["config"]:
        raise SnapshotError(
            f"the snapshots in {folder} are of nextclick compare: give those of a nextclick run"
        )
    config = msgspec.structs.replace(build(RunConfig, about["config"]), device="auto")
    model = make_model(config)
    engine = make_engine(_Nothing(about["gap"]), config, model)
    engine.restore(parts)
    engine.flush()
    return model


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
