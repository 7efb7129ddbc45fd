"""Models side by side on one stream: figures by group of clicks, and CPU time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.verdicts import Interval
from nextclick.connectors import LogFormat, open_source
from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, Recommender
from nextclick.stream.comparison.bootstrap import differences
from nextclick.stream.comparison.rank_counts import RankCounts, figure_names
from nextclick.stream.evaluation.gains import bins_of

K = 20
"""Figures are Recall@20 and MRR@20."""


@dataclass(frozen=True, slots=True)
class Stream:
    """The clicks of a stream, by column, in order of time."""

    name: str
    sessions: list[Any]
    items: list[Any]

    def places(self) -> NDArray[np.int64]:
        """Return which click of its session each click is, from 1 on."""
        counts: dict[Any, int] = {}
        for_each = np.zeros(len(self.items), np.int64)
        for at, session in enumerate(self.sessions):
            counts[session] = for_each[at] = counts.get(session, 0) + 1
        return for_each

    def thinned(self, every: int) -> Stream:
        """Keep a share of the sessions: as long a time, as many items, far fewer clicks of each."""
        numbers = {session: n for n, session in enumerate(dict.fromkeys(self.sessions))}
        kept = [at for at, s in enumerate(self.sessions) if numbers[s] % every == 0]
        name = f"{self.name}, one session in {every}"
        return Stream(name, [self.sessions[at] for at in kept], [self.items[at] for at in kept])


def read(spec: str, clicks: int, session: str = "session_id", name: str = "") -> Stream:
    """Read the first clicks of a log or of the simulated shop.

    Parameters
    ----------
    spec
        The source, see `open_source`.
    clicks
        How many; 0: all.
    session
        The log's column of sessions.
    name
        What the tables call it; by default the log's name.

    """
    source = open_source(spec, None if spec.startswith("sim:") else LogFormat(session=session))
    found = source.poll(clicks or 1 << 40)
    source.close()
    if found is None:
        raise SystemExit(f"{spec}: there are no clicks in it")
    return Stream(name or Path(spec).name.partition(".")[0], found.sessions, found.items)


def network_alone(window: int = 5) -> Recommender:
    """Make the GRU4Rec of the claims: the network alone."""
    return OnlineGRU4Rec(GRU4RecConfig(memory=0, window=window))


class Standings:
    """How models did on the same clicks.

    Parameters
    ----------
    names
        The models' names.
    groups
        How many groups of clicks are told apart.

    """

    def __init__(self, names: list[str], groups: int) -> None:
        self.names = names
        self._tallies = [RankCounts(len(names), [K]) for _ in range(groups)]
        self._seconds: list[list[float]] = []
        self._sizes: list[int] = []

    def take(
        self, ranks: NDArray[np.int64], groups: NDArray[np.int64], seconds: list[float], size: int
    ) -> None:
        """Take a batch: ranks (scored clicks, models), their groups, CPU seconds, clicks."""
        bins = np.column_stack([bins_of(own, K) for own in ranks.T])
        for group, tallies in enumerate(self._tallies):
            own = bins[groups == group]
            tallies.update(own, np.zeros(len(own), np.int64), 0.0)
        self._seconds.append(seconds)
        self._sizes.append(size)

    def scored(self, group: int = 0) -> int:
        """Return how many scored clicks are in a group."""
        return self._tallies[group].scored

    def figure(self, figure: str, model: str, group: int = 0) -> float:
        """Return a model's figure over a group."""
        return self._tallies[group].figures()[self.names.index(model)][figure]

    def ahead(self, figure: str, model: str, other: str, group: int = 0) -> Interval:
        """Return by how much a model's figure is over another's, by the arena's bootstrap."""
        gains, clicks = self._tallies[group].gains()
        return self._difference(gains, clicks, model, other, figure_names([K]).index(figure))

    def cost(self, model: str) -> float:
        """Return the CPU milliseconds a click of a model."""
        seconds = np.array(self._seconds)[:, self.names.index(model)]
        return 1000 * float(seconds.sum()) / sum(self._sizes)

    def dearer(self, model: str, other: str) -> Interval:
        """Return how many CPU milliseconds a click a model takes more than another."""
        gains = 1000 * np.array(self._seconds)[:, :, None]
        return self._difference(gains, np.array(self._sizes), model, other, 0)

    def _difference(
        self,
        gains: NDArray[np.float64],
        clicks: NDArray[np.int64],
        model: str,
        other: str,
        column: int,
    ) -> Interval:
        pair = [self.names.index(model), self.names.index(other)]
        found = differences(gains[:, pair][:, :, [column]], clicks, [model, other], ["figure"])[0]
        if found.low is None or found.high is None:
            return Interval(found.difference)
        return Interval(found.difference, found.low, found.high)


def side_by_side(
    models: Mapping[str, Recommender],
    stream: Stream,
    batch: int = 64,
    groups: NDArray[np.int64] | None = None,
) -> Standings:
    """Take models along a stream: each scores every batch, then learns it.

    Parameters
    ----------
    models
        The models by name.
    stream
        The clicks.
    batch
        Clicks tested and learned at once.
    groups
        The group of each click, from 0 on; clicks of others are in no figure. By default all are
        of group 0.

    """
    if groups is None:
        groups = np.zeros(len(stream.items), np.int64)
    standings = Standings(list(models), int(groups.max()) + 1)
    for start in range(0, len(stream.items), batch):
        part = slice(start, start + batch)
        sessions, items = stream.sessions[part], stream.items[part]
        ranks, seconds = [], []
        for model in models.values():
            began = time.process_time()
            tested = model.test_then_learn(sessions, items)
            seconds.append(time.process_time() - began)
            ranks.append(tested.ranks[tested.scored])
        own = groups[part][tested.scored]
        standings.take(np.column_stack(ranks), own, seconds, len(items))
    return standings
