"""The models of a comparison, each in one of several processes.

The first process reads the source and sends every batch to the others; so whatever can be read by
one process can be compared by several, and each model sees exactly what it would see in one. The
figures are counted by the first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nextclick.models import BatchResult, Recommender, State
from nextclick.models.gradient_model import GradientModel
from nextclick.models.recommender import Id, Times
from nextclick.models.workers import LostWorker

from ..comparison.config import CompareConfig
from ..comparison.contestants import Contestant, contestants_of
from ..comparison.timed_model import TimedModel
from ..config.learners import OWN, class_of
from ..config.options import ConfigError
from ..config.run import StreamConfig
from ..evaluation.tested_batch import TestedBatch
from .member import Member
from .wire import Wire

ERRORS: dict[str, type[Exception]] = {
    each.__name__: each
    for each in (ConfigError, FloatingPointError, ValueError, TypeError, MemoryError)
}
"""What a model may raise that is raised again in the first process."""

GRADIENT_COST = 8
"""How much more a model that learns by gradients costs than one that counts, about."""


def deal(kinds: Mapping[str, str], size: int) -> dict[str, int]:
    """Return for each model in which process it is, given its kind.

    The first model, which answers for all, is in the first process. Of the others, the costly ones
    come first, each to the process that has the least to do.

    Examples
    --------
    >>> kinds = ["markov", "gru4rec", "sasrec", "rules"]
    >>> deal({kind: kind for kind in kinds}, 3)
    {'markov': 0, 'gru4rec': 1, 'sasrec': 2, 'rules': 0}

    """
    names = list(kinds)
    costs = {name: GRADIENT_COST if _learns_by_gradients(kinds[name]) else 1 for name in names}
    ranks = {names[0]: 0}
    load_of = [0] * size
    load_of[0] = costs[names[0]]
    for name in sorted(names[1:], key=lambda name: -costs[name]):
        ranks[name] = load_of.index(min(load_of))
        load_of[ranks[name]] += costs[name]
    return {name: ranks[name] for name in names}


def _learns_by_gradients(kind: str) -> bool:
    return kind in OWN or issubclass(class_of(kind), GradientModel)


class AwayModel:
    """A model in another process.

    Parameters
    ----------
    name
        The model's name.
    rank
        Where it is.
    largest_batch
        How many clicks a batch of it may hold; None: any number.
    apart
        What it is one of.

    """

    def __init__(self, name: str, rank: int, largest_batch: int | None, apart: ModelsApart) -> None:
        self.name, self.rank, self.largest_batch = name, rank, largest_batch
        self.n_items = 0
        self._apart = apart

    def test_then_learn(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        k: int = 0,
        time: float = -math.inf,
        times: Times = None,
    ) -> BatchResult:
        """Return what has come of the batch that `ModelsApart.begin` has sent."""
        return self._apart.result_of(self.name)

    def test(
        self, sessions: Sequence[Id], items: Sequence[Id], k: int = 0, times: Times = None
    ) -> BatchResult:
        """Refuse: nothing of a comparison asks for this."""
        raise NotImplementedError(f"{self.name} is in another process")

    def learn_many(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        time: float = -math.inf,
        times: Times = None,
    ) -> None:
        """Refuse: nothing of a comparison asks for this."""
        raise NotImplementedError(f"{self.name} is in another process")

    def recommend_after(
        self, sessions: Sequence[Id], items: Sequence[Id], k: int = 20, times: Times = None
    ) -> list[list[tuple[Id, float]]]:
        """Refuse: the first model answers, which is in the first process."""
        raise NotImplementedError(f"{self.name} is in another process")

    def recommend(self, items: Sequence[Id], k: int = 20) -> list[tuple[Id, float]]:
        """Refuse: the first model answers, which is in the first process."""
        raise NotImplementedError(f"{self.name} is in another process")

    def forget(self, sessions: Sequence[Id]) -> None:
        """Drop sessions that have ended."""
        if sessions:
            self.call("forget", sessions=list(sessions))

    def state(self) -> State:
        """Copy all that the next click depends on."""
        state: State = self.call("state")["state"]
        return state

    def restore(self, state: State) -> None:
        """Restore what `state` returned."""
        self.n_items = self.call("restore", state)["n_items"]

    def call(self, work: str, state: State | None = None, **given: Any) -> dict[str, Any]:
        """Have something done by the model's process; return its answer."""
        return self._apart.call(self.rank, {"do": work, "model": self.name, **given}, state)


