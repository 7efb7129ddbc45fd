"""STAN: session neighbours with decay in the session, in the neighbour and in time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .neighbours import Floats, Integers, Neighbours


class STAN(Neighbours):
    """Sequence and time aware neighbourhood.

    D. Garg, P. Gupta, P. Malhotra, L. Vig and G. Shroff, *Sequence and Time Aware Neighborhood for
    Session-based Recommendations* (2019). The session's items count less towards its beginning
    (λ1); a neighbour, by its cosine with them, less the longer ago it was (λ2); and its items less
    the farther they are in it from the last one that it shares (λ3). Each decay is exp(−x/λ). Time
    is counted in clicks of the stream.

    Parameters
    ----------
    decay
        λ1, in items of the session.
    age
        λ2, in clicks of the stream.
    distance
        λ3, in items of the neighbour.
    neighbours, sample, kept, window, idf, **options
        See `Neighbours`.

    """

    name = "stan"

    def __init__(
        self,
        *,
        decay: float = 0.3,
        age: float = 50_000,
        distance: float = 2.0,
        neighbours: int = 200,
        sample: int = 1000,
        kept: int = 100_000,
        window: int = 20,
        idf: float = 0,
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
        if min(decay, age, distance) <= 0:
            raise ValueError("decay, age and distance are more than 0")
        self.decay = decay
        self.age = age
        self.distance = distance

    def importance(self, count: int) -> list[float]:
        """One for the last item, less by exp(−1/λ1) for each before it."""
        return [math.exp(-place / self.decay) for place in range(count)]

    def nearness(self, overlap: Floats, lengths: Integers, ages: Integers) -> Floats:
        """Return the cosine, but for the session's own length, and less for older sessions."""
        nearness: Floats = overlap / np.sqrt(lengths) * np.exp(ages / -self.age)
        return nearness

    def trust(self, count: int) -> Floats:
        """All alike."""
        return np.ones(count)
