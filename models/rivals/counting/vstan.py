"""VSTAN: STAN with V-SkNN's ideas."""

from __future__ import annotations

from typing import Any

import numpy as np

from .neighbours import Floats
from .stan import STAN


class VSTAN(STAN):
    """STAN in which a neighbour also counts by the last item it shares, and rare items more.

    M. Ludewig, N. Mauro, S. Latifi and D. Jannach, *Empirical analysis of session-based
    recommendation algorithms* (2021): to STAN's decays it adds V-SkNN's decay by the last item of
    the session that the neighbour shares, exp(−x/λ), and the rareness of the items scored.

    Parameters
    ----------
    share
        λ of the decay by the last shared item, in items of the session.
    idf
        See `Neighbours`.
    decay, **options
        See `STAN`.

    """

    name = "vstan"

    def __init__(
        self, *, share: float = 0.5, decay: float = 1.0, idf: float = 1.0, **options: Any
    ) -> None:
        super().__init__(decay=decay, idf=idf, **options)
        if share <= 0:
            raise ValueError("share is more than 0")
        self.share = share

    def trust(self, count: int) -> Floats:
        """One for the last item, less by exp(−1/λ) for each before it."""
        trust: Floats = np.exp(np.arange(count) / -self.share)
        return trust
