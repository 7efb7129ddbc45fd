"""Ablations of the recipe: one option changed at a time, on given logs, over several seeds.

For example, from the repository's root:

    .venv/bin/python -m benchmarks.quality.ablations --data ../shared/data --clicks 150000 \
        learning_rate=0.01 learning_rate=0.05 batch=32 "window=1 item_learning_rate=0.05"

Each argument is a variant: options of the recipe, or ``batch``, parted by spaces. The defaults are
always run too. Prints a Markdown table: Recall@20/MRR@20 in percent over all scored clicks, unseen
items being misses, then over the first tenth and the last half; the spread over seeds behind ±.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch
import typer

from nextclick.connectors import LogSource
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.stream.config.run import RunConfig
from nextclick.stream.config.texts import parse_assignments

LOGS = ("yoochoose", "deskdrop", "trivago")


def figures(ranks: np.ndarray[Any, Any], scored: np.ndarray[Any, Any]) -> list[float]:
    """Return Recall@20 and MRR@20, in percent, over all, the first tenth and the last half."""
    found = []
    clicks = len(ranks)
    for part in (slice(None), slice(clicks // 10), slice(clicks // 2, None)):
        kept = ranks[part][scored[part]]
        hits = (kept > 0) & (kept <= 20)
        reciprocal = np.where(hits, 1 / np.maximum(kept, 1), 0)
        found += [100 * float(hits.mean()), 100 * float(reciprocal.mean())]
    return found


def run(log: Path, clicks: int, seed: int, options: dict[str, Any]) -> tuple[list[float], float]:
    """Run one variant over one log; return its figures and its clicks a second."""
    options = dict(options)
    batch = options.pop("batch", RunConfig().batch)
    model = OnlineGRU4Rec(msgspec.convert(options, GRU4RecConfig), seed=seed)
    stream = LogSource(log).poll(clicks or 1 << 40)
    assert stream is not None
    ranks, scored = np.zeros(len(stream), np.int64), np.zeros(len(stream), np.bool_)
    began = time.perf_counter()
    for start in range(0, len(stream), batch):
        part = slice(start, start + batch)
        tested = model.test_then_learn(
            stream.sessions[part], stream.items[part], times=stream.times[part]
        )
        ranks[part], scored[part] = tested.ranks, tested.scored
    return figures(ranks, scored), len(stream) / (time.perf_counter() - began)


def main(
    variants: Annotated[list[str] | None, typer.Argument()] = None,
    data: Annotated[Path, typer.Option(help="Folder with the logs.")] = Path("../shared/data"),
    logs: Annotated[str, typer.Option(help="Names of logs, parted by commas.")] = ",".join(LOGS),
    clicks: Annotated[int, typer.Option(help="Only the first so many; 0: all.")] = 150_000,
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Results too.")] = None,
) -> None:
    """Run the ablations and print a table."""
    torch.set_num_threads(1)
    names = logs.split(",")
    print("| variant | " + " | ".join(f"{name}: all | first 10 % | last half" for name in names))
    print("| --- " * (1 + 3 * len(names)) + "|")
    results = {}
    for variant in ["", *(variants or [])]:
        options = parse_assignments(variant.split(), "variant")
        cells = []
        for name in names:
            runs = [run(data / f"{name}.csv.gz", clicks, seed, options) for seed in range(seeds)]
            found = np.array([figures for figures, _ in runs])
            results[f"{variant or 'defaults'} {name}"] = found.tolist()
            mean, spread = found.mean(axis=0), found.std(axis=0)
            cells += [
                f"{mean[at]:.2f}/{mean[at + 1]:.2f} ±{spread[at]:.2f}/{spread[at + 1]:.2f}"
                for at in (0, 2, 4)
            ]
        print(f"| {variant or 'defaults'} | " + " | ".join(cells) + " |", flush=True)
        if json_file:
            json_file.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    typer.run(main)
