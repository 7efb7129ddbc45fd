"""A batch on its way through the learner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..memory.memory import Noted
from ..ranking import Births
from ..recommender import Tested
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
    rows, births
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
    births: Births
    worth: bool
    noting: Iterator[None]
    kept: list[Noted]
    tested: Tested
    before: tuple[int, int]
    random: tuple[Tensor, Tensor]
    tracks: Tensor = field(init=False)
    ends: Tensor = field(init=False)
    gradient: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def noted(self) -> Noted | None:
        """Wait for what the memory has noted; None where there is none."""
        if not self.kept:
            next(self.noting, None)
        return self.kept[0] if self.kept else None
