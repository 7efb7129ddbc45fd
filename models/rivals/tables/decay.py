"""Evidence that fades with the clicks of the stream."""

from __future__ import annotations

RENEWAL = 512
"""Weights are made smaller after so many half-lives, before they become too large for a float."""


class Decay:
    """What a click is worth, half as much every `half_life` clicks after it.

    New evidence is given more weight instead of old evidence less (forward decay: G. Cormode,
    V. Shkapenyuk, D. Srivastava and B. Xu, *Forward Decay*, 2009), so a click costs the same
    however much evidence there is.

    Parameters
    ----------
    half_life
        In clicks of the stream.

    Examples
    --------
    >>> decay = Decay(half_life=10)
    >>> decay.worth(0), decay.worth(10), decay.worth(20)
    (1.0, 2.0, 4.0)

    """

    def __init__(self, half_life: float) -> None:
        if not half_life >= 1:
            raise ValueError("half_life is at least 1 click")
        self.half_life = half_life

    def worth(self, clicks: int) -> float:
        """Give the weight of a click before which so many have been learned."""
        return float(2.0 ** (clicks / self.half_life % RENEWAL))

    def renews(self, clicks: int) -> bool:
        """Tell whether all weights are to be made smaller by 2^RENEWAL before this click."""
        return self.worth(clicks) < self.worth(clicks - 1)
