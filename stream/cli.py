"""The commands."""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from nextclick.connectors import SinkError, SourceError, open_source

from .config import ConfigError, RunConfig, build, load_toml, merge, parse_assignments
from .progress import Progress, summary
from .report import write_report
from .runner import load_model, run
from .snapshots import SnapshotError, Snapshots

app = typer.Typer(
    name="nextclick",
    help="Learns to predict the next click while the clicks stream in.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
errors = Console(stderr=True)
output = Console()

Folder = Annotated[Path, typer.Option("--snapshots", help="The folder with the snapshots.")]


def main() -> None:
    """Run the command line; a user's mistake ends in one clear line and exit code 2."""
    try:
        app()
    except (ConfigError, SourceError, SnapshotError, SinkError, FloatingPointError) as error:
        errors.print(f"[bold red]nextclick:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does.
        sys.stderr.close()
        sys.exit(1)


def tell(sentence: str) -> None:
    """Say a sentence to the person at the terminal."""
    errors.print(f"[yellow]note:[/] {escape(sentence)}", soft_wrap=True)


@app.command("run")
def run_command(
    source: Annotated[
        str,
        typer.Argument(
            help="A log (.csv, .tsv, .jsonl, .parquet, plain, .gz or .zst), - for JSON Lines on "
            "standard input, or sim:clicks=60000,seed=1 for the simulated shop."
        ),
    ],
    config: Annotated[
        Path | None, typer.Option(help="Options from a TOML file; flags override them.")
    ] = None,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(help="A published data set: yoochoose, diginetica, retailrocket, recbole."),
    ] = None,
    session_column: Annotated[
        str | None, typer.Option(help="Column of the session's id. \\[default: session_id]")
    ] = None,
    user_column: Annotated[
        str | None, typer.Option(help="Column of the user's id: sessions are cut by --gap.")
    ] = None,
    item_column: Annotated[
        str | None, typer.Option(help="Column of the item's id. \\[default: item_id]")
    ] = None,
    time_column: Annotated[
        str | None, typer.Option(help="Column of the time. \\[default: timestamp]")
    ] = None,
    time_unit: Annotated[
        str | None, typer.Option(help="Unit of times given as numbers: s, ms, us or ns.")
    ] = None,
    sort: Annotated[
        bool | None, typer.Option("--sort", help="Read the whole log and sort it by time first.")
    ] = None,
    gap: Annotated[
        str | None,
        typer.Option(help="Inactivity that ends a session. \\[default: 30m for users, else 1d]"),
    ] = None,
    lateness: Annotated[
        str | None,
        typer.Option(help="How much older than its session a click may be. \\[default: 60s]"),
    ] = None,
    max_sessions: Annotated[
        int | None, typer.Option(help="Bound on live sessions. \\[default: 100000]")
    ] = None,
    max_items: Annotated[
        int | None, typer.Option(help="Bound on the catalogue. \\[default: 1000000]")
    ] = None,
    snapshots: Annotated[
        str | None,
        typer.Option(help="Folder for snapshots; a run goes on from those it holds."),
    ] = None,
    snapshot_every: Annotated[
        str | None, typer.Option(help='Such as "60s" or "5000clicks". \\[default: 60s]')
    ] = None,
    keep_snapshots: Annotated[
        int | None, typer.Option(help="How many of the newest stay. \\[default: 3]")
    ] = None,
    fresh: Annotated[
        bool | None, typer.Option("--fresh", help="Start anew, though there are snapshots.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Clicks tested and learned at once. \\[default: 64]")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda. \\[default: auto]")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all that is random. \\[default: 0]")] = None,
    max_clicks: Annotated[
        int | None, typer.Option(help="Stop after so many clicks in all.")
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(help="Scored clicks in a window of the figures. \\[default: 10000]"),
    ] = None,
    json: Annotated[
        str | None, typer.Option(help="File for the figures, as a JSON object.")
    ] = None,
    report: Annotated[
        str | None, typer.Option(help="File for the page with the curves (.html).")
    ] = None,
    recommendations: Annotated[
        str | None,
        typer.Option(help="File for the best items before each scored click (JSON Lines)."),
    ] = None,
    k: Annotated[
        int | None, typer.Option("-k", "--k", help="How many items to recommend. \\[default: 20]")
    ] = None,
    dead_letters: Annotated[
        str | None, typer.Option(help="File for the records that cannot be used (JSON Lines).")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="An option of the model, such as hidden=200; may be repeated."),
    ] = None,
) -> None:
    """Score every click of a stream, then learn it."""
    flags: dict[str, Any] = {
        name: value
        for name, value in locals().items()
        if name not in ("source", "config", "model") and value is not None
    }
    if model:
        flags["model"] = parse_assignments(model, "--model")
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


