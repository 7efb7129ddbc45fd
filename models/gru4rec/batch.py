"""A batch on its way through the learner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..memory.memory import Lookup
from ..ranking import NewItems
from ..recommender import BatchResult
from ..windows import Windows


@dataclass(slots=True)
class Batch:
    """What the learner knows of a batch, from taking it in to keeping it.

    Parameters
    ----------
    windows
        How its clicks line up with their sessions.
    placed, new
        (n,): the clicked items' rows, and whether they enter the catalogue here.
    rows, generation
        The rows on the device, and the new items among them.
    worth
        Whether another thread is worth beginning.
    noting, kept
        Has the memory note it, if there is one, and what it has noted by now.
    tested
        What is found of it.
    before, random
        Rows in use, births, and the generators' states before it.

    """

    windows: Windows
    placed: NDArray[np.int64]
    new: NDArray[np.bool_]
    rows: Tensor
    new_items: NewItems
    parallel: bool
    noting: Iterator[None]
    kept: list[Lookup]
    tested: BatchResult
    before: tuple[int, int]
    random: tuple[Tensor, Tensor]
    histories: Tensor = field(init=False)
    ends: Tensor = field(init=False)
    gradient: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def lookup(self) -> Lookup | None:
        """Wait for what the memory has noted; None where there is none."""
        if not self.kept:
            next(self.noting, None)
        return self.kept[0] if self.kept else None
