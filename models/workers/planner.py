"""Rank 0's part: from ids to a plan, which needs no parameter."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..batch import Batch
from ..compute.device import HOST
from ..compute.snapshot_buffer import SnapshotBuffer
from ..items.item_table import SHIFT, ItemTable, draw_embeddings
from ..items.table import pick
from ..items.vocabulary import NO_ITEM, Vocabulary
from ..memory.layout import microseconds
from ..optim import make_rule
from .buckets import buckets_of
from .plan import Facts, Plan

Whole = NDArray[np.int64]


class PlannedItems(ItemTable):
    """Which item each row holds; what is learned of them is at the ranks.

    Parameters
    ----------
    sizes
        Lengths of an item's embeddings.
    generator
        Source of the random numbers of new items.

    Attributes
    ----------
    drawn
        What the batch's new items begin with.

    """

    def __init__(self, sizes: list[int], generator: torch.Generator) -> None:
        super().__init__(1, None, 0.0, make_rule("adagrad", 0.1), HOST, torch.float32, generator)
        self._sizes = sizes
        self.drawn = self._nothing = torch.zeros((0, sum(sizes)), dtype=torch.float64)

    def draw(self, rows: Tensor, used: int) -> None:
        """Draw new items' embeddings, for the ranks."""
        self.drawn = draw_embeddings(len(rows), self._sizes, self._generator)
        self.give(rows, used)

    def take_drawn(self) -> Tensor:
        """Return what was drawn last, once."""
        drawn, self.drawn = self.drawn, self._nothing
        return drawn

    def clear_vectors(self, rows: Tensor) -> None:
        """Do nothing: the ranks clear their own rows."""

    def state(self, used: int, copies: SnapshotBuffer) -> dict[str, Tensor]:
        """Copy which item each row holds."""
        return {"births": copies.copy(self.generation[:used])}

    def restore(self, arrays: dict[str, Tensor], n_generations: int) -> None:
        """Restore which item each row holds."""
        births = arrays["births"]
        self.restore_keys(births, n_generations, max(1024, len(births)))


def draft_plan(
    batch: Batch, neighbours: Whole, items: PlannedItems, vocabulary: Vocabulary, remember: bool
) -> Plan:
    """Return the plan of an admitted batch, without what is learned of it.

    Parameters
    ----------
    batch
        With its histories.
    neighbours
        int64 (b,): the rows before the new items'.
    items
        Which item each row holds, and what the new ones' begin with.
    vocabulary
        The catalogue, with the new items.
    remember
        Whether there is a memory.

    """
    request, windows = batch.request, batch.windows
    flat, admissions, n_items = batch.histories.view(-1), vocabulary.admissions, len(vocabulary)
    births = np.flatnonzero(batch.new)
    new_rows = batch.placed[births]
    scored = windows.scored
    targets = np.zeros_like(scored) if request.after else batch.placed[scored]
    before = scored + request.after
    facts = Facts(
        learn=request.learn,
        rank=request.test or remember,
        after=request.after,
        k=request.k,
        used=vocabulary.used,
        n_items=n_items,
        admitted=admissions[new_rows[0]] - 1 if len(births) else 0,
        floor=1.0,
    )
    none = np.zeros(0, np.int64)
    return Plan(
        facts=np.array(facts, np.float64),
        new_rows=new_rows,
        new_clicks=births,
        neighbours=neighbours,
        drawn=items.take_drawn().numpy().reshape(-1),
        buckets=buckets_of(windows.sessions),
        before=windows.slots,
        slots=none,
        scored=scored,
        group=windows.group[scored],
        starts=windows.starts,
        sizes=np.array(windows.sizes, np.int64),
        steps=items.rows_of(pick(flat, torch.from_numpy(windows.steps))).numpy(),
        moved_sessions=windows.moved_sessions,
        move_counts=np.array(windows.move_counts, np.int64),
        moved_clicks=items.rows_of(pick(flat, torch.from_numpy(windows.moved_clicks))).numpy(),
        next_start=windows.next_start,
        targets=targets,
        unseen=_unseen(targets, before, new_rows, births),
        items=n_items - len(births) + np.searchsorted(births, before),
        negatives=none,
        expected=np.zeros(0),
        evicted=none,
        clicks=windows.group if remember else none,
        keys=batch.placed + (admissions[batch.placed] << SHIFT) if remember else none,
        times=microseconds(request.times, len(request.items)) if remember else none,
        barred=np.zeros(0, np.bool_) if batch.barred is None else batch.barred.numpy(),
        dropping=np.zeros(0, np.uint8),
    )


def _unseen(targets: Whole, before: Whole, new_rows: Whole, births: Whole) -> NDArray[np.bool_]:
    """Return which targets are not known before their clicks."""
    unseen: NDArray[np.bool_] = targets == NO_ITEM
    if len(new_rows):
        order = np.argsort(new_rows)
        rows = new_rows[order]
        at = np.minimum(np.searchsorted(rows, targets), len(rows) - 1)
        unseen |= (rows[at] == targets) & (before <= births[order][at])
    return unseen
