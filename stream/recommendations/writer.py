"""When the clicks of a batch get their recommendations, and where these go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from nextclick.connectors import Sink
from nextclick.models import Allowed, BatchResult, Recommender
from nextclick.models.base import CheckedModel
from nextclick.models.recommender import Id, Times

from ..monitoring.phase_timer import PhaseTimer
from ..pending_clicks import PendingClicks
from .interleaving import Interleaving
from .records import after_clicks, before_clicks, without_clicked
from .team_draft import Best


class RecommendationWriter:
    """Writes the best items of each click to a sink, where there is one.

    Recommendations are made by the parameters from before the click's batch. So where a stream is
    quiet they need not wait for the batch to be full, see `max_wait`.

    Parameters
    ----------
    sinks
        The sinks of the run by name: that of ``recommendations`` may be added later.
    k
        How many items.
    after
        The best items after every click, instead of those before each scored click.
    exclude_current
        Leave out of the lists after clicks the item just clicked.
    max_wait
        Seconds after which a click of an unfinished batch gets its recommendations without the
        others; None: it waits for them.
    phases
        Takes the time that it takes.
    idle
        Entered while records are written: a sink may wait for its brokers.
    shown
        Returns what lists after clicks may hold, None for anything; and what merges them with those
        of another model, None for nothing.

    """

    def __init__(
        self,
        sinks: dict[str, Sink],
        *,
        k: int,
        after: bool,
        exclude_current: bool,
        max_wait: float | None,
        phases: PhaseTimer,
        idle: Callable[[], AbstractContextManager[None]] = nullcontext,
        shown: Callable[[], tuple[Allowed | None, Interleaving | None]] = lambda: (None, None),
    ) -> None:
        self.k = k
        self.after = after
        self.exclude_current = exclude_current
        self.max_wait = max_wait
        self._sinks = sinks
        self._phases = phases
        self._idle = idle
        self._shown = shown
        self._waiting_since = time.monotonic()

    @property
    def sink(self) -> Sink | None:
        """Where the records go."""
        return self._sinks.get("recommendations")

    def begin_wait(self) -> None:
        """Note that a click begins to wait, and none did before."""
        self._waiting_since = time.monotonic()

    def seconds_left(self, clicks: PendingClicks) -> float:
        """Return the seconds until pending clicks must get their recommendations."""
        if self.max_wait is None or self.sink is None or not clicks.unrecommended:
            return np.inf
        return max(self._waiting_since + self.max_wait - time.monotonic(), 0.0)

    def wanted(self, clicks: PendingClicks) -> int:
        """Return how many items to recommend for each click of a batch when it is tested."""
        return self.k if self.sink and clicks.unrecommended else 0

    def write_tested(
        self, clicks: PendingClicks, tested: BatchResult, before: int, learned: int
    ) -> None:
        """Write what was recommended before each scored click of a batch, if not written yet.

        Parameters
        ----------
        clicks
            The batch.
        tested
            What the model recommended before its clicks.
        before, learned
            How many clicks the stream had before the batch, and how many of them were learned.

        """
        if self.wanted(clicks):
            records = before_clicks(clicks, tested, before, learned, self.k)
            self._write(records, flush=self.max_wait is not None)

    def write_pending(
        self, model: Recommender, clicks: PendingClicks, before: int, learned: int
    ) -> None:
        """Write the recommendations of pending clicks that have none yet; learn nothing.

        The parameters are those of `write_tested`, and the model that recommends.
        """
        if not self.wanted(clicks):
            return
        handles, items = clicks.select(clicks.on_time)
        times = clicks.times_on_time
        with self._phases.measure("model"):
            if self.after:
                k, (allowed, interleaving) = self.k + self.exclude_current, self._shown()

                def lists(model: Recommender) -> Sequence[Best]:
                    best = _after(model, (handles, items, times), k, allowed)
                    return without_clicked(clicks, best, self.k) if self.exclude_current else best

                best, by = lists(model), None
                if interleaving is not None:
                    best, by = interleaving.after(clicks, best, self.k, lists)
                records = after_clicks(clicks, best, before, learned, by)
            else:
                tested = model.test(handles, items, self.k, times)
                records = before_clicks(clicks, tested, before, learned, self.k)
        self._write(records, flush=True)
        clicks.n_recommended = len(clicks)

    def _write(self, records: Iterable[dict[str, Any]], flush: bool) -> None:
        sink = self.sink
        assert sink is not None
        with self._idle(), self._phases.measure("sinks"):
            for record in records:
                sink.write(record)
            if flush:
                sink.flush()


def _after(
    model: Recommender,
    clicks: tuple[Sequence[Id], Sequence[Id], Times],
    k: int,
    allowed: Allowed | None,
) -> Sequence[Best]:
    """Return the lists after clicks, given by session, item and time."""
    sessions, items, times = clicks
    if allowed is None:
        return model.recommend_after(sessions, items, k, times)
    if isinstance(model, CheckedModel):
        return model.recommend_allowed(sessions, items, allowed, k, times)
    raise TypeError(
        f"{type(model).__name__} cannot leave out items that are unavailable: inherit from "
        "CheckedModel"
    )
