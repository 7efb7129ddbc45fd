"""The command ``nextclick run``: its options, and what it shows at the end."""

from __future__ import annotations

import sys
from typing import Annotated

from ..config.options import ConfigError, build, load_toml, merge, parse_assignments
from ..config.run import RunConfig
from ..runner import UnwrittenError, run
from . import flags
from .exit_codes import NO_CLICKS
from .progress import Progress, summary
from .terminal import errors, notify, output, show

SHOWN_AS = {"json": "figures", "report": "curves"}
"""What a run calls the files that it has written."""


def run_command(
    source: flags.Source,
    config: flags.Config = None,
    format: flags.Format = None,  # noqa: A002
    session_column: flags.SessionColumn = None,
    user_column: flags.UserColumn = None,
    item_column: flags.ItemColumn = None,
    time_column: flags.TimeColumn = None,
    time_unit: flags.TimeUnit = None,
    sort: flags.Sort = False,
    max_clicks: flags.MaxClicks = None,
    until_end: flags.UntilEnd = False,
    partitions: flags.Partitions = None,
    session_from: flags.SessionFrom = None,
    time_from: flags.TimeFrom = None,
    idle: flags.Idle = None,
    on_missing_offsets: flags.OnMissingOffsets = None,
    group: flags.Group = None,
    gap: flags.Gap = None,
    lateness: flags.Lateness = None,
    max_ahead: flags.MaxAhead = None,
    max_sessions: flags.MaxSessions = None,
    max_items: flags.MaxItems = None,
    batch: flags.Batch = None,
    model: Annotated[
        list[str] | None,
        flags.option(flags.MODEL, "An option of the model, such as hidden=200; may be repeated."),
    ] = None,
    memory: Annotated[
        str | None,
        flags.option(
            flags.MODEL,
            "Latest clicks kept in sight as evidence beside the network, or off. "
            "\\[default: 262144]",
        ),
    ] = None,
    device: flags.Device = None,
    seed: flags.Seed = None,
    snapshots: flags.Snapshots = None,
    snapshot_every: flags.SnapshotEvery = None,
    keep_snapshots: flags.KeepSnapshots = None,
    fresh: flags.Fresh = False,
    begin_from: Annotated[
        str | None,
        flags.option(
            flags.SNAPSHOTS,
            "A snapshot, or a folder of them: begin with what was learned there, on any source.",
        ),
    ] = None,
    window: Annotated[
        int | None,
        flags.number(flags.OUTPUT, "Scored clicks in a window of the figures. \\[default: 10000]"),
    ] = None,
    json: flags.Json = None,
    report: flags.Report = None,
    recommendations: Annotated[
        str | None,
        flags.option(
            flags.OUTPUT, "File (JSON Lines) or kafka://host:port/topic for the best items."
        ),
    ] = None,
    recommend: Annotated[
        str | None,
        flags.option(
            flags.OUTPUT,
            "Those before each scored click, or after every click: scored or every. "
            "\\[default: scored]",
        ),
    ] = None,
    exclude: Annotated[
        str | None,
        flags.option(
            flags.OUTPUT,
            "What lists after every click leave out: current (the item just clicked) or none. "
            "\\[default: current]",
        ),
    ] = None,
    k: Annotated[
        int | None,
        flags.number(flags.OUTPUT, "How many items to recommend. \\[default: 20]", "-k", "--k"),
    ] = None,
    max_wait: Annotated[
        str | None,
        flags.option(
            flags.OUTPUT, "How long a click waits for its recommendations. \\[default: 100ms]"
        ),
    ] = None,
    exactly_once: Annotated[
        bool,
        flags.switch(
            flags.OUTPUT,
            "Write recommendations to their topic in transactions that go with the snapshots.",
            "--exactly-once",
        ),
    ] = False,
    dead_letters: flags.DeadLetters = None,
    metrics_port: Annotated[
        int | None, flags.number(flags.OUTPUT, "Serve /metrics for Prometheus. \\[default: off]")
    ] = None,
    metrics_address: Annotated[
        str | None, flags.option(flags.OUTPUT, "On this address. \\[default: 127.0.0.1]")
    ] = None,
    serve: Annotated[
        str | None,
        flags.option(
            flags.SERVE, "Recommend over HTTP at this port, or host:port. \\[default: off]"
        ),
    ] = None,
    api_key: flags.ApiKey = None,
    allow_origins: flags.AllowOrigins = None,
) -> None:
    """Score every click of a stream, then learn it."""
    chosen = flags.given(locals(), without=("model", "memory"))
    if model:
        chosen["model"] = parse_assignments(model, "--model")
    if memory is not None:
        if memory != "off" and not memory.isdecimal():
            raise ConfigError(f"--memory {memory!r}: give a number of clicks, or off")
        clicks = 0 if memory == "off" else int(memory)
        chosen["model"] = {**chosen.get("model", {}), "memory": clicks}
    given = merge(load_toml(config, RunConfig) if config else {}, chosen)
    settings = build(RunConfig, given)
    try:
        with Progress(errors) as progress:
            result = run(source, settings, notify, progress, given.get("model", {}))
    except UnwrittenError as error:
        output.print(summary(error.result))
        raise
    output.print(summary(result))
    for what in ("json", "report", "snapshots"):
        path = getattr(settings, what)
        if path is not None:
            show(f"{SHOWN_AS.get(what, what)}: {path}")
    if not result["usable"]:
        sys.exit(NO_CLICKS)
