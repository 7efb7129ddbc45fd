"""What moments like this one led to of late, weighed against the network's forecast."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..base import fits, within_bounds
from ..compute.snapshot_buffer import SnapshotBuffer
from ..items.item_table import SHIFT
from ..optim import Adagrad
from .boost import BOOST_WEIGHTS, DIRECT_WEIGHTS, initial_boost
from .history import (
    AFTER,
    ALL_CLICKS,
    BEFORE,
    CLICK,
    DISTINCT,
    EARLIER,
    EARLIER_CLICKS,
    ITEM,
    ITEM_COLUMNS,
    LATEST,
    LOGGED,
    LOOKBACK,
    NEXT,
    NOWHERE,
    OWN_ITEMS,
    OWNER,
    PLACE,
    PREVIOUS,
    ROW,
    SESSION_FEATURES,
    SESSION_ITEMS,
    SPECIAL,
    STAMP,
    TIME,
    TIMELESS,
    UNDO,
    Whole,
    append_clicks,
    pack,
    remove_clicks,
)
from .queries import look_up_queries

PARTS = 3
"""Likes, own and recent: see `Memory`."""

GATE_FEATURES = SESSION_FEATURES + 4
"""What the gates go by: see `SESSION_FEATURES`; the logarithm of the network's highest
probability; whether, and the logarithm of how often, an earlier click has the same item before it;
and that of the total weight of the likes."""

DIRECT_RATE = 2.0
"""How far the boost's direct weights step, times the rate of all others."""

OLD_ITEM_COLUMNS = 4
"""Columns of the items' table in snapshots from before items were counted."""

AGES = 14
"""Ages among the latest clicks are told apart by half octaves, of which there are so many."""


class Evidence(NamedTuple):
    """What has been looked up for m moments.

    Parameters
    ----------
    place_of
        int16 (m, SPECIAL): for each piece of evidence which of the moment's items it speaks for, -1
        where it is void: those around earlier clicks on the session's last items (`AFTER` after and
        `BEFORE` before each, nearest first), the session's earlier items, and the latest clicks;
        the session's last item, and the clicked one.
    spans
        int64 (m, 2): where each moment's distinct items begin and end in `rows`.
    match
        bool (m, EARLIER_CLICKS): before the earlier click stood what stands before it in the
        session.
    facts
        float64 (m, HABITS).
    rows, item_facts
        int32 (distinct,) and float32 (distinct, ITEM_FACTS): the items of all moments, and what is
        known of each just before the moment.

    """

    place_of: NDArray[np.int16]
    spans: Whole
    match: NDArray[np.bool_]
    facts: NDArray[np.float64]
    rows: NDArray[np.int32]
    item_facts: NDArray[np.float32]

    def of(self, moments: slice) -> Evidence:
        """Return the evidence for some of the moments."""
        return Evidence(
            self.place_of[moments],
            self.spans[moments],
            self.match[moments],
            self.facts[moments],
            self.rows,
            self.item_facts,
        )


class Lookup(NamedTuple):
    """A batch that has been noted: its evidence, how it leaves its sessions, and what undoes it."""

    evidence: Evidence
    places: Whole
    undo: Whole
    totals: Whole


class Weights(NamedTuple):
    """What the memory learns, or its gradient: views of one vector.

    Parameters
    ----------
    gates
        (1 + PARTS, FACTS): of the network and the parts, by the facts.
    repeat, back
        (FACTS + 1,): of a repeat and of a return, by the facts and the mixture's own log odds.
    items, turns, offsets, match
        Logarithms of a like's weight: by which of the session's items it is on, how many clicks on
        that item have come since, where it stands, and one more if the item before matches.
    own, recent
        Logarithms of the other parts' weights, by how far back and how old.

    """

    gates: NDArray[np.float64]
    repeat: NDArray[np.float64]
    back: NDArray[np.float64]
    items: NDArray[np.float64]
    turns: NDArray[np.float64]
    offsets: NDArray[np.float64]
    match: NDArray[np.float64]
    own: NDArray[np.float64]
    recent: NDArray[np.float64]

    @classmethod
    def of(cls, vector: NDArray[np.float64]) -> Weights:
        """Cut a vector of `WEIGHTS` numbers into the weights."""
        return cls(*(vector[part].reshape(shape) for part, shape in CUTS))


SHAPES: list[tuple[int, ...]] = [
    (1 + PARTS, GATE_FEATURES),
    (GATE_FEATURES + 1,),
    (GATE_FEATURES + 1,),
    (len(LOOKBACK),),
    (max(LOOKBACK),),
    (AFTER + BEFORE,),
    (1,),
    (SESSION_ITEMS - 1,),
    (AGES,),
]
ENDS = list(itertools.accumulate(map(math.prod, SHAPES)))
CUTS = [
    (slice(end - math.prod(shape), end), shape) for end, shape in zip(ENDS, SHAPES, strict=True)
]
WEIGHTS = ENDS[-1]
"""How many numbers the memory learns."""


