"""Notices to a person about a running stream, each shown once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from nextclick.connectors import Source

from .unusable_records import Unusable

LOOK_SECONDS = 1.0
"""How often to look for new warnings."""


class Noting(Protocol):
    """A part of what is watched, such as `LeftOut`."""

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        ...


class Watched(Protocol):
    """What is watched: an `Engine`."""

    source: Source
    unusable: Unusable

    @property
    def left_out(self) -> Noting:
        """What the source's clicks that are not handed on have told."""
        ...

    notify: Callable[[str], None]


class Notices:
    """Passes on the source's warnings, and what keeps its records from use, each once."""

    def __init__(self, run: Watched) -> None:
        self._run = run
        self._notified: set[str] = set()
        self._looked_at = time.monotonic()

    def pass_on(self, *, now: bool = False) -> None:
        """Look for new warnings, though not more often than every second unless `now`."""
        if not now and time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        run = self._run
        for sentence in [*run.source.warnings, *run.unusable.notes(), *run.left_out.notes]:
            if sentence not in self._notified:
                self._notified.add(sentence)
                self._run.notify(sentence)
