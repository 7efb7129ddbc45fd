"""What every model has in common: its public methods, and the checks that stand before them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .argument_checks import at_least, click_lists, click_times, event_time, id_list, one_id
from .queries import Answer, Query, checked_query
from .recommender import BatchResult, Id, State


class CheckedModel(ABC):
    """The methods of a `Recommender`, each of which checks what it is given before anything else.

    A model of its own kind inherits from this and writes the private methods. These get plain
    lists of texts and whole numbers, of one length, and an array of times or None, so compiled
    loops need no checks; and an argument that is refused has changed nothing.
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
        batch = self._batch(sessions, items)
        asked, now = at_least(k, "k", 0), event_time(time)
        return self._run(*batch, asked, now, click_times(times, batch[1]), test=True, learn=True)

    def test(
        self,
        sessions: Iterable[Id],
        items: Iterable[Id],
        k: int = 0,
        times: Iterable[float | None] | None = None,
    ) -> BatchResult:
        """Score like `test_then_learn` and change nothing."""
        batch = self._batch(sessions, items)
        asked, moments = at_least(k, "k", 0), click_times(times, batch[1])
        return self._run(*batch, asked, -math.inf, moments, test=True, learn=False)

    def learn_many(
        self,
        sessions: Iterable[Id],
        items: Iterable[Id],
        time: float = -math.inf,
        times: Iterable[float | None] | None = None,
    ) -> None:
        """Learn a batch without scoring it."""
        batch = self._batch(sessions, items)
        moments = click_times(times, batch[1])
        self._run(*batch, 0, event_time(time), moments, test=False, learn=True)

    def _batch(self, sessions: Iterable[Id], items: Iterable[Id]) -> tuple[list[Id], list[Id]]:
        batch = click_lists(sessions, items)
        count, most = len(batch[1]), self.largest_batch
        if most is not None and count > most:
            raise ValueError(
                f"a batch of {count:,} clicks is too large: {self.name} takes {most:,} at most"
            )
        return batch

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
        batch = self._batch(sessions, items)
        return self._answer(*batch, at_least(k, "k", 1), click_times(times, batch[1]))

    def recommend(self, items: Iterable[Id], k: int = 20) -> list[tuple[Id, float]]:
        """Return the k best next items for a session of these clicks; change nothing.

        Parameters
        ----------
        items
            The session so far, oldest first; items that are not known are passed over.
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
        visitor, it holds what is popular of late. What is asked in one call makes no difference
        to the other answers.

        Raises
        ------
        TypeError, ValueError
            A query is of a wrong kind or out of its range.
        FloatingPointError
            A score is not a number: the learning has diverged.

        """
        return self._recommend_each([checked_query(query) for query in queries])

    def knows(self, item: Id) -> bool:
        """Whether an item is in the catalogue."""
        return self._knows(one_id(item, "item"))

    def forget(self, sessions: Iterable[Id]) -> None:
        """Drop sessions that have ended; those that are not known are passed over."""
        self._forget(id_list(sessions, "sessions", ordered=False))

    def restore(self, state: State) -> None:
        """Take back a state that `state` returned, by a model of the same options.

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
        """Check that a state has the parts, types and shapes of this model's own."""
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
        """Take back a state whose form has been checked; raise ValueError if it is damaged."""

    @abstractmethod
    def _run(
        self,
        sessions: list[Id],
        items: list[Id],
        k: int,
        time: float,
        times: NDArray[np.float64] | None,
        *,
        test: bool,
        learn: bool,
        after: bool = False,
    ) -> BatchResult:
        """Test the batch, learn it, or both; `after`: find what is best after each click."""

    def _answer(
        self, sessions: list[Id], items: list[Id], k: int, times: NDArray[np.float64] | None
    ) -> list[list[tuple[Id, float]]]:
        time = -math.inf
        found = self._run(sessions, items, k, time, times, test=True, learn=False, after=True)
        return found.recommended

    def _recommend(self, items: list[Id], k: int) -> list[tuple[Id, float]]:
        known = [item for item in items if self._knows(item)]
        # A session of its own, whatever the others are called.
        session: Any = object()
        return self._answer([session] * len(known), known, k, None)[-1] if known else []

    def _recommend_each(self, queries: list[Query]) -> list[Answer]:
        return [self._answer_one(query) for query in queries]

    def _answer_one(self, query: Query) -> Answer:
        """Answer a query by a test of a click that never comes."""
        known = [item for item in query.items if self._knows(item)]
        out = set(query.without)
        if query.exclude != "none":
            out |= set(query.items[-1:] if query.exclude == "current" else query.items)
        k = query.k + len(out) if query.among is None else self.n_items
        session: Any = object() if query.session is None else query.session
        asked: Any = [*known, object()]
        found = self._run([session] * len(asked), asked, k, -math.inf, None, test=True, learn=False)
        if not found.scored[-1]:
            return Answer(popular=True)
        among = None if query.among is None else set(query.among)
        best = [
            (item, score)
            for item, score in found.recommended[-1]
            if item not in out and (among is None or item in among)
        ]
        return Answer(best[: query.k])

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
    """Refuse a state of which something does not hold.

    Raises
    ------
    ValueError
        It does not.

    """
    if not fact:
        raise ValueError(f"{what} do not fit together")


def within_bounds(numbers: NDArray[Any], least: int, end: int) -> bool:
    """Whether all numbers are at least one, and less than the other."""
    return not len(numbers) or bool(numbers.min() >= least and numbers.max() < end)
