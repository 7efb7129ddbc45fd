"""GRU4Rec that learns the first clicks of a stream, and nothing after them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..learner import OnlineGRU4Rec
from ..recommender import Id, State, Tested, prefixed, within
from .network_alone import network_alone
from .served import Served


class GRU4RecFrozen:
    """A GRU4Rec as it is put to work in most places: learned once, then only used.

    It is `OnlineGRU4Rec`, without the memory of the latest clicks, until `warm_up` clicks are
    learned. After that no parameter changes and no item enters: items that are new then are misses,
    and steps with embedding 0 in their sessions. What B. Hidasi et al., 2016, "Session-based
    Recommendations with Recurrent Neural Networks" train, here on its first clicks seen once.

    Parameters
    ----------
    warm_up
        How many clicks are learned, up to the end of the batch in which this number is reached.
    max_sessions, max_items, seed, device, dtype
        As for `OnlineGRU4Rec`.
    options
        Options of the `Recipe`.

    Raises
    ------
    ValueError
        An option is unknown, of a wrong type or out of its range.

    """

    name = "gru4rec-frozen"

    def __init__(
        self,
        *,
        warm_up: int = 100_000,
        max_sessions: int = 100_000,
        max_items: int = 1_000_000,
        seed: int = 0,
        device: str = "auto",
        dtype: str = "float32",
        **options: Any,
    ) -> None:
        if warm_up < 1:
            raise ValueError(f"warm_up must be at least 1, not {warm_up}")
        self.warm_up = warm_up
        self.max_sessions = max_sessions
        self.learned = 0
        self.model = OnlineGRU4Rec(
            network_alone(options),
            max_sessions=max_sessions,
            max_items=max_items,
            seed=seed,
            device=device,
            dtype=dtype,
        )
        self.served: Served | None = None

    @property
    def catalogue(self) -> int:
        """How many items are known."""
        return self.model.catalogue

    def test_then_learn(
        self, sessions: Sequence[Id], items: Sequence[Id], k: int = 0, time: float = -math.inf
    ) -> Tested:
        """Score every click of a batch that has a predecessor, then learn it while warming up."""
        if self.served:
            return self.served.test_then_follow(sessions, items, k)
        tested = self.model.test_then_learn(sessions, items, k, time)
        self._count(len(items))
        return tested

    def test(self, sessions: Sequence[Id], items: Sequence[Id], k: int = 0) -> Tested:
        """Score like `test_then_learn` and change nothing."""
        return (self.served or self.model).test(sessions, items, k)

    def learn(self, sessions: Sequence[Id], items: Sequence[Id], time: float = -math.inf) -> None:
        """Learn a batch while warming up; after that, follow the sessions."""
        if self.served:
            self.served.follow(sessions, items)
        else:
            self.model.learn(sessions, items, time)
            self._count(len(items))

    def _count(self, clicks: int) -> None:
        self.learned += clicks
        if self.learned >= self.warm_up:
            self.served = Served(self.model, self.max_sessions)
            self.served.take_over({session: session for session in self.model.sessions})

    def answer(
        self, sessions: Sequence[Id], items: Sequence[Id], k: int = 20
    ) -> list[list[tuple[Id, float]]]:
        """Give the k best next items, with their scores, after each click; change nothing."""
        return (self.served or self.model).answer(sessions, items, k)

    def recommend(self, items: Sequence[Id], k: int = 20) -> list[tuple[Id, float]]:
        """Give the k best next items for a session of these clicks, those never seen left out."""
        return self.model.recommend(items, k)

    def forget(self, sessions: Sequence[Id]) -> None:
        """Drop sessions that have ended."""
        (self.served or self.model).forget(sessions)

    def state(self) -> State:
        """Copy all that the next click depends on."""
        model = self.model.state()
        sessions, kept = self.served.state() if self.served else (None, {})
        return State(
            {**prefixed("model.", model.arrays), **prefixed("served.", kept)},
            {"model": model.values, "learned": self.learned, "served": sessions},
        )

    def restore(self, state: State) -> None:
        """Take back a state that `state` gave, by a model of the same configuration."""
        values = state.values
        self.learned = values["learned"]
        self.model.restore(State(within("model.", state.arrays), values["model"]))
        self.served = None
        if values["served"] is not None:
            self.served = Served(self.model, self.max_sessions)
            self.served.restore(values["served"], within("served.", state.arrays))
