"""Values of options, from Python, TOML and flags: their one form, and how messages show them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

SHOWN = 80
"""Characters of a wrong value that a message shows at most."""


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


def listed(values: Iterable[Any], separator: str = ", ") -> str:
    """Return values with commas between them.

    Examples
    --------
    >>> listed(["auto", "cpu"])
    'auto, cpu'

    """
    return separator.join(map(str, values))
