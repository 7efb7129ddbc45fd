"""How messages show the values of options."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SHOWN = 80
"""Characters of a wrong value that a message shows at most."""


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
