"""What sessions and items tend to do next: click the same again, go back, or go on."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .items import ROWS

Id = str | int

NOWHERE = -1
"""No click: before a session's first, after its last."""

OWN = 20
"""How many of a session's latest distinct items are kept in sight."""

HABITS = 10
"""How many facts are told of each moment, see `Trace.facts`."""

COUNTS = 13
"""How many counts the facts are made of, see `_moment`."""

TIMID = 2.0
"""An item's own rate of repeats starts out as the stream's, with the weight of so many clicks."""


class Place(NamedTuple):
    """Where a session stands.

    Parameters
    ----------
    click
        Number of its last logged click.
    item
        That click's item, stamped; 0 where it is not in the catalogue.
    clicks
        How many clicks it has had.
    repeats
        How many clicks on the same item have followed the last logged one.
    repeated, returned
        How many of its clicks were on the item just clicked, or on another of its items.
    back
        Whether the last logged click was a return.
    own
        Its latest distinct items, stamped, latest first; the first may be 0, not in the catalogue.

    """

    click: int
    item: int
    clicks: int
    repeats: int
    repeated: int
    returned: int
    back: bool
    own: tuple[int, ...]

    @classmethod
    def of(cls, values: Sequence[Any]) -> Place:
        """Take back what JSON has kept."""
        click, item, clicks, repeats, repeated, returned, back, own = values
        return cls(click, item, clicks, repeats, repeated, returned, back, tuple(own))


