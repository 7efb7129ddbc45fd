"""A batch on its way through a model that learns by gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .base import Request
from .compute.background import Task
from .memory.evidence import Evidence
from .ranking import NewItems
from .recommender import BatchResult
from .windows import Windows


class Checkpoint(NamedTuple):
    """What a rollback needs to know of the model before a batch.

    Parameters
    ----------
    used, n_generations
        Rows of the catalogue in use, and how many items have been given a row.
    initial, draws
        States of the generators of new embeddings and of negatives.

    """

    used: int
    n_generations: int
    initial: Tensor
    draws: Tensor


@dataclass(slots=True)
class Batch:
    """What the model knows of a batch, from admission to the end of learning.

    Parameters
    ----------
    request
        The clicks, and what is to be done with them.
    windows
        The clicks' windows in their sessions.
    placed, new
        (n,): the clicked items' rows on the host, and which clicks add an item to the catalogue.
    rows, new_items
        The rows on the device, and the added items.
    drawn, draws
        What the new items' embeddings begin with, and what the negatives are drawn by; None where
        nothing is drawn, or not yet.
    before
        The model before the batch.
    result
        Filled while the batch is scored.
    parallel
        Whether its computations are worth another thread.
    evidence
        The memory's for the scored clicks; None without a memory.
    memory_gradient
        The gradient of the batch by the memory's weights.
    barred
        bool (rows,): what must not be recommended; None for nothing.

    Attributes
    ----------
    histories
        int64 (u, width): the sessions' clicks, stored ones and the batch's, see `SessionStore`.
    ends
        (u, width): each session's state where its stored window starts after the batch.

    """

    request: Request
    windows: Windows
    placed: NDArray[np.int64]
    new: NDArray[np.bool_]
    rows: Tensor
    new_items: NewItems
    before: Checkpoint
    result: BatchResult
    histories: Tensor = field(init=False)
    ends: Tensor = field(init=False)
    parallel: bool = False
    evidence: Task[Evidence] | None = None
    memory_gradient: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    barred: Tensor | None = None
    drawn: Tensor | None = None
    draws: Tensor | None = None
