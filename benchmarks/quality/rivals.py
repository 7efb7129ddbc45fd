"""Rivals over given logs, with given options.

For example, from the repository's root:

    .venv/bin/python -m benchmarks.quality.rivals --data ../shared/data --clicks 100000 \
        markov "rules steps=3" "rules steps=10 followers=50"

Each argument is a rival's name and options, parted by spaces; without arguments all rivals run as
they are by default. Prints a Markdown table: Recall@20/MRR@20 in percent over all scored clicks,
unseen items being misses, and milliseconds of a core a click.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from nextclick.connectors import LogSource
from nextclick.models.rivals import RIVALS
from nextclick.stream.config.texts import parse_assignments

LOGS = ("yoochoose", "deskdrop", "trivago")


def run(log: Path, clicks: int, batch: int, rival: str, options: dict[str, Any]) -> list[float]:
    """Run a rival over one log; return Recall@20 and MRR@20 in percent, and ms a click."""
    model: Any = RIVALS[rival](**options)
    stream = LogSource(log).poll(clicks or 1 << 40)
    assert stream is not None
    kept = []
    began = time.process_time()
    for start in range(0, len(stream), batch):
        part = slice(start, start + batch)
        tested = model.test_then_learn(
            stream.sessions[part], stream.items[part], times=stream.times[part]
        )
        kept.append(tested.ranks[tested.scored])
    seconds = time.process_time() - began
    ranks = np.concatenate(kept)
    hits = (ranks > 0) & (ranks <= 20)
    reciprocal = np.where(hits, 1 / np.maximum(ranks, 1), 0)
    return [100 * hits.mean(), 100 * reciprocal.mean(), 1000 * seconds / len(stream)]


def main(
    rivals: Annotated[list[str] | None, typer.Argument()] = None,
    data: Annotated[Path, typer.Option(help="Folder with the logs.")] = Path("../shared/data"),
    logs: Annotated[str, typer.Option(help="Names of logs, parted by commas.")] = ",".join(LOGS),
    clicks: Annotated[int, typer.Option(help="Only the first so many; 0: all.")] = 100_000,
    batch: Annotated[int, typer.Option(help="Clicks tested and learned at once.")] = 64,
    json_file: Annotated[Path | None, typer.Option("--json", help="Results too.")] = None,
) -> None:
    """Run rivals and print a table."""
    torch.set_num_threads(1)
    names = logs.split(",")
    print("| rival | " + " | ".join(names) + " | ms a click |")
    print("| --- " * (2 + len(names)) + "|")
    results = {}
    for variant in rivals or list(RIVALS):
        rival, *assignments = variant.split()
        if rival not in RIVALS:
            raise typer.BadParameter(f"{rival}: no such rival; there are {', '.join(RIVALS)}")
        options = parse_assignments(assignments, rival)
        found = [run(data / f"{name}.csv.gz", clicks, batch, rival, options) for name in names]
        results[variant] = found
        cells = [f"{recall:.2f}/{mrr:.2f}" for recall, mrr, _ in found]
        cells.append(", ".join(f"{cost:.3f}" for *_, cost in found))
        print(f"| `{variant}` | " + " | ".join(cells) + " |", flush=True)
        if json_file:
            json_file.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    typer.run(main)
