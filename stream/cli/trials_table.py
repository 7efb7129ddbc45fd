"""Shadows and interleaving in the table at the end of a run."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from ..report.trials import interval, seconds_per_click


def add_trials(table: Table, result: dict[str, Any]) -> None:
    """Add a section for each shadow of a run, and one for interleaved lists."""
    for shadow in result.get("shadows", []):
        table.add_section()
        dropped = shadow["dropped"]
        state = f"dropped at click {dropped['clicks']:,}" if dropped else seconds_per_click(shadow)
        table.add_row(f"shadow {shadow['model']}", state)
        for metric in ("recall@20", "mrr@20"):
            name = metric.upper().replace("RECALL", "Recall")
            apart = shadow["differences"][metric]
            value = f"{shadow['figures'][metric]:.4f}" if shadow["scored"] else "–"
            table.add_row(f"  {name}", value)
            if shadow["scored"]:
                table.add_row(
                    "    in service minus shadow", interval(apart, "difference"), style="dim"
                )
    if (merged := result.get("interleaved")) is not None:
        table.add_section()
        lists = f"{merged['wins']:,} : {merged['losses']:,}"
        table.add_row(f"lists won : won by {merged['model']}", lists)
        table.add_row("won by neither", f"{merged['ties']:,}")
        if merged["preference"] is not None:
            table.add_row("preference", interval(merged, "preference"))
