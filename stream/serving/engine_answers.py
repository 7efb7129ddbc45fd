"""Requests answered by an engine's model, for sessions as the engine knows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from nextclick.connectors import Id
from nextclick.models import Answer, Query
from nextclick.models.base import CheckedModel

from ..config.options import ConfigError
from ..engine import Engine
from ..pending_clicks import PendingClicks
from .request_queue import Reply
from .requests import Request


class EngineAnswers:
    """Answers requests from an engine, whose thread must do nothing else meanwhile.

    A session consists of what the model has learned of it, and of its clicks that have been read
    since. An id is looked up as it is given, and then as the number or text that it may represent:
    in an address every id is a text.

    Parameters
    ----------
    engine
        The engine.
    since
        When its model learned last, by the monotonic clock; None: the engine knows.

    Raises
    ------
    ConfigError
        Its model answers no requests.

    """

    def __init__(self, engine: Engine, since: float | None = None) -> None:
        if not isinstance(engine.model, CheckedModel):
            raise ConfigError(f"{engine.model.name} cannot serve requests: leave out --serve")
        self.engine = engine
        self._model = engine.model
        self._since = since
        self._pending = _PendingBySession()
        catalogue = getattr(engine.model, "vocabulary", None)
        if engine.items is not None and catalogue is not None:
            engine.items.prepare(catalogue)

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer requests by one call of the model."""
        engine = self.engine
        self._pending.update(engine.pending)
        queries = [self._query(request) for request in requests]
        answers = engine.trials.served(queries, self._model.recommend_each(queries))
        learned, behind = engine.learned, len(engine.pending)
        age = time.monotonic() - (engine.learned_at if self._since is None else self._since)
        return [
            Reply(answer, request, learned, behind, age, self._shown(answer))
            for answer, request in zip(answers, requests, strict=True)
        ]

    def _shown(self, answer: Answer) -> list[bytes] | None:
        """Return what is shown of each item of a list."""
        items = self.engine.items
        return None if items is None else [items.shown(item) for item, _ in answer.best]

    def _query(self, request: Request) -> Query:
        knows, items = self._model.knows, self.engine.items
        query = Query(
            k=request.k,
            exclude=request.exclude,
            without=_both_forms(request.without),
            among=None if request.among is None else _both_forms(request.among),
            allowed=None if items is None else items.allowed(request.filter),
        )
        if request.items is not None:
            query.items = [known_form(item, knows) for item in request.items]
        elif request.session is not None:
            find = self.engine.sessionizer.number_of
            for form in forms(request.session):
                number = find(form)
                if number is not None:
                    query.session = number
                    if self._pending.has(number):
                        query.items, query.times = self._pending.of(number)
                    break
        return query


class _PendingBySession:
    """The clicks of an unfinished batch by their sessions, brought up to date when asked."""

    def __init__(self) -> None:
        self._clicks = PendingClicks()
        self._read = 0
        self._places: dict[int, list[int]] = {}

    def update(self, clicks: PendingClicks) -> None:
        """Take in what has come since the last time."""
        if clicks is not self._clicks:
            self._clicks, self._read, self._places = clicks, 0, {}
        for place in range(self._read, len(clicks)):
            self._places.setdefault(clicks.handles[place], []).append(place)
        self._read = len(clicks)

    def has(self, number: int) -> bool:
        """Whether there are clicks of a session."""
        return number in self._places

    def of(self, number: int) -> tuple[list[Id], list[float]]:
        """Return the items and times of a session's clicks."""
        places = self._places[number]
        clicks = self._clicks
        return [clicks.items[place] for place in places], [clicks.times[place] for place in places]


def forms(given: Id) -> Iterable[Id]:
    """Return what an id can mean: as it is given, then the number that it writes, or its text.

    Examples
    --------
    >>> list(forms("17")), list(forms(17)), list(forms("hat"))
    (['17', 17], [17, '17'], ['hat'])

    """
    yield given
    if isinstance(given, int):
        yield str(given)
    elif len(given) < 20 and given.removeprefix("-").isdecimal() and str(int(given)) == given:
        yield int(given)


def known_form(given: Id, knows: Callable[[Id], bool]) -> Id:
    """Return the form of an id that is known, or the id as it is given."""
    return next((form for form in forms(given) if knows(form)), given)


def _both_forms(given: Sequence[Id]) -> list[Id]:
    return [form for one in given for form in forms(one)]
