"""A run put together from its configuration: begun, or taken up where a snapshot left it."""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from nextclick.connectors import KafkaLog, client_settings
from nextclick.models import OnlineGRU4Rec, Recommender, State
from nextclick.models.base import CheckedModel
from nextclick.models.compute.device import cores
from nextclick.models.compute.half_scores import HalfChoice
from nextclick.models.compute.jit import compile_timer

from .comparison.arena import Arena
from .comparison.trials import make_trials
from .config.declaration import flag
from .config.model_factory import fitting
from .config.options import ConfigError
from .config.run import RunConfig, StreamConfig
from .config.serving import check_installed
from .delivery import SINKS
from .endpoints import (
    Spec,
    check_outputs,
    open_configured_source,
    open_items_registry,
    open_sink,
    source_name,
    specs_of,
)
from .engine import Engine
from .learned import count_clicks, learned_model, make_engine
from .monitoring.server import serve
from .monitoring.tracking.make import make_trackers
from .monitoring.tracking.tracker import Tracker, Tracking, tracked
from .monitoring.unusable_records import Unusable
from .notes import Info
from .output_files import check_writable, figures_json, write_all
from .recommendations.clicks_file import ClicksFile
from .recommendations.item_follower import followed_items
from .report.provenance import provenance
from .report.results import RunResult
from .report.run_page import report_page
from .signals import on_stop
from .snapshots.resume import load_state
from .snapshots.store import Snapshots
from .snapshots.warm_start import WarmStart, prepare, put_into
from .workers.joining import joined, torch_threads
from .workers.run import refuse, shared_model, signals_wait_for_losses
from .workers.sharing import sharing_of
from .workers.work import serve_first


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Set torch's threads: small operations gain nothing from many, and ranking has its own."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run(
    spec: Spec,
    config: RunConfig,
    notify: Callable[[str], None] = lambda sentence: None,
    progress: Callable[[Engine], None] | None = None,
    named: Mapping[str, Any] | None = None,
    trackers: Sequence[Tracker] = (),
) -> RunResult:
    """Carry out a run.

    Parameters
    ----------
    spec
        The source by its name, or a list of log files that are one; or clicks in memory: a table
        such as a data frame, or an iterable; or a source of one's own. See `open_source`.
    config
        What to do with it.
    notify
        Takes sentences for a person: what is resumed, what was skipped.
    progress
        Called after every batch.
    named
        The options of the model that a person has named: with ``begin_from`` the others are
        those of its snapshot. None: those unlike their defaults.
    trackers
        Trackers of experiments besides those of `config.track`.

    Returns
    -------
    RunResult
        A dict of the figures, in JSON's types. They are written to `config.json` and
        `config.report` too, where these are given. Empty in a process that is not the first of
        several.

    Raises
    ------
    ConfigError, SourceError, SnapshotError, SinkError
        The run cannot be done; the message names the place and the remedy.

    """
    check_config(config, RunConfig)
    warm = None
    with joined("run", config, {"device": config.device}, lambda: refuse(config)) as member:
        if member is not None and not member.place.is_first:
            serve_first(member)
            return RunResult({})
        if config.begin_from is not None:
            config, warm = prepare(config, named, notify)
        public = config.public()
        told = [*make_trackers(config.track), *trackers]
        with (
            shared_model(config, member, notify) as model,
            tracked(Tracking(told, notify, progress), public) as tracking,
        ):
            origin = None if warm is None else _begin_from(model, warm, config)
            del warm  # What is not needed any more would stay in the RAM for months.
            choose_ranking(config, model, notify)
            result = RunResult(run_model(spec, config, model, public, notify, tracking, origin))
            tracking.ended(result)
        if member is not None:
            member.failed = not result["usable"]  # The command line's exit code says so.
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
    spec: Spec,
    config: RunConfig,
    model: Recommender,
    public: dict[str, Any],
    notify: Callable[[str], None],
    progress: Callable[[Engine], None] | None,
    origin: dict[str, Any] | None = None,
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
    notify, progress
        As for `run`.
    origin
        Which snapshot the model has begun with.

    """
    began = time.monotonic()
    name = source_name(spec)
    _check(spec, config, model)
    with ExitStack() as stack:
        compiling = stack.enter_context(compile_timer())
        # What kafka-python logs is told in errors and notes; its own words are of no help.
        stack.enter_context(KafkaLog())
        source = open_configured_source(spec, config)
        if source is not spec:  # One of somebody's own is theirs to close.
            stack.callback(source.close)
        snapshots, saved = None, None
        if config.snapshots is not None:
            snapshots = Snapshots(Path(config.snapshots), config.keep_snapshots)
            stack.callback(snapshots.close)
            snapshots.lock()
            saved = None if config.fresh else load_state(snapshots, public, notify)
        engine = make_engine(source, config, model, snapshots, name)
        engine.about |= {"config": public, "began_from": origin}
        engine.notify = notify
        engine.trials = make_trials(config, model.name, notify)
        engine.unusable = Unusable(config.time_unit or "s")
        _begin(engine, saved, lambda: count_clicks(spec, config))
        del saved  # As `warm` in `run`.
        _open_sinks(engine, config, stack)
        stack.enter_context(_sharing(engine))
        stack.enter_context(serving(engine, config, notify))
        before = engine.clicks
        with signals_wait_for_losses(), _stopping(engine), fitting("the model"):
            engine.run(config.max_clicks, progress)
        if not engine.clicks:
            notify(_nothing_read(name, engine))
        seconds = time.monotonic() - began
        return {
            **engine.results(),
            "source": name,
            **({} if specs_of(spec) else {"in_memory": True}),
            "began_from": engine.about["began_from"],
            "seconds": seconds,
            "clicks_per_second": (engine.clicks - before) / seconds,
            "compiling_seconds": compiling(),
            "peak_memory_mb": peak_memory_mb(),
            "provenance": provenance(config.device),
            "config": public,
        }


def choose_ranking(config: RunConfig, model: Recommender, notify: Callable[[str], None]) -> None:
    """Have a model compute scores in bfloat16 first where that is faster and `--ranking` allows."""
    if config.ranking == "auto" and isinstance(model, OnlineGRU4Rec):
        model.choose_half = HalfChoice(lambda sentence: notify(Info(sentence)))


def _open_sinks(engine: Engine, config: RunConfig, stack: ExitStack) -> None:
    """Open what the run writes as it goes, until the stack is left."""
    for kind in SINKS:
        where = getattr(config, kind)
        if where is not None:
            sink = open_sink(engine, kind, where, config)
            stack.callback(sink.close)
            engine.sinks[kind] = sink
    if config.clicks is not None:
        stack.callback(_open_clicks(engine, config.clicks, config.clicks_k).close)


def _check(spec: Spec, config: RunConfig, model: Recommender) -> None:
    """Check what can be checked before the source is opened.

    Raises
    ------
    ConfigError
        The batch is too large for the model, or an output cannot be written.

    """
    most = getattr(model, "largest_batch", None)
    if most is not None and config.batch > most:
        raise ConfigError(f"batch must be at most {most} for {model.name}, not {config.batch}")
    check_outputs(spec, config)
    for option in ("json", "report", "clicks"):
        check_writable(flag(option), getattr(config, option))


def _open_clicks(engine: Engine, path: str, k: int) -> ClicksFile:
    """Open the file for what becomes of each click; a run that goes on writes it on."""
    model = engine.model
    names, results = [model.name], None
    if isinstance(model, Arena):
        names, model.list_k, results = list(model.models), k, model.results_of_batch
    written = engine.written.get("clicks", {})
    known = written.get("to") == str(Path(path).resolve())
    file = ClicksFile(path, names, k, written["length"] if known else None, results)
    engine.clicks_file = engine.sinks["clicks"] = file
    return file


@contextmanager
def serving(engine: Engine, config: RunConfig, notify: Callable[[str], None]) -> Iterator[None]:
    """Serve metrics and recommendations while the context lasts, where that is asked for."""
    with ExitStack() as stack:
        if config.metrics_port is not None:
            address = stack.enter_context(
                serve(engine, config.metrics_port, config.metrics_address)
            )
            notify(Info(f"metrics for Prometheus at {address}"))
        items = None
        if config.items is not None:
            settings = client_settings(config.kafka)
            registry = open_items_registry(config.items, config.schema_registry, config.registry)
            items = stack.enter_context(
                followed_items(config.items, config.max_items, settings, notify, registry)
            )
            engine.items = items.data
        if config.serve is not None:
            check_installed("--serve")
            # Imported here: what it needs is installed only with an extra.
            from .serving.run import serve_engine

            stack.enter_context(serve_engine(engine, config, notify, items))
        if items is not None and config.recommend == "every":
            items.wait()
        yield


@contextmanager
def _sharing(engine: Engine) -> Iterator[None]:
    """Set torch's threads, and watch the loop where several processes share the model."""
    sharing = sharing_of(engine.model)
    if sharing is not None:
        sharing.watch(engine.phases)
    count = sharing.threads if sharing is not None else None
    with threads(count or torch_threads(cores())):
        yield