class Memory:
    """Learns how much to trust the network, and how much the evidence of late.

    Three parts have evidence, each of which shares its probability among the items it speaks for by
    weights that depend on where and how old the evidence is: *likes*, the clicks around the latest
    clicks on the session's own last items (as neighbours and sequential rules use them: Ludewig &
    Jannach, 2018, "Evaluation of session-based recommendation algorithms"); *own*, the session's
    earlier items; and *recent*, the stream's latest clicks. They are mixed with the network's
    softmax over the catalogue, ``m(i) = Σ_s g_s p_s(i)``, by gates that are a softmax of facts of
    the moment. Whether a click repeats the last item, or returns to an earlier one of its session,
    is foretold by itself (Ren et al., 2019, "RepeatNet: A Repeat Aware Neural Recommendation
    Machine for Session-Based Recommendation"), by logistic regressions on the same facts, and the
    mixture shares out what is left::

        p(last) = r
        p(i)    = (1 − r) q m(i) E(i) / Σ_own m E              for the session's earlier items
        p(i)    = (1 − r) (1 − q) m(i) E(i) / Σ_others m E     for all others

    E(i) is the boost of an item that evidence speaks for, see `boost.py`, and 1 for all others.

    Gates, regressions, the logarithms of the weights and the boost follow the gradient of
    log p(clicked item), written out in `weighing.py`. All of it lives on the host, in float64, but
    for the boost's arithmetic, which is in float32.

    Parameters
    ----------
    bound
        So many of the stream's latest clicks are kept in sight.
    rate
        Adagrad's step size.
    boosted
        Whether items with evidence have a learned boost.
    seed
        Of the boost's hidden features.

    """

    def __init__(self, bound: int, rate: float, boosted: bool = True, seed: int = 0) -> None:
        self.bound = bound
        self.boosted = boosted
        self._seed = seed
        self._log = np.full((0, 4), NOWHERE, np.int64)
        self._items = np.zeros((0, ITEM_COLUMNS), np.int64)
        self._mark = np.zeros(0, np.int16)
        self._totals = np.zeros(5, np.int64)
        self._places = np.zeros((0, PLACE), np.int64)
        # All weights are parts of one vector, which takes one step.
        self.vector = torch.zeros(WEIGHTS + BOOST_WEIGHTS, dtype=torch.float64)
        self.vector[WEIGHTS:] = torch.from_numpy(initial_boost(seed))
        weights = self.weights
        weights.gates[0, 0] = 1.0
        # What repeats and returns go by was alike on shops, news and travel: the odds that they
        # have on this item and in this session, and those that the mixture gives them.
        weights.repeat[[4, 5, -1]] = 0.3, 0.4, 0.3
        weights.back[[6, -1]] = 0.2, 0.8
        weights.items[:] = -0.7 * np.arange(len(LOOKBACK))
        weights.turns[:] = -0.3 * np.log2(np.arange(1, max(LOOKBACK) + 1))
        weights.offsets[:] = -0.5 * np.array([*range(AFTER), *range(1, BEFORE + 1)])
        weights.match[:] = 1.0
        weights.own[:] = -np.log(np.arange(1, SESSION_ITEMS))
        weights.recent[:] = -0.1 * np.arange(AGES)
        self._rule, self._direct_rule = Adagrad(rate), Adagrad(DIRECT_RATE * rate)
        self._sums = self._rule.state(self.vector)

    @property
    def weights(self) -> Weights:
        """The mixture's weights, to be read and written."""
        return self.cut(self.vector.numpy())[0]

    def cut(self, vector: NDArray[np.float64]) -> tuple[Weights, NDArray[np.float64]]:
        """Return views of the mixture's part, and of the boost's, of something like `vector`."""
        return Weights.of(vector), vector[WEIGHTS:]

    def lookup(
        self,
        group: Whole,
        slots: Whole,
        clicked: Whole,
        scored: Whole,
        admissions: Whole,
        times: Whole,
        after: bool = False,
    ) -> Lookup:
        """Look up the evidence for the scored clicks of a batch, and log it.

        Parameters
        ----------
        group, clicked
            int64 (n,): which of the batch's sessions each click belongs to, and its item, stamped.
        slots
            int64 (u,): where the sessions were settled, -1 for new ones.
        scored
            int64 (m,): the clicks whose moments are wanted.
        lives
            int64 (rows,): the admission that gave each row its item, 0 where it holds none.
        times
            int64 (n,): when each click was, in microseconds, or `TIMELESS`.
        after
            Tell how things stand after each click, not before it.

        """
        self._reserve(int(self._totals[LOGGED]) + len(clicked), len(admissions))
        places = np.zeros((len(slots), PLACE), np.int64)
        places[:, CLICK] = NOWHERE
        live = slots >= 0
        places[live] = self._places[slots[live]]
        order = np.full(len(clicked), NOWHERE, np.int64)
        order[scored] = np.arange(len(scored))
        place_of = np.empty((len(scored), SPECIAL), np.int16)
        spans = np.empty((len(scored), 2), np.int64)
        match = np.zeros((len(scored), EARLIER_CLICKS), np.bool_)
        facts = np.empty((len(scored), SESSION_FEATURES))
        undo = np.empty((len(clicked), UNDO), np.int64)
        totals = self._totals.copy()
        found = append_clicks(
            self._log,
            self._items,
            self._totals,
            admissions,
            self.bound,
            places,
            group,
            clicked,
            times,
            order,
            after,
            self._mark,
            place_of,
            spans,
            match,
            facts,
            undo,
        )
        return Lookup(Evidence(place_of, spans, match, facts, *found), places, undo, totals)

    def lookup_queries(
        self, slots: Whole, ends: Whole, clicked: Whole, times: Whole, admissions: Whole
    ) -> tuple[Evidence, Whole]:
        """Look up the evidence for queries, each as if it were alone; change nothing.

        Parameters
        ----------
        slots
            int64 (q,): where the sessions of the queries were settled, -1 for those of their own.
        ends
            int64 (q,): where each query's clicks end in `clicked`.
        clicked, times
            int64 (n,): the items of their clicks, stamped, and when they were, in microseconds.
        admissions
            As for `lookup`.

        Returns
        -------
        evidence
            For the q queries.
        places
            int64 (q, PLACE): where the sessions would stand.

        """
        most = int(np.diff(ends, prepend=0).max(initial=0))
        self._reserve(int(self._totals[LOGGED]) + most, len(admissions))
        places, live = np.zeros((len(slots), PLACE), np.int64), slots >= 0
        places[:, CLICK] = NOWHERE
        places[live] = self._places[slots[live]]
        count = len(slots)
        evidence = (
            np.empty((count, SPECIAL), np.int16),
            np.empty((count, 2), np.int64),
            np.zeros((count, EARLIER_CLICKS), np.bool_),
            np.empty((count, SESSION_FEATURES)),
        )
        found = look_up_queries(
            self._log,
            self._items,
            self._totals,
            admissions,
            self.bound,
            places,
            ends,
            clicked,
            times,
            self._mark,
            *evidence,
            np.empty((len(clicked), UNDO), np.int64),
        )
        return Evidence(*evidence, *found), places

    def latest_items(self, count: int, admissions: Whole) -> Whole:
        """Return the rows of the latest clicks' items, those left out that are not known now."""
        logged = int(self._totals[LOGGED])
        held = np.arange(logged - min(logged, self.bound, count), logged)
        stamps = self._log[held % max(1, len(self._log)), STAMP]
        rows = stamps & ROW
        # A row that was given up with the table's end may lie beyond it.
        inside = rows < len(admissions)
        rows, stamps = rows[inside], stamps[inside]
        known: Whole = rows[(rows > 0) & (admissions[rows] == stamps >> SHIFT)]
        return known

    def commit(self, noted: Lookup, slots: Whole) -> None:
        """Keep where the sessions of the batch noted last stand, in these slots."""
        most = int(slots.max(initial=-1)) + 1
        if most > len(self._places):
            self._places = _longer(self._places, max(1024, 2 * len(self._places), most))
        self._places[slots] = noted.places

    def rollback(self, noted: Lookup) -> None:
        """Take back what was noted last."""
        remove_clicks(self._log, self._items, noted.undo)
        self._totals[:] = noted.totals

    def step(self, gradient: NDArray[np.float64]) -> None:
        """Take one step down a gradient, shaped like `vector`."""
        slopes = torch.from_numpy(gradient)
        direct = slice(WEIGHTS, WEIGHTS + DIRECT_WEIGHTS)
        for part, rule in (
            (slice(WEIGHTS), self._rule),
            (direct, self._direct_rule),
            (slice(direct.stop, None), self._rule),
        ):
            rule.step(self.vector[part], [self._sums[0][part]], slopes[part])

    def _reserve(self, total: int, rows: int) -> None:
        """Make room for so many clicks in all, and for so many rows."""
        # One place more than is in sight: a click may be linked to the last one that is.
        size = min(self.bound + 1, max(1 << 12, 2 * len(self._log), total))
        if len(self._log) < min(total, size):
            self._log = _longer(self._log, size)
        if len(self._items) < rows:
            self._items = _longer(self._items, max(1024, 2 * len(self._items), rows))
            self._mark = np.full(len(self._items), -1, np.int16)

    @property
    def size(self) -> int:
        """About how many bytes `state` copies."""
        return self._log.nbytes + self._items.nbytes + self._places.nbytes * OWN_ITEMS // PLACE

    def state(self, slots: Whole, rows: int, copies: SnapshotBuffer) -> dict[str, NDArray[Any]]:
        """Copy all that the next click depends on.

        Parameters
        ----------
        slots
            Of the live sessions.
        rows
            How many rows are in use.
        copies
            Makes the copies.

        """

        def copy(table: Whole, rows: Whole | None = None) -> Whole:
            copied: Whole = copies.copy(torch.from_numpy(table), rows).numpy()
            return copied

        logged = int(self._totals[LOGGED])
        held = np.arange(logged - min(logged, self.bound), logged) % max(1, len(self._log))
        sizes = (len(slots), OWN_ITEMS), (int(self._places[slots, DISTINCT].sum()),)
        places, own = (copies.allocate(size, torch.int64).numpy() for size in sizes)
        pack(self._places, slots, places, own)
        return {
            "log": copy(self._log, held),
            "items": copy(self._items[:rows]),
            "totals": self._totals.copy(),
            "places": places,
            "own": own,
            "weights": self.vector.numpy().copy(),
            "sums": self._sums[0].numpy().copy(),
        }

    def _check(self, state: dict[str, NDArray[Any]]) -> None:
        """Check the numbers of a state that the compiled loops go by."""
        logged, log, items = int(state["totals"][LOGGED]), state["log"], state["items"]
        fits(len(log) == min(logged, self.bound), "the clicks in sight and their number")
        # A row that no item has been in holds no click.
        latest = items[items[:, OWNER] > 0, LATEST]
        links = (log[:, PREVIOUS], log[:, NEXT], log[:, EARLIER], latest)
        places, own = state["places"], state["own"]
        fits(
            all(within_bounds(link, NOWHERE, logged) for link in (*links, places[:, CLICK])),
            "the links between clicks and their number",
        )
        fits(
            within_bounds(places[:, DISTINCT], 0, SESSION_ITEMS + 1)
            and places[:, DISTINCT].sum() == len(own),
            "the sessions and their items",
        )
        stamps = (log[:, STAMP], items[:, OWNER], places[:, ITEM], own)
        fits(
            all(within_bounds(of & ROW, 0, len(items)) for of in stamps), "the items and their rows"
        )

    def upgraded(self, arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
        """Return those of a snapshot's arrays that were smaller before there was a boost, as now.

        No item has been counted in them, no session's time is known, and nothing is boosted yet.
        """
        boost = initial_boost(self._seed).astype(np.float64)
        longer = {
            "items": (OLD_ITEM_COLUMNS, np.zeros(ITEM_COLUMNS - OLD_ITEM_COLUMNS, np.int64)),
            "places": (TIME, np.array([TIMELESS])),
            "totals": (ALL_CLICKS, np.zeros(1, np.int64)),
            "weights": (WEIGHTS, boost),
            "sums": (WEIGHTS, np.zeros_like(boost)),
        }
        found = {}
        for name, (size, more) in longer.items():
            array = arrays.get(prefix + name)
            if isinstance(array, np.ndarray) and array.ndim and array.shape[-1] == size:
                wide = np.broadcast_to(more.astype(array.dtype), (*array.shape[:-1], len(more)))
                found[prefix + name] = np.concatenate([array, wide], axis=-1)
        return found

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take back what `state` gave; the sessions' slots are then 0, 1, …."""
        self._check(state)
        self._totals[:] = state["totals"]
        logged, held = int(self._totals[LOGGED]), len(state["log"])
        self._log, self._items = self._log[:0], self._items[:0]
        self._reserve(logged, len(state["items"]))
        self._log[np.arange(logged - held, logged) % max(1, len(self._log))] = state["log"]
        self._items[: len(state["items"])] = state["items"]
        self._places = np.zeros((len(state["places"]), PLACE), np.int64)
        self._places[:, :OWN_ITEMS] = state["places"]
        in_use = np.arange(SESSION_ITEMS) < self._places[:, DISTINCT, None]
        self._places[:, OWN_ITEMS:][in_use] = state["own"]
        self.vector[:] = torch.from_numpy(state["weights"])
        self._sums[0][:] = torch.from_numpy(state["sums"])


def _longer(table: Whole, rows: int) -> Whole:
    longer = np.zeros((rows, table.shape[1]), np.int64)
    longer[: len(table)] = table
    return longer
