"""The states of several parts as one, for a snapshot."""

from __future__ import annotations

from collections.abc import Mapping

from nextclick.models import State
from nextclick.models.recommender import prefixed, within


def join(states: Mapping[str, State]) -> State:
    """Return one state that holds several, by name.

    Examples
    --------
    >>> import numpy as np
    >>> joined = join({"a": State({"counts": np.zeros(1)}, {"seen": 1}), "b": State({}, {})})
    >>> list(joined.arrays), joined.values
    (['a/counts'], {'a': {'seen': 1}, 'b': {}})
    >>> part_of(joined, "a").values
    {'seen': 1}

    """
    arrays = {
        key: array
        for name, state in states.items()
        for key, array in prefixed(f"{name}/", state.arrays).items()
    }
    return State(arrays, {name: state.values for name, state in states.items()})


def part_of(joined: State, name: str) -> State:
    """Return the state that `join` was given by a name."""
    return State(within(f"{name}/", joined.arrays), joined.values[name])