class AwayTimed(TimedModel):
    """A model in another process, with the seconds that it takes there; it is driven there."""

    def __init__(self, model: AwayModel) -> None:
        super().__init__(model)
        self.away = model

    def test_then_learn(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        k: int,
        time: float,
        times: Times,
        count_scoring: bool = True,
    ) -> BatchResult:
        """Return what has come of the batch that `ModelsApart.begin` has sent."""
        return self.away.test_then_learn(sessions, items, k, time, times)

    def forget(self, sessions: Sequence[Id]) -> None:
        """Drop sessions that have ended."""
        self.away.forget(sessions)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Seconds of scoring and of learning, shape (2,)."""
        return self._seconds

    @seconds.setter
    def seconds(self, seconds: NDArray[np.float64]) -> None:
        """Set the seconds, in the other process too once there is one."""
        self._seconds = seconds
        if hasattr(self, "away"):
            self.away.call("seconds", seconds=seconds.tolist())

    def note_seconds(self, seconds: Sequence[float]) -> None:
        """Note what the other process has counted."""
        self._seconds = np.array(seconds)


class ModelsApart:
    """The models of a comparison that are in other processes, for the first process.

    Parameters
    ----------
    member
        The first process as a member of its group.
    config
        The options of the comparison, which the others have too.
    contestants
        What takes part, by label.

    Attributes
    ----------
    models
        All models by name, in order: those of this process, and an `AwayModel` for each other.
    timed
        The others, as they are timed.

    """

    def __init__(
        self, member: Member, config: StreamConfig, contestants: Mapping[str, Contestant]
    ) -> None:
        self._member, self._wire = member, Wire(member.host_group)
        kinds = {label: one.options["kind"] for label, one in contestants.items()}
        self._frozen = config.frozen
        self._ranks = deal(kinds, member.place.size)
        self._unanswered: list[int] = []
        self._holders = sorted(set(self._ranks.values()) - {0})
        self._answers: dict[str, dict[str, Any]] = {}
        own = {label: one for label, one in contestants.items() if not self._ranks[label]}
        here = {label: one.make(config) for label, one in own.items()}
        for rank in range(1, member.place.size):
            self._wire.send(rank, {"models": [n for n, r in self._ranks.items() if r == rank]})
        facts = {}
        for rank in range(1, member.place.size):
            facts.update(self._checked(self._wire.receive(rank))["largest"])
        self.models: dict[str, Recommender] = {}
        self.timed: dict[str, TimedModel] = {}
        self._away: dict[str, AwayTimed] = {}
        for name, rank in self._ranks.items():
            if not rank:
                self.models[name] = here[name]
                continue
            away = AwayModel(name, rank, facts[name], self)
            self.models[name] = away
            self.timed[name] = self._away[name] = AwayTimed(away)

    def begin(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        wanted: Mapping[str, int],
        time: float,
        times: Times,
        count_scoring: bool,
        tested: TestedBatch | None,
    ) -> None:
        """Send a batch to all other processes, to be scored and learned by their models."""
        batch = {
            "do": "batch",
            "sessions": list(sessions),
            "items": list(items),
            "wanted": dict(wanted),
            "time": time,
            "times": None if times is None else np.asarray(times).tolist(),
            "count_scoring": count_scoring,
            "tested": tested.driving() if tested is not None and self._frozen else None,
        }
        for rank in self._holders:
            self._wire.send(rank, batch)
            self._unanswered.append(rank)

    def result_of(self, model: str) -> BatchResult:
        """Return what a model has made of the batch; wait for it."""
        if self._ranks[model] in self._unanswered:
            self._answers.update(self._receive(self._ranks[model])["answers"])
        answer = self._checked(self._answers.pop(model))
        timed = self._away[model]
        timed.away.n_items = answer["n_items"]
        timed.note_seconds(answer["seconds"])
        return BatchResult(
            np.array(answer["scored"], np.bool_),
            np.array(answer["ranks"], np.int64),
            [[(item, score) for item, score in best] for best in answer["recommended"]],
            answer["learning"],
        )

    def call(self, rank: int, message: dict[str, Any], state: State | None) -> dict[str, Any]:
        """Ask a process for something and return its answer."""
        self._wire.send(rank, message, state)
        return self._checked(self._wire.receive(rank))

    def stop(self) -> None:
        """End the work of the others; where one is lost, this does nothing."""
        try:
            while self._unanswered:
                self._receive(self._unanswered[0])
            for rank in range(1, self._member.place.size):
                self._wire.send(rank, {"do": "stop"})
        except LostWorker:
            return

    def stats(self, seconds: Mapping[str, float]) -> dict[str, Any]:
        """Return what the metrics show, given the seconds that each model has taken."""
        busy = [0.0] * self._member.place.size
        for name, rank in self._ranks.items():
            busy[rank] += seconds[name]
        return {
            "workers": self._member.place.size,
            "backend": "gloo",
            "bytes": {"batches": self._wire.bytes},
            "seconds": {"batches": self._wire.seconds},
            "busy": busy,
        }

    def _receive(self, rank: int) -> dict[str, Any]:
        self._unanswered.remove(rank)
        return self._wire.receive(rank)

    @staticmethod
    def _checked(answer: dict[str, Any]) -> dict[str, Any]:
        if "error" in answer:
            kind, text = answer["error"]
            raise ERRORS.get(kind, RuntimeError)(text)
        return answer


SHARED = ("max_sessions", "max_items", "batch", "device", "seed")
"""The options that the models of a comparison have in common."""


def shared_models(config: CompareConfig) -> dict[str, Any]:
    """Return what the other processes need to know of a comparison, in JSON's types."""
    shared = {name: getattr(config, name) for name in SHARED}
    contestants = msgspec.to_builtins(contestants_of(config))
    return {"shared": shared, "frozen": config.frozen, "contestants": contestants}


def shared_config(task: dict[str, Any]) -> StreamConfig:
    """Return a configuration with what `shared_models` has told."""
    return msgspec.convert(task["shared"], StreamConfig)
