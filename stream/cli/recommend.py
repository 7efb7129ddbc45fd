"""The command ``nextclick recommend``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer

from ..config.options import ConfigError
from ..runner import load_model
from .terminal import notify, show

Folder = Annotated[Path, typer.Option("--snapshots", help="The folder with the snapshots.")]


def recommend(
    snapshots: Folder,
    session: Annotated[str, typer.Option(help='The session so far, oldest first: "item,item".')],
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="How many items.")] = 20,
) -> None:
    """Recommend the next items of a session, from the newest snapshot."""
    model = load_model(snapshots, notify)
    try:
        items = [item.strip() for item in next(csv.reader([session], strict=True), [])]
    except csv.Error as error:
        raise ConfigError(f"--session cannot be read as item,item: {error}") from error
    known: list[str | int] = []
    for item in items:
        found = next((form for form in _readings(item) if model.knows(form)), None)
        if found is None:
            notify(f"{item!r} is not among the {model.n_items:,} items known")
        else:
            known.append(found)
    if not known:
        raise ConfigError("--session names no item that is known, so there is nothing to go by")
    for place, (best, score) in enumerate(model.recommend(known, k), start=1):
        show(f"{place:4}  {best}  {score:.4f}")


def _readings(item: str) -> list[str | int]:
    """Give what an id typed on the command line can mean: a text, or a whole number."""
    try:
        return [item, int(item)]
    except ValueError:
        return [item]
