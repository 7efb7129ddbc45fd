"""Session popularity: what the session itself has clicked most."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Evidence, Session
from .popularity import Popularity


class SessionPopularity(Popularity):
    """Scores an item by its clicks in the session; those of all sessions decide between equals.

    S-POP, as in B. Hidasi, A. Karatzoglou, L. Baltrunas and D. Tikk, *Session-based
    Recommendations with Recurrent Neural Networks* (2016), the popularity being recent (see
    `Popularity`).

    Parameters
    ----------
    window
        Number of a session's last clicks that are counted.
    half_life, **options
        See `Popularity`.

    """

    name = "session-popularity"

    def __init__(self, *, window: int = 10, half_life: float = 200, **options: Any) -> None:
        super().__init__(half_life=half_life, **options)
        self.window = window

    def score(self, session: Session) -> Evidence:
        """Add the item's share of recent clicks, less than one, to its number in the session."""
        popular = super().score(session).scores
        # All clicks so far, decayed: one item cannot have more.
        scores = popular / (1 + 1 / (1 - 0.5 ** (1 / self.decay.half_life)))
        np.add.at(scores, np.array(session.clicks, np.int64), 1)
        return Evidence(None, scores)
