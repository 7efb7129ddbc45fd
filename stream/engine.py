"""The loop: poll, sessions, test then learn, metrics, sinks, snapshot, commit."""

from __future__ import annotations

import copy
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from nextclick.connectors import (
    Clicks,
    Position,
    Rejected,
    Sink,
    Source,
    SourceError,
    check_polled,
    dead_letter,
)
from nextclick.models import Recommender, State

from .config.options import Interval
from .contracts import check_part, seconds, whole
from .delivery import holds_records, hurry, undelivered
from .evaluation.prequential import Prequential
from .gc_freeze import freeze_garbage
from .monitoring.unusable_records import Unusable
from .pending_clicks import PendingClicks
from .phase_timer import PhaseTimer
from .recommendation_records import after_clicks, before_clicks
from .sessionizer import Sessionizer
from .snapshots.store import Snapshots

POLL_SECONDS = 0.1
"""How long a poll may wait for clicks; so soon the engine hears that it is to stop."""

LOOK_SECONDS = 1.0
"""How often to look whether the source has something to tell."""

SINKS = ("recommendations", "dead_letters")
"""The doors that records go out by, as a snapshot names them."""


class Requests(Protocol):
    """What is asked of an engine while it runs: see `serving.request_queue`."""

    def held(self) -> AbstractContextManager[None]:
        """Hold the model while the context lasts."""
        ...

    def idle(self) -> AbstractContextManager[None]:
        """Have requests answered while the context lasts: the engine does not use its model."""
        ...


