"""What every model has in common: its public methods, and the checks before them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .argument_checks import at_least, click_lists, click_times, event_time, id_list, one_id
from .items.scored import Scored, best_answers, chunks
from .queries import Allowed, Answer, Query, checked_allowed, checked_query
from .recommender import BatchResult, Id, State, score_apart


@dataclass(frozen=True, slots=True)
class Request:
    """A batch of n clicks, checked, and what a model is to do with it.

    Parameters
    ----------
    sessions, items
        n of each, in stream order.
    k
        Number of items to recommend for each scored click.
    time
        How far event time has come, in epoch seconds; minus infinity where that is not known.
    times
        float64 (n,): when each click was, in epoch seconds, NaN where that is not known. None: no
        time is known.
    test, learn
        Whether the clicks are scored, and whether they are learned. Without `learn` nothing
        changes.
    after
        Recommend after each click, not before it; nothing is learned then.
    allowed
        What may be recommended after each click; None: anything.
    frozen
        Clicks only move their sessions: nothing else is learned of one before the next is scored.

    """

    sessions: list[Id]
    items: list[Id]
    k: int = 0
    time: float = -math.inf
    times: NDArray[np.float64] | None = None
    test: bool = False
    learn: bool = False
    after: bool = False
    allowed: Allowed | None = None
    frozen: bool = False


class CheckedModel(ABC):
    """The methods of a `Recommender`, each of which checks its arguments before anything else.

    A model inherits from this and implements the private methods. These get plain lists of texts
    and whole numbers, of one length, and an array of times or None, so compiled loops need no
    checks; and a refused argument has changed nothing.
    """

    name: str

    largest_batch: int | None = None
    """How many clicks a batch may hold; None: any number."""

    FIXED: ClassVar[tuple[str, ...]] = ()
    """Arrays of the state, by the start of their names, whose shape only the options decide. Others
    may be longer or shorter along their first dimension."""

    OPTIONAL: ClassVar[tuple[str, ...]] = ()
    """Arrays of the state, by the start of their names, that are not always there."""

    def test_then_learn(
        self,
        sessions: Iterable[Id],
        items: Iterable[Id],
        k: int = 0,
        time: float = -math.inf,
        times: Iterable[float | None] | None = None,
    ) -> BatchResult:
        """Score every click of a batch that has a predecessor, then learn the batch.

        Parameters
        ----------
        sessions, items
            n of each, in stream order: lists, arrays or series of texts and whole numbers.
        k
            How many items to recommend before each scored click.
        time
            How far event time has come, in epoch seconds; minus infinity where it is not known.
        times
            When each click was, in epoch seconds of event time: n numbers, NaN or None where that
            is not known. None: of no click.

        Raises
        ------
        TypeError, ValueError
            An argument is of a wrong kind or out of its range; the batch holds more clicks than
            `largest_batch`, or more sessions than a model that learns by gradients may keep,
            `max_sessions`. Nothing has changed.
        FloatingPointError
            A score is not a number: the learning has diverged.

        """
        names = self._checked(sessions, items)
        k, time = at_least(k, "k", 0), event_time(time)
        checked_times = click_times(times, names[1])
        return self._run(Request(*names, k, time, checked_times, test=True, learn=True))

    def test(
        self,
        sessions: Iterable[Id],
        items: Iterable[Id],
        k: int = 0,
        times: Iterable[float | None] | None = None,
    ) -> BatchResult:
        """Score like `test_then_learn` and change nothing."""
        return self._run(self._to_test(sessions, items, k, times))

    def test_frozen(
        self,
        sessions: Iterable[Id],
        items: Iterable[Id],
        k: int = 0,
        times: Iterable[float | None] | None = None,
    ) -> BatchResult:
        """Score like `test`, but as a model that has stopped learning: sessions move, that is all.

        `test` may score a click with what the clicks before it in the batch teach; here a click
        knows of these only those of its own session.
        """
        return self._test_frozen(self._to_test(sessions, items, k, times, frozen=True))

    def _to_test(
        self,
        sessions: Iterable[Id],
        items: Iterable[Id],
        k: int,
        times: Iterable[float | None] | None,
        frozen: bool = False,
    ) -> Request:
        names = self._checked(sessions, items)
        k, checked_times = at_least(k, "k", 0), click_times(times, names[1])
        return Request(*names, k, times=checked_times, test=True, frozen=frozen)

    def learn_many(
        self,
        sessions: Iterable[Id],
        items: Iterable[Id],
        time: float = -math.inf,
        times: Iterable[float | None] | None = None,
    ) -> None:
        """Learn a batch without scoring it."""
        names = self._checked(sessions, items)
        checked_times, time = click_times(times, names[1]), event_time(time)
        self._run(Request(*names, 0, time, checked_times, learn=True))

    def _checked(self, sessions: Iterable[Id], items: Iterable[Id]) -> tuple[list[Id], list[Id]]:
        names = click_lists(sessions, items)
        count, most = len(names[1]), self.largest_batch
        if most is not None and count > most:
            raise ValueError(
                f"a batch of {count:,} clicks is too large: {self.name} takes {most:,} at most"
            )
        return names

    def learn_one(self, session: Id, item: Id, time: float = -math.inf) -> None:
        """Learn one click.

        Parameters
        ----------
        session, item
            The click.
        time
            When it was, and so how far event time has come, in epoch seconds; minus infinity where
            that is not known.

        """
        times = None if event_time(time) == -math.inf else [time]
        self.learn_many([one_id(session, "session")], [one_id(item, "item")], time, times)

    def recommend_after(
        self,
        sessions: Iterable[Id],
        items: Iterable[Id],
        k: int = 20,
        times: Iterable[float | None] | None = None,
    ) -> list[list[tuple[Id, float]]]:
        """Return the k best next items, with their scores, after each click; change nothing."""
        names = self._checked(sessions, items)
        k, checked_times = at_least(k, "k", 1), click_times(times, names[1])
        return self._run(Request(*names, k, times=checked_times, test=True, after=True)).recommended

    def recommend_allowed(
        self,
        sessions: Iterable[Id],
        items: Iterable[Id],
        allowed: Allowed,
        k: int = 20,
        times: Iterable[float | None] | None = None,
    ) -> list[list[tuple[Id, float]]]:
        """Return the k best of the allowed items after each click, as `recommend_after` does."""
        names, allowed = self._checked(sessions, items), checked_allowed(allowed)
        k, checked_times = at_least(k, "k", 1), click_times(times, names[1])
        return self._recommend_allowed(
            Request(*names, k, times=checked_times, test=True, after=True, allowed=allowed)
        )

    def recommend(self, items: Iterable[Id], k: int = 20) -> list[tuple[Id, float]]:
        """Return the k best next items for a session of these clicks; change nothing.

        Parameters
        ----------
        items
            The session so far, oldest first; unknown items are ignored.
        k
            At most this many are returned.

        Returns
        -------
        list of (item, score)
            Best first. Empty where no item of the session is known.

        """
        return self._recommend(id_list(items, "items"), at_least(k, "k", 1))

    def recommend_each(self, queries: Sequence[Query]) -> list[Answer]:
        """Return what is best for each of some visitors; change nothing.

        A list holds the k best of the items that the query allows. Where nothing is known of a
        visitor, it holds the recently popular items. What is asked in one call makes no difference
        to the other answers.

        Raises
        ------
        TypeError, ValueError
            A query is of a wrong kind or out of its range.
        FloatingPointError
            A score is not a number: the learning has diverged.

        """
        plain = [checked_query(query) for query in queries]
        for query in plain:
            query.k = min(query.k, max(1, self.n_items))
        return self._recommend_each(plain)

    def knows(self, item: Id) -> bool:
        """Whether an item is in the catalogue."""
        return self._knows(one_id(item, "item"))

    def forget(self, sessions: Iterable[Id]) -> None:
        """Drop sessions that have ended; unknown ones are ignored."""
        self._forget(id_list(sessions, "sessions", ordered=False))

    def restore(self, state: State) -> None:
        """Restore a state that `state` of a model of the same options returned.

        Raises
        ------
        ValueError
            It is the state of another model, or a part of it is missing or damaged. Nothing has
            changed.

        """
        if not isinstance(state, State):
            raise TypeError(f"restore takes what state() returned, not {state!r:.80}")
        before = self.state()
        state = self._upgraded(state)
        self._check_form(state, before)
        try:
            self._restore(state)
        except Exception as error:
            self._restore(before)
            raise ValueError(f"{self._misfit()}: {error}") from error

    def _upgraded(self, state: State) -> State:
        """Return the state of an older version in today's form; others as they are."""
        return state

    def _misfit(self) -> str:
        return (
            f"the state does not fit this {self.name}: restore what a model of the same options "
            "has given, whole"
        )

    def _check_form(self, state: State, own: State) -> None:
        """Check that a state has the parts, types and shapes of this model's state."""
        for part, given, there in (
            ("value", state.values.keys(), own.values.keys()),
            ("array", state.arrays.keys(), own.arrays.keys()),
        ):
            odd = [
                name
                for name in sorted(given ^ there)
                if not (part == "array" and name.startswith(self.OPTIONAL or "\0"))
            ]
            if odd:
                has = "misses" if odd[0] in there else "has an unknown"
                raise ValueError(f"{self._misfit()}; it {has} {part} {odd[0]!r}")
        for name, array in state.arrays.items():
            if name in own.arrays:
                self._check_array(name, array, own.arrays[name])

    def _check_array(self, name: str, array: Any, own: Any) -> None:
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{self._misfit()}; {name!r} is no array, but {array!r:.80}")
        fixed = name.startswith(self.FIXED or "\0")
        given, there = (a.shape if fixed else a.shape[1:] for a in (array, own))
        if array.dtype != own.dtype or array.ndim != own.ndim or given != there:
            shape = tuple(own.shape) if fixed else ("n", *own.shape[1:])
            raise ValueError(
                f"{self._misfit()}; its array {name!r} is {array.dtype} of shape {array.shape}, "
                f"not {own.dtype} of shape {shape}"
            )

    @abstractmethod
    def state(self) -> State:
        """Copy all that the next click depends on."""

    @abstractmethod
    def _restore(self, state: State) -> None:
        """Restore a state whose form has been checked; raise ValueError if it is damaged."""

    @abstractmethod
    def _run(self, request: Request) -> BatchResult:
        """Test the batch, learn it, or both."""

    def _test_frozen(self, request: Request) -> BatchResult:
        return score_apart(self, request.sessions, request.items, request.k, request.times)

    def _recommend_allowed(self, request: Request) -> list[list[tuple[Id, float]]]:
        """Recommend after each click what is allowed: of ever more items, until enough are."""
        allowed, wanted, k = request.allowed, request.k, request.k
        assert allowed is not None
        while True:
            k *= 2
            found = self._run(replace(request, k=k, allowed=None)).recommended
            best = [[pair for pair in own if pair[0] in allowed][:wanted] for own in found]
            if all(len(b) == wanted or len(f) < k for b, f in zip(best, found, strict=True)):
                return best

    def _recommend(self, items: list[Id], k: int) -> list[tuple[Id, float]]:
        known = [item for item in items if self._knows(item)]
        # A session of its own, whatever the others are called.
        session: Any = object()
        request = Request([session] * len(known), known, k, test=True, after=True)
        return self._run(request).recommended[-1] if known else []

    def _recommend_each(self, queries: list[Query]) -> list[Answer]:
        if not self.n_items:
            return [Answer(popular=True) for _ in queries]
        return [
            answer
            for part in chunks(queries, self.n_items)
            for answer in best_answers(part, self._scored(part))
        ]

    def _scored(self, queries: Sequence[Query]) -> Scored:
        """Return the scores of all items for each of some visitors; change nothing."""
        raise NotImplementedError(f"{self.name} answers no queries")

    @property
    @abstractmethod
    def n_items(self) -> int:
        """How many items are known."""

    @abstractmethod
    def _knows(self, item: Id) -> bool:
        """Whether an item is in the catalogue."""

    @abstractmethod
    def _forget(self, sessions: list[Id]) -> None:
        """Drop sessions."""


def fits(fact: bool, what: str) -> None:
    """Check a fact that holds of every whole state.

    Raises
    ------
    ValueError
        It does not hold.

    """
    if not fact:
        raise ValueError(f"{what} do not fit together")


def within_bounds(numbers: NDArray[Any], least: int, end: int) -> bool:
    """Whether all numbers are at least one, and less than the other."""
    return not len(numbers) or bool(numbers.min() >= least and numbers.max() < end)