def _begin_from(model: CheckedModel, warm: WarmStart, config: RunConfig) -> dict[str, Any]:
    """Have a model begin with what that of a snapshot has learned; return which it is."""
    put_into(model, learned_model(warm.parts, warm.about, config.device), config, warm)
    return warm.facts


def _begin(
    engine: Engine,
    saved: tuple[dict[str, State], dict[str, Any]] | None,
    count: Callable[[], int],
) -> None:
    """Go back to where a snapshot was taken, and keep its facts of the run before; or start.

    What is a share of all clicks is found by counting them, if no run before has.
    """
    if saved is not None:
        parts, about = saved
        engine.about |= {"began_from": about.get("began_from"), "changed": about["changed"]}
        engine.restore(parts)
    engine.protocol.resolve(count)


def _nothing_read(spec: str, engine: Engine) -> str:
    rejected = engine.rejected.total()
    if filtered := engine.left_out.filtered:
        others = f" and {rejected:,} were rejected: {engine.unusable.why()}" if rejected else ""
        return (
            f"no usable click was read: --where has left out {filtered:,} records of {spec}"
            f"{others}. Check its fields and values; texts stand in single quotes"
        )
    if not rejected:
        return f"no click was read: there is none in {spec}"
    why = "" if engine.unusable.notes() else f". {engine.unusable.why()}"
    which = "the one record" if rejected == 1 else f"all {rejected:,} records"
    were = "was" if rejected == 1 else "were"
    return f"no usable click was read: {which} of {spec} {were} rejected{why}"


def peak_memory_mb() -> float:
    """Return the peak RAM of this process, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _stopping(engine: Engine) -> AbstractContextManager[None]:
    """End the run in good order on Ctrl-C or SIGTERM, and at once on a second one."""

    def stop(number: signal.Signals) -> None:
        engine.stop()
        if not engine.begun:
            # Nothing was read: there is nothing to be ended in good order.
            signal.raise_signal(number)

    return on_stop(stop)
