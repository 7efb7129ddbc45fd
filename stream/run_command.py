"""The command ``nextclick run``: its options, and what it shows at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape

from .config import RunConfig
from .options import ConfigError, build, load_toml, merge, parse_assignments
from .progress import Progress, summary
from .report import write_report
from .runner import run
from .terminal import errors, output, tell


def _option(panel: str, help: str, *names: str) -> Any:  # noqa: A002
    return typer.Option(*names, help=help, rich_help_panel=panel)


def _switch(panel: str, help: str, name: str) -> Any:  # noqa: A002
    # Without the metavar typer would show it as one that takes a value.
    return typer.Option(name, help=help, rich_help_panel=panel, metavar="")


SOURCE, TOPIC, MODEL = "The source", "The source, where it is a topic", "Sessions and model"
SNAPSHOTS, OUTPUT = "Snapshots", "What goes out"


def run_command(
    source: Annotated[
        str,
        typer.Argument(
            help="A log (.csv, .tsv, .jsonl, .parquet, plain, .gz or .zst), "
            "kafka://host:port/topic, - for JSON Lines on standard input, or "
            "sim:clicks=60000,seed=1 for the simulated shop."
        ),
    ],
    config: Annotated[
        Path | None, typer.Option(help="Options from a TOML file; flags override them.")
    ] = None,
    format: Annotated[  # noqa: A002
        str | None,
        _option(SOURCE, "A published data set: yoochoose, diginetica, retailrocket, recbole."),
    ] = None,
    session_column: Annotated[
        str | None, _option(SOURCE, "Column of the session's id. \\[default: session_id]")
    ] = None,
    user_column: Annotated[
        str | None, _option(SOURCE, "Column of the user's id: sessions are cut by --gap.")
    ] = None,
    item_column: Annotated[
        str | None, _option(SOURCE, "Column of the item's id. \\[default: item_id]")
    ] = None,
    time_column: Annotated[
        str | None, _option(SOURCE, "Column of the time. \\[default: timestamp]")
    ] = None,
    time_unit: Annotated[
        str | None, _option(SOURCE, "Unit of times given as numbers: s, ms, us or ns.")
    ] = None,
    sort: Annotated[
        bool, _switch(SOURCE, "Read the whole log and sort it by time first.", "--sort")
    ] = False,
    max_clicks: Annotated[int | None, _option(SOURCE, "Stop after so many clicks in all.")] = None,
    until_end: Annotated[
        bool, _switch(TOPIC, "Stop at the topic's end as it is now.", "--until-end")
    ] = False,
    partitions: Annotated[
        str | None, _option(TOPIC, "Read these only, such as 0,2. \\[default: all]")
    ] = None,
    session_from: Annotated[
        str | None,
        _option(TOPIC, "The session's id is a field or the record's key. \\[default: field]"),
    ] = None,
    time_from: Annotated[
        str | None,
        _option(TOPIC, "The time is a field or the record's timestamp. \\[default: field]"),
    ] = None,
    idle: Annotated[
        str | None,
        _option(TOPIC, "How long a silent partition holds the others back. \\[default: 1s]"),
    ] = None,
    on_missing_offsets: Annotated[
        str | None,
        _option(
            TOPIC,
            "Where to go on when the records at the position are gone: earliest or "
            "latest. \\[default: stop]",
        ),
    ] = None,
    group: Annotated[
        str | None,
        _option(TOPIC, "The group that offsets are committed to. \\[default: nextclick]"),
    ] = None,
    gap: Annotated[
        str | None,
        _option(MODEL, "Inactivity that ends a session. \\[default: 30m for users, else 1d]"),
    ] = None,
    lateness: Annotated[
        str | None,
        _option(MODEL, "How much older than its session a click may be. \\[default: 60s]"),
    ] = None,
    max_sessions: Annotated[
        int | None, _option(MODEL, "Bound on live sessions. \\[default: 100000]")
    ] = None,
    max_items: Annotated[
        int | None, _option(MODEL, "Bound on the catalogue. \\[default: 1000000]")
    ] = None,
    batch: Annotated[
        int | None, _option(MODEL, "Clicks tested and learned at once. \\[default: 64]")
    ] = None,
    model: Annotated[
        list[str] | None,
        _option(MODEL, "An option of the model, such as hidden=200; may be repeated."),
    ] = None,
    memory: Annotated[
        str | None,
        _option(
            MODEL,
            "Latest clicks kept in sight as evidence beside the network, or off. "
            "\\[default: 262144]",
        ),
    ] = None,
    device: Annotated[str | None, _option(MODEL, "auto, cpu or cuda. \\[default: auto]")] = None,
    seed: Annotated[int | None, _option(MODEL, "Of all that is random. \\[default: 0]")] = None,
    snapshots: Annotated[
        str | None, _option(SNAPSHOTS, "Folder for them; a run goes on from those it holds.")
    ] = None,
    snapshot_every: Annotated[
        str | None, _option(SNAPSHOTS, 'Such as "60s" or "5000clicks". \\[default: 60s]')
    ] = None,
    keep_snapshots: Annotated[
        int | None, _option(SNAPSHOTS, "How many of the newest stay. \\[default: 3]")
    ] = None,
    fresh: Annotated[
        bool, _switch(SNAPSHOTS, "Start anew, though there are snapshots.", "--fresh")
    ] = False,
    window: Annotated[
        int | None,
        _option(OUTPUT, "Scored clicks in a window of the figures. \\[default: 10000]"),
    ] = None,
    json: Annotated[str | None, _option(OUTPUT, "File for the figures, as a JSON object.")] = None,
    report: Annotated[
        str | None, _option(OUTPUT, "File for the page with the curves (.html).")
    ] = None,
    recommendations: Annotated[
        str | None,
        _option(OUTPUT, "File (JSON Lines) or kafka://host:port/topic for the best items."),
    ] = None,
    recommend: Annotated[
        str | None,
        _option(
            OUTPUT,
            "Those before each scored click, or after every click: scored or every. "
            "\\[default: scored]",
        ),
    ] = None,
    k: Annotated[
        int | None, _option(OUTPUT, "How many items to recommend. \\[default: 20]", "-k", "--k")
    ] = None,
    max_wait: Annotated[
        str | None,
        _option(OUTPUT, "How long a click waits for its recommendations. \\[default: 100ms]"),
    ] = None,
    exactly_once: Annotated[
        bool,
        _switch(
            OUTPUT,
            "Write recommendations to their topic in transactions that go with the snapshots.",
            "--exactly-once",
        ),
    ] = False,
    dead_letters: Annotated[
        str | None,
        _option(
            OUTPUT,
            "File (JSON Lines) or kafka://host:port/topic for the records that cannot be used.",
        ),
    ] = None,
    metrics_port: Annotated[
        int | None, _option(OUTPUT, "Serve /metrics for Prometheus. \\[default: off]")
    ] = None,
    metrics_address: Annotated[
        str | None, _option(OUTPUT, "On this address. \\[default: 127.0.0.1]")
    ] = None,
) -> None:
    """Score every click of a stream, then learn it."""
    flags: dict[str, Any] = {
        name: value
        for name, value in locals().items()
        # A flag that was not given is no wish for the contrary.
        if name not in ("source", "config", "model", "memory", "partitions")
        and value is not None
        and value is not False
    }
    if model:
        flags["model"] = parse_assignments(model, "--model")
    if memory is not None:
        if memory != "off" and not memory.isdecimal():
            raise ConfigError(f"--memory {memory!r}: give a number of clicks, or off")
        clicks = 0 if memory == "off" else int(memory)
        flags["model"] = {**flags.get("model", {}), "memory": clicks}
    if partitions is not None:
        flags["partitions"] = parse_partitions(partitions)
    given = load_toml(config, RunConfig) if config else {}
    settings = build(RunConfig, merge(given, flags))
    for option, path in (("--json", settings.json), ("--report", settings.report)):
        _check_writable(option, path)
    with Progress(errors) as progress:
        result = run(source, settings, tell, progress)
    output.print(summary(result))
    if settings.json is not None:
        Path(settings.json).write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
        output.print(f"figures: {escape(settings.json)}", soft_wrap=True)
    if settings.report is not None:
        write_report(Path(settings.report), result)
        output.print(f"curves: {escape(settings.report)}", soft_wrap=True)
    if settings.snapshots is not None:
        output.print(f"snapshots: {escape(settings.snapshots)}", soft_wrap=True)


def parse_partitions(text: str) -> list[int]:
    """Read the numbers of partitions.

    Raises
    ------
    ConfigError
        They are no numbers.

    Examples
    --------
    >>> parse_partitions("0, 2")
    [0, 2]

    """
    try:
        return sorted({int(number) for number in text.split(",")})
    except ValueError:
        raise ConfigError(f"--partitions {text!r}: write their numbers, such as 0,2") from None


def _check_writable(option: str, path: str | None) -> None:
    """Fail before a long run, not after it."""
    if path is None:
        return
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("ab"):
            pass
    except OSError as error:
        raise ConfigError(f"{option} {path} cannot be written: {error.strerror}") from error
