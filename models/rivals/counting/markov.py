"""First-order Markov chain: what has come next after an item."""

from __future__ import annotations

from typing import Any, ClassVar

from .rules import Rules


class Markov(Rules):
    """Scores an item by how often it has come right after the session's last item.

    A first-order Markov chain (MC in M. Ludewig and D. Jannach, *Evaluation of Session-based
    Recommendation Algorithms*, 2018): sequential rules of one step. A rank needs no division by
    the item's clicks.

    Parameters
    ----------
    half_life
        In clicks of the stream.
    followers
        Number of successors kept an item; a new one takes the place of the rarest.
    **options
        See `CountingModel`.

    """

    name = "markov"
    fixed_options: ClassVar[dict[str, Any]] = {"steps": 1}

    def __init__(
        self, *, half_life: float = 1_000_000, followers: int = 200, **options: Any
    ) -> None:
        super().__init__(half_life=half_life, followers=followers, **self.fixed_options, **options)
