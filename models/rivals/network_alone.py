"""The recipe of a rival that is a GRU4Rec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..recipe import Recipe


def network_alone(options: Mapping[str, Any], **fixed: Any) -> Recipe:
    """Make the recipe of a network without the memory of the latest clicks.

    Parameters
    ----------
    options
        Options that are given; the recipe's defaults for the others.
    fixed
        What makes the rival what it is.

    Raises
    ------
    ValueError
        An option is unknown, of a wrong type, out of its range, or fixed.

    Examples
    --------
    >>> network_alone({"hidden": 50}, cell="rnn").cell
    'rnn'

    """
    fixed["memory"] = 0
    for name in fixed:
        if name in options:
            raise ValueError(f"{name} is always {fixed[name]!r} here: leave the option out")
    return msgspec.convert({**options, **fixed}, Recipe)
