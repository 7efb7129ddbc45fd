"""Evidence that fades with the clicks of the stream."""

from __future__ import annotations

RENEWAL = 512
"""Half-lives after which weights are scaled down, before they become too large for a float."""


class Decay:
    """The weight of a click, half as much every `half_life` clicks after it.

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
    >>> decay.weight(0), decay.weight(10), decay.weight(20)
    (1.0, 2.0, 4.0)

    """

    def __init__(self, half_life: float) -> None:
        if not half_life >= 1:
            raise ValueError("half_life is at least 1 click")
        self.half_life = half_life

    def weight(self, clicks: int) -> float:
        """Return the weight of a click that comes after `clicks` others."""
        return float(2.0 ** (clicks / self.half_life % RENEWAL))

    def renews(self, clicks: int) -> bool:
        """Whether all weights are to be made smaller by 2^RENEWAL before this click."""
        return self.weight(clicks) < self.weight(clicks - 1)
