"""What all models have in common that count and look up, and compute no gradient."""

from __future__ import annotations

import time as clock
from abc import abstractmethod
from collections.abc import Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ...argument_checks import at_least
from ...base import CheckedModel, Request, fits, within_bounds
from ...items.scored import POPULAR_CLICKS, Scored
from ...queries import Answer, Query
from ...recommender import Arrays, BatchResult, Id, State, prefixed, within
from ..tables.lru_table import ROW, LRUTable
from ..tables.recent_clicks import RecentClicks
from ..tables.undo_log import UndoLog

FORM = 2
"""The form of a state: 1, which is not written, is without the latest clicks."""

LATEST = "recent.stamps"

SLACK = 1e-9
"""Scores that differ by no more than this part of them count as equal: sums are rounded."""

LIKELY = 256
"""Items clicked last that are looked at first for the best ones."""


class Session(NamedTuple):
    """A session as it stands before a click.

    Parameters
    ----------
    row
        Its row among the live sessions.
    clicks
        The rows of its last clicks' items, oldest first, those left out that are not known any
        more.

    """

    row: int
    clicks: list[int]


class Evidence(NamedTuple):
    """The evidence for items: all others score 0.

    Parameters
    ----------
    rows
        int64 (c,): rows of the items, each once; None: all rows, in order from 0.
    scores
        float64 (c,): theirs, not negative.

    """

    rows: NDArray[np.int64] | None
    scores: NDArray[np.float64]

    def of(self, row: int) -> float:
        """Return the score of one item."""
        if self.rows is None:
            return float(self.scores[row]) if row < len(self.scores) else 0.0
        found = (self.rows == row).nonzero()[0]
        return float(self.scores[found[0]]) if len(found) else 0.0


NOTHING = Evidence(np.zeros(0, np.int64), np.zeros(0))
"""No evidence for any item."""


