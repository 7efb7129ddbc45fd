"""A memory of the latest clicks, which learns how far to trust what followed on ones like these."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..base import fits, within_bounds
from ..compute.snapshot_buffer import SnapshotBuffer
from ..items.item_table import SHIFT
from ..optim import Adagrad
from .boost import DIRECT_WEIGHTS, initial_boost
from .evidence import Evidence, History
from .history import Clicks, append_clicks, pack, remove_clicks
from .layout import (
    ALL_CLICKS,
    CLICK,
    DISTINCT,
    EARLIER,
    ITEM,
    ITEM_COLUMNS,
    LATEST,
    LOGGED,
    NEXT,
    NOWHERE,
    OWN_ITEMS,
    OWNER,
    PLACE,
    PREVIOUS,
    ROW,
    SESSION_ITEMS,
    STAMP,
    TIME,
    TIMELESS,
    UNDO,
    Whole,
)
from .queries import Queries, look_up_queries
from .weights import WEIGHTS, initial_vector

DIRECT_RATE = 2.0
"""Step size of the boost's direct weights, times that of all others."""

OLD_ITEM_COLUMNS = 4
"""Columns of the items' table in snapshots from before items were counted."""


class _Pending(NamedTuple):
    """The batch looked up last: its sessions after it, and what undoes it."""

    places: Whole
    undo: Whole
    totals: Whole


