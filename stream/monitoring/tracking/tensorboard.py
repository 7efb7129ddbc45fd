"""Runs in TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from .tracker import final_figures


class TensorBoard:
    """Writes the figures of a run for TensorBoard, into a folder of its own.

    Parameters
    ----------
    folder
        The folder of all runs.

    """

    def __init__(self, folder: str = "") -> None:
        name = f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S_%f}"
        self.folder = Path(folder or "runs", name)
        self._writer: Any = None
        self._clicks = 0

    def started(self, config: Mapping[str, Any]) -> None:
        """Open the folder, and write the options as a text."""
        self._writer = SummaryWriter(str(self.folder))
        text = json.dumps(config, indent=2, ensure_ascii=False)
        self._writer.add_text("options", f"```json\n{text}\n```")

    def figures(self, clicks: int, figures: Mapping[str, float]) -> None:
        """Write a point of each curve."""
        self._clicks = clicks
        for name, value in figures.items():
            self._writer.add_scalar(name, value, clicks)

    def ended(self, result: Mapping[str, Any] | None) -> None:
        """Write the figures over all clicks under ``final``."""
        for name, value in final_figures(result or {}).items():
            self._writer.add_scalar(f"final/{name}", value, self._clicks)
        self._writer.close()