@app.command()
def recommend(
    snapshots: Folder,
    session: Annotated[str, typer.Option(help='The session so far, oldest first: "item,item".')],
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="How many items.")] = 20,
) -> None:
    """Recommend the next items of a session, from the newest snapshot."""
    model = load_model(snapshots, tell)
    try:
        items = [item.strip() for item in next(csv.reader([session], strict=True), [])]
    except csv.Error as error:
        raise ConfigError(f"--session cannot be read as item,item: {error}") from error
    known: list[str | int] = []
    for item in items:
        found = next((form for form in _readings(item) if model.knows(form)), None)
        if found is None:
            tell(f"{item!r} is not among the {model.catalogue:,} items known")
        else:
            known.append(found)
    if not known:
        raise ConfigError("--session names no item that is known, so there is nothing to go by")
    for place, (best, score) in enumerate(model.recommend(known, k), start=1):
        output.print(f"{place:4}  {escape(str(best))}  {score:.4f}", soft_wrap=True)


@app.command()
def simulate(
    clicks: Annotated[int, typer.Option(min=1, help="How many.")],
    out: Annotated[Path, typer.Option(help="A .csv or .csv.gz file.")],
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 0,
    items: Annotated[int, typer.Option(min=2, help="Items on sale at a time.")] = 2000,
) -> None:
    """Write a log of the simulated shop."""
    if not out.name.endswith((".csv", ".csv.gz")):
        raise ConfigError(f"--out {out}: name a .csv or .csv.gz file")
    shop = open_source(f"sim:clicks={clicks},items={items},seed={seed}")
    opened = gzip.open if out.suffix == ".gz" else open
    try:
        with opened(out, "wt", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["session_id", "item_id", "timestamp"])
            while (batch := shop.poll(10_000)) is not None:
                writer.writerows(
                    zip(batch.sessions, batch.items, batch.times.tolist(), strict=True)
                )
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written: {error.strerror}") from error
    output.print(f"{clicks:,} clicks in {escape(str(out))}", soft_wrap=True)


@app.command()
def inspect(
    folder: Annotated[Path, typer.Argument(help="A folder of snapshots, or one snapshot.")],
) -> None:
    """Tell what snapshots hold, and whether they are whole."""
    snapshots = Snapshots(folder)
    paths = [folder] if (folder / "manifest").exists() else snapshots.paths()
    if not paths:
        raise SnapshotError(f"there are no snapshots in {folder}")
    damaged = 0
    for path in paths:
        problems = snapshots.verify(path)
        if problems:
            damaged += 1
            output.print(f"[red]damaged[/] {escape(path.name)}: {escape('; '.join(problems))}")
            continue
        parts, about = snapshots.load(path)
        engine, model = parts["engine"].values, parts["model"]
        size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
        output.print(f"[green]whole[/] {escape(path.name)}  {size:,.1f} MB", soft_wrap=True)
        output.print(f"  source    {escape(str(about['source']))}", soft_wrap=True)
        output.print(f"  position  {escape(str(about['position']))}", soft_wrap=True)
        output.print(
            f"  clicks    {about['clicks']:,}, {engine['learned']:,} learned, "
            f"{len(engine['pending']['items']):,} of an unfinished batch",
            soft_wrap=True,
        )
        output.print(f"  items     {len(model.values['catalogue']['items']):,}", soft_wrap=True)
        output.print(f"  sessions  {len(model.values['sessions']):,} live", soft_wrap=True)
        output.print(
            f"  versions  {', '.join(f'{k} {v}' for k, v in about['versions'].items())}",
            soft_wrap=True,
        )
    if damaged:
        sys.exit(1)


def _readings(item: str) -> list[str | int]:
    """Give what an id typed on the command line can mean: a text, or a whole number."""
    try:
        return [item, int(item)]
    except ValueError:
        return [item]


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
