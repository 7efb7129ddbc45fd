"""The trackers that the options name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from ...config.options import ConfigError
from ...config.tracking import parse_tracker
from .tracker import Tracker

CLASSES = {"tensorboard": "TensorBoard", "mlflow": "MLflow", "wandb": "WandB"}
"""The class of each tracker, in the module of its name."""


def make_trackers(texts: Sequence[str]) -> list[Tracker]:
    """Make trackers.

    Parameters
    ----------
    texts
        What ``--track`` names.

    Raises
    ------
    ConfigError
        What a tracker needs is not installed; the message says how to install it.

    """
    found: list[Tracker] = []
    for text in texts:
        name, where = parse_tracker(text)
        try:
            module = importlib.import_module(f".{name}", __package__)
        except ImportError as error:
            raise ConfigError(
                f"--track {name} cannot be used, since {error.name or error} is not installed: "
                f"pip install 'nextclick[{name}]' installs it"
            ) from error
        found.append(getattr(module, CLASSES[name])(where))
    return found
