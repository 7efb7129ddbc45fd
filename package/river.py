"""River's side of the door: the stream as river iterates it, and river's models in a comparison."""

from __future__ import annotations

import copy
import importlib
import inspect
from abc import abstractmethod
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nextclick.connectors import Source, open_source
from nextclick.models import BatchResult, State
from nextclick.models.base import CheckedModel, Request, fits
from nextclick.models.recommender import Id
from nextclick.stream.learned import SESSION_GAP
from nextclick.stream.sessions.sessionizer import Sessionizer

__all__ = ["RiverClassifier", "RiverRecommender", "iter_next", "iter_rewards"]

FORGOTTEN = -1
"""In the events of a state, in an item's place: the session was forgotten."""

NAMES = ("item", "before", "earlier")
"""What the features call a session's last items, the latest first."""


def iter_rewards(source: str | Sequence[str] | Source) -> Iterator[tuple[dict[str, Any], int]]:
    """Iterate over the clicks of a source as a data set of `river.reco`: who clicked what.

    Parameters
    ----------
    source
        A source, or what `open_source` opens. It is read once, to its end.

    Yields
    ------
    x, y
        ``{"user": session, "item": item}`` and the reward, 1 for every click. The same key gets a
        new number of a session after a day without clicks, as in a run.

    Examples
    --------
    >>> next(iter_rewards("sim:clicks=3,seed=1"))[0].keys()
    dict_keys(['user', 'item'])

    """
    for session, item in _clicks(source):
        yield {"user": session, "item": item}, 1


def iter_next(source: str | Sequence[str] | Source) -> Iterator[tuple[dict[str, int], Id]]:
    """Iterate over the clicks of a source as a data set of classification: what comes next.

    Parameters
    ----------
    source
        As for `iter_rewards`.

    Yields
    ------
    x, y
        The features of a session before a click, see `features_of`, and the clicked item. A first
        click has none, and is left out.

    """
    sessions: OrderedDict[Id, deque[Id]] = OrderedDict()
    for session, item in _clicks(source):
        history = sessions.setdefault(session, deque(maxlen=len(NAMES)))
        sessions.move_to_end(session)
        if history:
            yield features_of(history), item
        history.append(item)
        if len(sessions) > 100_000:
            sessions.popitem(last=False)


def features_of(history: Sequence[Id]) -> dict[str, int]:
    """Return what a classifier knows of a session: its last items, encoded one-hot.

    Examples
    --------
    >>> features_of(["hat", "bag"])
    {"item='bag'": 1, "before='hat'": 1}

    """
    return {f"{name}={item!r}": 1 for name, item in zip(NAMES, reversed(history), strict=False)}


def _clicks(source: str | Sequence[str] | Source) -> Iterator[tuple[int, Id]]:
    opened: Any = source if hasattr(source, "poll") else open_source(source)
    sessionizer = Sessionizer(opened.gap or SESSION_GAP, 60.0, 100_000)
    try:
        while (clicks := opened.poll(1024)) is not None:
            assigned = sessionizer.assign(clicks.sessions, clicks.times)
            for session, item in zip(assigned.handles.tolist(), clicks.items, strict=True):
                if session >= 0:
                    yield session, item
    finally:
        opened.close()


