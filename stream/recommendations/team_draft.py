"""Team-draft interleaving: the lists of two models as one, each item picked by one of them.

In each round a fair coin decides which model picks first; each picks its best item that is not in
the list yet (F. Radlinski, M. Kurup, T. Joachims: How does clickthrough data reflect retrieval
quality? Proceedings of CIKM 2008). So both models have the same places in the long run, and a
click on an item speaks for the model that has picked it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from nextclick.connectors import Id

Best = Sequence[tuple[Id, float]]
"""Items and their scores, best first."""


def toss(seed: int, session: Id, clicks: int, count: int) -> list[bool]:
    """Return fair coins, the same whenever they are asked for again.

    Parameters
    ----------
    seed
        Of the run.
    session
        The visitor's session.
    clicks
        How many clicks it has had.
    count
        How many coins.

    Examples
    --------
    >>> toss(0, 7, 3, 8)[:4] == toss(0, 7, 3, 4)
    True

    """
    drawn = hashlib.shake_128(f"{seed}/{session!r}/{clicks}".encode()).digest(count // 8 + 1)
    return [bool(drawn[at >> 3] >> (at & 7) & 1) for at in range(count)]


def draft(
    lists: tuple[Best, Best], k: int, coins: Sequence[bool]
) -> tuple[list[tuple[Id, float]], list[int]]:
    """Merge two lists.

    Parameters
    ----------
    lists
        The k best of each model, no item twice in one list.
    k
        How many items are wanted.
    coins
        For each round, whether the second model picks first; k of them.

    Returns
    -------
    merged
        At most k items, each with the score that it has from the model that has picked it.
    teams
        For each, which model that was: 0 or 1.

    Examples
    --------
    >>> one, other = [("hat", 0.9), ("shoe", 0.5)], [("sock", 7.0), ("hat", 6.0)]
    >>> draft((one, other), 3, [True, False, False])
    ([('sock', 7.0), ('hat', 0.9), ('shoe', 0.5)], [1, 0, 0])

    """
    merged: list[tuple[Id, float]] = []
    teams: list[int] = []
    taken: set[Id] = set()
    left = [iter(lists[0]), iter(lists[1])]
    for coin in coins:
        before = len(merged)
        for team in (int(coin), 1 - coin):
            pick = next((pair for pair in left[team] if pair[0] not in taken), None)
            if pick is not None and len(merged) < k:
                merged.append(pick)
                teams.append(team)
                taken.add(pick[0])
        if len(merged) in (before, k):
            break
    return merged, teams
