"""Trials of what the recipe leaves out: replay of past batches, and scoring by averaged parameters.

From the repository's root:

    .venv/bin/python -m benchmarks.quality.recipe_trials --data ../shared/data --clicks 40000

Neither is in the learner: they stand here so that the tables in
docs/results/recipe.md can be made again.
Prints Recall@20/MRR@20 in percent over all scored clicks, mean and spread over seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.quality.ablations import LOGS, figures
from nextclick.connectors import LogSource
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec
from nextclick.stream.config.run import RunConfig

KEPT = 500
"""Past batches that may be replayed."""


class Replaying(OnlineGRU4Rec):
    """Learns a past batch again after each batch, with a step of its own size.

    Parameters
    ----------
    seed
        Of the model and of what is replayed.
    share
        The step size of what is replayed, as a share of the recipe's.
    recent
        Replay from the latest batches; else from a reservoir over all.

    """

    def __init__(self, recipe: GRU4RecConfig, seed: int, share: float, recent: bool) -> None:
        super().__init__(recipe, seed=seed, device="cpu")
        self._share = share
        self._recent = recent
        self._draw = np.random.default_rng(seed)
        self._past: list[Any] = []
        self._batches = 0
        self._batch: Any = None
        plain = self.trainer.gradients

        def noting(*arguments: Any) -> Any:
            steps, inputs, outputs, targets, vocabulary = arguments
            self._batch = (steps, self._sizes, self._starts, targets)
            return plain(steps, inputs, outputs, targets, vocabulary)

        self.trainer.gradients = noting  # type: ignore[method-assign, assignment]
        self._plain = plain
        run = self.precision.run

        def watched(method: str, *arguments: Any) -> Any:
            if method == "forward":
                self._sizes, self._starts = arguments[1], arguments[2]
            return run(method, *arguments)

        self.precision.run = watched  # type: ignore[method-assign]

    def test_then_learn(self, *arguments: Any, **options: Any) -> Any:
        """Score and learn a batch, then learn a past one."""
        self._batch = None
        tested = super().test_then_learn(*arguments, **options)
        if self._past:
            self._replay(*self._past[self._draw.integers(len(self._past))])
        # A batch with an item that is not known yet has fewer targets than windows.
        if self._batch is not None and len(self._batch[3]) == self._batch[1][0]:
            self._batches += 1
            if len(self._past) < KEPT:
                self._past.append(self._batch)
            elif self._recent:
                self._past[self._batches % KEPT] = self._batch
            elif (place := int(self._draw.integers(self._batches))) < KEPT:
                self._past[place] = self._batch
        return tested

    def _replay(self, steps: Any, sizes: Any, starts: Any, targets: Any) -> None:
        inputs = self.items.inputs.values[steps].requires_grad_()
        outputs = self.network(inputs, sizes, starts)
        gradients = self._plain(steps, inputs, outputs, targets, self.vocabulary)
        rules: list[Any] = [self.trainer.rule, self.items.embedding.rule]
        rates = [rule.rate for rule in rules]
        for rule in rules:
            rule.rate *= self._share
        self.trainer.update(gradients)
        for rule, rate in zip(rules, rates, strict=True):
            rule.rate = rate


class Averaged(OnlineGRU4Rec):
    """Ranks by averages of the item rows and learns with the rows themselves.

    Parameters
    ----------
    seed
        Of the model.
    keep
        What is left of the average at a row's next step.

    """

    def __init__(self, recipe: GRU4RecConfig, seed: int, keep: float) -> None:
        super().__init__(recipe, seed=seed, device="cpu")
        self._keep = keep
        self._mean = torch.zeros_like(self.items.embedding.values)

    def _ranker(self, *arguments: Any) -> Any:
        table = self.items.embedding
        rows = table.values
        fresh = torch.zeros_like(rows)
        fresh[: len(self._mean)] = self._mean
        begun = fresh.abs().sum(1, keepdim=True) > 0
        fresh = torch.where(begun, self._keep * fresh + (1 - self._keep) * rows, rows)
        self._mean = table.values = fresh
        try:
            return super()._ranker(*arguments)
        finally:
            table.values = rows


TRIALS: dict[str, Callable[[int], OnlineGRU4Rec]] = {
    "the defaults, `memory=0`": lambda seed: OnlineGRU4Rec(GRU4RecConfig(memory=0), seed=seed),
    "replay, reservoir, step × 1": lambda seed: Replaying(
        GRU4RecConfig(memory=0), seed, 1.0, False
    ),
    "replay, reservoir, step × 0.3": lambda seed: Replaying(
        GRU4RecConfig(memory=0), seed, 0.3, False
    ),
    "replay, reservoir, step × 0.1": lambda seed: Replaying(
        GRU4RecConfig(memory=0), seed, 0.1, False
    ),
    "replay, latest batches, step × 0.3": lambda seed: Replaying(
        GRU4RecConfig(memory=0), seed, 0.3, True
    ),
    "averaged item rows, 0.5": lambda seed: Averaged(GRU4RecConfig(memory=0), seed, 0.5),
    "averaged item rows, 0.9": lambda seed: Averaged(GRU4RecConfig(memory=0), seed, 0.9),
    "`half_life=10000`": lambda seed: OnlineGRU4Rec(
        GRU4RecConfig(memory=0, half_life=10_000.0), seed=seed
    ),
    "`half_life=1000`": lambda seed: OnlineGRU4Rec(
        GRU4RecConfig(memory=0, half_life=1000.0), seed=seed
    ),
}


def main(
    data: Annotated[Path, typer.Option(help="Folder with the logs.")] = Path("../shared/data"),
    clicks: Annotated[int, typer.Option(help="Only the first so many.")] = 40_000,
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 3,
) -> None:
    """Run the trials and print a table."""
    torch.set_num_threads(1)
    batch = RunConfig().batch
    print("| | " + " | ".join(LOGS) + " |\n| --- " + "| --- " * len(LOGS) + "|")
    for name, make in TRIALS.items():
        cells = []
        for log in LOGS:
            stream = LogSource(data / f"{log}.csv.gz").poll(clicks)
            assert stream is not None
            found = []
            for seed in range(seeds):
                model = make(seed)
                ranks = np.zeros(len(stream), np.int64)
                scored = np.zeros(len(stream), np.bool_)
                for start in range(0, len(stream), batch):
                    part = slice(start, start + batch)
                    tested = model.test_then_learn(
                        stream.sessions[part], stream.items[part], times=stream.times[part]
                    )
                    ranks[part], scored[part] = tested.ranks, tested.scored
                found.append(figures(ranks, scored)[:2])
            mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
            cells.append(f"{mean[0]:.2f}/{mean[1]:.2f} ±{spread[0]:.2f}/{spread[1]:.2f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    typer.run(main)
