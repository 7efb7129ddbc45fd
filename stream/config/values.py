"""Values of options, from Python, TOML and flags: one form, bounds, and how they look."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

import numpy as np

SHOWN = 80
"""Characters of a wrong value that a message shows at most."""


@dataclass(frozen=True, slots=True)
class Between:
    """The least and the most that a number may be; written into an option's type.

    Examples
    --------
    >>> Between(1, 10).fault(0), Between(1, 10).fault(2000), Between(1, 10).fault(3)
    ('at least 1', 'at most 10', None)

    """

    least: int
    most: int

    def fault(self, value: int) -> str | None:
        """Return what a number must be where it is out of bounds, else None."""
        if value < self.least:
            return f"at least {self.least:,}"
        return f"at most {self.most:,}" if value > self.most else None


Count = Annotated[int, Between(1, 1_000_000_000)]
"""How many of something are held, read or kept."""

Seed = Annotated[int, Between(0, (1 << 63) - 2)]
"""What random numbers begin with: torch takes no larger one."""


def bounds(kind: Any) -> Between | None:
    """Return the bounds that are written into a type.

    Examples
    --------
    >>> bounds(Annotated[int, Between(1, 5)] | None), bounds(str)
    (Between(least=1, most=5), None)

    """
    if get_origin(kind) is Annotated:
        return next((each for each in get_args(kind) if isinstance(each, Between)), None)
    return next((found for part in get_args(kind) if (found := bounds(part)) is not None), None)


def plain(value: Any) -> Any:
    """Bring a value from Python into the form that TOML has: a path and a number of numpy's too.

    Examples
    --------
    >>> from pathlib import Path
    >>> plain(Path("figures.json")), plain(np.int64(3)), plain((1, 2)), plain(np.arange(2))
    ('figures.json', 3, [1, 2], [0, 1])

    """
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist()) if isinstance(value, np.ndarray) else value.item()
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | range | set | frozenset):
        return [plain(each) for each in value]
    return value


def shown(value: Any) -> str:
    """Return a value as a message shows it: not all of a long one.

    Examples
    --------
    >>> shown("64"), shown(70000), len(shown("x" * 1000))
    ("'64'", '70,000', 80)

    """
    try:
        text = f"{value:,}" if type(value) is int else repr(value)
    except ValueError:  # Python writes no number of more than some thousand digits.
        return "a number of several thousand digits"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def listed(values: Iterable[Any]) -> str:
    """Return values with commas between them.

    Examples
    --------
    >>> listed(["auto", "cpu"])
    'auto, cpu'

    """
    return ", ".join(map(str, values))
