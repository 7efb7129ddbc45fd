"""When a run takes a snapshot, and in which order it is committed.

The order, for every snapshot of a run:

1. Between two batches the sinks are synced: how far each has come goes into the state
   (`Engine.state`).
2. The state is copied, and written on a thread while the stream goes on.
3. Once the snapshot is on the disk, the sinks commit as far as it says.
4. Then the source commits the snapshot's position.

A run that is killed before 3 goes on from the snapshot before: the source gives the clicks again,
and the sinks drop what they wrote since. Killed between 3 and 4, or within 3, it goes on from this
snapshot, which knows how far the sinks had come; what a source has committed is for tools that
show the lag.
"""

from __future__ import annotations

import copy
import time
from typing import Any, Protocol

from nextclick.connectors import Clicks, Sink, Source, SourceError
from nextclick.models import State

from ..config.options import Interval
from ..contracts import Requests
from ..monitoring.phase_timer import PhaseTimer
from .store import Snapshots


class Run(Protocol):
    """What is saved: an `Engine`."""

    source: Source
    sinks: dict[str, Sink]
    written: dict[str, dict[str, Any]]
    phases: PhaseTimer
    clicks: int
    requests: Requests

    def mark(self) -> tuple[Any, ...]:
        """Return values that differ between any two states of the run that differ."""

    def facts(self) -> dict[str, Any]:
        """Return what a snapshot is of."""

    def state(self) -> dict[str, State]:
        """Copy all that the next click depends on, by part."""

    def hurry(self) -> None:
        """Limit how long the sinks wait, where the run is to end."""


class Checkpoints:
    """Takes the snapshots of a run, and commits what is in them.

    Parameters
    ----------
    run
        What is saved.
    snapshots
        Where snapshots go; None: nothing is saved or committed.
    every
        How often.

    Attributes
    ----------
    snapshots, every
        As given.

    """

    def __init__(self, run: Run, snapshots: Snapshots | None, every: Interval) -> None:
        self.snapshots = snapshots
        self.every = every
        self._run = run
        self._committed: dict[str, Any] | None = None
        self._saved: tuple[Any, ...] | None = None
        self._taken_at, self._taken_clicks = time.monotonic(), 0

    @property
    def saved(self) -> bool:
        """Whether the last snapshot holds all there is."""
        return (
            self.snapshots is not None
            and not self.snapshots.busy
            and self._run.mark() == self._saved
        )

    def check_position(self, clicks: Clicks | None) -> None:
        """Check that a run could go on from what was polled.

        Raises
        ------
        SourceError
            It could not, and snapshots are taken.

        """
        if clicks is not None and self.snapshots and not clicks.position and len(clicks):
            raise SourceError(
                f"{type(self._run.source).__name__}.poll: it returned no position, so no run can "
                "resume from a snapshot: return the position after these clicks as "
                "Clicks.position, or take no snapshots"
            )

    def resumed(self, whole: bool) -> None:
        """Note that the run has been restored from a snapshot.

        Parameters
        ----------
        whole
            Whether the next snapshot would be the same.

        """
        self._taken_clicks = self._run.clicks
        if whole:
            self._saved = self._run.mark()

    def begin(self, position: dict[str, Any]) -> None:
        """Take the first snapshot of a new run, or commit the position of a resumed one."""
        if self.snapshots is None:
            return
        if self._saved is None:
            # A run that begins anew says so on the disk before it writes anything else.
            self._take(self.snapshots)
        elif position:
            self._run.source.commit(position)

    def between_batches(self) -> None:
        """Commit the last snapshot once it is durable, and take the next one where it is due."""
        if self.snapshots is None:
            return
        if self._full():
            with self._run.requests.idle():
                self.snapshots.wait()
        if not self.snapshots.busy:
            # Where it could not be written, the run ends now: later clicks may never come.
            self.snapshots.wait()
            self._commit(self.snapshots)
            if self._due():
                self._take(self.snapshots)

    def end(self) -> None:
        """Take the last snapshot, where it would differ from the one before, and commit it."""
        if self.snapshots is None:
            return
        # One copy of the state at a time.
        self.snapshots.wait()
        if self._run.mark() != self._saved:
            self._run.hurry()
            self._take(self.snapshots)
            self.snapshots.wait()
        self._run.hurry()
        self._commit(self.snapshots)

    def _full(self) -> bool:
        """Whether a sink holds as much as it can."""
        return any(sink.full for sink in self._run.sinks.values())

    def _due(self) -> bool:
        """Whether it is time for a snapshot, and there is something new to go into it."""
        if self._full():
            return True
        if self.every.seconds is not None:
            due = time.monotonic() - self._taken_at >= self.every.seconds
        else:
            due = self._run.clicks - self._taken_clicks >= (self.every.clicks or 0)
        return due and self._run.mark() != self._saved

    def _take(self, snapshots: Snapshots) -> None:
        """Copy everything, and leave the writing to a thread."""
        run = self._run
        self._taken_at, self._taken_clicks = time.monotonic(), run.clicks
        self._saved = copy.deepcopy(run.mark())
        facts = run.facts()
        with run.phases.measure("snapshot"):
            snapshots.save_soon(run.state(), facts)
        run.phases.lists.saved()

    def _commit(self, snapshots: Snapshots) -> None:
        """Commit the last durable snapshot, never anything after it: sinks first, then the source.

        It is the one that was begun last: no snapshot is begun before this one is committed.
        """
        if snapshots.durable is None or snapshots.durable is self._committed:
            return
        self._committed = snapshots.durable
        with self._run.requests.idle(), self._run.phases.measure("sinks"):
            for name, sink in self._run.sinks.items():
                sink.commit(self._run.written[name]["length"])
        self._run.phases.lists.committed()
        self._run.source.commit(self._committed["position"])
