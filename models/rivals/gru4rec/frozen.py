"""GRU4Rec that learns the first clicks of a stream, and nothing after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...argument_checks import at_least
from ...base import CheckedModel, Request
from ...gru4rec.online import OnlineGRU4Rec
from ...items.popularity import LARGEST_BATCH
from ...items.scored import Scored
from ...queries import Answer, Query
from ...recommender import BatchResult, Id, State, prefixed, within
from .frozen_model import FrozenGRU4Rec
from .variants import WITHOUT_MEMORY, network_alone


class GRU4RecFrozen(CheckedModel):
    """A GRU4Rec as it is used in most places: trained once, then only applied.

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
    **options
        Options of the `GRU4RecConfig`.

    Raises
    ------
    ValueError
        An option is unknown, of a wrong type or out of its range.

    """

    name = "gru4rec-frozen"
    largest_batch = LARGEST_BATCH
    fixed_options: ClassVar[dict[str, Any]] = WITHOUT_MEMORY
    FIXED = tuple(f"model.{name}" for name in OnlineGRU4Rec.FIXED)
    OPTIONAL = ("served.",)

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
        self.warm_up = at_least(warm_up, "warm_up", 1)
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
        self.served: FrozenGRU4Rec | None = None

    @property
    def n_items(self) -> int:
        """How many items are known."""
        return self.model.n_items

    def _run(self, request: Request) -> BatchResult:
        """Score and learn while warming up; after that, score and follow the sessions."""
        if self.served:
            return self.served.score(request)
        result = self.model._run(request)
        if request.learn:
            self._count(len(request.items))
        return result

    def _count(self, clicks: int) -> None:
        self.learned += clicks
        if self.learned >= self.warm_up:
            self.served = FrozenGRU4Rec(self.model, self.max_sessions)
            self.served.take_over({session: session for session in self.model.sessions})

    def _knows(self, item: Id) -> bool:
        return item in self.model.vocabulary

    def _recommend(self, items: list[Id], k: int) -> list[tuple[Id, float]]:
        return self.model.recommend(items, k)

    def _recommend_each(self, queries: list[Query]) -> list[Answer]:
        return (
            super()._recommend_each(queries) if self.served else self.model.recommend_each(queries)
        )

    def _scored(self, queries: Sequence[Query]) -> Scored:
        assert self.served is not None
        return self.served.scored(queries)

    def _forget(self, sessions: list[Id]) -> None:
        (self.served or self.model).forget(sessions)

    def state(self) -> State:
        """Copy all that the next click depends on."""
        model = self.model.state()
        sessions, kept = self.served.state() if self.served else (None, {})
        return State(
            {**prefixed("model.", model.arrays), **prefixed("served.", kept)},
            {"model": model.values, "learned": self.learned, "served": sessions},
        )

    def _restore(self, state: State) -> None:
        values = state.values
        self.learned = values["learned"]
        self.model.restore(State(within("model.", state.arrays), values["model"]))
        self.served = None
        if values["served"] is not None:
            self.served = FrozenGRU4Rec(self.model, self.max_sessions)
            self.served.restore(values["served"], within("served.", state.arrays))
