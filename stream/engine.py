"""The loop: poll, sessions, test then learn, metrics, sinks, snapshot, commit."""

from __future__ import annotations

import time
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nextclick.connectors import Clicks, Position, Sink, Source, SourceError, check_polled
from nextclick.models import Recommender, State
from nextclick.models.argument_checks import at_least

from .comparison.shadow import Learned
from .comparison.trials import Trials
from .config.options import Interval
from .contracts import NoRequests, Requests, check_part, seconds
from .delivery import SINKS, holds_records, hurry, undelivered
from .evaluation.driven import DrivenModel
from .evaluation.prequential import Prequential
from .evaluation.protocol import Protocol
from .monitoring.gc_freeze import freeze_garbage
from .monitoring.notices import Notices
from .monitoring.phase_timer import PhaseTimer
from .monitoring.unusable_records import Unusable
from .pending_clicks import PendingClicks
from .recommendations.clicks_file import ClicksFile
from .recommendations.item_data import ItemData
from .recommendations.writer import RecommendationWriter
from .sessions.left_out import LeftOut
from .sessions.sessionizer import Sessionizer
from .snapshots.checkpoints import Checkpoints
from .snapshots.store import Snapshots

POLL_SECONDS = 0.1
"""How long a poll may wait for clicks, and so how long a stop may take to be noticed."""

