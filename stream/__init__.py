"""The loop and its clocks: the only package that imports both others.

Names are imported when they are first used, so that the command line can answer Ctrl-C while the
libraries below are still being imported.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparison.compare import compare
    from .comparison.config import CompareConfig
    from .config.options import ConfigError
    from .config.run import RunConfig
    from .engine import Engine
    from .evaluation.metrics import MRR, NDCG, Recall
    from .evaluation.prequential import Prequential
    from .evaluation.protocol import Protocol
    from .monitoring.tracking.tracker import Tracker
    from .recommendations.item_data import ItemData
    from .report.comparison_page import write_comparison
    from .report.results import ComparisonResult, RunResult
    from .report.run_page import write_report
    from .runner import run
    from .sessions.sessionizer import Sessionizer
    from .snapshots.store import SnapshotError, Snapshots

__all__ = [
    "MRR",
    "NDCG",
    "CompareConfig",
    "ComparisonResult",
    "ConfigError",
    "Engine",
    "ItemData",
    "Prequential",
    "Protocol",
    "Recall",
    "RunConfig",
    "RunResult",
    "Sessionizer",
    "SnapshotError",
    "Snapshots",
    "Tracker",
    "compare",
    "run",
    "write_comparison",
    "write_report",
]

_HOMES = {
    "MRR": "evaluation.metrics",
    "NDCG": "evaluation.metrics",
    "CompareConfig": "comparison.config",
    "ComparisonResult": "report.results",
    "ConfigError": "config.options",
    "Engine": "engine",
    "ItemData": "recommendations.item_data",
    "Prequential": "evaluation.prequential",
    "Protocol": "evaluation.protocol",
    "Recall": "evaluation.metrics",
    "RunConfig": "config.run",
    "RunResult": "report.results",
    "Sessionizer": "sessions.sessionizer",
    "SnapshotError": "snapshots.store",
    "Snapshots": "snapshots.store",
    "Tracker": "monitoring.tracking.tracker",
    "compare": "comparison.compare",
    "run": "runner",
    "write_comparison": "report.comparison_page",
    "write_report": "report.run_page",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the file that it is at home in."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
