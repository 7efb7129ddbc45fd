"""The commands."""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from nextclick.connectors import SinkError, SourceError, open_source

from .compare_command import compare_command
from .exit_codes import MISTAKE
from .options import ConfigError
from .replay_command import replay_command
from .run_command import run_command
from .runner import load_model
from .snapshots import SnapshotError, Snapshots
from .terminal import errors, output, tell

app = typer.Typer(
    name="nextclick",
    help="Learns to predict the next click while the clicks stream in.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Folder = Annotated[Path, typer.Option("--snapshots", help="The folder with the snapshots.")]


def main() -> None:
    """Run the command line; a user's mistake ends in one clear line and exit code 2."""
    try:
        app()
    except (ConfigError, SourceError, SnapshotError, SinkError, FloatingPointError) as error:
        errors.print(f"[bold red]nextclick:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(MISTAKE)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does.
        sys.stderr.close()
        sys.exit(1)


app.command("run")(run_command)
app.command("compare")(compare_command)
app.command("replay")(replay_command)


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
        out.parent.mkdir(parents=True, exist_ok=True)
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
        if about.get("began_from"):
            began = about["began_from"]
            output.print(
                f"  began     from {escape(began['snapshot'])}, {began['clicks']:,} clicks of "
                f"{escape(str(began['source']))}",
                soft_wrap=True,
            )
        if "models" in about["config"]:
            output.print(f"  models    {', '.join(about['config']['models'])}", soft_wrap=True)
        else:
            items, sessions = model.values["catalogue"]["items"], model.values["sessions"]
            output.print(f"  items     {len(items):,}", soft_wrap=True)
            output.print(f"  sessions  {len(sessions):,} live", soft_wrap=True)
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