class RiverModel(CheckedModel):
    """A model of river that takes part in a comparison: what its two kinds have in common.

    Clicks are scored and learned one by one. River's models score one item after the other in
    Python, so a click takes as long as there are items in the catalogue: see the guide.

    A state holds the clicks that were learned, from which a model that is made anew learns the
    same, since river's models have no state of their own that could be kept without running code.

    Parameters
    ----------
    model
        Which of river's models, as ``reco.BiasedMF``; or a function without arguments that makes
        one, as ``my_package.module:function``.
    options
        The arguments of river's model by name.
    state_clicks
        Clicks that a state can hold. A run with more cannot go on from a snapshot.
    max_sessions, max_items
        At most this many live sessions, and items in the catalogue; those least recently clicked
        are dropped.
    seed
        Random seed, also of river's model where it takes one.

    """

    method: str
    """What river's model must have."""

    def __init__(
        self,
        *,
        model: str,
        options: dict[str, Any] | None = None,
        state_clicks: int = 1_000_000,
        max_sessions: int = 100_000,
        max_items: int = 1_000_000,
        seed: int = 0,
    ) -> None:
        self.name = model
        self._options, self._seed = dict(options or {}), seed
        self._max_sessions, self._max_items = max_sessions, max_items
        self._state_clicks = state_clicks
        self._begin()

    def _begin(self) -> None:
        """Begin with nothing learned."""
        self.river = made(self.name, self._options, self._seed)
        if not hasattr(self.river, self.method):
            raise ValueError(f"{self.name} has no {self.method}, so it is no {type(self).__name__}")
        self._draw = np.random.default_rng(self._seed)
        self._items: OrderedDict[Id, None] = OrderedDict()
        self._sessions: OrderedDict[Id, deque[Id]] = OrderedDict()
        # Everything learned, in order; None once it is more than a state can hold.
        self._events: list[tuple[Id, Id | None]] | None = []

    @abstractmethod
    def _scores(self, session: Id, history: Sequence[Id], items: list[Id]) -> NDArray[np.float64]:
        """Return the score of each item as the session's next one."""

    @abstractmethod
    def _teach(self, session: Id, history: Sequence[Id], item: Id) -> None:
        """Have river's model learn a click; `history` is empty at the first of a session."""

    @property
    def n_items(self) -> int:
        """How many items are known."""
        return len(self._items)

    def _knows(self, item: Id) -> bool:
        return item in self._items

    def _run(self, request: Request) -> BatchResult:
        # River's models can learn nothing back, and some change when they predict.
        return (self if request.learn else self._copy())._drive(request)

    def _test_frozen(self, request: Request) -> BatchResult:
        return self._copy()._drive(request)

    def _copy(self) -> Self:
        """Return a copy to try something with, which keeps no events."""
        other = copy.copy(self)
        other.river, other._draw = copy.deepcopy((self.river, self._draw))
        other._items, other._sessions = self._items.copy(), copy.deepcopy(self._sessions)
        other._events = None
        return other

    def _drive(self, request: Request) -> BatchResult:
        result = BatchResult.empty(len(request.items), request.k)
        for at, (session, item) in enumerate(zip(request.sessions, request.items, strict=True)):
            if request.test and not request.after and session in self._sessions:
                result.scored[at] = True
                scores, items = self._catalogue(session)
                if item in self._items:
                    own = scores[items.index(item)]
                    result.ranks[at] = int((scores >= own).sum())
                if request.k:
                    result.recommended[at] = _best(scores, items, request.k)
            if not request.frozen:
                self._learn(session, item)
            elif self._knows(item):
                self._move(session, item)
            if request.after:
                result.recommended[at] = _best(*self._catalogue(session), request.k)
        return result

    def _catalogue(self, session: Id) -> tuple[NDArray[np.float64], list[Id]]:
        """Return the scores of all items for a session, and the items."""
        items = list(self._items)
        return self._scores(session, self._sessions[session], items), items

    def _learn(self, session: Id, item: Id) -> None:
        if self._events is not None:
            self._events.append((session, item))
            if len(self._events) > self._state_clicks:
                self._events = None
        self._teach(session, self._sessions.get(session, ()), item)
        self._items[item] = None
        self._items.move_to_end(item)
        if len(self._items) > self._max_items:
            self._items.popitem(last=False)
        self._move(session, item)

    def _move(self, session: Id, item: Id) -> None:
        history = self._sessions.setdefault(session, deque(maxlen=len(NAMES)))
        history.append(item)
        self._sessions.move_to_end(session)
        if len(self._sessions) > self._max_sessions:
            self._sessions.popitem(last=False)

    def _forget(self, sessions: list[Id]) -> None:
        for session in sessions:
            if self._sessions.pop(session, None) is not None and self._events is not None:
                self._events.append((session, None))

    def state(self) -> State:
        """Return the clicks that were learned, and the sessions that were forgotten."""
        events = self._events or []
        ids: dict[Id | None, int] = {None: FORGOTTEN}
        for session, item in events:
            ids.setdefault(session, len(ids) - 1)
            ids.setdefault(item, len(ids) - 1)
        rows = np.array([(ids[one], ids[item]) for one, item in events], np.int64).reshape(-1, 2)
        return State({"events": rows}, {"ids": list(ids)[1:], "whole": self._events is not None})

    def _restore(self, state: State) -> None:
        fits(state.values["whole"], f"a run of more than state_clicks={self._state_clicks:,} and")
        ids, rows = state.values["ids"], state.arrays["events"]
        fits(not len(rows) or (rows.min() >= -1 and rows.max() < len(ids)), "events and ids")
        self._begin()
        for session, item in rows.tolist():
            if item == FORGOTTEN:
                self._forget([ids[session]])
            else:
                self._learn(ids[session], ids[item])


