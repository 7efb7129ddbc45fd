"""What holds a running engine up, and for how long it has."""

from __future__ import annotations

import time

from ..engine import Engine
from .phase_timer import PHASES

SHORT_SECONDS = 3.0
"""A phase that has lasted no longer than this holds nothing up."""


def stalls(engine: Engine, now: float | None = None) -> dict[str, float]:
    """Return for how many seconds each reason has held an engine up, 0 where it does not.

    The reasons are the phases of the loop, where one lasts: ``sinks`` waits for the brokers that
    recommendations and dead letters are written to, ``snapshot`` for the disk. A source adds its
    own, a topic ``brokers`` and ``schema_registry``.

    Parameters
    ----------
    engine
        The engine.
    now
        The moment, by `time.monotonic`; by default this one.

    """
    found = dict.fromkeys(PHASES, 0.0)
    phases = engine.phases
    phase, since = phases.phase, phases.since
    if phase is not None:
        passed = (time.monotonic() if now is None else now) - since
        found[phase] = passed if passed > SHORT_SECONDS else 0.0
    of_source = getattr(engine.source, "stalls", None)
    return found if of_source is None else {**found, **of_source()}
