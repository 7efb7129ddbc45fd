"""The protocol of a test: which scored clicks count, at which ranks, and where learning ends."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextclick.models import BatchResult, State
from nextclick.models.recommender import Id

from .tested_batch import Flags, Session, TestedBatch

REMEMBERED = 100
"""A session's latest different items that repeat, and its latest clicks that a frozen model gets
again: what a session keeps is bounded."""

Numbers = NDArray[np.int64]
Times = NDArray[np.float64]


class Protocol:
    """Decides which scored clicks count in the figures, and at which ranks.

    By default all of them count, at the ranks that the model returns. Which clicks count is decided
    by the stream alone, so it is the same for all models of a comparison.

    Parameters
    ----------
    start
        Where the test begins, clicks before it do not count: after a number of ``clicks``, at a
        ``time``, or so many seconds ``after`` the first click. None: at the first click. Of a
        ``share`` of all clicks, `resolve` says how many these are.
    frozen
        Nothing is learned from where the test begins.
    leave_out
        ``unseen``: clicks on items that have not been seen before (where the model is frozen,
        before the test), and those that only follow such clicks. ``repeats``: clicks on items of
        their session; a session's own items are not ranked then.
    min_session
        Clicks that a session must have. Those of shorter ones do not count; the first ones of a
        session count when it has become long enough.
    max_items
        Items that are remembered as seen, the latest ones.
    k
        The longest list that figures are for: up to it ranks are exact.

    Attributes
    ----------
    batch
        The batch under way, see `begin`; None where all clicks count.
    not_counted
        Scored clicks that do not count, by reason.

    Examples
    --------
    >>> protocol = Protocol(start={"clicks": 2}, leave_out=["repeats"])
    >>> protocol.begin(["anna"] * 4, ["hat", "bag", "hat", "cap"], np.arange(1, 5), np.zeros(4))
    >>> protocol.batch.counts.tolist(), dict(protocol.not_counted)
    ([False, False, False, True], {'before': 1, 'repeats': 1})

    """

    def __init__(
        self,
        start: Mapping[str, float] | None = None,
        *,
        frozen: bool = False,
        leave_out: Sequence[str] = (),
        min_session: int = 2,
        max_items: int = 1_000_000,
        k: int = 20,
    ) -> None:
        self.k = k
        self.start = dict(start) if start else None
        self.frozen, self.min_session, self.max_items = frozen, min_session, max_items
        self.unseen, self.repeats = "unseen" in leave_out, "repeats" in leave_out
        self.plain = not (self.start or self.unseen or self.repeats or min_session > 2)
        self.batch: TestedBatch | None = None
        self.not_counted: Counter[str] = Counter()
        # Where the test has begun: clicks before it, and the time of its first one.
        self._begun: tuple[int, float] | None = None if self.start else (0, math.nan)
        self._first_time: float | None = None
        self._frozen_clicks = 0
        self._last = 0.0  # The latest position that has been counted.
        self._sessions: dict[Id, Session] = {}
        self._seen: OrderedDict[Id, None] = OrderedDict()

    def resolve(self, count: Callable[[], int]) -> None:
        """Where the test begins after a share of all clicks, find how many clicks that is."""
        if self.start and "share" in self.start and "clicks" not in self.start:
            self.start["clicks"] = round(self.start["share"] * count())

    def begin(
        self, sessions: Sequence[Id], items: Sequence[Id], positions: Numbers, times: Times
    ) -> None:
        """Take the n clicks of a batch, before a model scores them.

        Parameters
        ----------
        sessions, items
            In stream order.
        positions
            int64 (n,): which click of the stream each is, from 1 on.
        times
            float64 (n,): their event times.

        """
        if self.plain:
            return
        count = len(items)
        learned = self._learned(positions, times)
        batch = TestedBatch(learned, np.zeros(count, np.bool_), np.zeros(count, np.bool_))
        self.batch = batch
        for at, (name, item) in enumerate(zip(sessions, items, strict=True)):
            session = self._sessions.get(name)
            if session is None:
                session = self._sessions[name] = Session()
            if self.repeats:
                batch.own.append(session.items.copy())
            if session.clicks:
                batch.preceded[at] = True
                reason = self._reason(session, item, at >= learned)
                batch.counts[at] = not reason
                if reason:
                    self.not_counted[reason] += 1
            batch.places.append(self._take(session, item, float(times[at]), at >= learned))
        if self.frozen and learned < count:
            self._frozen_clicks += count - learned
            self._gather(batch, sessions)

    def _learned(self, positions: Numbers, times: Times) -> int:
        """Return how many clicks of a batch come before the test."""
        if self._begun is not None or self.start is None or not len(positions):
            return 0
        if self._first_time is None:
            self._first_time = float(times[0])
        if "clicks" in self.start:
            later = positions > self.start["clicks"]
        else:
            begin = self.start.get("time")
            later = times >= (self._first_time + self.start["after"] if begin is None else begin)
        if not later.any():
            return len(positions)
        first = int(later.argmax())
        self._begun = int(positions[first]) - 1, float(times[first])
        return first

    def _reason(self, session: Session, item: Id, in_test: bool) -> str:
        """Return why a scored click does not count; empty where it does."""
        if not in_test:
            return "before"
        if self.unseen and not (session.seen and item in self._seen):
            return "unseen"
        return "repeats" if self.repeats and item in session.items else ""

    def _take(self, session: Session, item: Id, time: float, in_test: bool) -> int:
        """Add a click to its session; return its place among those since the test began."""
        place = -1
        session.clicks += 1
        if self.repeats:
            if item in session.items:
                session.items.remove(item)
            session.items.append(item)
            del session.items[:-REMEMBERED]
        if not (self.unseen or self.frozen):
            return place
        if not (self.frozen and in_test):
            session.seen += 1
            self._seen[item] = None
            self._seen.move_to_end(item)
            if len(self._seen) > self.max_items:
                self._seen.popitem(last=False)
        elif item in self._seen:
            session.seen += 1
            place = len(session.tested)
            session.tested.append((item, time))
        return place

    def _gather(self, batch: TestedBatch, sessions: Sequence[Id]) -> None:
        """Gather the clicks that a frozen model is tested with."""
        starts: dict[Id, int] = {}
        for at, name in enumerate(sessions):
            if batch.places[at] < 0:
                continue
            if name not in starts:
                starts[name] = len(batch.items)
                clicks = self._sessions[name].tested
                batch.sessions += [name] * len(clicks)
                batch.items += [item for item, _ in clicks]
                batch.times += [time for _, time in clicks]
            batch.places[at] += starts[name]
        for name in starts:
            del self._sessions[name].tested[:-REMEMBERED]

    @property
    def list_length(self) -> int:
        """How long lists must be so that `ranks` are exact up to k; 0: no lists are needed."""
        if self.batch is None or not self.repeats:
            return 0
        return self.k + max(map(len, self.batch.own), default=0)

    def counted(self, scored: Flags) -> Flags:
        """Return which clicks of the batch count, of those that were scored."""
        return scored if self.batch is None else scored & self.batch.counts

    def marks(self, tested: BatchResult) -> Flags | None:
        """Return which clicks of the batch count, long enough sessions given; None: all scored."""
        return None if self.batch is None else self.counted(tested.scored)

    def ranks(self, tested: BatchResult) -> Numbers:
        """Return the clicks' ranks; without the sessions' own items, where repeats are left out.

        Own items at or above the clicked one are among as many items of the list as its rank says:
        these have at least its score. A rank beyond the list, see `list_length`, stays beyond.
        """
        if self.batch is None or not self.repeats:
            return tested.ranks
        ranks = tested.ranks.copy()
        for at in np.flatnonzero(self.batch.counts & (ranks > 0)).tolist():
            own = set(self.batch.own[at])
            above = tested.recommended[at][: int(ranks[at])]
            ranks[at] -= sum(item in own for item, _ in above)
        return ranks

    def settle(
        self, sessions: Sequence[Id], counted: Flags, columns: Sequence[NDArray[Any]]
    ) -> Sequence[NDArray[Any]]:
        """Return what is to be counted now: of long sessions, what was held of them included.

        Parameters
        ----------
        sessions
            Those of the n clicks of the batch.
        counted
            bool (n,): the m clicks that count.
        columns
            What is to be counted of these, (m,) or (m, w) each; their positions are the second.

        """
        if self.min_session <= 2:
            return columns
        rows = np.column_stack(columns).astype(np.float64)
        order = np.cumsum(counted) - 1
        found: list[list[float]] = []
        for at, name in enumerate(sessions):
            session = self._sessions[name]
            if counted[at]:
                session.held.append(rows[order[at]].tolist())
                self.not_counted["short"] += 1
            if session.held and session.clicks >= self.min_session:
                found += session.held
                self.not_counted["short"] -= len(session.held)
                session.held.clear()
        widths = [1 if column.ndim == 1 else column.shape[1] for column in columns]
        settled = np.array(found).reshape(-1, sum(widths))
        parts = np.split(settled, np.cumsum(widths)[:-1], axis=1)
        # Curves go forward: a click that was held stands where it is counted.
        parts[1] = np.maximum.accumulate(np.maximum(parts[1], self._last))
        self._last = float(parts[1][-1, 0]) if len(found) else self._last
        return [
            part.astype(column.dtype).reshape(-1, *column.shape[1:])
            for part, column in zip(parts, columns, strict=True)
        ]

    def forget(self, sessions: Iterable[Id]) -> None:
        """Drop sessions that have ended."""
        for session in sessions:
            self._sessions.pop(session, None)

    def results(self, taken: int) -> dict[str, Any]:
        """Return what counts, in JSON's types; nothing where all clicks count.

        Parameters
        ----------
        taken
            How many clicks the model has taken.

        Returns
        -------
        dict
            ``learned``, how many of them were learned, and ``protocol``.

        Notes
        -----
        ``start`` is where the test begins; ``begun`` the ``clicks`` before it and the ``time`` of
        its first one, None where it has not begun; ``not_counted`` the scored clicks that do not
        count, by reason: those ``before`` the test, ``unseen``, ``repeats``, and those of sessions
        too ``short``, some of which may become longer.
        """
        if self.plain:
            return {}
        begun = None
        if self.start and self._begun:
            begun = {"clicks": self._begun[0], "time": self._begun[1]}
        left_out = [name for name in ("unseen", "repeats") if getattr(self, name)]
        counts = {name: count for name, count in sorted(self.not_counted.items()) if count}
        found = {
            "start": self.start,
            "begun": begun,
            "frozen": self.frozen,
            "leave_out": left_out,
            "min_session": self.min_session,
            "not_counted": counts,
        }
        return {"learned": taken - self._frozen_clicks, "protocol": found}

    def state(self) -> dict[str, State]:
        """Copy all that later figures depend on, as a part of a snapshot."""
        if self.plain:
            return {}
        sessions = [
            [name, s.clicks, s.seen, s.items.copy(), [list(one) for one in s.tested], list(s.held)]
            for name, s in self._sessions.items()
        ]
        values = {
            "start": self.start,
            "begun": list(self._begun) if self.start and self._begun else None,
            "first_time": self._first_time,
            "frozen_clicks": self._frozen_clicks,
            "last": self._last,
            "not_counted": dict(self.not_counted),
            "seen": list(self._seen),
            "sessions": sessions,
        }
        return {"protocol": State({}, values)}

    def restore(self, parts: Mapping[str, State]) -> None:
        """Restore what `state` returned."""
        if self.plain:
            return
        values = parts["protocol"].values
        self.start, self._first_time = values["start"], values["first_time"]
        self._last, self._frozen_clicks = float(values["last"]), values["frozen_clicks"]
        if self.start:
            begun = values["begun"]
            self._begun = None if begun is None else (begun[0], float(begun[1]))
        self.not_counted = Counter(values["not_counted"])
        self._seen = OrderedDict.fromkeys(values["seen"])
        self._sessions = {
            name: Session(clicks, seen, list(items), [(one[0], one[1]) for one in tested], held)
            for name, clicks, seen, items, tested, held in values["sessions"]
        }
