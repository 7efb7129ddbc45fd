"""Session neighbours: past sessions like the present one, and what else they hold."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..recommender import Arrays
from .columns import Columns
from .counting import NOTHING, CountingModel, Evidence, Session
from .lists import Lists
from .recency import ROW

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
    makes its similarity of it. It gives each of its items similarity · `trust` (which goes by the
    last x that it shares) · `closeness` · 1 + idf · ln(sessions / sessions with the item), counted
    along the stream. Equally near sessions are taken from the most recently clicked on.

    Parameters
    ----------
    neighbours
        So many nearest sessions are asked.
    sample
        They are sought among so many most recently clicked sessions that share an item.
    kept
        So many sessions are remembered.
    window
        So many items of a session.
    own
        Whether the session's own earlier clicks are asked too.
    idf
        How much more a rare item counts.
    options
        See `CountingModel`.

    """

    distinct = True

    def __init__(
        self,
        *,
        neighbours: int,
        sample: int,
        kept: int,
        window: int,
        own: bool,
        idf: float,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if min(neighbours, sample, kept, window) < 1:
            raise ValueError("neighbours, sample, kept and window are at least 1")
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
        self._postings = Lists(self.journal, sample)
        self._holders = Columns(self.journal, sessions=np.float64)
        # Room to add up in, zero in between: by place in the ring, and by row of the item.
        self._overlaps = np.zeros(kept)
        self._scores = np.zeros(64)
        self._marks = np.zeros(64, np.int64)

    @abstractmethod
    def importance(self, count: int) -> list[float]:
        """Give what each of a session's items is worth, the last one first; more than 0."""

    @abstractmethod
    def trust(self, count: int) -> Floats:
        """Give how much a neighbour counts whose last shared item is this, the last one first."""

    def nearness(self, overlap: Floats, lengths: Integers, ages: Integers) -> Floats:
        """Give how near sessions are.

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

    def closeness(self, distances: Integers) -> Floats | None:
        """Give how much items count so many places from the neighbour's last shared one.

        None: all alike.
        """
        return None

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
        if (closeness := self._closeness(session, rows, who, column)) is not None:
            shares *= closeness
        if self.idf:
            holders = np.maximum(self._holders.arrays["sessions"][rows], 1)
            shares *= 1 + self.idf * np.maximum(np.log(self._begun / holders), 0)
        alive = self.items.alive(stamps)
        return self._sum(rows[alive], shares[alive])

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
        for row, worth in zip(reversed(session.clicks), importance, strict=True):
            holding = self._postings.get(row) % self.kept
            before = overlaps[holding]
            overlaps[holding] = before + worth
            found.append(holding[before == 0])
        if not found:
            return NOTHING_FOUND
        places = np.concatenate(found)
        steps = np.repeat(np.arange(len(found)), [len(part) for part in found])
        overlap = overlaps[places]
        overlaps[places] = 0
        number = self._numbers[session.row]
        if not self.own and number:
            others = places != number % self.kept
            places, overlap, steps = places[others], overlap[others], steps[others]
        return places, overlap, steps

    def _nearest(self, near: Floats, last: Integers) -> Integers:
        """Give the places of the nearest, of equally near ones those clicked on last."""
        least = np.partition(near, -self.neighbours)[-self.neighbours]
        sure, even = (near > least).nonzero()[0], (near == least).nonzero()[0]
        room = self.neighbours - len(sure)
        if room < len(even):
            even = even[np.argpartition(last[even], -room)[-room:]]
        # In an order of its own: the sums must not depend on how the candidates were found.
        chosen = np.concatenate([sure, even])
        return chosen[np.argsort(last[chosen])]

    def _closeness(
        self, session: Session, rows: Integers, who: Integers, column: Integers
    ) -> Floats | None:
        self._reach()
        self._marks[session.clicks] = 1
        shared = self._marks[rows].nonzero()[0]
        self._marks[session.clicks] = 0
        # Of several values for one place numpy keeps the last: that of the last shared item.
        latest = np.zeros(who[-1] + 1, np.int64)
        latest[who[shared]] = column[shared]
        return self.closeness(np.abs(column - latest[who]))

    def _sum(self, rows: Integers, shares: Floats) -> Evidence:
        """Add up shares by item."""
        self._reach()
        np.add.at(self._scores, rows, shares)
        order = np.arange(len(rows))
        self._marks[rows] = order
        once = rows[self._marks[rows] == order]
        scores = self._scores[once]
        self._scores[once] = self._marks[once] = 0
        return Evidence(once, scores)

    def _reach(self) -> None:
        if len(self._marks) < self.items.used:
            self._marks = np.zeros(2 * self.items.used, np.int64)
            self._scores = np.zeros(2 * self.items.used)

    def begin(self, row: int) -> None:
        """A new session has no number yet."""
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
        """Give a live session a number, and the place of the session that began longest ago."""
        self.journal.note(setattr, self, "_begun", self._begun)
        self._begun += 1
        place = self._begun % self.kept
        old = self._begun - self.kept
        for stamp in self._ring["items"][place].tolist():
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
        for row in self.items.rows_of((stamp,)):
            found = (self._postings.get(row) == number).nonzero()[0]
            if len(found):
                self._postings.remove(row, int(found[0]))

    def drop(self, row: int) -> None:
        """Let the item's sessions go; in the sessions it dies with its stamp."""
        self._postings.clear(row)
        self._holders.clear(row)

    def parts(self) -> Arrays:
        """Copy the remembered sessions, their items, and the items' sessions."""
        begun = min(self._begun + 1, self.kept)
        self._numbers.extend([0] * (self.sessions.used - len(self._numbers)))
        return {
            **{f"ring.{name}": array[:begun].copy() for name, array in self._ring.items()},
            **{f"postings.{name}": array for name, array in self._postings.state().items()},
            **{
                f"holders.{name}": array
                for name, array in self._holders.state(self.items.used).items()
            },
            "numbers": np.array(self._numbers, np.int64),
            "begun": np.array([self._begun]),
        }

    def take(self, arrays: Arrays) -> None:
        """Take back what `parts` gave."""
        for name, array in self._ring.items():
            kept = arrays[f"ring.{name}"]
            array[: len(kept)] = kept
            array[len(kept) :] = 0
        self._postings.restore(_group(arrays, "postings."))
        self._holders.restore(_group(arrays, "holders."))
        self._numbers = arrays["numbers"].tolist()
        self._begun = int(arrays["begun"][0])


def _group(arrays: Arrays, prefix: str) -> Arrays:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