class Memory:
    """Learns how much to trust the network, and how much the evidence of the latest clicks.

    Three parts have evidence, each of which shares its probability among its items by weights that
    depend on where and how old the evidence is: *likes* (neighbours), the clicks around the latest
    clicks on the session's own last items (as session neighbours and sequential rules use them:
    Ludewig & Jannach, 2018, "Evaluation of session-based recommendation algorithms"); *own*, the
    session's earlier items; and *recent*, the stream's latest clicks. They are mixed with the
    network's softmax over the catalogue, ``m(i) = Σ_s g_s p_s(i)``, by gates that are a softmax of
    features of the session. Whether a click repeats the last item, or returns to an earlier one of
    its session, is predicted by itself (Ren et al., 2019, "RepeatNet: A Repeat Aware Neural
    Recommendation Machine for Session-Based Recommendation"), by logistic regressions on the same
    features, and the mixture shares the rest::

        p(last) = r
        p(i)    = (1 − r) q m(i) E(i) / Σ_own m E              for the session's earlier items
        p(i)    = (1 − r) (1 − q) m(i) E(i) / Σ_others m E     for all others

    E(i) is the boost of an item that evidence speaks for, see `boost.py`, and 1 for all others.

    Gates, regressions, the logarithms of the weights and the boost follow the gradient of
    log p(clicked item), written out in `mixture_gradient.py`. All of it lives on the host, in
    float64, but for the boost's arithmetic, which is in float32.

    Parameters
    ----------
    bound
        Number of the stream's latest clicks that are evidence.
    rate
        Adagrad's step size.
    boosted
        Whether items with evidence have a learned boost.
    seed
        Random seed of the boost's hidden features.

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
        self._pending: _Pending | None = None
        # All weights are parts of one vector, which takes one step.
        self.vector = torch.from_numpy(initial_vector(seed))
        self._rule, self._direct_rule = Adagrad(rate), Adagrad(DIRECT_RATE * rate)
        self._sums = self._rule.state(self.vector)

    def lookup(self, clicks: Clicks, admissions: Whole) -> Evidence:
        """Look up the evidence for the scored clicks of a batch, and log all of its clicks.

        The batch is either committed or rolled back before the next one.

        Parameters
        ----------
        clicks
            The batch.
        admissions
            int64 (rows,): the admission that gave each row its item, 0 where it holds none.

        """
        self._reserve(int(self._totals[LOGGED]) + len(clicks.keys), len(admissions))
        places = np.zeros((len(clicks.slots), PLACE), np.int64)
        places[:, CLICK] = NOWHERE
        live = clicks.slots >= 0
        places[live] = self._places[clicks.slots[live]]
        order = np.full(len(clicks.keys), NOWHERE, np.int64)
        order[clicks.scored] = np.arange(len(clicks.scored))
        evidence = Evidence.empty(len(clicks.scored))
        undo = np.empty((len(clicks.keys), UNDO), np.int64)
        totals = self._totals
        # First of all, so that it can be rolled back if it is interrupted.
        self._pending = _Pending(places, undo, totals.copy())
        history = History(self._log, self._items, totals, self._mark, admissions, self.bound)
        rows, item_facts = append_clicks(history, clicks, places, order, evidence, undo)
        return evidence._replace(rows=rows, item_facts=item_facts)

    def lookup_queries(
        self, slots: Whole, ends: Whole, keys: Whole, times: Whole, admissions: Whole
    ) -> tuple[Evidence, Whole]:
        """Look up the evidence for queries, each as if it were alone; change nothing.

        Parameters
        ----------
        slots
            int64 (q,): where the memory keeps the queries' sessions, -1 for those of their own.
        ends
            int64 (q,): where each query's clicks end in `keys`.
        keys, times
            int64 (n,): the items of their clicks, as keys, and when they were, in microseconds.
        admissions
            As for `lookup`.

        Returns
        -------
        evidence
            For the q queries.
        places
            int64 (q, PLACE): the sessions after these clicks.

        """
        most = int(np.diff(ends, prepend=0).max()) if len(keys) else 0
        self._reserve(int(self._totals[LOGGED]) + most, len(admissions))
        places, live = np.zeros((len(slots), PLACE), np.int64), slots >= 0
        places[:, CLICK] = NOWHERE
        places[live] = self._places[slots[live]]
        history = History(self._log, self._items, self._totals, self._mark, admissions, self.bound)
        evidence = Evidence.empty(len(slots))
        undo = np.empty((len(keys), UNDO), np.int64)
        queries = Queries(ends, keys, times)
        rows, item_facts = look_up_queries(history, queries, places, evidence, undo)
        return evidence._replace(rows=rows, item_facts=item_facts), places

    def latest_items(self, count: int, admissions: Whole) -> Whole:
        """Return the rows of the latest clicks' items, without those that have left."""
        logged = int(self._totals[LOGGED])
        held = np.arange(logged - min(logged, self.bound, count), logged)
        keys = self._log[held % max(1, len(self._log)), STAMP]
        rows = keys & ROW
        # A row that was given up with the table's end may lie beyond it.
        inside = rows < len(admissions)
        rows, keys = rows[inside], keys[inside]
        known: Whole = rows[(rows > 0) & (admissions[rows] == keys >> SHIFT)]
        return known

    def commit(self, slots: Whole) -> None:
        """Keep the sessions of the batch looked up last, in these slots."""
        if self._pending is None:
            raise RuntimeError("no batch has been looked up")
        most = int(slots.max(initial=-1)) + 1
        if most > len(self._places):
            self._places = _longer(self._places, max(1024, 2 * len(self._places), most))
        self._places[slots] = self._pending.places
        self._pending = None

    def rollback(self) -> None:
        """Undo the lookup of the last batch, unless it was committed or never began."""
        pending, self._pending = self._pending, None
        # The compiled loop logs all clicks or, where it has not run, none.
        if pending is not None and self._totals[ALL_CLICKS] > pending.totals[ALL_CLICKS]:
            remove_clicks(self._log, self._items, pending.undo)
            self._totals[:] = pending.totals

    def step(self, gradient: NDArray[np.float64]) -> None:
        """Take one step down a gradient, shaped like `vector`."""
        slope = torch.from_numpy(gradient)
        direct = slice(WEIGHTS, WEIGHTS + DIRECT_WEIGHTS)
        for part, rule in (
            (slice(WEIGHTS), self._rule),
            (direct, self._direct_rule),
            (slice(direct.stop, None), self._rule),
        ):
            rule.step(self.vector[part], [self._sums[0][part]], slope[part])

    def _reserve(self, total: int, rows: int) -> None:
        """Make room for a total of clicks, and for a number of rows."""
        # One place more than are evidence: a click may be linked to the last one that is.
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
            Number of rows in use.
        copies
            Where the copies are made.

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
        """Check the numbers in a state that the compiled loops use as indices."""
        logged, log, items = int(state["totals"][LOGGED]), state["log"], state["items"]
        fits(len(log) == min(logged, self.bound), "the log and the number of clicks")
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
        keys = (log[:, STAMP], items[:, OWNER], places[:, ITEM], own)
        fits(all(within_bounds(of & ROW, 0, len(items)) for of in keys), "the items and their rows")

    def upgraded(self, arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays that were smaller in snapshots from before the boost, in today's shape.

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
        """Restore what `state` returned; the sessions' slots are then 0, 1, …."""
        self._check(state)
        self._pending = None
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
