"""The loop: poll, sessions, test then learn, metrics, sinks, snapshot, commit."""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from nextclick.connectors import Clicks, Position, Rejected, Source, dead_letter
from nextclick.models import Recommender, State

from .config import Every
from .prequential import Prequential
from .sessionizer import Sessionizer
from .snapshots import Snapshots

POLL_SECONDS = 0.1
"""How long a poll may wait for clicks; so soon the engine hears that it is to stop."""


SINKS = ("recommendations", "dead_letters")


class Sink(Protocol):
    """Where records go out, one after the other; `name` tells it from others."""

    name: str

    def write(self, record: Any) -> None:
        """Take a record."""
        ...

    def sync(self) -> int:
        """Make all that was written durable and give the length so far."""
        ...

    def close(self) -> None:
        """Release what is held."""
        ...


class Engine:
    """Drives one model along one stream.

    Clicks are learned in batches cut by count along the stream, never by time, so neither timing
    nor stops change a figure. What the next click depends on is all in `state`: a snapshot holds
    it between two batches, with the clicks of an unfinished batch.

    Parameters
    ----------
    source
        Where clicks come from.
    model
        What is tested and trained.
    sessionizer
        Gives the clicks their sessions.
    batch
        Clicks tested and learned at once.
    figures
        Takes the ranks.
    snapshots, every
        Where snapshots go and how often; none where `snapshots` is None.
    recommendations, k
        Takes the k best items before each scored click, where given.
    dead_letters
        Takes the records that cannot be used, where given.
    about
        Facts to put into every snapshot: the configuration.

    Attributes
    ----------
    written
        For each sink that the run has had, its name and length as of the last `state`.

    """

    def __init__(
        self,
        source: Source,
        model: Recommender,
        sessionizer: Sessionizer,
        *,
        batch: int = 64,
        figures: Prequential | None = None,
        snapshots: Snapshots | None = None,
        every: Every | None = None,
        recommendations: Sink | None = None,
        k: int = 20,
        dead_letters: Sink | None = None,
        about: dict[str, Any] | None = None,
    ) -> None:
        self.source = source
        self.model = model
        self.sessionizer = sessionizer
        self.batch = batch
        self.figures = figures or Prequential()
        self.snapshots = snapshots
        self.every = every or Every(seconds=60)
        self.recommendations = recommendations
        self.k = k if recommendations else 0
        self.dead_letters = dead_letters
        self.about = about or {}
        self.clicks = 0
        self.first = 0
        self.late = 0
        self.learned = 0
        self.rejected: Counter[str] = Counter()
        self.written: dict[str, dict[str, Any]] = {}
        self._position: Position = {}
        self._pending = Clicks([], [], np.zeros(0))
        self._time: float | None = None
        self._committed: dict[str, Any] | None = None
        self._taken_at, self._taken_clicks = time.monotonic(), 0
        self._stopped = False

    def stop(self) -> None:
        """End the run after the batch under way; may be called from a signal handler."""
        self._stopped = True

    def run(
        self, max_clicks: int | None = None, progress: Callable[[Engine], None] | None = None
    ) -> None:
        """Go on until the source ends, `stop` is called, or so many clicks were read in all.

        A last snapshot is taken. Then what is left of an unfinished batch is tested and learned
        too, so that the figures cover every click; a later run that goes on from the snapshot
        takes these clicks again, as part of their whole batch.

        Parameters
        ----------
        max_clicks
            Clicks to read, those of earlier runs included, rejected records not.
        progress
            Called after every batch.

        """
        if self.snapshots and not self.clicks:
            # A run that begins anew says so on the disk before it writes anything else.
            self._snapshot(self.snapshots)
        while not self._stopped:
            wanted = self.batch - len(self._pending)
            if max_clicks is not None:
                wanted = min(wanted, max_clicks - self.clicks)
            clicks = self.source.poll(wanted, POLL_SECONDS) if wanted > 0 else None
            if clicks is None:
                break
            self._take(clicks)
            if len(self._pending) == self.batch:
                self._step()
                if progress:
                    progress(self)
            if self.snapshots and not self.snapshots.busy:
                self._commit(self.snapshots)
                if self._due():
                    self._snapshot(self.snapshots)
        if self.snapshots:
            self._snapshot(self.snapshots)
            self.snapshots.wait()
            self._commit(self.snapshots)
        self.flush()
        if progress:
            progress(self)

    def _due(self) -> bool:
        """Whether it is time for a snapshot."""
        if self.every.seconds is not None:
            return time.monotonic() - self._taken_at >= self.every.seconds
        return self.clicks - self._taken_clicks >= (self.every.clicks or 0)

    def flush(self) -> None:
        """Test and learn the clicks of an unfinished batch."""
        if len(self._pending):
            self._step()

    def _take(self, clicks: Clicks) -> None:
        """Keep what was polled until a batch is full."""
        self._position = clicks.position
        self.clicks += len(clicks)
        if len(clicks):
            self._time = float(clicks.times[-1])
        self._reject(clicks.rejected)
        self._pending.sessions += clicks.sessions
        self._pending.items += clicks.items
        self._pending.times = np.concatenate([self._pending.times, clicks.times])

    def _reject(self, rejected: list[Rejected]) -> None:
        self.rejected.update(record.reason for record in rejected)
        if self.dead_letters:
            for record in rejected:
                self.dead_letters.write(dead_letter(record))

    def _step(self) -> None:
        """Test and learn the pending clicks."""
        clicks, self._pending = self._pending, Clicks([], [], np.zeros(0))
        assigned = self.sessionizer.assign(clicks.sessions, clicks.times)
        positions = np.arange(self.clicks - len(clicks), self.clicks) + 1
        timely = np.flatnonzero(~assigned.late)
        self.late += len(clicks) - len(timely)
        self.first += int(assigned.first.sum())
        items = [clicks.items[place] for place in timely.tolist()]
        handles = assigned.handles[timely].tolist()
        tested = self.model.test_then_learn(handles, items, self.k, self.sessionizer.clock)
        self.model.forget(assigned.ended)
        scored = timely[tested.scored]
        self.learned += len(timely)
        self.figures.update(tested.ranks[tested.scored], positions[scored], clicks.times[scored])
        if self.recommendations:
            for at in np.flatnonzero(tested.scored).tolist():
                place = timely[at]
                self.recommendations.write(
                    {
                        "session": clicks.sessions[place],
                        "time": float(clicks.times[place]),
                        "clicked": clicks.items[place],
                        "rank": int(tested.ranks[at]),
                        "items": [item for item, _ in tested.recommended[at]],
                        "scores": [score for _, score in tested.recommended[at]],
                    }
                )

    def _snapshot(self, snapshots: Snapshots) -> None:
        """Copy everything, and leave the writing to a thread."""
        self._taken_at, self._taken_clicks = time.monotonic(), self.clicks
        about = {
            **self.about,
            "clicks": self.clicks,
            "time": self._time,
            "position": self._position,
        }
        snapshots.save_soon(self.state(), about)

    def _commit(self, snapshots: Snapshots) -> None:
        """Tell the source of the last durable snapshot; never of anything after it."""
        if snapshots.durable is not None and snapshots.durable is not self._committed:
            self._committed = snapshots.durable
            self.source.commit(self._committed["position"])

    def state(self) -> dict[str, State]:
        """Copy all that the next click depends on, by part."""
        for name in SINKS:
            sink: Sink | None = getattr(self, name)
            if sink:
                self.written[name] = {"to": sink.name, "length": sink.sync()}
        values = {
            "clicks": self.clicks,
            "first": self.first,
            "late": self.late,
            "learned": self.learned,
            "rejected": dict(self.rejected),
            "time": self._time,
            "position": self._position,
            "pending": {
                "sessions": self._pending.sessions.copy(),
                "items": self._pending.items.copy(),
                "times": self._pending.times.tolist(),
            },
            "written": dict(self.written),
        }
        return {
            "model": self.model.state(),
            "sessions": self.sessionizer.state(),
            "figures": self.figures.state(),
            "engine": State({}, values),
        }

    def restore(self, parts: dict[str, State]) -> None:
        """Take back what `state` gave, and move the source there."""
        self.model.restore(parts["model"])
        self.sessionizer.restore(parts["sessions"])
        self.figures.restore(parts["figures"])
        values = parts["engine"].values
        self.clicks = values["clicks"]
        self.first = values["first"]
        self.late = values["late"]
        self.learned = values["learned"]
        self.rejected = Counter(values["rejected"])
        self.written = dict(values["written"])
        self._time = values["time"]
        self._position = values["position"]
        pending = values["pending"]
        self._pending = Clicks(pending["sessions"], pending["items"], np.array(pending["times"]))
        self._taken_clicks = self.clicks
        if self._position:
            self.source.seek(self._position)

    def results(self) -> dict[str, Any]:
        """Give the figures of the stream so far, in JSON's types."""
        return {
            "model": self.model.name,
            "clicks": self.clicks + self.rejected.total(),
            "learned": self.learned,
            "first": self.first,
            "late": self.late,
            "rejected": dict(sorted(self.rejected.items())),
            **self.figures.results(),
            "catalogue": self.model.catalogue,
            "live_sessions": self.sessionizer.live,
        }


def peak_memory_mb() -> float:
    """Give the most memory that this process has held, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