class NoRequests:
    """Nothing is asked."""

    def held(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()

    def idle(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()


class Engine:
    """Drives one model along one stream.

    Clicks are learned in batches cut by count along the stream, never by time, so neither timing
    nor stops change a figure. What the next click depends on is all in `state`: a snapshot holds
    it between two batches, with the clicks of an unfinished batch.

    Recommendations are made by the parameters from before the click's batch. So where a stream is
    quiet they need not wait for the batch to be full, see `max_wait`.

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
        Takes the k best items of each click, where given.
    after
        The best items after every click, instead of those before each scored click.
    max_wait
        After so many seconds a click of an unfinished batch gets its recommendations without the
        others, and so it does before the last snapshot; None: never, which suits what is read
        from disk and written to files.
    dead_letters
        Takes the records that cannot be used, where given.
    about
        Facts to put into every snapshot: the configuration.
    tell
        Takes what a person should know of the source, as soon as it does.

    Attributes
    ----------
    clicks
        Clicks read, rejected records left out.
    first, late, ahead, learned, rejected
        How many of them started a session, came late, were too far ahead of the stream, were
        learned; rejected records by reason.
    sinks
        Where records go, by their names among `SINKS`.
    written
        For each sink that the run has had, its name and length as of the last `state`.
    phases
        How long each phase of the loop takes.
    begun
        Whether the source has been read: before, `stop` has nothing to end in good order.
    unusable
        What keeps records from being used.
    requests
        What is asked while the engine runs.
    learned_at
        When a batch was learned last, by the monotonic clock; at first when the engine was made.

    Raises
    ------
    TypeError, ValueError
        A part lacks what the engine uses of it, or a number is out of its range.

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
        every: Interval | None = None,
        recommendations: Sink | None = None,
        k: int = 20,
        after: bool = False,
        max_wait: float | None = None,
        dead_letters: Sink | None = None,
        about: dict[str, Any] | None = None,
        notify: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.source = source
        self.model = model
        self.sessionizer = sessionizer
        self.batch = whole("batch", batch, 1)
        self.figures = figures or Prequential()
        self.snapshots = snapshots
        self.every = every or Interval(seconds=60)
        self.sinks = {
            name: sink
            for name, sink in zip(SINKS, (recommendations, dead_letters), strict=True)
            if sink is not None
        }
        self.k = whole("k", k, 1)
        self.after = after
        self.max_wait = None if max_wait is None else seconds("max_wait", max_wait)
        for kind in ("source", "model", "sessionizer", "figures"):
            check_part(kind, getattr(self, kind))
        for name, sink in self.sinks.items():
            check_part("sink", sink, name)
        self.about = about or {}
        self.notify = notify
        self.clicks = 0
        self.first = 0
        self.late = 0
        self.ahead = 0
        self.learned = 0
        self.rejected: Counter[str] = Counter()
        self.written: dict[str, dict[str, Any]] = {}
        self.phases = PhaseTimer()
        self.begun = False
        self.unusable = Unusable()
        self.requests: Requests = NoRequests()
        self.learned_at = time.monotonic()
        self._position: Position = {}
        self._pending = PendingClicks()
        self._waiting_since = time.monotonic()
        self._time: float | None = None
        self._committed: dict[str, Any] | None = None
        self._saved: tuple[Any, ...] | None = None
        self._taken_at, self._taken_clicks = time.monotonic(), 0
        self._told: set[str] = set()
        self._looked_at = time.monotonic()
        self._stopped = False
        self._failure: SourceError | None = None

    @property
    def pending(self) -> int:
        """The number of clicks of the unfinished batch."""
        return len(self._pending)

    @property
    def pending_clicks(self) -> PendingClicks:
        """The clicks of the unfinished batch."""
        return self._pending

    @property
    def saved(self) -> bool:
        """Whether the last snapshot holds all there is."""
        return (
            self.snapshots is not None and not self.snapshots.busy and self._mark() == self._saved
        )

    def stop(self) -> None:
        """End the run after the batch under way; may be called from a signal handler.

        Sinks that wait for brokers which do not answer soon end that: what is not delivered is
        in the last snapshot, and told.
        """
        self._stopped = True
        self._hurry()

    def _hurry(self) -> None:
        """Have the sinks wait no longer than they may, where the run is to end."""
        if self._stopped:
            hurry(self.sinks.values())

    def run(
        self, max_clicks: int | None = None, progress: Callable[[Engine], None] | None = None
    ) -> None:
        """Go on until the source ends, `stop` is called, or so many clicks were read in all.

        A last snapshot is taken. Then what is left of an unfinished batch is tested and learned
        too, so that the figures cover every click; a later run that goes on from the snapshot
        takes these clicks again, as part of their whole batch. So it is where the source fails:
        what it gave before is kept.

        Parameters
        ----------
        max_clicks
            Clicks to read, those of earlier runs included, rejected records not.
        progress
            Called after every batch.

        Raises
        ------
        SourceError
            The source cannot be read on.

        """
        if max_clicks is not None:
            whole("max_clicks", max_clicks, 0)
        with freeze_garbage(), self.phases.running(), self.requests.held():
            self._run(max_clicks, progress)

    def _run(self, max_clicks: int | None, progress: Callable[[Engine], None] | None) -> None:
        if self.snapshots and self._saved is None:
            # A run that begins anew says so on the disk before it writes anything else.
            self._snapshot(self.snapshots)
        elif self.snapshots and self._position:
            self.source.commit(self._position)
        while not self._stopped:
            wanted = self.batch - len(self._pending)
            if max_clicks is not None:
                wanted = min(wanted, max_clicks - self.clicks)
            clicks = self._poll(wanted) if wanted > 0 else None
            if clicks is None:
                break
            self._take(clicks)
            if len(self._pending) == self.batch:
                self._step()
                if progress:
                    progress(self)
            elif self._poll_timeout() == 0:
                self._recommend_pending()
            if self.snapshots:
                if self._full():
                    with self.requests.idle():
                        self.snapshots.wait()
                if not self.snapshots.busy:
                    self._commit(self.snapshots)
                    if self._due():
                        self._snapshot(self.snapshots)
        if self.max_wait is not None:
            self._recommend_pending()
        if self.snapshots:
            self._end(self.snapshots)
        self.flush()
        if not self.snapshots:
            self._hurry()
            for sink in self.sinks.values():
                sink.sync()
        self._tell_warnings()
        for sentence in undelivered(self.sinks.values(), self.snapshots is not None):
            self.notify(sentence)
        if progress:
            progress(self)
        if self._failure is not None:
            raise self._failure

    def _end(self, snapshots: Snapshots) -> None:
        """Take the last snapshot, where it would differ from the one before, and tell of it."""
        # One copy of the state at a time.
        snapshots.wait()
        if self._mark() != self._saved:
            self._hurry()
            self._snapshot(snapshots)
            snapshots.wait()
        self._hurry()
        self._commit(snapshots)

    def flush(self) -> None:
        """Test and learn the clicks of an unfinished batch."""
        if len(self._pending):
            self._step()

    def _poll(self, wanted: int) -> Clicks | None:
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._tell_warnings()
        with self.requests.idle(), self.phases.measure("poll"):
            try:
                polled = self.source.poll(wanted, self._poll_timeout())
                clicks = check_polled(self.source, polled, wanted, self.clicks)
                self._check_position(clicks)
            except SourceError as error:
                self._failure = error
                return None
        self.begun = True
        return clicks

    def _check_position(self, clicks: Clicks | None) -> None:
        """Check that a run could go on from what was polled, where snapshots are taken."""
        if clicks is not None and self.snapshots and not clicks.position and len(clicks):
            raise SourceError(
                f"{type(self.source).__name__}.poll: it gave no position, so no run can go on from "
                "a snapshot: give where the source stands after these clicks, as Clicks.position, "
                "or take no snapshots"
            )

    def _tell_warnings(self) -> None:
        """Pass on the source's warnings, and what keeps its records from use, each once."""
        self._looked_at = time.monotonic()
        for sentence in [*self.source.warnings, *self.unusable.notes()]:
            if sentence not in self._told:
                self._told.add(sentence)
                self.notify(sentence)

    def _poll_timeout(self) -> float:
        """Give the seconds that may pass before the engine must look after something."""
        unanswered = len(self._pending) - self._pending.answered
        if self.max_wait is None or "recommendations" not in self.sinks or not unanswered:
            return POLL_SECONDS
        left = self._waiting_since + self.max_wait - time.monotonic()
        return min(max(left, 0.0), POLL_SECONDS)

    def _take(self, clicks: Clicks) -> None:
        """Keep what was polled until a batch is full."""
        self._position = clicks.position
        self._reject(clicks.rejected)
        self.unusable.take(clicks)
        if not len(clicks):
            return
        self.clicks += len(clicks)
        self._time = float(clicks.times[-1])
        if len(self._pending) == self._pending.answered:
            self._waiting_since = time.monotonic()
        with self.phases.measure("sessions"):
            assigned = self.sessionizer.assign(clicks.sessions, clicks.times)
        self.first += int(assigned.first.sum())
        self.late += int(assigned.late.sum())
        self.ahead += int(assigned.ahead.sum())
        self._pending.add(clicks, assigned)

    def _reject(self, rejected: list[Rejected]) -> None:
        self.rejected.update(record.reason for record in rejected)
        if sink := self.sinks.get("dead_letters"):
            for record in rejected:
                sink.write(dead_letter(record))

    def _step(self) -> None:
        """Test and learn the pending clicks."""
        if self.after:
            # Before anything of the batch is learned.
            self._recommend_pending()
        clicks, self._pending = self._pending, PendingClicks()
        before = self.clicks - len(clicks)
        on_time, times = clicks.on_time, clicks.timely_times
        handles, items = clicks.select(on_time)
        sink = self.sinks.get("recommendations") if clicks.answered < len(clicks) else None
        with self.phases.measure("model"):
            tested = self.model.test_then_learn(
                handles,
                items,
                self.k if sink else 0,
                self.sessionizer.clock,
                times,
            )
            self.model.forget(clicks.ended)
        with self.phases.measure("figures"):
            scored = tested.scored
            self.figures.update(tested.ranks[scored], before + on_time[scored] + 1, times[scored])
        learned, self.learned = self.learned, self.learned + len(on_time)
        self.learned_at = time.monotonic()
        if sink:
            # A sink may wait for its brokers.
            with self.requests.idle(), self.phases.measure("sinks"):
                for record in before_clicks(clicks, tested, before, learned):
                    sink.write(record)
                if self.max_wait is not None:
                    sink.flush()

    def _recommend_pending(self) -> None:
        """Write the recommendations of pending clicks that have none yet; learn nothing."""
        clicks, sink = self._pending, self.sinks.get("recommendations")
        if not sink or clicks.answered == len(clicks):
            return
        before = self.clicks - len(clicks)
        handles, items = clicks.select(clicks.on_time)
        times = clicks.timely_times
        with self.phases.measure("model"):
            if self.after:
                best = self.model.recommend_after(handles, items, self.k, times)
                records = after_clicks(clicks, best, before, self.learned)
            else:
                tested = self.model.test(handles, items, self.k, times)
                records = before_clicks(clicks, tested, before, self.learned)
        with self.requests.idle(), self.phases.measure("sinks"):
            for record in records:
                sink.write(record)
            sink.flush()
        clicks.answered = len(clicks)

    def _full(self) -> bool:
        """Whether a sink holds as much as it can."""
        return any(sink.full for sink in self.sinks.values())

    def _due(self) -> bool:
        """Whether it is time for a snapshot, and there is something new to go into it."""
        if self._full():
            return True
        if self.every.seconds is not None:
            due = time.monotonic() - self._taken_at >= self.every.seconds
        else:
            due = self.clicks - self._taken_clicks >= (self.every.clicks or 0)
        return due and self._mark() != self._saved

    def _snapshot(self, snapshots: Snapshots) -> None:
        """Copy everything, and leave the writing to a thread."""
        self._taken_at, self._taken_clicks = time.monotonic(), self.clicks
        self._saved = copy.deepcopy(self._mark())
        about = {
            **self.about,
            "clicks": self.clicks,
            "time": self._time,
            "position": self._position,
        }
        with self.phases.measure("snapshot"):
            snapshots.save_soon(self.state(), about)

    def _mark(self) -> tuple[Any, ...]:
        """Return what differs between two states of the run wherever they differ at all."""
        counts = self.clicks, self.learned, self.rejected.total(), self._pending.answered
        return (*counts, self._position)

    def _commit(self, snapshots: Snapshots) -> None:
        """Tell sinks and source of the last durable snapshot; never of anything after it.

        It is the one that was begun last: no snapshot is begun before this has been told.
        """
        if snapshots.durable is not None and snapshots.durable is not self._committed:
            self._committed = snapshots.durable
            with self.phases.measure("sinks"):
                for name, sink in self.sinks.items():
                    sink.commit(self.written[name]["length"])
            self.source.commit(self._committed["position"])

    def state(self) -> dict[str, State]:
        """Copy all that the next click depends on, by part."""
        for name, sink in self.sinks.items():
            self.written[name] = {"to": sink.name, "length": sink.sync()}
        values = {
            "clicks": self.clicks,
            "first": self.first,
            "late": self.late,
            "ahead": self.ahead,
            "learned": self.learned,
            "rejected": dict(self.rejected),
            "time": self._time,
            "position": self._position,
            "pending": self._pending.values(),
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
        # Older snapshots do not know of such clicks.
        self.ahead = values.get("ahead", 0)
        self.learned = values["learned"]
        self.rejected = Counter(values["rejected"])
        self.written = dict(values["written"])
        self._time = values["time"]
        self._position = values["position"]
        self._pending = PendingClicks.of(values["pending"])
        self._taken_clicks = self.clicks
        if not any(holds_records(sink["length"]) for sink in self.written.values()):
            # Else the sinks write these records now, and a snapshot is to know it.
            self._saved = self._mark()
        if self._position:
            self.source.seek(self._position)

    def results(self) -> dict[str, Any]:
        """Give the figures of the stream so far, in JSON's types."""
        return {
            "model": self.model.name,
            "clicks": self.clicks + self.rejected.total(),
            "usable": self.clicks,
            "learned": self.learned,
            "first": self.first,
            "late": self.late,
            "ahead": self.ahead,
            "rejected": dict(sorted(self.rejected.items())),
            **self.figures.results(),
            "catalogue": self.model.n_items,
            "live_sessions": self.sessionizer.live,
        }


def peak_memory_mb() -> float:
    """Give the most memory that this process has held, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
