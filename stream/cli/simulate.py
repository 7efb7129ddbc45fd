"""The command ``nextclick simulate``."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Annotated

from nextclick.connectors import open_source

from ..config.declaration import option
from ..config.options import ConfigError, Options, parse_name
from ..config.run import LARGEST_SEED
from ..output_files import cannot_write
from .flags import command
from .terminal import show


class SimulateConfig(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a log of the simulated shop."""

    clicks: Annotated[int, option("Clicks to write.", ge=1)]
    out: Annotated[str, option("A .csv or .csv.gz file.", value="FILE", parse=parse_name)]
    seed: Annotated[int, option("Random seed.", ge=0, le=LARGEST_SEED)] = 0
    items: Annotated[int, option("Items on sale at a time.", ge=2)] = 2000


@command(SimulateConfig)
def simulate(config: SimulateConfig) -> None:
    """Write a log of the simulated shop."""
    out = Path(config.out)
    if not out.name.endswith((".csv", ".csv.gz")):
        raise ConfigError(f"--out {out}: name a .csv or .csv.gz file")
    shop = open_source(f"sim:clicks={config.clicks},items={config.items},seed={config.seed}")
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
    show(f"{config.clicks:,} clicks in {out}")