class CountingModel(CheckedModel):
    """Tests and learns the clicks of a stream one by one.

    The evidence for a click is that of the moment just before it, also within a batch, so ranks
    do not depend on how the stream is cut. What is only tested is learned too and then taken
    back.

    A rival says how it scores a session's next click and how it counts a click. Items without
    evidence tie at 0, and ties count against the model.

    Parameters
    ----------
    max_sessions, max_items
        At most this many live sessions, and items in the catalogue; those least recently clicked
        are dropped.
    seed
        Not used: nothing is drawn.

    """

    name: str
    window: int = 1
    """How many clicks of a session are kept."""
    distinct: bool = False
    """Whether a session's earlier click on an item makes room for the later one."""

    def __init__(
        self, *, max_sessions: int = 100_000, max_items: int = 1_000_000, seed: int = 0
    ) -> None:
        self.journal = UndoLog()
        self.items = LRUTable(at_least(max_items, "max_items", 1), self.journal)
        self.sessions = LRUTable(at_least(max_sessions, "max_sessions", 1), self.journal)
        # By row of the session: the stamps of its last clicks' items, oldest first.
        self._windows: list[tuple[int, ...]] = [()]
        self.clicks = 0
        """Clicks learned so far: the models' clock."""
        self.recent = RecentClicks(POPULAR_CLICKS, self.items, self.journal)

    @property
    def n_items(self) -> int:
        """How many items are known."""
        return len(self.items)

    @abstractmethod
    def score(self, session: Session) -> Evidence:
        """Return the evidence on the session's next click; change nothing."""

    @abstractmethod
    def count(self, session: Session, row: int) -> None:
        """Learn a click on the item of this row; `session` is as before it."""

    @abstractmethod
    def drop(self, row: int) -> None:
        """Drop what is known of an item that leaves the catalogue."""

    def begin(self, row: int) -> None:
        """Prepare for a new session that gets this row."""

    @abstractmethod
    def parts(self) -> Arrays:
        """Copy the evidence, by name."""

    @abstractmethod
    def take(self, arrays: Arrays) -> None:
        """Restore what `parts` returned."""

    def _run(self, request: Request) -> BatchResult:
        """Test the batch, learn it, or both. The clock of these models counts clicks, not time."""
        if request.learn:
            return self._test_and_learn(request)
        self.journal.begin()
        try:
            return self._test_and_learn(request)
        finally:
            self.journal.undo()

    def _test_and_learn(self, request: Request) -> BatchResult:
        """Learn the clicks one by one; rank each before that, or recommend after it."""
        k = request.k
        result = BatchResult.empty(len(request.items), k)
        for place, (name, item) in enumerate(zip(request.sessions, request.items, strict=True)):
            session = self._live(name)
            if request.test and not request.after and session.row:
                evidence = self.score(session)
                result.scored[place] = True
                result.ranks[place] = self._rank(evidence, self.items.get(item))
                if k:
                    result.recommended[place] = self._best(evidence, k)
            began = clock.perf_counter()
            self._learn(name, item, session, request.frozen)
            result.learning += clock.perf_counter() - began
            if request.after:
                result.recommended[place] = self._best(self.score(self._live(name)), k)
        return result

    def _test_frozen(self, request: Request) -> BatchResult:
        return self._run(request)

    def _knows(self, item: Id) -> bool:
        return bool(self.items.get(item))

    def _forget(self, sessions: list[Id]) -> None:
        for session in sessions:
            if row := self.sessions.get(session):
                self.sessions.drop(row)

    def _live(self, name: Id) -> Session:
        """Return a session as it stands; row 0 where it is not known."""
        row = self.sessions.get(name)
        return Session(row, self.items.live_rows(self._windows[row]))

    def _learn(self, name: Id, item: Id, session: Session, frozen: bool = False) -> None:
        """Learn a click; where the model is frozen, it only moves its session."""
        if frozen and not self._knows(item):
            return
        if session.row:
            self.sessions.touch(session.row)
        else:
            if len(self.sessions) == self.sessions.bound:
                self.sessions.drop(self.sessions.oldest)
            session = Session(self.sessions.add(name), [])
            self._windows.extend([()] * (session.row + 1 - len(self._windows)))
            self.journal.place(self._windows, session.row, ())
            self.begin(session.row)
        row = self.items.get(item) or self.items.add(item)
        if not frozen:
            self.count(session, row)
        stamp = int(self.items.stamps[row])
        window = self._windows[session.row]
        if self.distinct and stamp in window:
            window = tuple(other for other in window if other != stamp)
        self.journal.place(self._windows, session.row, (*window, stamp)[-self.window :])
        if not frozen:
            self._move_up(row, stamp)

    def _move_up(self, row: int, stamp: int) -> None:
        """Count an item among those clicked last; beyond the bound the oldest ones leave."""
        self.items.touch(row)
        self.recent.add(stamp)
        while len(self.items) > self.items.bound:
            oldest = self.items.oldest
            self.drop(oldest)
            self.items.drop(oldest)
        self.journal.note(setattr, self, "clicks", self.clicks)
        self.clicks += 1

    def _rank(self, evidence: Evidence, row: int) -> int:
        if not row:
            return 0
        own = evidence.of(row)
        if own <= 0:
            return len(self.items)
        return int((evidence.scores >= own * (1 - SLACK)).sum())

    def _best(self, evidence: Evidence, k: int) -> list[tuple[Id, float]]:
        scores = evidence.scores
        rows = np.arange(len(scores)) if evidence.rows is None else evidence.rows
        if len(scores) > k > 0:
            most = (scores >= np.partition(scores, -k)[-k]).nonzero()[0]
            rows, scores = rows[most], scores[most]
        order = np.lexsort((rows, -scores))[:k]
        order = order[scores[order] > 0]
        found = rows[order].tolist()
        best = list(zip(found, scores[order].tolist(), strict=True))
        if len(best) < k:
            taken = set(found)
            others = (row for row in self.items.newest() if row not in taken)
            left = min(k, len(self.items)) - len(best)
            best += [(row, 0.0) for row in islice(others, left)]
        return [(self.items.id_of(row), score) for row, score in best]

    def _scored(self, queries: Sequence[Query]) -> Scored:
        """Score the catalogue for each query, as if its clicks had been learned.

        Items without evidence have scores below 0, by which those clicked last come first.
        """
        scores = np.empty((len(queries), self.items.used))
        known, own = np.zeros(len(queries), np.bool_), []
        for at, query in enumerate(queries):
            self.journal.begin()
            try:
                session, clicked = self._followed(query)
                np.negative(self.items.ages(), out=scores[at])
                known[at] = session.row
                found = self.score(session) if session.row else Evidence(None, self._popularity())
            finally:
                self.journal.undo()
            own.append(clicked)
            some = found.scores > 0
            rows = some.nonzero()[0] if found.rows is None else found.rows[some]
            scores[at, rows] = found.scores[some]
        likely = np.fromiter(islice(self.items.newest(), LIKELY), np.int64)
        return Scored(self.items, torch.from_numpy(scores), known, own, likely)

    def _followed(self, query: Query) -> tuple[Session, NDArray[np.int64]]:
        """Learn a query's clicks; return its session and the rows of all its clicks."""
        name: Any = object() if query.session is None else query.session
        before = self._live(name).clicks
        for item in query.items:
            if self._knows(item):
                self._learn(name, item, self._live(name))
        rows = self.items.rows_of(query.items)
        return self._live(name), np.concatenate([np.array(before, np.int64), rows])

    def _popularity(self) -> NDArray[np.float64]:
        """Return each item's share of the latest clicks, by row."""
        counts = self.recent.counts()
        shares: NDArray[np.float64] = counts / max(1.0, counts.sum())
        return shares

    def _recommend_each(self, queries: list[Query]) -> list[Answer]:
        answers = super()._recommend_each(queries)
        for answer in answers:
            answer.best = [(item, max(score, 0.0)) for item, score in answer.best]
        return answers

    def state(self) -> State:
        """Copy all that the next click depends on."""
        items, item_arrays = self.items.state()
        sessions, session_arrays = self.sessions.state()
        windows = [self._windows[row] for row in session_arrays["rows"].tolist()]
        lengths = np.fromiter(map(len, windows), np.int64, len(windows))
        arrays = {
            **prefixed("items.", item_arrays),
            **prefixed("sessions.", session_arrays),
            "sessions.lengths": lengths,
            "sessions.clicks": np.fromiter(
                chain.from_iterable(windows), np.int64, int(lengths.sum())
            ),
            **prefixed("evidence.", self.parts()),
            **prefixed("recent.", self.recent.state()),
        }
        values = {"items": items, "sessions": sessions, "clicks": self.clicks, "form": FORM}
        return State(arrays, values)

    def _upgraded(self, state: State) -> State:
        """Add the latest clicks where they were not kept yet, one on each item."""
        if "form" in state.values or LATEST in state.arrays or "items.stamps" not in state.arrays:
            return state
        latest = {LATEST: state.arrays["items.stamps"][-POPULAR_CLICKS:]}
        return State({**state.arrays, **latest}, {**state.values, "form": FORM})

    def _restore(self, state: State) -> None:
        sessions = within("sessions.", state.arrays)
        self.items.restore(state.values["items"], within("items.", state.arrays))
        self.sessions.restore(state.values["sessions"], sessions)
        self.clicks = state.values["clicks"]
        fits(
            len(sessions["lengths"]) == len(sessions["rows"])
            and within_bounds(sessions["lengths"], 0, self.window + 1)
            and sessions["lengths"].sum() == len(sessions["clicks"])
            and within_bounds(sessions["clicks"] & ROW, 1, self.items.used),
            "the sessions and their clicks",
        )
        self._windows = [()] * self.sessions.used
        clicks = iter(sessions["clicks"].tolist())
        for row, length in zip(
            sessions["rows"].tolist(), sessions["lengths"].tolist(), strict=True
        ):
            self._windows[row] = tuple(islice(clicks, length))
        self.take(within("evidence.", state.arrays))
        self.recent.restore(within("recent.", state.arrays))
