"""Runs in MLflow."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from .tracker import final_figures, flat_options

MOST_PARAMS = 100
"""Options that MLflow takes at once."""

LONGEST_PARAM = 500
"""Characters of a value that every MLflow takes."""


class MLflow:
    """Logs the options and figures of a run with MLflow.

    Parameters
    ----------
    uri
        The tracking URI; by default that of MLflow itself, ``MLFLOW_TRACKING_URI``. The
        experiment is that of ``MLFLOW_EXPERIMENT_NAME``, else ``nextclick``.

    """

    def __init__(self, uri: str = "") -> None:
        self._uri = uri or None
        self._client: Any = None
        self.run_id = ""
        self._clicks = 0

    def started(self, config: Mapping[str, Any]) -> None:
        """Begin a run, and log the options as its parameters."""
        self._client = MlflowClient(self._uri)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "nextclick")
        known = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if known is None else known.experiment_id
        self.run_id = self._client.create_run(experiment).info.run_id
        options = [
            Param(metric_name(option), str(value)[:LONGEST_PARAM])
            for option, value in flat_options(config).items()
        ]
        for start in range(0, len(options), MOST_PARAMS):
            self._client.log_batch(self.run_id, params=options[start : start + MOST_PARAMS])

    def figures(self, clicks: int, figures: Mapping[str, float]) -> None:
        """Log figures, with the clicks as their step."""
        self._clicks, now = clicks, round(1000 * time.time())
        logged = [
            Metric(metric_name(name), float(value), now, clicks) for name, value in figures.items()
        ]
        self._client.log_batch(self.run_id, metrics=logged)

    def ended(self, result: Mapping[str, Any] | None) -> None:
        """Log the figures over all clicks under ``final``, and end the run."""
        if result is not None:
            final = {f"final/{name}": value for name, value in final_figures(result).items()}
            self.figures(self._clicks, final)
        self._client.set_terminated(self.run_id, "FAILED" if result is None else "FINISHED")


def metric_name(name: str) -> str:
    """Return a name as MLflow allows it.

    Examples
    --------
    >>> metric_name("gru4rec:hidden=50/recall@20")
    'gru4rec:hidden_50/recall_at_20'

    """
    return re.sub(r"[^\w\-./: ]", "_", name.replace("@", "_at_"), flags=re.ASCII)
