"""What a run asks a model for that several processes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..monitoring.phase_timer import PhaseTimer


@dataclass(frozen=True, slots=True)
class Sharing:
    """How several processes share a model; it is the model's attribute ``sharing``.

    Parameters
    ----------
    stats
        Returns what the metrics show, see `worker_metrics`.
    watch
        Takes the phases of the loop: a phase that has no end is a worker that hangs.
    threads
        How many threads torch should have in this process; None: as many as in one process.

    """

    stats: Callable[[], dict[str, Any]]
    watch: Callable[[PhaseTimer], None]
    threads: int | None = None


def sharing_of(model: Any) -> Sharing | None:
    """Return how a model is shared; None of one that is in this process alone."""
    found = getattr(model, "sharing", None)
    return found if isinstance(found, Sharing) else None