COUNTS = ("clicks", "first", "late", "ahead", "learned")
"""Counts of clicks, by their names in snapshots."""


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
        Assigns the clicks to sessions.
    batch
        Clicks tested and learned at once.
    figures
        Figures that the ranks are counted in.
    snapshots, every
        Where snapshots go and how often; none where `snapshots` is None.
    recommendations, k
        A sink for the k best items of each click.
    after, exclude_current
        The best items after every click, not before each scored one; without the item clicked.
    max_wait
        Seconds after which a click of an unfinished batch gets its recommendations without the
        others, as it does before the last snapshot. None: it waits, as for what is read from disk.
    dead_letters
        A sink for the records that cannot be used.
    about, notify
        Facts to put into every snapshot; takes what a person should know of the source, at once.

    Attributes
    ----------
    clicks
        Clicks read, rejected records left out.
    first, late, ahead, learned
        How many of them began a session, came late, were too far ahead, were given to the model.
    left_out, sinks
        What was read besides clicks; where records go, by their names among `SINKS`.
    checkpoints
        The snapshots, and the order of commit.
    written
        For each sink that the run has had, its name and length as of the last `state`.
    phases, begun
        How long each phase of the loop takes; whether the source has been read.
    unusable
        What keeps records from being used.
    requests
        What is asked of the model meanwhile.
    items
        Data of the items: which of them may be recommended; None: all.
    protocol, trials, clicks_file
        What counts in the figures; what is tried beside the model, without effect on it; what takes
        each click's rank.
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
        exclude_current: bool = True,
        max_wait: float | None = None,
        dead_letters: Sink | None = None,
        about: dict[str, Any] | None = None,
        notify: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.source, self.model, self.sessionizer = source, model, sessionizer
        self.batch = at_least(batch, "batch", 1)
        self.figures = figures or Prequential()
        given = zip(SINKS, (recommendations, dead_letters), strict=True)
        self.sinks = {name: sink for name, sink in given if sink is not None}
        for kind in ("source", "model", "sessionizer", "figures"):
            check_part(kind, getattr(self, kind))
        for name, sink in self.sinks.items():
            check_part("sink", sink, name)
        self.about, self.notify = about or {}, notify
        self.clicks = self.first = self.late = self.ahead = self.learned = 0
        self.left_out = LeftOut()
        self.written: dict[str, dict[str, Any]] = {}
        self.phases, self.unusable = PhaseTimer(), Unusable()
        self.begun = self._stopped = False
        self.requests: Requests = NoRequests()
        self.items: ItemData | None = None
        self.trials, self.protocol = Trials(), Protocol()
        self.clicks_file: ClicksFile | None = None
        self.learned_at = time.monotonic()
        own: Engine = weakref.proxy(self)  # Weak: an engine that nobody uses is freed at once.
        self.checkpoints = Checkpoints(own, snapshots, every or Interval(seconds=60))
        self._recommendations = RecommendationWriter(
            self.sinks,
            k=at_least(k, "k", 1),
            after=after,
            exclude_current=exclude_current,
            max_wait=None if max_wait is None else seconds("max_wait", max_wait),
            phases=self.phases,
            idle=lambda: own.requests.idle(),
            shown=lambda: (own.items.allowed() if own.items else None, own.trials.interleaving),
        )
        self._notices, self._pending = Notices(own), PendingClicks()
        self._position: Position = {}
        self._time: float | None = None
        self._failure: SourceError | None = None

    @property
    def rejected(self) -> Counter[str]:
        """Records that cannot be used, by reason."""
        return self.left_out.rejected

    @property
    def pending(self) -> PendingClicks:
        """The clicks of the unfinished batch."""
        return self._pending

    def stop(self) -> None:
        """End the run after the batch under way; may be called from a signal handler.

        Sinks that wait for brokers soon end that; the last snapshot holds what is not delivered.
        """
        self._stopped = True
        self.hurry()

    def hurry(self) -> None:
        """Limit how long the sinks wait, where the run is to end."""
        if self._stopped:
            hurry(self.sinks.values())

    def run(
        self, max_clicks: int | None = None, progress: Callable[[Engine], None] | None = None
    ) -> None:
        """Go on until the source ends, `stop` is called, or `max_clicks` were read in all.

        A last snapshot is taken, also where the source fails. Then what is left of an unfinished
        batch is tested and learned, for the figures; a later run from the snapshot takes it again.

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
            at_least(max_clicks, "max_clicks", 0)
        with freeze_garbage(), self.phases.running(), self.requests.held():
            self._run(max_clicks, progress)

    def _run(self, max_clicks: int | None, progress: Callable[[Engine], None] | None) -> None:
        self.checkpoints.begin(self._position)
        while not self._stopped:
            wanted = self.batch - len(self._pending)
            if max_clicks is not None:
                wanted = min(wanted, max_clicks - self.clicks)
            clicks = self._poll(wanted) if wanted > 0 else None
            if clicks is None:
                break
            self._admit(clicks)
            if len(self._pending) == self.batch:
                self._step()
                if progress:
                    progress(self)
            elif self._poll_timeout() == 0:
                self._recommend_pending()
            self.checkpoints.between_batches()
        self._end()
        if progress:
            progress(self)
        if self._failure is not None:
            raise self._failure

    def _end(self) -> None:
        """Take the last snapshot, then finish the batch, the sinks and the notes."""
        if self._recommendations.max_wait is not None:
            self._recommend_pending()
        self.checkpoints.end()
        self.flush()
        kept = self.checkpoints.snapshots is not None
        if not kept:
            self.hurry()
            for sink in self.sinks.values():
                sink.sync()
        self._notices.pass_on(now=True)
        for sentence in undelivered(self.sinks.values(), kept):
            self.notify(sentence)

    def flush(self) -> None:
        """Test and learn the clicks of an unfinished batch."""
        if len(self._pending):
            self._step()

    def _poll(self, wanted: int) -> Clicks | None:
        self._notices.pass_on()
        self.phases.lists.answerable()
        with self.requests.idle(), self.phases.measure("poll"):
            try:
                polled = self.source.poll(wanted, self._poll_timeout())
                clicks = check_polled(self.source, polled, wanted, self.clicks)
                self.checkpoints.check_position(clicks)
            except SourceError as error:
                self._failure = error
                return None
        self.begun = True
        return clicks

    def _poll_timeout(self) -> float:
        """Return the seconds that may pass before the engine must look after something."""
        return min(self._recommendations.seconds_left(self._pending), POLL_SECONDS)

    def _admit(self, clicks: Clicks) -> None:
        """Count what was polled, assign its sessions, and keep it until a batch is full."""
        self._position = clicks.position
        self.left_out.reject(clicks.rejected, self.sinks.get("dead_letters"))
        self.unusable.take(clicks)
        clicks = self.left_out.admit(clicks)
        if not len(clicks):
            return
        self.clicks += len(clicks)
        self._time = float(clicks.times[-1])
        if not self._pending.unrecommended:
            self._recommendations.begin_wait()
        with self.phases.measure("sessions"):
            assigned = self.sessionizer.assign(clicks.sessions, clicks.times)
        self.first += int(assigned.first.sum())
        self.late += int(assigned.late.sum())
        self.ahead += int(assigned.ahead.sum())
        self._pending.add(clicks, assigned)
        self.phases.lists.read(self._pending.arrived[-len(clicks) :])

    def _step(self) -> None:
        """Test and learn the pending clicks."""
        if self._recommendations.after:
            self._recommend_pending()  # Before anything of the batch is learned.
        clicks, self._pending = self._pending, PendingClicks()
        before = self.clicks - len(clicks)
        on_time, times = clicks.on_time, clicks.times_on_time
        handles, items = clicks.select(on_time)
        file, positions, clock = self.clicks_file, before + on_time + 1, self.sessionizer.clock
        k = max(self._recommendations.wanted(clicks), file.k if file else 0)
        self.protocol.begin(handles, items, positions, times)
        driven = DrivenModel(self.model, self.protocol)
        with self.phases.measure("model"):
            tested, ranks = driven.ranked(handles, items, k, clock, times)
            self.model.forget(clicks.ended)
        with self.phases.measure("figures"):
            self.figures.update(*driven.counted(handles, tested, ranks, positions, times))
            self.protocol.forget(clicks.ended)
        learned, self.learned = self.learned, self.learned + len(on_time)
        self.learned_at = time.monotonic()
        if self.trials:
            # Before requests are answered again: both models of a merged list know the same clicks.
            with self.phases.measure("shadows"):
                self.trials.learn(Learned(clicks, before, clock, tested), self.requests.idle)
        if file is not None:
            file.take(clicks, before, replace(tested, ranks=ranks), self.protocol.marks(tested))
        self._recommendations.write_tested(clicks, tested, before, learned)

    def _recommend_pending(self) -> None:
        """Write the recommendations of pending clicks that have none yet; learn nothing."""
        before = self.clicks - len(self._pending)
        self._recommendations.write_pending(self.model, self._pending, before, self.learned)

    def mark(self) -> tuple[Any, ...]:
        """Return values that differ between any two states of the run that differ."""
        counts = self.clicks, self.learned, self.left_out.total, self._pending.n_recommended
        return (*counts, self._position, *self.trials.mark())

    def facts(self) -> dict[str, Any]:
        """Return what a snapshot is of, in JSON's types."""
        return {**self.about, "clicks": self.clicks, "time": self._time, "position": self._position}

    def state(self) -> dict[str, State]:
        """Copy all that the next click depends on, by part."""
        with self.phases.measure("sinks"):
            for name, sink in self.sinks.items():
                self.written[name] = {"to": sink.name, "length": sink.sync()}
        values = {
            **{name: getattr(self, name) for name in COUNTS},
            **self.left_out.values(),
            "time": self._time,
            "position": self._position,
            "pending": self._pending.values(),
            "written": dict(self.written),
        }
        return {
            "model": self.model.state(),
            "sessions": self.sessionizer.state(),
            "figures": self.figures.state(),
            "engine": State(self.left_out.arrays(), values),
            **self.protocol.state(),
            **self.trials.state(),
        }

    def restore(self, parts: dict[str, State]) -> None:
        """Go back to what `state` returned, and move the source there."""
        self.model.restore(parts["model"])
        self.sessionizer.restore(parts["sessions"])
        self.figures.restore(parts["figures"])
        self.protocol.restore(parts)
        values = parts["engine"].values
        for name in COUNTS:
            # Older snapshots do not know of clicks that are ahead.
            setattr(self, name, values.get(name, 0))
        self.left_out.restore(values, parts["engine"].arrays)
        self.written = dict(values["written"])
        self._time, self._position = values["time"], values["position"]
        self._pending = PendingClicks.of(values["pending"])
        self.trials.restore(parts, self.clicks - len(self._pending))
        # What a smaller bound has ended is forgotten with the batch that may have clicks of it.
        self._pending.ended += self.sessionizer.shrink()
        # Records in the snapshot are written by the sinks now, and the next snapshot is to know it.
        held = any(holds_records(sink["length"]) for sink in self.written.values())
        self.checkpoints.resumed(whole=not held)
        if self._position:
            self.source.seek(self._position)

    def results(self) -> dict[str, Any]:
        """Return the figures of the stream so far, in JSON's types."""
        return {
            "model": self.model.name,
            "clicks": self.clicks + self.left_out.total,
            "usable": self.clicks,
            **{name: getattr(self, name) for name in ("learned", "first", "late", "ahead")},
            "rejected": dict(sorted(self.rejected.items())),
            **self.left_out.results(),
            **self.figures.results(),
            **self.protocol.results(self.learned),
            "catalogue": self.model.n_items,
            "live_sessions": self.sessionizer.live,
            **self.trials.results(),
            # Options that have changed; most runs go on as they began.
            **({"changed": changed} if (changed := self.about.get("changed")) else {}),
        }
