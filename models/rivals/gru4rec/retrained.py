"""GRU4Rec retrained on all clicks so far, every day or every week, and frozen in between."""

from __future__ import annotations

import math
import time as clock
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from ...argument_checks import at_least
from ...base import CheckedModel, Request
from ...compute.device import HOST
from ...gru4rec.online import OnlineGRU4Rec
from ...gru4rec.size_check import check_room
from ...items.popularity import LARGEST_BATCH
from ...items.scored import Scored
from ...queries import Query
from ...recommender import BatchResult, Id, State, prefixed, within
from .frozen_model import FrozenGRU4Rec
from .replay_buffer import ReplayBuffer
from .variants import WITHOUT_MEMORY, network_alone

DAY = 86_400
SECONDS = {"day": DAY, "week": 7 * DAY}
MONDAY = 4 * DAY
"""The first Monday after the epoch, which was a Thursday: weeks begin there."""


class GRU4RecRetrained(CheckedModel):
    """The usual practice: retrain from scratch on the logged clicks, and serve that until the next.

    When a day (or week, from Monday, UTC) of event time has ended, a new `OnlineGRU4Rec`, without
    the memory of the latest clicks, learns the clicks kept so far. In between no parameter changes
    and no item enters, see `FrozenGRU4Rec`; before the first training all clicks are misses. Event
    time is the `time` that `test_then_learn` and `learn_many` take: without it there is no
    training. A live session whose clicks are not kept any more begins again at the next training.

    Parameters
    ----------
    every
        ``"day"`` or ``"week"``.
    keep
        Number of latest clicks to train on.
    epochs
        How often each training goes over them.
    batch
        Clicks learned at once.
    max_sessions, max_items, seed, device, dtype
        As for `OnlineGRU4Rec`.
    **options
        Options of the `GRU4RecConfig`.

    Raises
    ------
    ValueError
        An option is unknown, of a wrong type or out of its range.

    """

    name = "gru4rec-retrained"
    largest_batch = LARGEST_BATCH
    fixed_options: ClassVar[dict[str, Any]] = WITHOUT_MEMORY
    FIXED = tuple(f"model.{name}" for name in OnlineGRU4Rec.FIXED)

    def __init__(
        self,
        *,
        every: Literal["day", "week"] = "day",
        keep: int = 1_000_000,
        epochs: int = 1,
        batch: int = 64,
        max_sessions: int = 100_000,
        max_items: int = 1_000_000,
        seed: int = 0,
        device: str = "auto",
        dtype: str = "float32",
        **options: Any,
    ) -> None:
        if every not in SECONDS:
            raise ValueError(f"every must be day or week, not {every!r}")
        for option, value in (("keep", keep), ("epochs", epochs), ("batch", batch)):
            at_least(value, option, 1)
        # A session and an item of a click kept, and of as many that wait to be dropped.
        check_room({f"keep={keep}": 32 * keep}, HOST)
        self.every = every
        self.epochs = epochs
        self.batch = batch
        self.max_sessions = max_sessions
        self._config = network_alone(options)
        self._rest: dict[str, Any] = {
            # A batch of one's own size must fit, whatever the live sessions' bound.
            "max_sessions": max(max_sessions, batch),
            "max_items": max_items,
            "seed": seed,
            "device": device,
            "dtype": dtype,
        }
        self.kept = ReplayBuffer(keep)
        self.model = OnlineGRU4Rec(self._config, **self._rest)
        self.served = FrozenGRU4Rec(self.model, max_sessions)
        self._period: int | None = None
        # An id that is forgotten and comes again is another session: the log tells them apart.
        self._numbers: dict[Id, int] = {}
        self._sessions = 0

    @property
    def n_items(self) -> int:
        """How many items are known."""
        return self.model.n_items

    def _run(self, request: Request) -> BatchResult:
        """Retrain if a period has ended, score the batch, and keep it for the next training."""
        if not request.learn:
            return self.served.score(request)
        self.served.sessions.check_room(len(set(request.sessions)))
        began = clock.perf_counter()
        self._train_if_due(request.time)
        numbers = self._number(request.sessions)
        trained = clock.perf_counter()
        result = self.served.score(request)
        scored = clock.perf_counter()
        self._keep(numbers, request.items)
        result.learning = trained - began + clock.perf_counter() - scored
        return result

    def _knows(self, item: Id) -> bool:
        return item in self.model.vocabulary

    def _recommend(self, items: list[Id], k: int) -> list[tuple[Id, float]]:
        return self.model.recommend(items, k)

    def _scored(self, queries: Sequence[Query]) -> Scored:
        return self.served.scored(queries)

    def _forget(self, sessions: list[Id]) -> None:
        self.served.forget(sessions)
        for session in sessions:
            self._numbers.pop(session, None)

    def _train_if_due(self, time: float) -> None:
        """Train if a period has ended since the last call."""
        if not math.isfinite(time):
            return
        period = math.floor((time - MONDAY) / SECONDS[self.every])
        if self._period is None or period > self._period:
            if self._period is not None and len(self.kept):
                self._train()
            self._period = period

    def _train(self) -> None:
        """Train from scratch on the clicks kept, and go on with the live sessions."""
        model = OnlineGRU4Rec(self._config, **self._rest)
        for _ in range(self.epochs):
            model.forget(list(model.sessions))
            for numbers, items in self.kept.batches(self.batch):
                model.learn_many(numbers, items)
        live = list(self.served.sessions)
        self.model, self.served = model, FrozenGRU4Rec(model, self.max_sessions)
        self.served.take_over({session: self._numbers[session] for session in live})

    def _number(self, sessions: Sequence[Id]) -> list[int]:
        """Return the sessions' numbers; those that are not live get new ones."""
        for session in dict.fromkeys(sessions):
            if session not in self.served.sessions:
                self._numbers[session] = self._sessions
                self._sessions += 1
        return [self._numbers[session] for session in sessions]

    def _keep(self, numbers: list[int], items: Sequence[Id]) -> None:
        """Keep the clicks of a batch whose sessions have moved on."""
        self.kept.add(numbers, items)
        if len(self._numbers) > 2 * self.max_sessions:
            live = list(self.served.sessions)
            self._numbers = {session: self._numbers[session] for session in live}

    def state(self) -> State:
        """Copy all that the next click depends on."""
        model = self.model.state()
        sessions, served = self.served.state()
        kept, names = self.kept.state()
        return State(
            {
                **prefixed("model.", model.arrays),
                **prefixed("served.", served),
                **prefixed("kept.", kept),
            },
            {
                "model": model.values,
                "served": sessions,
                "kept": names,
                "period": self._period,
                "sessions": self._sessions,
                "numbers": [self._numbers[session] for session in sessions],
            },
        )

    def _restore(self, state: State) -> None:
        values = state.values
        self.model = OnlineGRU4Rec(self._config, **self._rest)
        self.model.restore(State(within("model.", state.arrays), values["model"]))
        self.served = FrozenGRU4Rec(self.model, self.max_sessions)
        self.served.restore(values["served"], within("served.", state.arrays))
        self.kept.restore(within("kept.", state.arrays), values["kept"])
        self._period = values["period"]
        self._sessions = values["sessions"]
        self._numbers = dict(zip(values["served"], values["numbers"], strict=True))
