"""The commands."""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path
from typing import Annotated

import typer

from nextclick.connectors import SinkError, SourceError, open_source

from .compare_command import compare_command
from .exit_codes import MISTAKE
from .inspect_command import inspect_command
from .options import ConfigError
from .outputs import cannot_write
from .replay_command import replay_command
from .run_command import run_command
from .runner import load_model
from .snapshots import SnapshotError
from .terminal import accept_any_character, complain, show, tell
from .usage import Command, Commands

app = typer.Typer(
    name="nextclick",
    cls=Commands,
    help="Learns to predict the next click while the clicks stream in.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Folder = Annotated[Path, typer.Option("--snapshots", help="The folder with the snapshots.")]


def main() -> None:
    """Run the command line; a user's mistake ends in one clear line and exit code 2."""
    accept_any_character()
    try:
        app()
    except (ConfigError, SourceError, SnapshotError, SinkError, FloatingPointError) as error:
        complain(str(error))
        sys.exit(MISTAKE)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does.
        sys.stderr.close()
        sys.exit(1)


app.command("run", cls=Command)(run_command)
app.command("compare", cls=Command)(compare_command)
app.command("replay", cls=Command)(replay_command)


@app.command(cls=Command)
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
        show(f"{place:4}  {best}  {score:.4f}")


@app.command(cls=Command)
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
        raise cannot_write("--out", out, error) from error
    show(f"{clicks:,} clicks in {out}")


app.command("inspect", cls=Command)(inspect_command)


def _readings(item: str) -> list[str | int]:
    """Give what an id typed on the command line can mean: a text, or a whole number."""
    try:
        return [item, int(item)]
    except ValueError:
        return [item]