class RiverRecommender(RiverModel):
    """A recommender of `river.reco`: its users are sessions, its reward is the click.

    Parameters
    ----------
    negatives
        Random items of the catalogue that are learned with each click, as not clicked: a model
        that sees rewards of 1 only learns that everything is worth 1.
    **options
        See `RiverModel`.

    Examples
    --------
    >>> model = RiverRecommender(model="reco.BiasedMF", seed=1)
    >>> model.learn_many(["anna", "anna", "bert"], ["hat", "bag", "hat"])
    >>> len(model.recommend(["hat"], k=2))
    2

    """

    method = "predict_one"

    def __init__(
        self,
        *,
        model: str,
        options: dict[str, Any] | None = None,
        negatives: int = 4,
        state_clicks: int = 1_000_000,
        max_sessions: int = 100_000,
        max_items: int = 1_000_000,
        seed: int = 0,
    ) -> None:
        if negatives < 0:
            raise ValueError(f"negatives must be at least 0, not {negatives}")
        self._negatives = negatives
        super().__init__(
            model=model,
            options=options,
            state_clicks=state_clicks,
            max_sessions=max_sessions,
            max_items=max_items,
            seed=seed,
        )

    def _scores(self, session: Id, history: Sequence[Id], items: list[Id]) -> NDArray[np.float64]:
        predict = self.river.predict_one
        return np.array([predict(session, item) for item in items], np.float64)

    def _teach(self, session: Id, history: Sequence[Id], item: Id) -> None:
        self.river.learn_one(session, item, y=1)
        if self._negatives and len(self._items) > 1:
            items = list(self._items)
            for at in self._draw.integers(len(items), size=self._negatives).tolist():
                if items[at] != item:
                    self.river.learn_one(session, items[at], y=0)


class RiverClassifier(RiverModel):
    """A classifier of river with many classes, or a pipeline that ends with one.

    The class is the next item, the features are the session's last items, see `features_of`.

    Examples
    --------
    >>> model = RiverClassifier(model="naive_bayes.MultinomialNB")
    >>> model.learn_many(["anna", "anna", "bert", "bert"], ["hat", "bag", "hat", "bag"])
    >>> model.recommend(["hat"], k=1)[0][0]
    'bag'

    """

    method = "predict_proba_one"

    def _scores(self, session: Id, history: Sequence[Id], items: list[Id]) -> NDArray[np.float64]:
        # Some classifiers sort their classes, so all are texts.
        shares: Mapping[str, float] = self.river.predict_proba_one(features_of(history))
        return np.array([shares.get(repr(item), 0.0) for item in items], np.float64)

    def _teach(self, session: Id, history: Sequence[Id], item: Id) -> None:
        if history:
            self.river.learn_one(features_of(history), repr(item))


def made(model: str, options: Mapping[str, Any], seed: int) -> Any:
    """Make a model of river.

    Raises
    ------
    ValueError
        There is no such model, or it does not take the options.

    Examples
    --------
    >>> made("reco.BiasedMF", {"n_factors": 3}, seed=1).n_factors
    3

    """
    own = ":" in model
    module, _, name = model.partition(":") if own else f"river.{model}".rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
        if not own and "seed" in inspect.signature(kind).parameters:
            options = {"seed": seed, **options}
        return kind(**options)
    except (ImportError, AttributeError, TypeError) as error:
        raise ValueError(f"model {model!r} cannot be made: {error}") from error


def _best(scores: NDArray[np.float64], items: list[Id], k: int) -> list[tuple[Id, float]]:
    order = np.argsort(-scores, kind="stable")[:k]
    return [(items[at], float(scores[at])) for at in order.tolist()]
