"""The command ``nextclick simulate``."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Annotated

import typer

from nextclick.connectors import open_source

from ..config.options import ConfigError
from ..output_files import cannot_write
from .terminal import show


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
