"""Lists of two models merged, and the clicks that follow credited to one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from nextclick.connectors import Id
from nextclick.models import Answer, Query, Recommender, State
from nextclick.models.base import CheckedModel

from ..pending_clicks import PendingClicks
from .preference import Preference
from .team_draft import Best, draft, toss

T = TypeVar("T")

MOST_ITEMS = 2_000_000
"""Items that the remembered lists hold in all; beyond, the lists of the session that was shown one
longest ago are forgotten."""


class Other(Protocol):
    """The other model: a `Shadow`."""

    name: str

    @property
    def model(self) -> Recommender | None:
        """The model; None once it has been dropped."""

    def drop(self, error: Exception) -> None:
        """Drop the model: it has failed."""


class ShownLists:
    """The lists that were shown to live sessions and may still be credited.

    Parameters
    ----------
    most
        How many items they hold at most in all.

    Examples
    --------
    >>> shown = ShownLists()
    >>> shown.show(7, 2, {"hat": 0, "shoe": 1})
    >>> shown.take(7, 1), shown.take(7, 2), shown.take(7, 2)
    (None, {'hat': 0, 'shoe': 1}, None)

    """

    def __init__(self, most: int = MOST_ITEMS) -> None:
        self._most = most
        # By session, the latest shown one last: by the clicks it had had, each item's team.
        self._lists: dict[int, dict[int, dict[Id, int]]] = {}
        self._items = 0

    def show(self, session: int, clicks: int, teams: dict[Id, int]) -> None:
        """Remember a list, instead of one shown after the same click."""
        self.take(session, clicks)
        own = self._lists.pop(session, {})
        own[clicks] = teams
        self._lists[session] = own
        self._items += len(teams)
        while self._items > self._most and len(self._lists) > 1:
            self.forget([next(iter(self._lists))])

    def take(self, session: int, clicks: int) -> dict[Id, int] | None:
        """Return the list that was shown to a session after so many clicks, and forget it."""
        own = self._lists.get(session)
        teams = own.pop(clicks, None) if own else None
        if teams is not None:
            self._items -= len(teams)
            if not own:
                del self._lists[session]
        return teams

    def forget(self, sessions: Iterable[int]) -> None:
        """Forget the lists of some sessions."""
        for session in sessions:
            for teams in self._lists.pop(session, {}).values():
                self._items -= len(teams)

    def values(self) -> list[list[Any]]:
        """Copy all of it, in JSON's types."""
        return [
            [session, clicks, list(teams), list(teams.values())]
            for session, own in self._lists.items()
            for clicks, teams in own.items()
        ]

    def restore(self, values: list[list[Any]]) -> None:
        """Restore what `values` returned."""
        self._lists, self._items = {}, 0
        for session, clicks, items, teams in values:
            self.show(session, clicks, dict(zip(items, teams, strict=True)))


