"""Which of two models visitors prefer, by their clicks on interleaved lists."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from nextclick.models import State

NORMAL = 1.959963984540054
"""The 97.5th percentile of the normal distribution: for intervals of 95 %."""


class Preference:
    """Counts the lists that each of two models has won.

    The interval of the preference is that of E. B. Wilson (Probable inference, the law of
    succession, and statistical inference. Journal of the American Statistical Association 22,
    1927), which holds for few lists too. Lists of one session are alike: one visitor may have a
    taste that one model serves better. So the lists count only for as many independent ones as
    the spread between sessions shows, by the design effect of a ratio estimator (E. L. Korn,
    B. I. Graubard: Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data. Survey Methodology 24, 1998). Whole numbers are summed, so
    a run that goes on from a snapshot has the same interval to the last digit.

    Examples
    --------
    >>> preference = Preference()
    >>> for session in range(100):
    ...     preference.credit(session, won=session % 4 > 0)
    >>> found = preference.results()
    >>> found["wins"], found["preference"], round(found["low"], 3), round(found["high"], 3)
    (75, 0.75, 0.656, 0.825)

    """

    def __init__(self) -> None:
        self.wins = self.losses = self.ties = 0
        # By live session its lists won, and its lists won or lost.
        self._sessions: dict[int, list[int]] = {}
        # How many sessions have won or lost any, and over all sessions the sums of the squares
        # of the first number, of the products, and of the squares of the second.
        self._credited = 0
        self._squares = [0, 0, 0]

    def credit(self, session: int, won: bool | None) -> None:
        """Count a list.

        Parameters
        ----------
        session
            Whose it was.
        won
            Whether the first model won it, or the other one; None: neither.

        """
        if won is None:
            self.ties += 1
            return
        if session not in self._sessions:
            self._sessions[session] = [0, 0]
            self._credited += 1
        own = self._sessions[session]
        before = own[0] * own[0], own[0] * own[1], own[1] * own[1]
        own[0] += won
        own[1] += 1
        after = own[0] * own[0], own[0] * own[1], own[1] * own[1]
        self._squares = [
            total + new - old for total, new, old in zip(self._squares, after, before, strict=True)
        ]
        self.wins += won
        self.losses += not won

    def forget(self, sessions: Iterable[int]) -> None:
        """Drop sessions that have ended; what they have counted stays."""
        for session in sessions:
            self._sessions.pop(session, None)

    def results(self) -> dict[str, Any]:
        """Return ``wins``, ``losses``, ``ties``, ``preference``, and its interval, ``low, high``.

        The preference is the share of wins in the lists that either model has won, None where
        there is none.
        """
        decided = self.wins + self.losses
        share, low, high = None, None, None
        if decided:
            share = self.wins / decided
            low, high = wilson(share, decided / self._design_effect(share, decided))
        counts = {"wins": self.wins, "losses": self.losses, "ties": self.ties}
        return {**counts, "preference": share, "low": low, "high": high}

    def _design_effect(self, share: float, decided: int) -> float:
        """Return how many lists count for one independent one; at least 1."""
        wins, products, lists = self._squares
        if self._credited < 2 or share in (0.0, 1.0):
            # No spread between sessions to be seen: as if each had but one opinion.
            return lists / decided
        spread = wins - 2 * share * products + share * share * lists
        spread *= self._credited / (self._credited - 1)
        return max(1.0, spread / (decided * share * (1 - share)))

    def state(self) -> State:
        """Copy all of it."""
        return State(
            {},
            {
                "counts": [self.wins, self.losses, self.ties, self._credited],
                "squares": list(self._squares),
                "sessions": [[session, *own] for session, own in self._sessions.items()],
            },
        )

    def restore(self, state: State) -> None:
        """Restore what `state` returned."""
        values = state.values
        self.wins, self.losses, self.ties, self._credited = values["counts"]
        self._squares = list(values["squares"])
        self._sessions = {session: own for session, *own in values["sessions"]}


def wilson(share: float, count: float) -> tuple[float, float]:
    """Return the ends of Wilson's 95 % interval of a share.

    Parameters
    ----------
    share
        The observed share.
    count
        Of how many independent observations.

    Examples
    --------
    >>> [round(end, 4) for end in wilson(0.5, 10)]
    [0.2366, 0.7634]

    """
    square = NORMAL * NORMAL
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    half *= NORMAL / (1 + square / count)
    return max(0.0, centre - half), min(1.0, centre + half)
