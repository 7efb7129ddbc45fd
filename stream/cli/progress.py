"""Progress while a command runs: one line that renews itself in a terminal, else lines of a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..report.protocol_text import protocol_text
from . import log
from .trials_table import add_trials

if TYPE_CHECKING:
    from ..engine import Engine

LIVE_SECONDS = 0.25
LOG_SECONDS = 10.0
SEPARATOR = " · "

COMPILING = "compiling for this machine, once: about half a minute"

TOLD_SECONDS = 1.0
"""Of compiling; less makes no difference to the rate."""

LEAST_SHARE = 1e-9
"""Of what is to be read; less tells no pace."""

LEFT_OUT = {"filtered": "left out by --where", "duplicate": "duplicate, not learned"}


class LiveLine:
    """One line that shows progress.

    Parameters
    ----------
    console
        Where to show it.
    start
        What it shows at first, in a terminal.

    """

    def __init__(self, console: Console, start: str = "reading the first clicks") -> None:
        self._console = console
        self._live: Live | None = None
        if console.is_terminal and not log.active():
            self._live = Live(Text(start), console=console, auto_refresh=False)
        self._pause = LIVE_SECONDS if self._live else LOG_SECONDS
        self._shown_at = self._began = time.monotonic()
        self._first_share: float | None = None
        self._shown_clicks: int | None = None

    def __enter__(self) -> Self:
        """Begin the line."""
        # Not above: it takes long to import, and neither help nor a mistake needs it.
        from nextclick.models.compute.jit import before_compiling

        before_compiling(self._tell_of_compiling)
        if self._live:
            self._live.start(refresh=True)
        return self

    def _tell_of_compiling(self) -> None:
        if self._live:
            self._live.update(Text(COMPILING), refresh=True)
        else:
            log.info(COMPILING)

    def __exit__(self, *error: object) -> None:
        """End the line; it stays as it last was."""
        from nextclick.models.compute.jit import before_compiling

        before_compiling(None)
        if self._live:
            self._live.stop()

    def update(
        self,
        clicks: int,
        share: Callable[[], float | None],
        more: Callable[[], Sequence[str]],
        before: int = 0,
    ) -> None:
        """Show progress if some time has passed since the last.

        Parameters
        ----------
        clicks
            Clicks so far.
        share
            Returns how much is done, from 0 to 1; None where that is not known.
        more
            Returns what else to show, the most important first: in a terminal as much of it as
            fits into its width.
        before
            Clicks before the first update.

        """
        now = time.monotonic()
        if self._shown_clicks is None:
            self._shown_clicks = before
            self._first_share, self._began = share(), now  # The first batch waits for compilers.
        passed = now - self._shown_at
        if passed < self._pause:
            return
        parts = [f"{clicks:,} clicks"]
        parts += [f"{(clicks - self._shown_clicks) / passed:,.0f}/s"]
        if (done := share()) is not None:
            parts[1:1] = [f"{min(1.0, max(0.0, done)):.0%}"]
            parts += self._time_left(done, now)
        parts += more()
        self._shown_at, self._shown_clicks = now, clicks
        self._show(parts)

    def _time_left(self, done: float, now: float) -> list[str]:
        """Return how long it takes until the end at the pace so far, once there is a pace."""
        gained = done - (self._first_share or 0.0)
        if gained < LEAST_SHARE or done >= 1:
            return []
        return [f"{duration((1 - done) / gained * (now - self._began))} left"]

    def _show(self, parts: list[str]) -> None:
        if self._live:
            self._live.update(Text(fitting(parts, self._console.width)), refresh=True)
        elif log.active():
            log.info(SEPARATOR.join(parts))
        else:
            self._console.print(Text(SEPARATOR.join(parts)), soft_wrap=True)


def fitting(parts: Sequence[str], width: int) -> str:
    """Return as many of the parts of a line as fit into a width.

    Examples
    --------
    >>> fitting(["1,234 clicks", "12%", "Recall@20 0.500"], 20)
    '1,234 clicks · 12%'

    """
    line = parts[0]
    for part in parts[1:]:
        if len(line) + len(SEPARATOR) + len(part) > width:
            break
        line += SEPARATOR + part
    return line[:width]


def duration(seconds: float) -> str:
    """Return a duration as a person reads it.

    Examples
    --------
    >>> [duration(seconds) for seconds in (0.4, 59, 90, 3_599, 7_260, 200_000)]
    ['1 s', '59 s', '2 min', '60 min', '2 h 1 min', '2 d 7 h']

    """
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes <= 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


class Progress(LiveLine):
    """Progress of a run.

    Parameters
    ----------
    console
        Where to show it.
    max_clicks
        Where the run stops, if that is given.

    """

    def __init__(self, console: Console, max_clicks: int | None = None) -> None:
        super().__init__(console)
        self._max_clicks = max_clicks

    def __call__(self, engine: Engine) -> None:
        """Show the engine's progress if some time has passed since the last."""
        self.update(
            engine.clicks,
            lambda: self._share(engine),
            lambda: self.more(engine),
            max(0, engine.clicks - engine.batch),
        )

    def _share(self, engine: Engine) -> float | None:
        """Return how much is done, by the clicks to stop at or by the source, whichever is more."""
        shares = [getattr(engine.source, "share", None)]
        if self._max_clicks is not None:
            shares.append(engine.clicks / self._max_clicks)
        return max((share for share in shares if share is not None), default=None)

    def more(self, engine: Engine) -> list[str]:
        """Return what the line shows besides clicks and time."""
        recent = engine.figures.sliding()
        return [
            f"Recall@20 {recent['recall@20']:.3f}",
            f"MRR@20 {recent['mrr@20']:.3f}",
            f"{engine.model.n_items:,} items",
            f"{engine.sessionizer.live:,} live sessions",
        ]