class Trace(NamedTuple):
    """How the clicks of a batch continue their sessions and the log.

    Parameters
    ----------
    own
        int64 (n,): number of the session's last logged click as it stood before each click, or
        `NOWHERE`.
    now
        int64 (n,): how many clicks had been logged by then.
    items
        int64 (n, OWN): the session's latest distinct items by then, stamped, latest first; 0 where
        there are fewer.
    facts
        float64 (n, HABITS): one; the session's length (its logarithm, and whether it is one), its
        repeats of the last item (logarithm), the log odds that clicks repeat the last item, that
        this session repeats, and that it returns, how often the last item has been followed by
        another click (logarithm), whether the session had come back to it, and its number of
        distinct items (logarithm).
    logged
        int64 (c,): which clicks are logged.
    before
        int64 (c,): number of the click before each of these in its session, or `NOWHERE`.
    ends
        Where the batch's sessions stand after it.
    tallies, totals
        What `Habits` counts after it, of the items that the batch touched and of all.

    """

    own: NDArray[np.int64]
    now: NDArray[np.int64]
    items: NDArray[np.int64]
    facts: NDArray[np.float64]
    logged: NDArray[np.int64]
    before: NDArray[np.int64]
    ends: dict[Id, Place]
    tallies: dict[int, tuple[int, int]]
    totals: tuple[int, int, int]

    def of(self, clicks: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Give `own`, `now`, `items` and `facts` of some of the clicks."""
        return tuple(column[clicks] for column in (self.own, self.now, self.items, self.facts))


class Habits:
    """Counts how often clicks on an item were followed by another click on it.

    A click that repeats the item just clicked, one that returns to an earlier item of its session,
    and one that goes on to a new item are three kinds of moment; whether a shop's pages make a
    visitor click twice is a habit of the item, and of the visitor. The explicit split follows
    Ren et al., 2019, "RepeatNet: A Repeat Aware Neural Recommendation Machine for Session-Based
    Recommendation".

    Attributes
    ----------
    totals
        Clicks that had a predecessor, and those of them that repeated, or returned.

    """

    def __init__(self) -> None:
        self.totals = (0, 0, 0)
        # By row: the stamped item that is counted there, clicks that followed it, and those of
        # them on itself.
        self._owners, self._followed, self._repeated = array("q"), array("q"), array("q")

    def trace(
        self,
        sessions: Sequence[Id],
        items: Sequence[int],
        places: Mapping[Id, Place],
        count: int,
        after: bool = False,
    ) -> Trace:
        """See how a batch continues its sessions; changes nothing.

        Parameters
        ----------
        sessions, items
            n of each, in stream order; the items stamped, 0 for those not in the catalogue.
        places
            Where the live sessions stand.
        count
            How many clicks have been logged.
        after
            Tell how things stand after each click, not before it.

        """
        moments: list[tuple[int, ...]] = []
        seen: list[tuple[int, ...]] = []
        logged: list[int] = []
        previous: list[int] = []
        ends: dict[Id, Place] = {}
        tallies: dict[int, tuple[int, int]] = {}
        pairs, repeats, returns = self.totals
        none_yet = Place(NOWHERE, 0, 1, 0, 0, 0, False, ())
        for at, (session, item) in enumerate(zip(sessions, items, strict=True)):
            before = ends.get(session) or places.get(session)
            if not after:
                stand = before or none_yet
                tally = tallies.get(stand.item) or self._tally(stand.item)
                moments.append(_moment(stand, count, tally, pairs, repeats, returns))
                seen.append(stand.own)
            if before is None:
                place = Place(count, item, 1, 0, 0, 0, False, (item,))
                logged.append(at)
                previous.append(NOWHERE)
            else:
                repeat = item == before.item > 0
                back = not repeat and item > 0 and item in before.own
                if repeat:
                    place = Place(
                        before.click,
                        item,
                        before.clicks + 1,
                        before.repeats + 1,
                        before.repeated + 1,
                        before.returned,
                        before.back,
                        before.own,
                    )
                else:
                    own = (item, *(other for other in before.own if other not in (item, 0)))
                    place = Place(
                        count,
                        item,
                        before.clicks + 1,
                        0,
                        before.repeated,
                        before.returned + back,
                        back,
                        own[:OWN],
                    )
                    logged.append(at)
                    previous.append(before.click)
                if before.item:
                    followed, again = tallies.get(before.item) or self._tally(before.item)
                    tallies[before.item] = (followed + 1, again + repeat)
                pairs, repeats, returns = pairs + 1, repeats + repeat, returns + back
            ends[session] = place
            count = max(count, place.click + 1)
            if after:
                tally = tallies.get(item) or self._tally(item)
                moments.append(_moment(place, count, tally, pairs, repeats, returns))
                seen.append(place.own)
        table = np.array(moments, np.float64).reshape(len(moments), COUNTS)
        own_items = np.zeros((len(seen), OWN), np.int64)
        for at, own in enumerate(seen):
            own_items[at, : len(own)] = own
        return Trace(
            own=table[:, 0].astype(np.int64),
            now=table[:, 1].astype(np.int64),
            items=own_items,
            facts=_facts(table),
            logged=np.array(logged, np.int64),
            before=np.array(previous, np.int64),
            ends=ends,
            tallies=tallies,
            totals=(pairs, repeats, returns),
        )

    def _tally(self, item: int) -> tuple[int, int]:
        """Tell how many clicks have followed an item, and how many of them were on it."""
        row = item % ROWS
        if row < len(self._owners) and self._owners[row] == item:
            return self._followed[row], self._repeated[row]
        return 0, 0

    def settle(self, trace: Trace) -> None:
        """Count a batch."""
        self.totals = trace.totals
        most = max((item % ROWS for item in trace.tallies), default=0)
        if most >= len(self._owners):
            more = array("q", bytes(8 * (max(1024, 2 * len(self._owners), most + 1))))
            for counts in (self._owners, self._followed, self._repeated):
                counts.extend(more[len(counts) :])
        for item, (followed, repeated) in trace.tallies.items():
            row = item % ROWS
            # A session may go on from an item that has left: its row may hold a younger one's.
            if item >= self._owners[row]:
                self._owners[row] = item
                self._followed[row], self._repeated[row] = followed, repeated

    def state(self) -> tuple[dict[str, NDArray[np.int64]], list[int]]:
        """Copy what has been counted."""
        columns = {"items": self._owners, "followed": self._followed, "repeated": self._repeated}
        return {name: np.array(column) for name, column in columns.items()}, list(self.totals)

    def restore(self, arrays: Mapping[str, NDArray[Any]], totals: Sequence[int]) -> None:
        """Take back what `state` gave."""
        self._owners, self._followed, self._repeated = (
            array("q", arrays[name].tobytes()) for name in ("items", "followed", "repeated")
        )
        pairs, repeats, returns = totals
        self.totals = (pairs, repeats, returns)


def _moment(
    place: Place, count: int, tally: tuple[int, int], pairs: int, repeats: int, returns: int
) -> tuple[int, ...]:
    return (
        place.click,
        count,
        place.clicks,
        place.repeats,
        place.repeated,
        place.returned,
        place.back,
        len(place.own),
        *tally,
        pairs,
        repeats,
        returns,
    )


def _facts(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make facts of counts, see `Trace.facts`."""
    _, _, clicks, repeats, repeated, returned, back, distinct, *rest = table.T
    followed, again, pairs, all_repeats, all_returns = rest
    # Before anything is counted, one click in four repeats and one in ten returns.
    usual_repeat = (all_repeats + 1) / (pairs + 4)
    usual_return = (all_returns + 1) / (pairs + 10)
    facts = [
        np.ones_like(clicks),
        np.log(clicks),
        clicks == 1,
        np.log1p(repeats),
        _log_odds((again + TIMID * usual_repeat) / (followed + TIMID)),
        _log_odds((repeated + usual_repeat) / clicks),
        _log_odds((returned + usual_return) / clicks),
        np.log1p(followed),
        back,
        np.log(np.maximum(distinct, 1)),
    ]
    return np.stack(facts, axis=1)


def _log_odds(rate: NDArray[np.float64]) -> NDArray[np.float64]:
    odds: NDArray[np.float64] = np.log(rate / (1 - rate))
    return odds
