"""A simulated shop: an endless stream of clicks with a structure that can be learned."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .clicks import Clicks, Id, Position
from .option_checks import check_fields
from .source import SourceError, check_kind, other_source
from .spelling import nearest

START = 1_700_000_000.0
"""Epoch seconds of the first click, about."""

MEAN_PAUSE = 60.0
"""Seconds between two clicks of a session, on average."""

LONGEST_VISIT = 1_500.0
"""Seconds after which a visitor has left."""

MOST_CLICKS = 50
"""Clicks of a session at most."""

DAY = 86_400.0

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Shop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a simulated shop is like.

    Parameters
    ----------
    clicks
        Clicks after which the stream ends; 0: never.
    items
        Items on sale at any time.
    sessions
        Sessions live at any time, about.
    length
        Clicks of a session, on average (at most 50).
    life
        Days that an item is on sale before a new one takes its place; 0: for ever.
    seed
        The same seed gives the same clicks.
    uniform
        1: every click's item is drawn uniformly and independently from items that are on sale
        for ever; nothing can be learned.

    """

    clicks: int = 0
    items: int = 2000
    sessions: int = 200
    length: float = 5.0
    life: float = 1.0
    seed: int = 1
    uniform: int = 0

    def __post_init__(self) -> None:
        """Check types and ranges."""
        check_fields(self)
        for name in self.__struct_fields__:
            _check_range("Shop", name, getattr(self, name), f"{name}={getattr(self, name)}")


LEAST: dict[str, float] = {
    "clicks": 0,
    "items": 1,
    "sessions": 1,
    "length": 1.0,
    "life": 0.0,
    "seed": 0,
    "uniform": 0,
}
MOST: dict[str, float] = {
    "items": 10_000_000,
    "sessions": 10_000_000,
    "length": 40.0,
    "uniform": 1,
}


def parse_shop(spec: str) -> Shop:
    """Read ``sim:clicks=60000,items=2000``.

    Raises
    ------
    SourceError
        A parameter is unknown or its value impossible; the message names it.

    Examples
    --------
    >>> parse_shop("sim:items=10,seed=3").items
    10

    """
    types = {field.name: field.type for field in msgspec.structs.fields(Shop)}
    values: dict[str, Any] = {}
    for part in filter(None, spec.removeprefix("sim:").split(",")):
        name, equals, text = (piece.strip() for piece in part.partition("="))
        if name not in types:
            raise SourceError(
                f"{spec}: the simulated shop has no parameter '{name}'{nearest(name, types)}; "
                f"it has {', '.join(types)}"
            )
        try:
            value: float = int(text) if types[name] is int else float(text)
        except ValueError:
            value = math.nan
        _check_range(spec, name, value, f"{name}{equals}{text}")
        values[name] = value
    return Shop(**values)


def _check_range(place: str, name: str, value: float, given: str) -> None:
    if not LEAST[name] <= value <= MOST.get(name, 1e15):
        kind = "a number" if isinstance(LEAST[name], float) else "a whole number"
        most = f" to {MOST[name]:,.0f}" if name in MOST else ""
        raise SourceError(f"{place}: '{given}' must be {kind} from {LEAST[name]:,.0f}{most}")


