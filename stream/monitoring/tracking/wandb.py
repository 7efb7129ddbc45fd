"""Runs in Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wandb

from .tracker import final_figures


class WandB:
    """Logs the options and figures of a run with Weights & Biases.

    ``WANDB_MODE=offline`` keeps the run in the folder ``wandb``, to be sent with ``wandb sync``.

    Parameters
    ----------
    project
        The project; by default ``WANDB_PROJECT``, else that of Weights & Biases.

    """

    def __init__(self, project: str = "") -> None:
        self._project = project or None
        self._run: Any = None

    def started(self, config: Mapping[str, Any]) -> None:
        """Begin a run with these options."""
        settings = wandb.Settings(console="off", silent=True)
        self._run = wandb.init(
            project=self._project, config=dict(config), settings=settings, reinit="create_new"
        )
        self._run.define_metric("*", step_metric="clicks")

    def figures(self, clicks: int, figures: Mapping[str, float]) -> None:
        """Log figures, with the clicks as their step."""
        self._run.log({"clicks": clicks, **figures})

    def ended(self, result: Mapping[str, Any] | None) -> None:
        """Write the figures over all clicks into the summary, under ``final``, and end the run."""
        for name, value in final_figures(result or {}).items():
            self._run.summary[f"final/{name}"] = value
        self._run.finish(exit_code=1 if result is None else 0)
