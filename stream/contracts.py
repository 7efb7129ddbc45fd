"""What the engine needs of the parts that it is given, checked when it is made."""

from __future__ import annotations

import inspect
import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

NEEDED = {
    "source": ("poll", "seek", "commit", "warnings"),
    "model": (
        "name",
        "n_items",
        "test_then_learn",
        "test",
        "recommend_after",
        "forget",
        "state",
        "restore",
    ),
    "sink": ("name", "full", "write", "flush", "sync", "commit"),
    "sessionizer": ("assign", "clock", "live", "shrink", "state", "restore"),
    "figures": ("update", "results", "state", "restore"),
}
"""For each kind of part what the engine uses of it."""

TIMED = {"test_then_learn": 5, "test": 4, "recommend_after": 4}
"""Methods of a model, and how many arguments each is given; the last are the clicks' times."""

CONTRACTS = {"source": "Source", "model": "Recommender", "sink": "Sink"}
"""Where a part's contract is written down."""


def check_part(kind: str, part: Any, place: str = "") -> None:
    """Check that a part has what the engine uses of it.

    Parameters
    ----------
    kind
        One of `NEEDED`.
    part
        The part.
    place
        What it is given as, where that is not its kind.

    Raises
    ------
    TypeError
        It lacks something; the message names its class and all that is missing. Or it is a model
        whose methods take no times.

    Examples
    --------
    >>> check_part("source", [1, 2, 3])
    Traceback (most recent call last):
    ...
    TypeError: list cannot be an engine's source: it has no poll, seek, commit, warnings; ...

    """
    missing = [name for name in NEEDED[kind] if not hasattr(part, name)]
    lacks = f"it has no {', '.join(missing)}"
    if not missing and kind == "model":
        missing = [name for name in TIMED if not _takes(getattr(part, name), TIMED[name])]
        lacks = f"its {', '.join(missing)} must take `times` as the last argument, None by default"
    if not missing:
        return
    what = part.__name__ if isinstance(part, type) else type(part).__name__
    contract = f"; see {CONTRACTS[kind]}" if kind in CONTRACTS else ""
    raise TypeError(f"{what} cannot be an engine's {place or kind}: {lacks}{contract}")


def _takes(method: Any, count: int) -> bool:
    """Whether a method can be given this number of arguments."""
    try:
        inspect.signature(method).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # It has no signature to be read.
        return True
    return True


def seconds(name: str, value: Any, *, endless: bool = False) -> float:
    """Return a number of seconds that is not negative.

    Parameters
    ----------
    name
        The parameter, for the message.
    value
        The seconds.
    endless
        Infinity is allowed.

    Raises
    ------
    TypeError, ValueError
        It is no such number; the message names the parameter.

    Examples
    --------
    >>> seconds("gap", math.inf, endless=True)
    inf
    >>> seconds("gap", -1)
    Traceback (most recent call last):
    ...
    ValueError: gap must be a number of seconds of at least 0, not -1

    """
    wish = f"{name} must be a number of seconds of at least 0"
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        raise TypeError(f"{wish}, not {value!r}")
    number = float(value)
    if not number >= 0 or (math.isinf(number) and not endless):
        raise ValueError(f"{wish}, not {value!r}")
    return number


class Requests(Protocol):
    """Requests to an engine's model; see `serving.request_queue`."""

    def held(self) -> AbstractContextManager[None]:
        """Hold the model while the context lasts."""
        ...

    def idle(self) -> AbstractContextManager[None]:
        """Answer requests while the context lasts: the engine does not use its model."""
        ...


class NoRequests:
    """Nobody asks."""

    def held(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()

    def idle(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()
