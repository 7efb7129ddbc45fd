"""Several models side by side on the same clicks, as one model for the engine to drive."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextclick.models import BatchResult, Recommender, State
from nextclick.models.base import CheckedModel, Request
from nextclick.models.recommender import Id

from ..contracts import check_part
from ..evaluation.drift import HitRateDrift
from ..evaluation.driven import DrivenModel
from ..evaluation.gains import bins_of
from ..evaluation.protocol import Protocol
from .bootstrap import DRAWS, LEAST_BLOCKS, differences
from .item_counts import ItemCounts
from .joined_states import join, part_of
from .rank_counts import RankCounts, figure_names, figures_of
from .seeds import by_seed, mean_of, over_seeds
from .slices import SLICES, Slicer, slice_names
from .timed_model import Away, TimedModel

SAMPLE = 16
"""Batches of which the recommendations of one are examined."""


class Arena(CheckedModel):
    """Several models that see the same batches, each timed alone.

    The engine drives it like any other model. Its answers are those of its first model;
    `results` returns the figures of all.

    Parameters
    ----------
    models
        The models by name, at least one; for one that takes part with several seeds, a model each.
    ks
        For how many recommendations there are figures, rising.
    max_items
        Items counted at most, see `ItemCounts`.
    protocol
        What counts in the figures; by default every scored click. The engine begins its batches.
    away
        Those of the models that are in other processes; None where there are none.

    Attributes
    ----------
    list_k
        How many of its best items every model is asked for at each click.

    Examples
    --------
    >>> from nextclick.models import OnlineGRU4Rec, GRU4RecConfig
    >>> config = GRU4RecConfig(hidden=4)
    >>> arena = Arena({name: OnlineGRU4Rec(config) for name in ("one", "two")}, [1, 20])
    >>> tested = arena.test_then_learn(["anna", "anna"], ["shoes", "hat"])
    >>> arena.results()["models"]["two"]["recall@20"]
    0.0

    """

    def __init__(
        self,
        models: Mapping[str, Recommender | Sequence[Recommender]],
        ks: Sequence[int],
        max_items: int = 1_000_000,
        protocol: Protocol | None = None,
        away: Away | None = None,
    ) -> None:
        self.protocol = protocol or Protocol()
        self.seeds = {
            name: len(of) if isinstance(of, Sequence) else 1 for name, of in models.items()
        }
        self.models = by_seed(models)
        for name, model in self.models.items():
            check_part("model", model, f"model {name!r}")
        self.ks = list(ks)
        self.name = next(iter(models))
        bounds = [getattr(model, "largest_batch", None) for model in self.models.values()]
        self.largest_batch = min((bound for bound in bounds if bound is not None), default=None)
        self._tallies = RankCounts(len(self.models), ks)
        self._items = ItemCounts(len(self.models), max_items)
        self._slicer = Slicer(self._items)
        self._sliced = np.zeros((len(slice_names()), len(self.models), max(ks) + 2), np.int64)
        self._drift = [HitRateDrift() for _ in self.models]
        self._batches = 0
        self._lists = 0
        self._away = away
        elsewhere = {} if away is None else away.timed
        self._timed_models = [
            elsewhere[name] if name in elsewhere else TimedModel(DrivenModel(model, self.protocol))
            for name, model in self.models.items()
        ]
        # Scored clicks of the batches whose scoring is timed.
        self._timed = 0
        self._found: list[BatchResult] = []
        self.list_k = 0

    @property
    def first(self) -> Recommender:
        """The first model."""
        return next(iter(self.models.values()))

    @property
    def n_items(self) -> int:
        """How many items the first model knows."""
        return self.first.n_items

    def _run(self, request: Request) -> BatchResult:
        """Score and learn a batch with every model; only with the first where nothing is learned.

        Raises
        ------
        FloatingPointError
            The learning of a model has diverged; the message names it.
        ValueError
            A model has scored other clicks than those that have a predecessor.

        """
        sessions, items, k = request.sessions, request.items, request.k
        time, times = request.time, request.times
        if request.after:
            result = BatchResult.empty(len(items))
            result.recommended = self.first.recommend_after(sessions, items, k, times)
            return result
        if not request.learn:
            return self.first.test(sessions, items, k, times)
        if not request.test:
            self._slicer.take(sessions, items)
            for model in self.models.values():
                model.learn_many(sessions, items, time, times)
            return BatchResult.empty(len(items))
        before = self._items.clicks
        kinds = self._slicer.take(sessions, items)
        scored = kinds[:, 0] >= 0
        counted = self.protocol.counted(scored)
        listed = self._batches % SAMPLE == SAMPLE // 2
        asked, needed = max(self.ks) if listed else 0, self.protocol.list_length
        least = max(asked, needed, self.list_k)
        wanted = {name: least if at else max(least, k) for at, name in enumerate(self.models)}
        if self._away is not None:
            self._away.begin(sessions, items, wanted, time, times, not listed, self.protocol.batch)
        found = []
        for at, (name, timed) in enumerate(zip(self.models, self._timed_models, strict=True)):
            batch = sessions, items, wanted[name], time, times
            try:
                tested = timed.test_then_learn(*batch, not listed)
            except FloatingPointError as error:
                raise FloatingPointError(f"{name}: {error}") from error
            if not np.array_equal(tested.scored, scored):
                raise ValueError(f"{name} has scored other clicks than those with a predecessor")
            if listed:
                lists = [tested.recommended[click][:asked] for click in np.flatnonzero(counted)]
                self._items.show(at, [[item for item, _ in best] for best in lists])
            found.append(tested)
        self._batches += 1
        self._lists += int(counted.sum()) if listed else 0
        self._timed += 0 if listed else int(scored.sum())
        self._found = [replace(each, ranks=self.protocol.ranks(each)) for each in found]
        bins = np.column_stack([bins_of(each.ranks[counted], max(self.ks)) for each in self._found])
        of_each = bins, before + 1 + np.flatnonzero(counted), kinds[counted]
        bins, clicks, kinds = self.protocol.settle(sessions, counted, of_each)
        self._count(bins, kinds, clicks, time)
        return found[0]

    def _count(
        self,
        bins: NDArray[np.int64],
        kinds: NDArray[np.int64],
        clicks: NDArray[np.int64],
        time: float,
    ) -> None:
        """Take the scored clicks of a batch, a row each, into the figures."""
        self._tallies.update(bins, clicks, time)
        models = np.arange(len(self.models))
        np.add.at(self._sliced, (kinds[:, :, None], models, bins[:, None, :]), 1)
        hits = (bins > 0) & (bins <= max(self.ks))
        for own, drift in zip(hits.T, self._drift, strict=True):
            drift.update(own, clicks, np.full(len(clicks), time))

    def _recommend(self, items: list[Id], k: int) -> list[tuple[Id, float]]:
        return self.first.recommend(items, k)

    def _knows(self, item: Id) -> bool:
        return bool(self.first.recommend([item], 1))

    def _forget(self, sessions: list[Id]) -> None:
        """Drop sessions that have ended, in every model; it is part of learning."""
        self._slicer.forget(sessions)
        for model in self._timed_models:
            model.forget(sessions)

    def state(self) -> State:
        """Copy all that the next click, and every figure, depends on."""
        parts = {f"models/{name}": model.state() for name, model in self.models.items()}
        parts["tallies"] = self._tallies.state()
        parts["items"] = self._items.state()
        parts["slicer"] = self._slicer.state()
        joined = join(parts)
        values = {
            "parts": joined.values,
            "drift": [drift.state() for drift in self._drift],
            "batches": self._batches,
            "lists": self._lists,
            "timed": self._timed,
        }
        seconds = np.array([model.seconds for model in self._timed_models])
        own = {"sliced": self._sliced.copy(), "seconds": seconds}
        return State({**joined.arrays, **own}, values)

    def _check_form(self, state: State, own: State) -> None:
        """Check the models' names and their order; each of them checks its own part."""
        if list(state.values["parts"]) != list(own.values["parts"]):
            raise ValueError(f"{self._misfit()}: it is of other models, or in another order")

    def _restore(self, state: State) -> None:
        parts = State(state.arrays, state.values["parts"])
        for name, model in self.models.items():
            model.restore(part_of(parts, f"models/{name}"))
        self._tallies.restore(part_of(parts, "tallies"))
        self._items.restore(part_of(parts, "items"))
        self._slicer.restore(part_of(parts, "slicer"))
        for drift, kept in zip(self._drift, state.values["drift"], strict=True):
            drift.restore(kept)
        self._sliced = state.arrays["sliced"].astype(np.int64)
        for timed, seconds in zip(self._timed_models, state.arrays["seconds"], strict=True):
            timed.seconds = seconds.astype(np.float64)
        values = state.values
        self._batches, self._lists = values["batches"], values["lists"]
        self._timed = values["timed"]

    def seconds(self) -> dict[str, float]:
        """Return the seconds that each model has taken to score and to learn."""
        timed = zip(self.models, self._timed_models, strict=True)
        return {name: float(model.seconds.sum()) for name, model in timed}

    def figures_so_far(self) -> dict[str, float]:
        """Return the figures at the longest k over all clicks so far, as ``MODEL/FIGURE``."""
        most = [max(self.ks)]
        return {
            f"{name}/{figure}": value
            for name, counts in zip(self.models, self._tallies.totals(), strict=True)
            for figure, value in figures_of(counts, most).items()
        }

    def results_of_batch(self) -> list[BatchResult]:
        """Return how each model scored the batch learned last."""
        return self._found

    def leader(self) -> tuple[str, str, float]:
        """Return the best model so far, the figure it is chosen by, and its value."""
        figure = f"recall@{max(self.ks)}"
        found = [
            mean_of([figures_of(counts, self.ks)[figure] for counts in own])
            for own in np.split(self._tallies.totals(), np.cumsum([*self.seeds.values()])[:-1])
        ]
        best = max(found)
        return list(self.seeds)[found.index(best)], figure, best

    def results(self) -> dict[str, Any]:
        """Return every figure of every model, in JSON's types.

        Returns
        -------
        dict
            ``models``, the best first; ``figures``, their names; ``windows``, ``growing`` and
            ``last_half``, where these lie in the stream; ``slices``, how many scored clicks are of
            each kind; ``differences``, see `Difference`, and how they were found, ``bootstrap``;
            ``lists``, how many recommendations were looked at.

        """
        names = figure_names(self.ks)
        where, half = self._tallies.last_half()
        windows, curves = self._tallies.windows()
        growing, early = self._tallies.growing()
        coverage, popularity = self._items.coverage(), self._items.popularity()
        whole = self._tallies.figures()
        each: list[dict[str, Any]] = []
        for at, model in enumerate(self.models.values()):
            seconds = self._timed_models[at].seconds
            each.append(
                {
                    **whole[at],
                    "unseen": int(self._tallies.totals()[at, 0]),
                    "last_half": half[at],
                    "slices": self._slices_of(at),
                    "windows": dict(zip(names, curves[:, at].T.tolist(), strict=True)),
                    "growing": dict(zip(names, early[:, at].T.tolist(), strict=True)),
                    "drift": [
                        {**alarm, "time": alarm["time"] if math.isfinite(alarm["time"]) else None}
                        for alarm in self._drift[at].alarms
                    ],
                    "coverage": coverage[at],
                    "popularity": popularity[at],
                    "score_ms": 1000 * float(seconds[0]) / max(1, self._timed),
                    "learn_ms": 1000 * float(seconds[1]) / max(1, self._items.clicks),
                    "memory_mb": state_bytes(model.state()) / 1e6,
                    "catalogue": model.n_items,
                }
            )
        found = over_seeds(each, self.seeds, names)
        order = sorted(found, key=lambda name: -found[name][f"recall@{max(self.ks)}"])
        columns = np.split(np.arange(len(each)), np.cumsum([*self.seeds.values()])[:-1])
        places = np.concatenate([columns[list(found).index(name)] for name in order])
        gains, clicks = self._tallies.gains()
        counts = [self.seeds[name] for name in order]
        apart = differences(gains[:, places], clicks, order, names, seeds=counts)
        return {
            "figures": names,
            "k": self.ks,
            "scored": self._tallies.scored,
            "models": {name: found[name] for name in order},
            "windows": windows,
            "growing": growing,
            "last_half": where,
            "slices": self._slice_counts(),
            "lists": self._lists,
            "differences": [{**asdict(pair), "real": pair.real} for pair in apart],
            "bootstrap": {
                "blocks": len(clicks),
                "block_clicks": self._tallies.span,
                "draws": DRAWS if len(clicks) >= LEAST_BLOCKS else 0,
            },
        }

    def _kind(self, line: str, kind: str) -> NDArray[np.int64]:
        """Return the clicks per rank of one kind, shape (models, largest k + 2)."""
        return np.asarray(self._sliced[slice_names().index((line, kind))])

    def _slice_counts(self) -> dict[str, dict[str, int]]:
        return {
            line: {kind: int(self._kind(line, kind)[0].sum()) for kind in kinds}
            for line, kinds in SLICES.items()
        }

    def _slices_of(self, model: int) -> dict[str, dict[str, dict[str, float]]]:
        return {
            line: {kind: figures_of(self._kind(line, kind)[model], self.ks) for kind in kinds}
            for line, kinds in SLICES.items()
        }


def state_bytes(state: State) -> int:
    """Return the size of a model's state: its arrays, and its other values written as JSON.

    Examples
    --------
    >>> state_bytes(State({"counts": np.zeros(4)}, {"items": ["hat"]}))
    49

    """
    values = len(json.dumps(state.values, separators=(",", ":")))
    return values + sum(array.nbytes for array in state.arrays.values())