class SimulatedShop:
    """A shop's clicks as a source.

    Sessions overlap in time. A session starts at an item drawn by popularity; from an item the
    visitor mostly goes on to one of the few that follow it in its category, at times back to the
    one before, to the same one again, to a popular one of the category, or elsewhere.
    Popularity is Zipf's, is highest when an item is new, and fades with its age. After an
    item's life a new one with a new id takes its place. Ids are integers and never come back.

    The stream is made window by window, each from its own random numbers, so that it can be
    taken up at any place. A position is ``{"kind": "shop", "clicks": clicks before, "window",
    "within", "shop"}``.

    Parameters
    ----------
    shop
        What the shop is like.

    Examples
    --------
    >>> shop = SimulatedShop(Shop(clicks=1000, items=100))
    >>> len(shop.poll(600)), len(shop.poll(600)), shop.poll(600)
    (600, 400, None)

    """

    gap: float | None = None

    def __init__(self, shop: Shop | None = None) -> None:
        if not isinstance(shop, Shop | None):
            raise SourceError(f"SimulatedShop: shop is {shop!r}: give a Shop, or use from_spec")
        self.shop = shop if shop is not None else Shop()
        self.warnings: list[str] = []
        visit = max((self.shop.length - 1.0) * MEAN_PAUSE, MEAN_PAUSE)
        per_second = self.shop.sessions / visit
        # Sessions started in a window: enough that the work on arrays pays.
        self._starts = max(4096, self.shop.sessions // 8)
        self._span = self._starts / per_second
        self._reach = math.ceil(LONGEST_VISIT / self._span)
        self._category = min(20, self.shop.items)
        random = np.random.default_rng([self.shop.seed])
        ranks = random.permutation(self.shop.items) + 1.0
        self._zipf: Floats = np.reciprocal(ranks)
        self._births = random.random(self.shop.items)
        self._given = self._window = self._within = 0
        self._times: Floats = np.zeros(0)
        self._begin(0)

    @classmethod
    def from_spec(cls, spec: str) -> SimulatedShop:
        """Open ``sim:clicks=60000,items=2000``; see `Shop` for the parameters.

        Raises
        ------
        SourceError
            A parameter is unknown or its value impossible.

        """
        return cls(parse_shop(spec))

    @property
    def share(self) -> float | None:
        """How much of the stream has been given, from 0 to 1; None where it has no end."""
        return self._given / self.shop.clicks if self.shop.clicks else None

    def poll(self, limit: int, wait: float = 0.0) -> Clicks | None:
        """Return the next clicks; there is always one. See `Source.poll`."""
        room = min(limit, self.shop.clicks - self._given) if self.shop.clicks else limit
        if room <= 0:
            return None
        sessions: list[Id] = []
        items: list[Id] = []
        times: list[Floats] = []
        while room:
            if self._within == len(self._times):
                self._next_window()
                continue
            end = min(self._within + room, len(self._times))
            sessions += self._sessions[self._within : end].tolist()
            items += self._items[self._within : end].tolist()
            times.append(self._times[self._within : end])
            room -= end - self._within
            self._given += end - self._within
            self._within = end
        position = {
            "kind": "shop",
            "clicks": self._given,
            "window": self._window,
            "within": self._within,
            "shop": self._identity(),
        }
        return Clicks(sessions, items, np.concatenate(times), position)

    def seek(self, position: Position) -> None:
        """Go on from a position that an earlier `poll` gave.

        Raises
        ------
        SourceError
            It is one in another source, or in another shop; only the number of clicks may
            differ.

        """
        here = f"the simulated shop {self._identity()}"
        check_kind(position, "shop", here)
        if position.get("shop") != self._identity():
            raise other_source(position, here)
        self._begin(int(position["window"]))
        self._given, self._within = int(position["clicks"]), int(position["within"])

    def commit(self, position: Position) -> None:
        """Do nothing: nobody outside keeps a simulation's position."""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _identity(self) -> str:
        fields = msgspec.to_builtins(self.shop)
        return "sim:" + ",".join(f"{name}={fields[name]}" for name in fields if name != "clicks")

    def _begin(self, window: int) -> None:
        """Make a window, and those before it whose sessions reach into it."""
        self._pending: defaultdict[int, list[tuple[Ints, Ints, Floats]]] = defaultdict(list)
        self._given = 0
        for earlier in range(max(0, window - self._reach), window):
            self._visit(earlier)
            self._pending.pop(earlier, None)
        self._window = window - 1
        self._next_window()

    def _next_window(self) -> None:
        self._window += 1
        self._visit(self._window)
        parts = self._pending.pop(self._window)
        sessions, items, times = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.lexsort((sessions, times))
        self._sessions: Ints = sessions[order]
        self._items: Ints = items[order]
        self._times = times[order]
        self._within = 0

    def _visit(self, window: int) -> None:
        """Make the clicks of the sessions that start in a window; file them by their window."""
        random = np.random.default_rng([self.shop.seed, 1 + window])
        count = self._starts
        started = START + self._span * (window + random.random(count))
        left = 1.0 / self.shop.length
        lengths = np.minimum(random.geometric(left, count), MOST_CLICKS)
        numbers = window * count + np.arange(count)
        popularity = np.cumsum(self._popularity(START + self._span * window))
        popularity /= popularity[-1]
        slots = self._draw(random, popularity, count)
        before = slots
        times = started
        columns: list[tuple[Ints, Ints, Floats]] = []
        for step in range(1, MOST_CLICKS + 1):
            columns.append((numbers, slots, times))
            stay = lengths > step
            pauses = random.exponential(MEAN_PAUSE, len(times))
            stay &= times + pauses < started + LONGEST_VISIT
            numbers, lengths, started = numbers[stay], lengths[stay], started[stay]
            times = (times + pauses)[stay]
            if not len(numbers):
                break
            nexts = self._go_on(random, popularity, slots[stay], before[stay])
            slots, before = nexts, slots[stay]
        sessions, slots, times = (np.concatenate(column) for column in zip(*columns, strict=True))
        self._file(sessions, slots, np.round(times, 3))

    def _file(self, sessions: Ints, slots: Ints, times: Floats) -> None:
        windows = ((times - START) // self._span).astype(np.int64)
        items = self._on_sale(slots, times)
        order = np.argsort(windows, kind="stable")
        windows, times = windows[order], times[order]
        sessions, items = sessions[order], items[order]
        edges = np.flatnonzero(np.diff(windows, prepend=windows[0] - 1))
        for start, end in zip(edges.tolist(), [*edges[1:].tolist(), len(windows)], strict=True):
            rows = slice(start, end)
            self._pending[int(windows[start])].append((sessions[rows], items[rows], times[rows]))

    def _draw(self, random: np.random.Generator, popularity: Floats, count: int) -> Ints:
        if self.shop.uniform:
            return random.integers(0, self.shop.items, count)
        return np.searchsorted(popularity, random.random(count), side="right").astype(np.int64)

    def _go_on(
        self, random: np.random.Generator, popularity: Floats, slots: Ints, before: Ints
    ) -> Ints:
        """Draw the next slot of each session from the one it is at and the one before."""
        count = len(slots)
        if self.shop.uniform:
            return random.integers(0, self.shop.items, count)
        size = self._category
        base = slots - slots % size
        # The last category may be smaller.
        sizes = np.minimum(size, self.shop.items - base)
        within = slots - base
        following = base + (within + random.geometric(0.6, count)) % sizes
        liked = base + np.floor(sizes * random.random(count) ** 3).astype(np.int64)
        elsewhere = self._draw(random, popularity, count)
        choice = random.random(count)
        return np.select(
            [choice < 0.5, choice < 0.62, choice < 0.74, choice < 0.9],
            [following, before, slots, liked],
            elsewhere,
        )

    def _age(self, slots: Ints | slice, times: Floats | float) -> Floats:
        """Return how many items each slot has held before."""
        return np.asarray((times - START) / (self.shop.life * DAY) + self._births[slots])

    def _popularity(self, time: float) -> Floats:
        if self.shop.uniform or not self.shop.life:
            return self._zipf
        freshness = np.exp(-2.0 * (self._age(slice(None), time) % 1.0))
        popularity: Floats = self._zipf * freshness
        return popularity

    def _on_sale(self, slots: Ints, times: Floats) -> Ints:
        """Return the ids of the items that the slots hold at these times."""
        if self.shop.uniform or not self.shop.life:
            return slots
        return slots + self.shop.items * self._age(slots, times).astype(np.int64)
