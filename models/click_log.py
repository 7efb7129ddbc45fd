"""The clicks of late, linked by item and by session."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .habits import NOWHERE, Trace
from .items import ItemTable
from .table import pick
from .vocabulary import NO_ITEM

SPAN = 1 << 17
"""More than a batch's clicks."""

LARGEST_BATCH = 1 << 16
"""The log keeps room for so many clicks beyond its bound, so that the clicks of a batch push out
nothing that an earlier one of them could still see."""


COLUMNS = ("stamps", "previous", "next", "earlier")
"""What is known of each click."""


class Written(NamedTuple):
    """What `ClickLog.write` laid over, to be put back by `ClickLog.undo`."""

    logged: int
    numbers: Tensor
    columns: list[Tensor]
    before: Tensor
    after: Tensor


class ClickLog:
    """The latest clicks, each with the one before and after it in its session and item.

    A click that repeats its session's last item is not logged again: what came before and after
    an item is then another item. Clicks are numbered along the stream.

    Parameters
    ----------
    bound
        So many clicks are kept in sight.
    items
        The item tables: they tell whether a logged item is still in the catalogue.
    device
        Where the log lives.

    """

    def __init__(self, bound: int, items: ItemTable, device: torch.device) -> None:
        self.bound = bound
        self.count = 0
        self._items = items
        self._device = device
        # By number modulo the size, plus one: stamped item, and the numbers of the click before it
        # in its session, after it in its session, and before it on the same item. The first place,
        # that of `NOWHERE`, holds no item and leads nowhere.
        self._size = 0
        self.stamps, self.previous, self.next, self.earlier = self._columns_of(0)
        # The latest click on each item's row before the batch, with the item's stamp.
        self.latest, self._owners = self._empty(1), self._empty(1)
        # The batch: number of its first click, and row · SPAN + place of each, sorted.
        self._first, self._batch = 0, self._empty(0)

    def _empty(self, length: int) -> Tensor:
        return torch.full((length,), NOWHERE, dtype=torch.int64, device=self._device)

    def _columns_of(self, size: int) -> list[Tensor]:
        self._size = size
        stamps = torch.zeros(size + 1, dtype=torch.int64, device=self._device)
        return [stamps, *(self._empty(size + 1) for _ in range(3))]

    @property
    def _columns(self) -> list[Tensor]:
        return [self.stamps, self.previous, self.next, self.earlier]

    def write(self, trace: Trace, stamps: Tensor, rows: Tensor) -> Written:
        """Log a batch; `latest` still tells of the clicks before it.

        Parameters
        ----------
        trace
            How the batch continues the log, see `Habits.trace`.
        stamps, rows
            int64 (c,): the logged clicks' items.

        """
        total = self.count + len(rows)
        self._reserve(total, int(rows.max()) + 1 if len(rows) else 0)
        numbers = torch.arange(self.count, total, device=self._device)
        slots = numbers % self._size + 1
        before = torch.from_numpy(trace.before).to(self._device)
        before = before.where(self.sees(before, numbers), NOWHERE)
        written = Written(
            self.count,
            slots,
            [column[slots] for column in self._columns],
            links := before[before != NOWHERE] % self._size + 1,
            self.next[links],
        )
        self.stamps[slots], self.previous[slots], self.next[slots] = stamps, before, NOWHERE
        self.next[links] = numbers[before != NOWHERE]
        self._first = self.count
        self._batch = (rows * SPAN + numbers - self._first).sort().values
        self.earlier[slots] = self.latest_before(rows, stamps, numbers)
        self.count = total
        return written

    def settle(self, stamps: Tensor, rows: Tensor) -> None:
        """Let `latest` tell of the clicks of a batch written last; takes what `write` took."""
        numbers = torch.arange(self.count - len(rows), self.count, device=self._device)
        self.latest[rows] = NOWHERE
        self.latest.scatter_reduce_(0, rows, numbers, "amax")
        self._owners[rows] = stamps
        self._batch = self._batch[:0]

    def undo(self, written: Written) -> None:
        """Take the last `write` back."""
        self.count = written.logged
        for column, held in zip(self._columns, written.columns, strict=True):
            column[written.numbers] = held
        self.next[written.before] = written.after

    def sees(self, numbers: Tensor, now: Tensor) -> Tensor:
        """Tell which clicks were in sight when so many had been logged."""
        return (numbers >= 0) & (numbers < now) & (numbers >= now - self.bound)

    def chain(self, links: list[Tensor], now: Tensor) -> Tensor:
        """Stack clicks that were reached one from the other, `NOWHERE` from the first not in sight.

        Parameters
        ----------
        links
            int64, any shape each: numbers of clicks.
        now
            int64, of a shape that fits: how many clicks had been logged.

        """
        clicks = torch.stack(links)
        return clicks.where(self.sees(clicks, now).cummin(dim=0).values, NOWHERE)

    def at(self, column: Tensor, numbers: Tensor) -> Tensor:
        """Read a column at clicks in sight; at `NOWHERE` there is no item, and nothing follows."""
        return pick(column, (numbers if self.count <= self._size else numbers.fmod(self._size)) + 1)

    def latest_before(self, rows: Tensor, stamps: Tensor, now: Tensor) -> Tensor:
        """Give the latest click on items when so many clicks had been logged.

        Parameters
        ----------
        rows, stamps
            int64 of any shape: the items.
        now
            int64, of a shape that fits: no less than before the batch written last.

        Returns
        -------
        Tensor
            int64: the clicks' numbers; `NOWHERE` where there is none.

        """
        before = pick(self.latest, rows).where(pick(self._owners, rows) == stamps, NOWHERE)
        if len(self._batch):
            place = torch.searchsorted(self._batch, rows * SPAN + now - self._first) - 1
            found = pick(self._batch, place.clamp_(min=0))
            inside = (found // SPAN == rows) & (found % SPAN + self._first < now)
            before = torch.where(inside, found % SPAN + self._first, before)
        return before.masked_fill_(rows == NO_ITEM, NOWHERE)

    def _reserve(self, total: int, rows: int) -> None:
        """Make room for so many clicks in all, and for so many rows."""
        size = self._size
        most = self.bound + LARGEST_BATCH
        if total > size and size < most:
            old = self._columns
            grown = self._columns_of(min(most, max(1 << 12, 2 * size, total)))
            for new, held in zip(grown, old, strict=True):
                new[1 : size + 1] = held[1:]
            self.stamps, self.previous, self.next, self.earlier = grown
        if rows > len(self.latest):
            for name in ("latest", "_owners"):
                held = getattr(self, name)
                grown_rows = self._empty(max(1024, 2 * len(held), rows))
                grown_rows[: len(held)] = held
                setattr(self, name, grown_rows)

    def state(self) -> tuple[dict[str, Tensor], int]:
        """Copy the clicks that may still be seen, and the number of all."""
        held = min(self.count, self.bound)
        slots = torch.arange(self.count - held, self.count, device=self._device)
        slots = slots % max(1, self._size) + 1
        arrays = {name: column[slots] for name, column in zip(COLUMNS, self._columns, strict=True)}
        return {**arrays, "latest": self.latest.clone(), "owners": self._owners.clone()}, self.count

    def restore(self, arrays: dict[str, Tensor], count: int) -> None:
        """Take back what `state` gave."""
        held = len(arrays["stamps"])
        self.count = 0
        self.stamps, self.previous, self.next, self.earlier = self._columns_of(0)
        self._reserve(min(count, self.bound + LARGEST_BATCH), len(arrays["latest"]))
        slots = torch.arange(count - held, count, device=self._device) % max(1, self._size) + 1
        for name, column in zip(COLUMNS, self._columns, strict=True):
            column[slots] = arrays[name].to(self._device)
        self.latest = arrays["latest"].to(self._device).clone()
        self._owners = arrays["owners"].to(self._device).clone()
        self.count = count
