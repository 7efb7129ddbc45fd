"""V-SkNN: session neighbours, found and weighed by the session's last items."""

from __future__ import annotations

from typing import Any

import numpy as np

from .neighbours import Floats, Neighbours


class VSkNN(Neighbours):
    """Vector multiplication session-based k nearest neighbours.

    M. Ludewig and D. Jannach, *Evaluation of Session-based Recommendation Algorithms* (2018): a
    neighbour is compared with the session's items weighted by their place, linearly from the last
    one (1) down, and counts 1/x where the last item that it shares is the session's x-th last.

    Parameters
    ----------
    neighbours, sample, kept, window, idf, **options
        See `Neighbours`.

    """

    name = "vsknn"

    def __init__(
        self,
        *,
        neighbours: int = 200,
        sample: int = 1000,
        kept: int = 100_000,
        window: int = 20,
        idf: float = 5,
        **options: Any,
    ) -> None:
        super().__init__(
            neighbours=neighbours,
            sample=sample,
            kept=kept,
            window=window,
            idf=idf,
            **options,
        )

    def importance(self, count: int) -> list[float]:
        """From 1 down to 1/count."""
        return [place / count for place in range(count, 0, -1)]

    def trust(self, count: int) -> Floats:
        """One, a half, a third and so on."""
        return 1 / np.arange(1, count + 1)
