"""The command ``nextclick inspect``: what snapshots hold, and whether they are whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nextclick.models import State

from ..comparison.config import CompareConfig
from ..config.options import build
from ..config.run import RunConfig
from ..snapshots.resume import change_note
from ..snapshots.store import SnapshotError, Snapshots
from . import log
from .terminal import show

if TYPE_CHECKING:
    from ..engine import Engine


def inspect_command(
    folder: Annotated[Path, typer.Argument(help="A folder of snapshots, or one snapshot.")],
) -> None:
    """Check snapshots and show what they hold."""
    snapshots = Snapshots(folder)
    paths = [folder] if (folder / "manifest").exists() else snapshots.paths()
    if not paths:
        raise SnapshotError(f"there are no snapshots in {folder}")
    damaged = 0
    for path in paths:
        problems = snapshots.verify(path)
        if problems:
            damaged += 1
            show(f"{path.name}: {'; '.join(problems)}", "damaged", "red")
            continue
        try:
            size = sum(file.stat().st_size for file in path.iterdir()) / 1e6
            parts, about = snapshots.load(path)
        except FileNotFoundError:
            continue  # A run that goes on has just removed it.
        show(f"{path.name}  {size:,.1f} MB", "whole", "green")
        for name, value in facts(parts, about).items():
            show(f"  {name:<8}  {value}")
    if damaged:
        sys.exit(1)


def facts(parts: dict[str, State], about: dict[str, Any]) -> dict[str, str]:
    """Return what a snapshot holds, line by line.

    Items and sessions are those that a run which ends there tells of: with those of its unfinished
    batch, and without what has left the catalogue.
    """
    clicks, models = parts["engine"].values, about["config"].get("models")
    began = about.get("began_from")
    engine = restored(parts, about)
    return {
        "source": str(about["source"]),
        "position": str(about["position"]),
        "clicks": f"{about['clicks']:,}, {clicks['learned']:,} learned, "
        f"{len(clicks['pending']['items']):,} of an unfinished batch",
        **(
            {"began": f"from {began['snapshot']}, {began['clicks']:,} clicks of {began['source']}"}
            if began
            else {}
        ),
        **({"changed": "; ".join(map(change_note, about["changed"]))} if about["changed"] else {}),
        **({"models": ", ".join(models)} if models else {"model": engine.model.name}),
        **({"shadows": ", ".join(parts["shadows"].values)} if "shadows" in parts else {}),
        "items": f"{engine.model.n_items:,}",
        "sessions": f"{engine.sessionizer.live:,} live",
        "versions": ", ".join(f"{name} {version}" for name, version in about["versions"].items()),
    }


def restored(parts: dict[str, State], about: dict[str, Any]) -> Engine:
    """Return an engine as it is at the end of a run whose last snapshot this is."""
    with log.loading():
        from ..comparison.arena import Arena
        from ..comparison.contestants import make_contestants
        from ..config.model_factory import make_model
        from ..learned import engine_of, make_protocol

    options = {**about["config"], "device": "auto"}
    if "models" not in options:
        config = build(RunConfig, options)
        return engine_of(parts, about, config, make_model(config))
    compared = build(CompareConfig, options)
    protocol = make_protocol(compared, max(compared.k))
    models = make_contestants(compared)
    arena = Arena(models, compared.k, compared.max_items, protocol)
    return engine_of(parts, about, compared.run_config(), arena)
