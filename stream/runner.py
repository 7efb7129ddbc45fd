"""A run put together from its configuration: begun, or taken up where a snapshot left it."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import torch

from nextclick.connectors import KafkaLog, Source
from nextclick.models import OnlineGRU4Rec, Recommender, State
from nextclick.models.compute.device import cores

from .config.declaration import flag
from .config.model_factory import fitting, make_model
from .config.options import ConfigError, build
from .config.run import RunConfig, StreamConfig
from .delivery import SINKS
from .endpoints import check_outputs, is_live, is_topic, open_configured_source, open_sink
from .engine import Engine
from .evaluation.prequential import Prequential
from .monitoring.server import serve
from .monitoring.unusable_records import Unusable
from .notes import Info
from .output_files import check_writable, figures_json, write_all
from .provenance import provenance
from .report.run_page import report_page
from .sessions.sessionizer import Sessionizer
from .signals import on_stop
from .snapshots.resume import load_state
from .snapshots.store import SnapshotError, Snapshots
from .snapshots.warm_start import WarmStart, prepare, put_into

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
    spec: str | os.PathLike[str],
    config: RunConfig,
    notify: Callable[[str], None] = lambda sentence: None,
    progress: Callable[[Engine], None] | None = None,
    named: Mapping[str, Any] | None = None,
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
    named
        The options of the model that a person has named: with ``begin_from`` the others are
        those of its snapshot. None: those unlike their defaults.

    Returns
    -------
    dict
        The figures, in JSON's types. They are written to `config.json` and `config.report` too,
        where these are given.

    Raises
    ------
    ConfigError, SourceError, SnapshotError, SinkError
        The run cannot be done; the message names the place and the remedy.

    """
    check_config(config, RunConfig)
    spec = os.fspath(spec)
    warm = None
    if config.begin_from is not None:
        config, warm = prepare(config, named, notify)
    model = make_model(config)
    if warm is not None:
        learned = _learned(warm.parts, warm.about, config.device)
        put_into(model, learned, config, warm)
    result = run_model(spec, config, model, config.public(), notify, progress, warm)
    write_results(config, result, report_page)
    return result


class UnwrittenError(ConfigError):
    """A run has ended well, and a file for its result cannot be written; `result` is all of it."""

    def __init__(self, message: str, result: dict[str, Any]) -> None:
        super().__init__(message)
        self.result = result


def check_config(config: Any, kind: type[StreamConfig]) -> None:
    """Check that a configuration is one of the right kind.

    Raises
    ------
    ConfigError
        It is not.

    """
    if not isinstance(config, kind):
        raise ConfigError(
            f"the configuration is of the type {type(config).__name__}: give "
            f"{kind.__name__}(...), with the options by name"
        )


def write_results(
    config: StreamConfig, result: dict[str, Any], page: Callable[[dict[str, Any]], bytes]
) -> None:
    """Write the files that a configuration names for its result, all that can be written.

    Raises
    ------
    UnwrittenError
        One cannot be written.

    """
    try:
        write_all(
            [
                ("--json", config.json, lambda: figures_json(result)),
                ("--report", config.report, lambda: page(result)),
            ]
        )
    except ConfigError as error:
        raise UnwrittenError(str(error), result) from error


def run_model(
    spec: str,
    config: RunConfig,
    model: Recommender,
    public: dict[str, Any],
    notify: Callable[[str], None],
    progress: Callable[[Engine], None] | None,
    warm: WarmStart | None = None,
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
    warm
        What the model has begun with.

    """
    began = time.monotonic()
    most = getattr(model, "largest_batch", None)
    if most is not None and config.batch > most:
        raise ConfigError(f"batch must be at most {most} for {model.name}, not {config.batch}")
    check_outputs(spec, config)
    for option in ("json", "report"):
        check_writable(flag(option), getattr(config, option))
    with ExitStack() as stack:
        # What kafka-python logs is told in errors and notes; its own words are of no help.
        stack.enter_context(KafkaLog())
        source = open_configured_source(spec, config)
        stack.callback(source.close)
        snapshots, saved = None, None
        if config.snapshots is not None:
            snapshots = Snapshots(Path(config.snapshots), config.keep_snapshots)
            stack.callback(snapshots.close)
            snapshots.lock()
            saved = None if config.fresh else load_state(snapshots, public, notify)
        engine = make_engine(source, config, model, snapshots, spec)
        engine.about["config"] = public
        engine.about["began_from"] = warm.facts if warm is not None else None
        engine.notify = notify
        engine.unusable = Unusable(config.time_unit or "s")
        if saved is not None:
            _resume(engine, *saved)
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
            notify(Info(f"metrics for Prometheus at {address}"))
        before = engine.clicks
        with _stopping(engine), _threads(max(1, cores() // 2)), fitting("the model"):
            engine.run(config.max_clicks, progress)
        if not engine.clicks:
            notify(_nothing_read(spec, engine))
        seconds = time.monotonic() - began
        return {
            **engine.results(),
            "source": spec,
            "began_from": engine.about["began_from"],
            "seconds": seconds,
            "clicks_per_second": (engine.clicks - before) / seconds,
            "peak_memory_mb": peak_memory_mb(),
            "provenance": provenance(config.device),
            "config": public,
        }


def _resume(engine: Engine, parts: dict[str, State], about: dict[str, Any]) -> None:
    """Go back to where a snapshot was taken, and keep what it says of the run before."""
    engine.about |= {"began_from": about.get("began_from"), "changed": about["changed"]}
    engine.restore(parts)


def _nothing_read(spec: str, engine: Engine) -> str:
    rejected = engine.rejected.total()
    if not rejected:
        return f"no click was read: there is none in {spec}"
    why = "" if engine.unusable.notes() else f". {engine.unusable.why()}"
    which = "the one record" if rejected == 1 else f"all {rejected:,} records"
    were = "was" if rejected == 1 else "were"
    return f"no usable click was read: {which} of {spec} {were} rejected{why}"


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
        about={"source": spec, "gap": gap, "config": config.public(), "changed": []},
    )


def load_model(folder: str | os.PathLike[str], notify: Callable[[str], None]) -> OnlineGRU4Rec:
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
        notify(f"skipped a damaged snapshot, {damage}")
    if "models" in about["config"]:
        raise SnapshotError(
            f"the snapshots in {folder} are of nextclick compare: give those of a nextclick run"
        )
    return _learned(parts, about, "auto")


def _learned(parts: dict[str, State], about: dict[str, Any], device: str) -> OnlineGRU4Rec:
    """Return a snapshot's model, the clicks of its unfinished batch learned too."""
    config = msgspec.structs.replace(build(RunConfig, about["config"]), device=device)
    model = make_model(config)
    engine_of(parts, about, config, model)
    return model


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


def peak_memory_mb() -> float:
    """Return the most memory that this process has held, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _stopping(engine: Engine) -> AbstractContextManager[None]:
    """Have Ctrl-C and SIGTERM end the run in good order; a second one ends it at once."""

    def stop(number: signal.Signals) -> None:
        engine.stop()
        if not engine.begun:
            # Nothing was read: there is nothing to be ended in good order.
            signal.raise_signal(number)

    return on_stop(stop)


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
