"""The contract that every model meets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Id = str | int
"""What names a session or an item. It comes back as it went in."""

Times = Sequence[float] | NDArray[np.float64] | None
"""When each click was, in epoch seconds, NaN where that is not known; None: of none."""

Arrays = dict[str, NDArray[Any]]
"""A model's arrays by name, as safetensors keeps them."""


@dataclass(slots=True)
class BatchResult:
    """How well the clicks of one batch were predicted, before any of them was learned.

    Parameters
    ----------
    scored
        bool, shape (n,): the click has a predecessor in its session, so it was scored.
    ranks
        int64, shape (n,): 1 is best. 0 where the item had never been seen before the click (a
        miss), and where the click was not scored.
    recommended
        For each click the k best items before it and their scores, best first, where k was
        asked for; empty where the click was not scored.
    learning
        Seconds of the call in which the model learned; the others it scored. Where one pass serves
        both it counts as scoring.

    """

    scored: NDArray[np.bool_]
    ranks: NDArray[np.int64]
    recommended: list[list[tuple[Id, float]]] = field(default_factory=list)
    learning: float = 0.0

    @classmethod
    def empty(cls, clicks: int, k: int = 0) -> BatchResult:
        """Return the result of a batch of which nothing is scored yet.

        Examples
        --------
        >>> result = BatchResult.empty(2, k=20)
        >>> result.scored, result.recommended
        (array([False, False]), [[], []])

        """
        ranks = np.zeros(clicks, np.int64)
        return cls(np.zeros(clicks, np.bool_), ranks, [[] for _ in ranks] if k else [])


@dataclass(slots=True)
class State:
    """All that a model's next click depends on.

    Parameters
    ----------
    arrays
        Numeric state by name. The arrays are copies: the model may learn on while they are
        written.
    values
        Everything else, in JSON's types.

    """

    arrays: Arrays
    values: dict[str, Any]


class Recommender(Protocol):
    """A model of the next click, tested and trained on a stream.

    The engine passes plain lists. A new model inherits from `CheckedModel`, which converts other
    sequences to lists.

    Sessions are named like items, by texts or whole numbers. A session is known from its first
    click until it is forgotten or pushed out by the bound on live sessions.
    """

    name: str

    @property
    def n_items(self) -> int:
        """How many items are known."""
        ...

    def test_then_learn(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        k: int = 0,
        time: float = -math.inf,
        times: Times = None,
    ) -> BatchResult:
        """Score every click of a batch that has a predecessor, then learn the batch.

        A click is scored with parameters that have seen nothing of this batch, and with the
        catalogue and its session as they stood just before it. `time` is how far event time
        has come, in epoch seconds, for what is forgotten after a time; `times`, when each click
        was. A model that uses no times ignores both.
        """
        ...

    def test(
        self, sessions: Sequence[Id], items: Sequence[Id], k: int = 0, times: Times = None
    ) -> BatchResult:
        """Score like `test_then_learn` and change nothing."""
        ...

    def learn_many(
        self,
        sessions: Sequence[Id],
        items: Sequence[Id],
        time: float = -math.inf,
        times: Times = None,
    ) -> None:
        """Learn a batch without scoring it."""
        ...

    def recommend_after(
        self, sessions: Sequence[Id], items: Sequence[Id], k: int = 20, times: Times = None
    ) -> list[list[tuple[Id, float]]]:
        """Return the k best next items, with scores, after each click; change nothing."""
        ...

    def recommend(self, items: Sequence[Id], k: int = 20) -> list[tuple[Id, float]]:
        """Return the k best next items, with scores, for a session of these clicks."""
        ...

    def forget(self, sessions: Sequence[Id]) -> None:
        """Drop sessions that have ended."""
        ...

    def state(self) -> State:
        """Copy all that the next click depends on."""
        ...

    def restore(self, state: State) -> None:
        """Restore a state that `state` returned."""
        ...


def score_apart(
    model: Recommender, sessions: Sequence[Id], items: Sequence[Id], k: int = 0, times: Times = None
) -> BatchResult:
    """Test the sessions of a batch one by one, so that none is scored with the clicks of another.

    Parameters
    ----------
    model
        The model; it is not changed.
    sessions, items, k, times
        As for `Recommender.test`.

    """
    result = BatchResult.empty(len(items), k)
    places: dict[Id, list[int]] = {}
    for at, session in enumerate(sessions):
        places.setdefault(session, []).append(at)
    for session, own in places.items():
        own_times = None if times is None else [times[at] for at in own]
        tested = model.test([session] * len(own), [items[at] for at in own], k, own_times)
        result.scored[own], result.ranks[own] = tested.scored, tested.ranks
        if k:
            for at, best in zip(own, tested.recommended, strict=True):
                result.recommended[at] = best
    return result


def prefixed(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Put a prefix before every name.

    Examples
    --------
    >>> prefixed("items.", {"rows": 3}), within("items.", {"items.rows": 3, "clicks": 7})
    ({'items.rows': 3}, {'rows': 3})

    """
    return {f"{prefix}{name}": array for name, array in arrays.items()}


def within(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `prefixed` was given: the arrays with a prefix, without it."""
    return {n.removeprefix(prefix): array for n, array in arrays.items() if n.startswith(prefix)}
