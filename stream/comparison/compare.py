"""A comparison of models, put together from its configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from nextclick.models import Recommender

from ..config.model_factory import make_models, takes_seed
from ..endpoints import Spec
from ..engine import Engine
from ..learned import make_protocol
from ..monitoring.tracking.make import make_trackers
from ..monitoring.tracking.tracker import Tracker, Tracking, tracked
from ..report.comparison_page import comparison_page
from ..report.results import ComparisonResult
from ..runner import check_config, run_model, write_results
from .arena import Arena
from .config import CompareConfig

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
    "peak_memory_mb",
    "provenance",
    "config",
)
"""What a comparison reports of its progress through the stream, see docs/guide/metrics.md."""


def make_seeds(config: CompareConfig) -> dict[str, list[Recommender]]:
    """Make the models of a comparison: one for each seed, where a model takes a seed.

    Raises
    ------
    ConfigError
        There is no such model, or no such option, or the option is out of its range.

    """
    made: dict[str, list[Recommender]] = {}
    for at in range(config.seeds):
        seeded = msgspec.structs.replace(config, seed=config.seed + at)
        models = (
            config.models
            if not at
            else {name: given for name, given in config.models.items() if takes_seed(name, given)}
        )
        for name, model in make_models(models, seeded).items():
            made.setdefault(name, []).append(model)
    return made


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
    models = make_seeds(config)
    protocol = make_protocol(config, max(config.k))
    arena = Arena(models, config.k, config.max_items, protocol)
    public = config.public()
    told = [*make_trackers(config.track), *trackers]
    with tracked(Tracking(told, notify, progress), public) as tracking:
        run = run_model(spec, config.run_config(), arena, public, notify, tracking)
        of_the_run = {name: run[name] for name in OF_THE_RUN if name in run}
        result = ComparisonResult({**of_the_run, **arena.results()})
        tracking.ended(result)
    write_results(config, result, comparison_page)
    return result
