"""The sinks of a run: their names, how long they may wait at its end, what is left undelivered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nextclick.connectors import RemoteSink, Sink

SINKS = ("recommendations", "dead_letters")
"""Names of the sinks, as a snapshot has them."""

ENDING_SECONDS = 3.0
"""How long a sink may wait for others at each step of an end that was asked for."""


def remote(sinks: Iterable[Sink]) -> list[RemoteSink]:
    """Return the sinks that wait for others."""
    return [sink for sink in sinks if isinstance(sink, RemoteSink)]


def hurry(sinks: Iterable[Sink]) -> None:
    """Limit how long sinks wait, where an end was asked for."""
    for sink in remote(sinks):
        sink.end_within(ENDING_SECONDS)


def undelivered(sinks: Iterable[Sink], in_snapshot: bool) -> list[str]:
    """Return a sentence for each sink that could not deliver all before the end.

    Parameters
    ----------
    sinks
        The sinks.
    in_snapshot
        Whether a snapshot holds what is left.

    """
    what = "run again to write them"
    if in_snapshot:
        what = "the last snapshot holds them, and the next run writes them first"
    return [
        f"{sink.name}: {sink.undelivered:,} records were not acknowledged by the brokers before "
        f"the end; {what}"
        for sink in remote(sinks)
        if sink.undelivered
    ]


def holds_records(length: Any) -> bool:
    """Whether what a sink put into a snapshot holds records that were not delivered then."""
    outbox = length.get("outbox", []) if isinstance(length, dict) else []
    return any(part if isinstance(part, dict) else part[1] for part in outbox)
