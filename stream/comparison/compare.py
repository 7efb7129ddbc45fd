"""A comparison of models, put together from its configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from nextclick.models.workers import LostWorker

from ..endpoints import Spec
from ..engine import Engine
from ..learned import make_protocol
from ..monitoring.tracking.make import make_trackers
from ..monitoring.tracking.tracker import Tracker, Tracking, tracked
from ..notes import Info
from ..report.comparison_page import comparison_page
from ..report.results import ComparisonResult
from ..runner import check_config, run_model, write_results
from ..workers.joining import joined
from ..workers.member import Member
from ..workers.models_apart import ModelsApart, shared_models
from ..workers.sharing import Sharing
from ..workers.work import serve_first
from .arena import Arena
from .config import CompareConfig
from .contestants import by_name, contestants_of, make_contestants

OF_THE_RUN = (
    "clicks",
    "usable",
    "learned",
    "first",
    "late",
    "ahead",
    "rejected",
    "filtered",
    "duplicate",
    "live_sessions",
    "protocol",
    "source",
    "in_memory",
    "seconds",
    "clicks_per_second",
    "compiling_seconds",
    "peak_memory_mb",
    "provenance",
    "config",
)
"""What a comparison reports of its progress through the stream, see docs/guide/metrics.md."""


def compare(
    spec: Spec,
    config: CompareConfig,
    notify: Callable[[str], None] = lambda sentence: None,
    progress: Callable[[Engine], None] | None = None,
    trackers: Sequence[Tracker] = (),
) -> ComparisonResult:
    """Compare models on the same clicks, in one reading of the source.

    Parameters
    ----------
    spec
        The source by its name, or a list of log files that are one; or clicks in memory: a table
        such as a data frame, or an iterable; or a source of one's own. See `open_source`.
    config
        The models, and what to do.
    notify
        Takes sentences for a person: what is resumed, what was skipped.
    progress
        Called after every batch.
    trackers
        Trackers of experiments besides those of `config.track`.

    Returns
    -------
    ComparisonResult
        A dict of the figures, in JSON's types: those of `Arena.results`, and the counts and seconds
        of the run. They are written to `config.json` and `config.report`, where these are given.

    Raises
    ------
    ConfigError, SourceError, SnapshotError, SinkError
        It cannot be done; the message names the place and the remedy.

    Examples
    --------
    >>> models = {"gru4rec": {"hidden": 8}, "gru4rec-network": {"hidden": 8}}
    >>> result = compare("sim:clicks=200", CompareConfig(models=models, device="cpu"))
    >>> result["clicks"], sorted(result["models"])
    (200, ['gru4rec', 'gru4rec-network'])

    """
    check_config(config, CompareConfig)
    with joined("compare", config, shared_models(config)) as member:
        if member is not None and not member.place.is_first:
            serve_first(member)
            return ComparisonResult({})
        public = config.public()
        told = [*make_trackers(config.track), *trackers]
        with (
            shared_arena(config, member, notify) as arena,
            tracked(Tracking(told, notify, progress), public) as tracking,
        ):
            run = run_model(spec, config.run_config(), arena, public, notify, tracking)
            of_the_run = {name: run[name] for name in OF_THE_RUN if name in run}
            result = ComparisonResult({**of_the_run, **arena.results()})
            tracking.ended(result)
        write_results(config, result, comparison_page)
        return result


@contextmanager
def shared_arena(
    config: CompareConfig, member: Member | None, notify: Callable[[str], None]
) -> Iterator[Arena]:
    """Make the models of a comparison; where there are several processes, each has some.

    Where another process is lost meanwhile this one ends.
    """
    protocol = make_protocol(config, max(config.k))
    if member is None:
        yield Arena(make_contestants(config), config.k, config.max_items, protocol)
        return
    notify(Info(f"{member.place.size} workers, gloo"))
    try:
        contestants = contestants_of(config)
        apart = ModelsApart(member, config, contestants)
        try:
            models = by_name(apart.models, contestants)
            arena = Arena(models, config.k, config.max_items, protocol, apart)
            stats = partial(_stats, apart, arena)
            vars(arena)["sharing"] = Sharing(stats, member.watch)
            yield arena
        finally:
            apart.stop()
        member.part()
    except LostWorker as error:
        member.lose(error)


def _stats(apart: ModelsApart, arena: Arena) -> dict[str, Any]:
    return apart.stats(arena.seconds())