def summary(result: dict[str, Any]) -> Table:
    """Make the table of a run's figures."""
    table = Table(
        title="nextclick",
        title_justify="left",
        show_header=False,
        caption=protocol_text(result) or None,
        caption_justify="left",
    )
    table.add_column(style="bold")
    table.add_column(justify="right")
    # A figure over no clicks says nothing.
    seen = result["seen"] if result["scored"] > result["unseen"] else {}
    table.add_row("clicks read", f"{result['clicks']:,}")
    scored = "scored" if "protocol" in result else "scored, then learned"
    table.add_row(scored, f"{result['scored']:,}")
    table.add_row("first of a session", f"{result['first']:,}")
    table.add_row("late, not learned", f"{result['late']:,}")
    if result["ahead"]:
        table.add_row("too far ahead, not learned", f"{result['ahead']:,}")
    for name, label in LEFT_OUT.items():
        if name in result:
            table.add_row(label, f"{result[name]:,}")
    for reason, count in result["rejected"].items():
        table.add_row(f"rejected: {reason}", f"{count:,}")
    table.add_section()
    for metric in ("recall@20", "mrr@20", "ndcg@20"):
        name = metric.upper().replace("RECALL", "Recall")
        table.add_row(name, f"{result[metric]:.4f}" if result["scored"] else "–")
        over_seen = f"{seen[metric]:.4f}" if seen else "–"
        table.add_row("  over items seen before", over_seen, style="dim")
    table.add_row("clicks on items never seen", f"{result['unseen']:,}")
    table.add_row("drift alarms", f"{len(result['drift']):,}")
    for alarm in result["drift"][-3:]:
        table.add_row(
            f"  at click {alarm['clicks']:,}",
            f"hit rate {alarm['before']:.3f} → {alarm['after']:.3f}",
            style="dim",
        )
    add_trials(table, result)
    table.add_section()
    table.add_row("items known", f"{result['catalogue']:,}")
    table.add_row("live sessions", f"{result['live_sessions']:,}")
    # A run that went on from a snapshot knows only its own time.
    before = result["usable"] - round(result["clicks_per_second"] * result["seconds"])
    own = f" since click {before:,}" if before else ""
    table.add_row(f"seconds{own}", f"{result['seconds']:,.1f}")
    compiling = result["compiling_seconds"]
    if compiling >= TOLD_SECONDS:
        table.add_row("  compiling, once", f"{compiling:,.1f}", style="dim")
    table.add_row(f"clicks/s{own}", f"{result['clicks_per_second']:,.0f}")
    if compiling >= TOLD_SECONDS:
        rest = (result["usable"] - before) / max(result["seconds"] - compiling, 1e-9)
        table.add_row("  without compiling", f"{rest:,.0f}", style="dim")
    table.add_row("peak memory", f"{result['peak_memory_mb']:,.0f} MB")
    return table
