"""Loops over clicks, compiled to machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
T = TypeVar("T")


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """Compile a function of numbers and arrays at its first call.

    It runs without the interpreter's lock, so beside another thread, and divides by zero as numpy
    does. The machine code is kept beside the source, or in the user's cache, for the next process;
    where neither can be written it is compiled anew in each. What is kept is told from the
    source's own file alone: a compiled function and all that it calls stand in one file.

    Examples
    --------
    >>> @compiled
    ... def half(number: float) -> float:
    ...     return number / 2
    >>> half(3.0)
    1.5

    """
    try:
        made = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        made = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(Callable[P, T], made)
