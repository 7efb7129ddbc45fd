"""River: the loop and its clocks. The only room that knows both others."""

from __future__ import annotations

from .config import ConfigError, RunConfig
from .engine import Engine
from .metrics import MRR, NDCG, Recall
from .prequential import Prequential
from .report import write_report
from .runner import run
from .sessionizer import Sessionizer
from .snapshots import SnapshotError, Snapshots

__all__ = [
    "MRR",
    "NDCG",
    "ConfigError",
    "Engine",
    "Prequential",
    "Recall",
    "RunConfig",
    "Sessionizer",
    "SnapshotError",
    "Snapshots",
    "run",
    "write_report",
]
