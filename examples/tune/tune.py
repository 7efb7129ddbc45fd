"""Tune a model on the first tenth of a log with Optuna, and report on the rest.

    python examples/tune/tune.py clicks.csv.gz --trials 30

The options are chosen by clicks that the report leaves out, so the report is fair: a model that was
tuned on the clicks that it is tested on looks better than it is.
"""

from __future__ import annotations

import argparse
from typing import Any

import optuna

from nextclick.connectors import open_source
from nextclick.stream import CompareConfig, ComparisonResult, RunConfig, compare, run

SHARE = 0.1
DEFAULTS = {
    "hidden": 100,
    "learning_rate": 0.02,
    "item_learning_rate": 0.1,
    "n_negatives": 2048,
    "memory_rate": 0.05,
}


def count_clicks(log: str) -> int:
    """Return how many clicks a log has."""
    source, count = open_source(log), 0
    while (clicks := source.poll(10_000)) is not None:
        count += len(clicks)
    source.close()
    return count


def options_of(trial: optuna.Trial) -> dict[str, Any]:
    """Draw options of the network and its memory."""
    return {
        "hidden": trial.suggest_categorical("hidden", [50, 100, 200]),
        "learning_rate": trial.suggest_float("learning_rate", 0.005, 0.2, log=True),
        "item_learning_rate": trial.suggest_float("item_learning_rate", 0.02, 0.5, log=True),
        "n_negatives": trial.suggest_categorical("n_negatives", [128, 512, 2048]),
        "memory_rate": trial.suggest_float("memory_rate", 0.005, 0.2, log=True),
    }


def tune(log: str, trials: int, seed: int = 0) -> tuple[dict[str, Any], ComparisonResult]:
    """Return the best options on the first tenth, and a comparison with the defaults on the rest.

    Parameters
    ----------
    log
        The log, or another source that ends.
    trials
        How many options are tried; the defaults are the first.
    seed
        Seed of the search and of the models.

    """
    first = round(SHARE * count_clicks(log))

    def quality(trial: optuna.Trial) -> float:
        config = RunConfig(model=options_of(trial), max_clicks=first, seed=seed)
        return float(run(log, config)["mrr@20"])

    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed), study_name=log
    )
    study.enqueue_trial(DEFAULTS)
    study.optimize(quality, n_trials=trials)
    models = {"tuned": {"kind": "gru4rec", **study.best_params}, "gru4rec": {}}
    # The first tenth is learned, as it would be in service, and does not count.
    return study.best_params, compare(log, CompareConfig(models=models, test_from=first, seed=seed))


def main() -> None:
    """Tune, and print the best options and both models' figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log")
    parser.add_argument("--trials", type=int, default=30)
    given = parser.parse_args()
    options, result = tune(given.log, given.trials)
    print(f"best on the first tenth: {options}")
    for name, found in result["models"].items():
        print(f"{name}: Recall@20 {found['recall@20']:.4f}, MRR@20 {found['mrr@20']:.4f}")
    for pair in result["differences"]:
        if pair["figure"] == "mrr@20":
            print(
                f"{pair['model']} − {pair['other']}: {pair['difference']:+.4f} "
                f"[{pair['low']:+.4f}, {pair['high']:+.4f}]"
            )


if __name__ == "__main__":
    main()
