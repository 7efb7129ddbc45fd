"""Questions to a model: what would this visitor click next, out of which items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from .argument_checks import at_least, click_times, id_list, one_id
from .recommender import Id

Exclude = Literal["current", "session", "none"]
"""What of the session itself a list leaves out: its last item, all its items, or nothing."""


class Catalogue(Protocol):
    """The items of a model, by the rows of its tables.

    Attributes
    ----------
    admissions
        int64 (rows,): another number whenever a row is given another item; 0 where it has none.
    restored
        How often all of it was replaced: then the numbers mean nothing.

    """

    restored: int

    @property
    def admissions(self) -> NDArray[np.int64]:  # noqa: D102
        ...

    def id_of(self, row: int) -> Id:
        """Return the item of a row."""
        ...

    def rows_of(self, items: Sequence[Id]) -> NDArray[np.int64]:
        """Return the rows of items; 0 for those that are not there."""
        ...


class Allowed(Protocol):
    """The items that a list may hold, such as those that are in stock."""

    def __contains__(self, item: Id) -> bool:
        """Whether an item is among them."""
        ...

    def rows(self, catalogue: Catalogue) -> NDArray[np.bool_]:
        """Return which rows' items are among them; where a row has no item it does not matter."""
        ...


@dataclass(slots=True)
class Query:
    """A visitor that a list is wanted for.

    Parameters
    ----------
    session
        A live session of the model; None for one that consists of `items` alone.
    items
        Clicks that come after what the model has learned of the session, oldest first. Those that
        are not in the catalogue are passed over.
    times
        When these were, in epoch seconds; None where that is not known.
    k
        How many items are wanted.
    exclude
        What of the session itself is left out. Of a live session the model knows its latest items.
    without
        Items that are left out too.
    among
        Items to choose from; None: the whole catalogue.
    allowed
        What a list may hold at all; None: anything.

    """

    session: Id | None = None
    items: Sequence[Id] = ()
    times: Sequence[float] | None = None
    k: int = 20
    exclude: Exclude = "none"
    without: Sequence[Id] = ()
    among: Sequence[Id] | None = None
    allowed: Allowed | None = None


@dataclass(slots=True)
class Answer:
    """What a model recommends to one visitor.

    Parameters
    ----------
    best
        At most k items and their scores, best first.
    popular
        Nothing is known of the visitor, so these are the recently popular items.
    by
        Where the lists of several models were merged, the name of the model that each item is
        from; else empty.

    """

    best: list[tuple[Id, float]] = field(default_factory=list)
    popular: bool = False
    by: list[str] = field(default_factory=list)


def checked_allowed(allowed: Allowed) -> Allowed:
    """Return what a list may hold.

    Raises
    ------
    TypeError
        It is no `Allowed`.

    """
    if not (hasattr(allowed, "rows") and hasattr(allowed, "__contains__")):
        raise TypeError(f"allowed must be an Allowed, with rows and `in`, not {allowed!r:.80}")
    return allowed


def checked_query(query: Query) -> Query:
    """Return a query in plain form.

    Raises
    ------
    TypeError, ValueError
        Something of it is of a wrong kind or out of its range.

    """
    if not isinstance(query, Query):
        raise TypeError(f"a query must be a Query, not {query!r:.80}")
    if query.exclude not in get_args(Exclude):
        raise ValueError(
            f"exclude must be one of {', '.join(get_args(Exclude))}, not {query.exclude!r:.80}"
        )
    items = id_list(query.items, "items")
    times = click_times(query.times, items)
    return Query(
        None if query.session is None else one_id(query.session, "session"),
        items,
        None if times is None else times.tolist(),
        at_least(query.k, "k", 1),
        query.exclude,
        id_list(query.without, "without", ordered=False),
        None if query.among is None else id_list(query.among, "among", ordered=False),
        None if query.allowed is None else checked_allowed(query.allowed),
    )
