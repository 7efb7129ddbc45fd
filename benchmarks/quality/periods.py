"""Figures by the periods of a log: ``python -m benchmarks.quality.periods`` prints a table.

A log's last column may name a period of each click, as `yoochoose`'s does. Over all scored clicks,
and over those whose item was known: what a model that is retrained by the period, and tested on the
next one, is asked. The model is the default one; ``--set half_life=1000`` changes an option.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow.csv
import torch
import typer
from numpy.typing import NDArray

from benchmarks.quality.tables import header, percent, row
from nextclick.connectors import LogSource
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.models.compute.device import cores
from nextclick.stream.config.options import build
from nextclick.stream.config.run import RunConfig
from nextclick.stream.config.texts import parse_assignments

YOOCHOOSE = Path(__file__).parents[3] / "shared" / "data" / "yoochoose.csv.gz"


def main(
    log: Annotated[Path, typer.Option(help="The log.")] = YOOCHOOSE,
    column: Annotated[str, typer.Option(help="Its column of periods.")] = "period",
    clicks: Annotated[int, typer.Option(help="Only so many clicks; 0: all.")] = 0,
    seed: Annotated[int, typer.Option()] = RunConfig().seed,
    options: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE.")] = None,
) -> None:
    """Print Recall@20 and MRR@20, in percent, by period."""
    recipe = build(GRU4RecConfig, parse_assignments(options or [], "--set"))
    # As in a run: ranking has a thread of its own.
    torch.set_num_threads(max(1, cores() // 2))
    model, batch = OnlineGRU4Rec(recipe, seed=seed), RunConfig().batch
    stream = LogSource(log).poll(clicks or 1 << 40)
    assert stream is not None
    periods = pyarrow.csv.read_csv(log)[column].to_numpy()
    if len(stream) < (len(periods) if not clicks else min(clicks, len(periods))):
        sys.exit(f"{log}: records were rejected, so that clicks and periods do not fit together")
    periods = periods[: len(stream)]
    ranks, scored = np.zeros(len(stream), np.int64), np.zeros(len(stream), np.bool_)
    for start in range(0, len(stream), batch):
        part = slice(start, start + batch)
        tested = model.test_then_learn(
            stream.sessions[part], stream.items[part], times=stream.times[part]
        )
        ranks[part], scored[part] = tested.ranks, tested.scored
    header(column, "clicks", "scored", "Recall@20", "MRR@20", "seen: Recall@20", "MRR@20")
    for period in np.unique(periods).tolist():
        here = periods == period
        _line(str(period), here, scored & here, ranks)
    _line("all", np.ones_like(scored), scored, ranks)
    seen = [_figures(ranks[scored & (periods == p) & (ranks > 0)]) for p in np.unique(periods)[1:]]
    recall, mrr = np.mean(seen, axis=0)
    print(f"\nmean over the periods but the first, seen: {percent(recall)}/{percent(mrr)}")


def _line(
    name: str, here: NDArray[np.bool_], scored: NDArray[np.bool_], ranks: NDArray[np.int64]
) -> None:
    figures = [*_figures(ranks[scored]), *_figures(ranks[scored & (ranks > 0)])]
    print(row(name, f"{here.sum():,}", f"{scored.sum():,}", *map(percent, figures)), flush=True)


def _figures(ranks: NDArray[np.int64]) -> tuple[float, float]:
    """Return Recall@20 and MRR@20."""
    hits = (ranks > 0) & (ranks <= 20)
    return float(hits.mean()), float(np.where(hits, 1 / np.maximum(ranks, 1), 0).mean())


if __name__ == "__main__":
    typer.run(main)
