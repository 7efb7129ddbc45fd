"""Recommendations as records, one a click."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nextclick.models import BatchResult

from ..pending_clicks import PendingClicks
from .team_draft import Best


def before_clicks(
    clicks: PendingClicks, tested: BatchResult, before: int, learned: int, k: int
) -> Iterator[dict[str, Any]]:
    """Return what was recommended before each scored click, where it is not written yet.

    Parameters
    ----------
    clicks
        The batch.
    tested
        What the model recommended before its clicks on time.
    before
        How many clicks the stream had before the batch.
    learned
        How many of them the model had learned.
    k
        How many items of each list.

    """
    for at, place in enumerate(clicks.on_time.tolist()):
        if place >= clicks.n_recommended and tested.scored[at]:
            rank = {"rank": int(tested.ranks[at])}
            yield _record(clicks, place, rank, tested.recommended[at][:k], before, learned)


def after_clicks(
    clicks: PendingClicks,
    best: Sequence[Best],
    before: int,
    learned: int,
    by: Sequence[Sequence[str]] | None = None,
) -> Iterator[dict[str, Any]]:
    """Return what is recommended after each click on time, where it is not written yet.

    The same as `before_clicks`, but of the best items after each click on time, and where lists
    of two models were merged, with the name of the model that each item is `by`.
    """
    for at, place in enumerate(clicks.on_time.tolist()):
        if place >= clicks.n_recommended:
            record = _record(clicks, place, {}, best[at], before, learned)
            yield record if by is None else {**record, "by": by[at]}


def without_clicked(clicks: PendingClicks, best: Sequence[Best], k: int) -> list[Best]:
    """Return the k best items after each click on time, without the item just clicked.

    Parameters
    ----------
    clicks
        The batch.
    best
        The k + 1 best items after each.
    k
        How many to keep.

    """
    _, clicked = clicks.select(clicks.on_time)
    return [
        [pair for pair in own if pair[0] != item][:k]
        for own, item in zip(best, clicked, strict=True)
    ]


def _record(
    clicks: PendingClicks, place: int, rank: dict[str, int], best: Best, before: int, learned: int
) -> dict[str, Any]:
    return {
        "session": clicks.sessions[place],
        "time": clicks.times[place],
        "clicked": clicks.items[place],
        **rank,
        "items": [item for item, _ in best],
        "scores": [score for _, score in best],
        "click": before + place + 1,
        "model_clicks": learned,
        **(clicks.places[place] or {}),
    }
