"""The live line of a run, and the table at its end."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..engine import Engine

LIVE_SECONDS = 0.25
LOG_SECONDS = 10.0


class Progress:
    """Shows how a run goes: a line that renews itself on a terminal, else a line now and then.

    Parameters
    ----------
    console
        Where to show it.

    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._pause = LIVE_SECONDS if self._live else LOG_SECONDS
        self._shown_at = time.monotonic()
        self._shown_clicks: int | None = None

    def __enter__(self) -> Progress:
        """Begin the live line."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End the live line; it stays as it last was."""
        if self._live:
            self._live.stop()

    def __call__(self, engine: Engine) -> None:
        """Show the engine's progress if some time has passed since the last."""
        now = time.monotonic()
        if self._shown_clicks is None:
            self._shown_clicks = max(0, engine.clicks - engine.batch)
        passed = now - self._shown_at
        if passed < self._pause:
            return
        line = self.line(engine, (engine.clicks - self._shown_clicks) / passed)
        self._shown_at, self._shown_clicks = now, engine.clicks
        if self._live:
            self._live.update(line, refresh=True)
        else:
            self._console.print(line, soft_wrap=True)

    @staticmethod
    def line(engine: Engine, rate: float) -> Text:
        """Write the line."""
        recent = engine.figures.sliding()
        return Text(
            f"{engine.clicks:,} clicks · {rate:,.0f} clicks/s · "
            f"Recall@20 {recent['recall@20']:.3f} · MRR@20 {recent['mrr@20']:.3f} · "
            f"{engine.model.n_items:,} items · {engine.sessionizer.live:,} live sessions"
        )


def summary(result: dict[str, Any]) -> Table:
    """Make the table of a run's figures."""
    table = Table(title="nextclick", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    # A figure over no clicks says nothing.
    seen = result["seen"] if result["scored"] > result["unseen"] else {}
    table.add_row("clicks read", f"{result['clicks']:,}")
    table.add_row("scored, then learned", f"{result['scored']:,}")
    table.add_row("first of their session", f"{result['first']:,}")
    table.add_row("late, not learned", f"{result['late']:,}")
    if result["ahead"]:
        table.add_row("too far ahead, not learned", f"{result['ahead']:,}")
    for reason, count in result["rejected"].items():
        table.add_row(f"rejected: {reason}", f"{count:,}")
    table.add_section()
    for metric in ("recall@20", "mrr@20", "ndcg@20"):
        name = metric.upper().replace("RECALL", "Recall")
        table.add_row(name, f"{result[metric]:.4f}" if result["scored"] else "–")
        over_seen = f"{seen[metric]:.4f}" if seen else "–"
        table.add_row("  over items seen before", over_seen, style="dim")
    table.add_row("clicks on items never seen", f"{result['unseen']:,}")
    table.add_row("changes of the hit rate", f"{len(result['drift']):,}")
    for alarm in result["drift"][-3:]:
        table.add_row(
            f"  at click {alarm['clicks']:,}",
            f"hit rate {alarm['before']:.3f} → {alarm['after']:.3f}",
            style="dim",
        )
    table.add_section()
    table.add_row("items known", f"{result['catalogue']:,}")
    table.add_row("live sessions", f"{result['live_sessions']:,}")
    # A run that went on from a snapshot knows only its own time.
    before = result["usable"] - round(result["clicks_per_second"] * result["seconds"])
    own = f" since click {before:,}" if before else ""
    table.add_row(f"seconds{own}", f"{result['seconds']:,.1f}")
    table.add_row(f"clicks/s{own}", f"{result['clicks_per_second']:,.0f}")
    table.add_row("peak memory", f"{result['peak_memory_mb']:,.0f} MB")
    return table
