"""A log for small runs, and the figures in which two equal runs agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nextclick.connectors import open_source
from nextclick.models import GRU4RecConfig

SMALL = GRU4RecConfig(hidden=16, n_negatives=32)


OWN = (
    "seconds",
    "clicks_per_second",
    "compiling_seconds",
    "peak_memory_mb",
    "provenance",
    "config",
)
"""Keys of a result that differ between any two runs, or need not be the same."""

VARIES = (*OWN, "source")


def write_log(path: Path, clicks: int = 3000, seed: int = 0) -> Path:
    shop = open_source(f"sim:clicks={clicks},items=200,seed={seed}").poll(clicks)
    assert shop is not None
    lines = ["session_id,item_id,timestamp"]
    lines += [
        f"{session},{item},{time}"
        for session, item, time in zip(shop.sessions, shop.items, shop.times, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in VARIES}
