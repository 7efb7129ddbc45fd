"""Session neighbours: past sessions like the present one, and what else they hold."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compute.device import HOST
from ...gru4rec.size_check import check_room
from ...recommender import Arrays, prefixed, within
from ..tables.bounded_lists import BoundedLists
from ..tables.columns import Columns
from ..tables.lru_table import ROW
from ..tables.row_sums import RowSums
from .base import NOTHING, CountingModel, Evidence, Session

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NOTHING_FOUND = (np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))


class Neighbours(CountingModel):
    """Scores items by the sessions nearest to the present one.

    Every session is a past one from its first click, for all others and, with `own`, for itself.
    The latest `kept` sessions that have begun are remembered, with their `window` last items, each
    once, in the order of its last click; and for every item the `postings` latest sessions that
    hold it (as VMIS-kNN does: B. Kersbergen, O. Sprangers and S. Schelter, *Serenade*, 2022). So a
    click costs the same however long the stream has run.

    Let x run over the items of the session, the last one first, and n over the neighbours. A
    neighbour's overlap is the sum of `importance` over the items that it shares, and `nearness`
    makes its similarity of it. It gives each of its items

        similarity · `trust` of the last x that it shares
            · exp(−places from its own last item that is shared / `distance`)
            · (1 + idf · ln(sessions / sessions with the item))

    with sessions counted along the stream. Equally near sessions are taken from the most recently
    clicked on.

    Parameters
    ----------
    neighbours
        Number of nearest sessions that score items.
    sample
        Number of most recently clicked sessions that share an item, among which these are sought.
    kept
        Number of sessions remembered.
    window
        Number of items kept of a session.
    own
        Whether the session itself is asked too: what it has clicked may be clicked again. Where
        nothing fades with `distance`, its items count by their importance.
    idf
        How much more a rare item counts.
    **options
        See `CountingModel`.

    """

    distinct = True
    distance: float = 0.0
    """How fast a neighbour's items fade away from the last one that it shares; 0: not at all."""

    def __init__(
        self,
        *,
        neighbours: int,
        sample: int,
        kept: int,
        window: int,
        own: bool = True,
        idf: float,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if min(neighbours, sample, kept, window) < 1:
            raise ValueError("neighbours, sample, kept and window are at least 1")
        # All of it is taken at once.
        check_room({f"kept={kept} with window={window}": 8 * kept * (window + 3)}, HOST)
        self.neighbours = neighbours
        self.sample = sample
        self.kept = kept
        self.window = window
        self.own = own
        self.idf = idf
        # Of the remembered sessions, by number modulo `kept`. The items stand at the right.
        self._ring: Arrays = {
            "items": np.zeros((kept, window), np.int64),
            "lengths": np.zeros(kept, np.int64),
            "last": np.zeros(kept, np.int64),
        }
        self._begun = 0
        # By row of a live session: its number; 0 for none.
        self._numbers: list[int] = [0]
        self._postings = BoundedLists(self.journal, sample)
        self._holders = Columns(self.journal, sessions=np.float64)
        self._adder = RowSums()
        # Room to add up in, by place in the ring; zero in between.
        self._overlaps = np.zeros(kept)

    @abstractmethod
    def importance(self, count: int) -> list[float]:
        """Return the importance of each of a session's items, the last one first; more than 0."""

    @abstractmethod
    def trust(self, count: int) -> Floats:
        """Return how much a neighbour counts whose last shared item is this, the last one first."""

    def nearness(self, overlap: Floats, lengths: Integers, ages: Integers) -> Floats:
        """Return how near sessions are.

        Parameters
        ----------
        overlap
            float64 (s,): importance of what they share.
        lengths
            int64 (s,): their items.
        ages
            int64 (s,): clicks of the stream since their last one.

        """
        return overlap

    def score(self, session: Session) -> Evidence:
        """Add up what the nearest sessions hold."""
        places, overlap, steps = self._candidates(session)
        if not len(places):
            return NOTHING
        last = self._ring["last"][places]
        if len(places) > self.sample:
            latest = np.argpartition(last, -self.sample)[-self.sample :]
            places, overlap, steps = places[latest], overlap[latest], steps[latest]
            last = last[latest]
        near = self.nearness(overlap, self._ring["lengths"][places], self.clicks - last)
        if len(places) > self.neighbours:
            nearest = self._nearest(near, last)
            places, near, steps = places[nearest], near[nearest], steps[nearest]
        near = near * self.trust(len(session.clicks))[steps]

        stamps = self._ring["items"][places]
        who, column = stamps.nonzero()
        stamps = stamps[who, column]
        rows = stamps & ROW
        shares = near[who]
        if self.distance:
            places_off = self._distances(session, rows, who, column)
            shares *= np.exp(places_off / -self.distance)
        elif self.own:
            self._weigh_own(session, places[who], rows, shares)
        if self.idf:
            holders = np.maximum(self._holders.arrays["sessions"][rows], 1)
            shares *= 1 + self.idf * np.maximum(np.log(self._begun / holders), 0)
        alive = self.items.alive(stamps)
        return Evidence(*self._adder.add(rows[alive], shares[alive]))

    def _place(self, session: Session) -> int:
        """Return where in the ring a session itself stands; -1 where it is not remembered."""
        number = self._numbers[session.row]
        return number % self.kept if number > max(0, self._begun - self.kept) else -1

    def _candidates(self, session: Session) -> tuple[Integers, Floats, Integers]:
        """Find the sessions that share an item.

        Returns
        -------
        places
            int64 (s,): where they are in the ring.
        overlap
            float64 (s,): the importance of what they share.
        steps
            int64 (s,): how many items the session has after the last one that they share.

        """
        overlaps, found = self._overlaps, []
        importance = self.importance(len(session.clicks))
        for row, weight in zip(reversed(session.clicks), importance, strict=True):
            if weight == 0:  # So long ago that a float cannot tell it from nothing.
                break
            holding = self._postings.get(row) % self.kept
            before = overlaps[holding]
            overlaps[holding] = before + weight
            found.append(holding[before == 0])
        if not found:
            return NOTHING_FOUND
        places = np.concatenate(found)
        steps = np.repeat(np.arange(len(found)), [len(part) for part in found])
        overlap = overlaps[places]
        overlaps[places] = 0
        if not self.own:
            others = places != self._place(session)
            places, overlap, steps = places[others], overlap[others], steps[others]
        return places, overlap, steps

    def _nearest(self, near: Floats, last: Integers) -> Integers:
        """Return the places of the nearest, of equally near ones those clicked on last."""
        least = np.partition(near, -self.neighbours)[-self.neighbours]
        sure, even = (near > least).nonzero()[0], (near == least).nonzero()[0]
        room = self.neighbours - len(sure)
        if room < len(even):
            even = even[np.argpartition(last[even], -room)[-room:]]
        # In an order of its own: the sums must not depend on how the candidates were found.
        chosen = np.concatenate([sure, even])
        return chosen[np.argsort(last[chosen])]

    def _weigh_own(
        self, session: Session, places: Integers, rows: Integers, shares: Floats
    ) -> None:
        """Weight each of the session's own items by its importance, the last one most."""
        own = (places == self._place(session)).nonzero()[0]
        importance = self.importance(len(session.clicks))
        weights = dict(zip(reversed(session.clicks), importance, strict=True))
        shares[own] *= [weights.get(row, 0.0) for row in rows[own].tolist()]

    def _distances(
        self, session: Session, rows: Integers, who: Integers, column: Integers
    ) -> Integers:
        """Return how far each item stands from the last one that its neighbour shares."""
        shared = self._adder.among(rows, session.clicks)
        # Of several values for one place numpy keeps the last: that of the last shared item.
        latest = np.zeros(who[-1] + 1, np.int64)
        latest[who[shared]] = column[shared]
        distances: Integers = np.abs(column - latest[who])
        return distances

    def begin(self, row: int) -> None:
        """Clear the number in a new session's row."""
        self._numbers.extend([0] * (row + 1 - len(self._numbers)))
        self.journal.place(self._numbers, row, 0)

    def count(self, session: Session, row: int) -> None:
        """Write the click into the session's place."""
        number = self._numbers[session.row]
        if number <= max(0, self._begun - self.kept):
            number = self._enter(session.row)
            for earlier in session.clicks:
                self._write(number, earlier)
        self._write(number, row)

    def _enter(self, row: int) -> int:
        """Return a live session a number, and the place of the session that began longest ago."""
        self.journal.note(setattr, self, "_begun", self._begun)
        self._begun += 1
        place = self._begun % self.kept
        old = self._begun - self.kept
        line = self._ring["items"][place]
        for stamp in line[line.nonzero()[0]].tolist():
            self._unpost(stamp, old)
        self.journal.put(self._ring, "items", place, 0)
        self.journal.put(self._ring, "lengths", place, 0)
        self.journal.place(self._numbers, row, self._begun)
        return self._begun

    def _write(self, number: int, row: int) -> None:
        place = number % self.kept
        stamp = self.items.stamps[row]
        line = self._ring["items"][place]
        held = (line == stamp).nonzero()[0]
        if len(held):
            moved = int(held[0])
        else:
            moved = 0
            if line[0]:
                self._unpost(int(line[0]), number)
            else:
                self.journal.put(self._ring, "lengths", place, self._ring["lengths"][place] + 1)
            self._postings.append(row, keys=number)
            self._holders.reach(self.items.used)
            self._holders.put("sessions", row, self._holders.arrays["sessions"][row] + 1)
        if moved < self.window - 1:
            self.journal.put(
                self._ring, "items", (place, slice(moved, -1)), line[moved + 1 :].copy()
            )
        self.journal.put(self._ring, "items", (place, -1), stamp)
        self.journal.put(self._ring, "last", place, self.clicks + 1)

    def _unpost(self, stamp: int, number: int) -> None:
        """Take a session off the list of an item that it does not hold any more."""
        for row in self.items.live_rows((stamp,)):
            found = (self._postings.get(row) == number).nonzero()[0]
            if len(found):
                self._postings.remove(row, int(found[0]))

    def drop(self, row: int) -> None:
        """Drop the item's sessions; in the sessions it is void with its stamp."""
        self._postings.clear(row)
        self._holders.clear(row)

    def parts(self) -> Arrays:
        """Copy the remembered sessions, their items, and the items' sessions."""
        begun = min(self._begun + 1, self.kept)
        self._numbers.extend([0] * (self.sessions.used - len(self._numbers)))
        return {
            **prefixed("ring.", {name: array[:begun].copy() for name, array in self._ring.items()}),
            **prefixed("postings.", self._postings.state()),
            **prefixed("holders.", self._holders.state(self.items.used)),
            "numbers": np.array(self._numbers[: self.sessions.used], np.int64),
            "begun": np.array([self._begun]),
        }

    def take(self, arrays: Arrays) -> None:
        """Restore what `parts` returned."""
        for name, array in self._ring.items():
            kept = arrays[f"ring.{name}"]
            array[: len(kept)] = kept
            array[len(kept) :] = 0
        self._postings.restore(within("postings.", arrays))
        self._holders.restore(within("holders.", arrays))
        self._numbers = arrays["numbers"].tolist()
        self._begun = int(arrays["begun"][0])
