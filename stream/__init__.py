"""River: the loop and its clocks. The only room that knows both others.

Names are imported when they are first used, so that the command line can answer Ctrl-C while the
libraries below are still being imported.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compare_config import CompareConfig
    from .compare_report import write_comparison
    from .comparing import compare
    from .config import RunConfig
    from .engine import Engine
    from .metrics import MRR, NDCG, Recall
    from .options import ConfigError
    from .prequential import Prequential
    from .report import write_report
    from .runner import run
    from .sessionizer import Sessionizer
    from .snapshots import SnapshotError, Snapshots

__all__ = [
    "MRR",
    "NDCG",
    "CompareConfig",
    "ConfigError",
    "Engine",
    "Prequential",
    "Recall",
    "RunConfig",
    "Sessionizer",
    "SnapshotError",
    "Snapshots",
    "compare",
    "run",
    "write_comparison",
    "write_report",
]

_HOMES = {
    "MRR": "metrics",
    "NDCG": "metrics",
    "CompareConfig": "compare_config",
    "ConfigError": "options",
    "Engine": "engine",
    "Prequential": "prequential",
    "Recall": "metrics",
    "RunConfig": "config",
    "Sessionizer": "sessionizer",
    "SnapshotError": "snapshots",
    "Snapshots": "snapshots",
    "compare": "comparing",
    "run": "runner",
    "write_comparison": "compare_report",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the file that it is at home in."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