class Interleaving:
    """Merges the lists of the model in service and of another by team draft, see `draft`.

    A list is decided by the session's next click: the model that has picked the clicked item wins
    it; neither does where that item is not in the list. The coins depend only on the seed, the
    session and how many clicks it has had, so a list that is asked for again is merged in the
    same way. Of several lists shown after the same click the last one counts.

    Parameters
    ----------
    service
        The name of the model in service.
    other
        The other model.
    seed
        Of the coins.
    written
        The lists that count are those written after every click; else those that are served.

    """

    def __init__(self, service: str, other: Other, seed: int = 0, written: bool = False) -> None:
        self.names = (service, other.name)
        self.shown = 0
        self._other = other
        self._seed = seed
        self._written = written
        self._clicks: dict[int, int] = {}
        self._lists = ShownLists()
        self._preference = Preference()
        self._reading = threading.Lock()

    def served(self, queries: Sequence[Query], answers: Sequence[Answer]) -> list[Answer]:
        """Return the answers to queries of sessions, merged with those of the other model.

        The other answers stay as they are: of queries without a session, and of sessions of which
        either model knows nothing.
        """
        merged = list(answers)
        places = [
            at
            for at, (query, answer) in enumerate(zip(queries, answers, strict=True))
            if isinstance(query.session, int) and not answer.popular and answer.best
        ]
        found = self._ask([queries[at] for at in places])
        for at, other in zip(places, found, strict=False):
            if other.popular or not other.best:
                continue
            query, session = queries[at], queries[at].session
            assert isinstance(session, int)
            clicks = self._clicks.get(session, 0) + len(query.items)
            best, teams = self._draft((merged[at].best, other.best), query.k, session, clicks)
            if not self._written:
                self._show(session, clicks, best, teams)
            merged[at] = Answer(best, by=[self.names[team] for team in teams])
        return merged

    def after(
        self,
        clicks: PendingClicks,
        best: Sequence[Best],
        k: int,
        lists: Callable[[Recommender], Sequence[Best]],
    ) -> tuple[list[Best], list[list[str]]]:
        """Return the lists after each click on time, merged, and the model of each item.

        Parameters
        ----------
        clicks
            The batch.
        best
            The lists of the model in service.
        k
            How many items are wanted.
        lists
            Returns the same of another model.

        """
        others = self._try(lists, len(best)) or [[]] * len(best)
        counts: dict[int, int] = {}
        merged: list[Best] = []
        by: list[list[str]] = []
        for place, one, other in zip(clicks.on_time.tolist(), best, others, strict=True):
            session = clicks.handles[place]
            count = counts.get(session, self._clicks.get(session, 0)) + 1
            counts[session] = count
            found, teams = self._draft((one, other), k, session, count)
            if self._written and place >= clicks.n_recommended and one and other:
                self._show(session, count, found, teams)
            merged.append(found)
            by.append([self.names[team] for team in teams])
        return merged, by

    def learn(self, sessions: Sequence[int], items: Sequence[Id], ended: Sequence[int]) -> None:
        """Take the next clicks in stream order, and the sessions that have ended.

        Each click decides the list that its session was shown before it, if it was shown one.
        """
        with self._reading:
            for session, item in zip(sessions, items, strict=True):
                before = self._clicks.get(session, 0)
                self._clicks[session] = before + 1
                teams = self._lists.take(session, before)
                if teams is not None:
                    team = teams.get(item)
                    self._preference.credit(session, None if team is None else team == 0)
            for session in ended:
                self._clicks.pop(session, None)
            self._lists.forget(ended)
            self._preference.forget(ended)

    def results(self) -> dict[str, Any]:
        """Return how many lists each model has won, in JSON's types.

        Returns
        -------
        dict
            ``model``, the other one; ``shown``, how many lists were shown; ``wins`` of the model
            in service, ``losses``, ``ties``, ``preference`` and its interval, see `Preference`.

        """
        with self._reading:
            found = self._preference.results()
        return {"model": self._other.name, "shown": self.shown, **found}

    def state(self) -> State:
        """Copy all of it."""
        kept = self._preference.state()
        values = {
            "model": self._other.name,
            "shown": self.shown,
            "clicks": [list(pair) for pair in self._clicks.items()],
            "lists": self._lists.values(),
            "preference": kept.values,
        }
        return State(kept.arrays, values)

    def restore(self, state: State) -> None:
        """Restore what `state` returned."""
        values = state.values
        self.shown = values["shown"]
        self._clicks = dict(values["clicks"])
        self._lists.restore(values["lists"])
        self._preference.restore(State({}, values["preference"]))

    def _ask(self, queries: Sequence[Query]) -> Sequence[Answer]:
        """Ask the other model; return nothing where it has failed, or cannot be asked."""

        def answers(model: Recommender) -> list[Answer]:
            assert isinstance(model, CheckedModel)
            return model.recommend_each(queries)

        return self._try(answers, len(queries)) if queries else []

    def _try(self, ask: Callable[[Recommender], Sequence[T]], count: int) -> Sequence[T]:
        """Return what the other model gives, so many; nothing where it fails or has failed."""
        model = self._other.model
        if model is None:
            return []
        try:
            found = ask(model)
            if len(found) != count:
                raise ValueError(f"it has given {len(found)} lists instead of {count}")
            return found
        except Exception as error:
            self._other.drop(error)
            return []

    def _draft(
        self, lists: tuple[Best, Best], k: int, session: int, clicks: int
    ) -> tuple[list[tuple[Id, float]], list[int]]:
        return draft(lists, k, toss(self._seed, session, clicks, k))

    def _show(self, session: int, clicks: int, best: Best, teams: Sequence[int]) -> None:
        self._lists.show(
            session, clicks, {item: team for (item, _), team in zip(best, teams, strict=True)}
        )
        self.shown += 1
