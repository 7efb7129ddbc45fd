"""A model that scores and learns the clicks of a run beside the model in service."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextclick.models import BatchResult, Recommender, State

from ..contracts import check_part
from ..evaluation.gains import bins_of
from ..pending_clicks import PendingClicks
from .bootstrap import DRAWS, differences
from .joined_states import join, part_of
from .rank_counts import RankCounts, figure_names
from .timed_model import TimedModel

KS = (20,)
"""The numbers of recommendations that there are figures for, as for the model in service."""

LIVE_BLOCKS = 256
"""Blocks at most of which the intervals of a running engine are made: quickly, every few seconds.
The result of a run has those of all its blocks."""

LIVE_DRAWS = 500
"""Streams drawn for these."""


class Learned:
    """A batch that the model in service has scored and learned.

    Parameters
    ----------
    clicks
        The batch.
    before
        How many clicks the stream had before it.
    time
        How far event time has come.
    tested
        How the model in service scored its clicks on time.

    Attributes
    ----------
    sessions, items, times
        The clicks on time.
    places
        Which click of the stream each of them was, from 1 on.
    ended
        Sessions that have ended before or among these clicks.
    end
        How many clicks the stream had after it.
    time, tested
        As given.

    """

    def __init__(
        self, clicks: PendingClicks, before: int, time: float, tested: BatchResult
    ) -> None:
        on_time = clicks.on_time
        self.sessions, self.items = clicks.select(on_time)
        self.times = clicks.times_on_time
        self.places = before + 1 + on_time
        self.ended = clicks.ended
        self.end = before + len(clicks)
        self.time, self.tested = time, tested


class Shadow:
    """Scores and learns the same batches as the model in service, and counts the ranks of both.

    A click counts where both models have scored it: one that has begun later does not know the
    sessions from before. A model that fails is dropped with its memory; its figures stay as they
    are. One thread may learn while another reads the figures.

    Parameters
    ----------
    name
        The model's name among the shadows.
    model
        The model.
    options
        The options that it was given, to find out whether a snapshot is of the same model.
    service
        The name of the model in service.
    on_drop
        Told why, where the model is dropped.

    Attributes
    ----------
    begun
        How many clicks the stream had before the first that this model learned.
    dropped
        Where the model has failed, and why; None while it learns.

    """

    def __init__(
        self,
        name: str,
        model: Recommender,
        options: Mapping[str, Any] | None = None,
        service: str = "the model in service",
        on_drop: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        check_part("model", model, f"shadow {name!r}")
        self.name = name
        self.options = dict(options or {})
        self.begun = 0
        self.dropped: dict[str, Any] | None = None
        self._service = service
        self._on_drop = on_drop
        self._timed: TimedModel | None = TimedModel(model)
        self._timed_clicks = 0
        self._clicks = 0
        self._counts = RankCounts(2, KS)
        self._reading = threading.Lock()

    @property
    def model(self) -> Recommender | None:
        """The model; None once it has been dropped."""
        return None if self._timed is None else self._timed.model

    def learn(self, batch: Learned) -> None:
        """Score and learn a batch; drop the model if it fails."""
        timed = self._timed
        if timed is None:
            return
        try:
            tested = timed.test_then_learn(batch.sessions, batch.items, 0, batch.time, batch.times)
            timed.forget(batch.ended)
            both = batch.tested.scored & tested.scored
            ranks = np.column_stack(
                [bins_of(ranks[both], max(KS)) for ranks in (batch.tested.ranks, tested.ranks)]
            )
        except Exception as error:
            self._clicks = batch.end
            self.drop(error)
            return
        with self._reading:
            self._clicks = batch.end
            self._timed_clicks += len(batch.items)
            self._counts.update(ranks, batch.places[both], batch.time)

    def drop(self, error: Exception) -> None:
        """Drop the model: it has failed."""
        if self._timed is None:
            return
        self._timed = None
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self.dropped = {"clicks": self._clicks, "why": why[:1000]}
        self._on_drop(
            f"the shadow {self.name} was dropped at click {self._clicks:,}, and the run goes on "
            f"without it: {why[:300]}"
        )

    def results(self, live: bool = False) -> dict[str, Any]:
        """Return the figures of the model, in JSON's types.

        Parameters
        ----------
        live
            Make intervals quickly, of fewer and longer blocks.

        Returns
        -------
        dict
            ``model``, its name; ``figures``, each over all clicks that both models have scored;
            ``differences``, for each figure that of the model in service less that of this model,
            with the ends of its 95 % interval (None where there are too few clicks), and whether
            it is ``real``; ``scored``, how many clicks both have scored, and ``begun``, the click
            of the stream after which they begin; ``seconds_per_click``, what scoring and learning
            a click has taken this process; and ``dropped``, where and why the model has failed.

        """
        counts = RankCounts(2, KS)
        with self._reading:
            counts.restore(self._counts.state())
            seconds = 0.0 if self._timed is None else float(self._timed.seconds.sum())
        gains, clicks = counts.gains()
        if live:
            gains, clicks = coarser(gains, clicks)
        names = figure_names(KS)
        found = differences(
            gains, clicks, [self._service, self.name], names, LIVE_DRAWS if live else DRAWS
        )
        apart = {each.figure: {**asdict(each), "real": each.real} for each in found}
        shown = ("difference", "low", "high", "real")
        return {
            "model": self.name,
            "figures": counts.figures()[1],
            "differences": {name: {key: apart[name][key] for key in shown} for name in names},
            "scored": counts.scored,
            "begun": self.begun,
            "seconds_per_click": seconds / max(1, self._timed_clicks),
            "dropped": self.dropped,
        }

    def state(self) -> State:
        """Copy all that the next click, and every figure, depends on."""
        parts = {"counts": self._counts.state()}
        try:
            if self._timed is not None:
                parts["model"] = self._timed.model.state()
        except Exception as error:
            self.drop(error)
        joined = join(parts)
        own = {"options": self.options, "begun": self.begun, "dropped": self.dropped}
        return State(joined.arrays, {**own, "clicks": self._clicks, "parts": joined.values})

    def restore(self, state: State) -> None:
        """Restore what `state` returned.

        Raises
        ------
        ValueError, KeyError
            It is of a model with other options, or a part of it is missing.

        """
        parts = State(state.arrays, state.values["parts"])
        if state.values["dropped"] is not None:
            self._timed = None
        elif self._timed is not None:
            self._timed.model.restore(part_of(parts, "model"))
        self._counts.restore(part_of(parts, "counts"))
        self.begun, self.dropped = state.values["begun"], state.values["dropped"]
        self._clicks = state.values["clicks"]


def coarser(
    gains: NDArray[np.float64], clicks: NDArray[np.int64], most: int = LIVE_BLOCKS
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Merge neighbouring blocks, each with as many others, until there are few.

    Examples
    --------
    >>> gains, clicks = coarser(np.ones((5, 2, 1)), np.ones(5, np.int64), most=3)
    >>> gains[:, 0, 0].tolist(), clicks.tolist()
    ([2.0, 2.0, 1.0], [2, 2, 1])

    """
    if len(clicks) <= most:
        return gains, clicks
    starts = np.arange(0, len(clicks), math.ceil(len(clicks) / most))
    return np.add.reduceat(gains, starts, axis=0), np.add.reduceat(clicks, starts)
