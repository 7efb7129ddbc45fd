"""Questions to a model: what would this visitor click next, out of which items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from .argument_checks import at_least, click_times, id_list, one_id
from .recommender import Id

Exclude = Literal["current", "session", "none"]
"""What of the session itself a list leaves out: its last item, all its items, or nothing."""


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

    """

    session: Id | None = None
    items: Sequence[Id] = ()
    times: Sequence[float] | None = None
    k: int = 20
    exclude: Exclude = "none"
    without: Sequence[Id] = ()
    among: Sequence[Id] | None = None


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
    )
