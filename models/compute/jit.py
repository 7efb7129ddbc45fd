"""Loops over clicks, compiled to machine code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core import event

P = ParamSpec("P")
T = TypeVar("T")

_listeners: list[Callable[[], None]] = []
"""What is called once when a loop is about to be compiled."""


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """Compile a function of numbers and arrays at its first call.

    It runs without the interpreter's lock, so beside another thread, and divides by zero as numpy
    does. The machine code is kept beside the source, or in the user's cache, for the next process;
    where neither can be written, as on a full disk, or what was kept cannot be read, it is compiled
    anew in each. What is kept of other versions may be deleted.

    Examples
    --------
    >>> @compiled
    ... def half(number: float) -> float:
    ...     return number / 2
    >>> half(3.0)
    1.5

    """
    return _made(function, set())


def summing(function: Callable[P, T]) -> Callable[P, T]:
    """Compile like `compiled`, but let sums be added up in any order, several terms at once.

    What comes out differs by rounding; what is not a number stays none.
    """
    return _made(function, {"reassoc", "contract"})


def contracting(function: Callable[P, T]) -> Callable[P, T]:
    """Compile like `compiled`, but let a product and a sum be rounded once, not twice."""
    return _made(function, {"contract"})


def before_compiling(listener: Callable[[], None] | None) -> None:
    """Call a function when a loop is about to be compiled: once, from the thread that compiles.

    Parameters
    ----------
    listener
        What to call, in place of the one before; None: nothing.

    """
    _listeners[:] = [] if listener is None else [listener]


@contextmanager
def compile_timer() -> Iterator[Callable[[], float]]:
    """Measure how long loops are compiled; reading code that was kept does not count.

    Yields
    ------
    callable
        Returns the seconds so far. numba compiles on one thread at a time.

    Examples
    --------
    >>> with compile_timer() as seconds:
    ...     pass
    >>> seconds()
    0.0

    """
    listener = event.TimingListener()
    with event.install_listener("numba:compile", listener):
        yield lambda: listener.duration if listener.done else 0.0


def _made(function: Callable[P, T], liberties: set[str]) -> Callable[P, T]:
    # What is kept goes by this name, and by the function's own file only: but its constants, and
    # what it calls, may stand in others.
    function.__qualname__ += f"-{SOURCES}"
    make = partial(numba.njit, nogil=True, error_model="numpy", fastmath=liberties)
    try:
        made = make(cache=True)(function)
        _forgive(made)
    except (RuntimeError, OSError):
        made = make()(function)
    return cast(Callable[P, T], made)


def _forgive(made: Any) -> None:
    """Keep a function's cache from failing the function: compiled code needs no place on a disk.

    The cache is numba's own affair: where a version of numba keeps it otherwise, it stays as it is.
    """
    cache: Any = getattr(made, "_cache", None)
    if not all(hasattr(cache, name) for name in ("load_overload", "save_overload", "flush")):
        return
    load, save = cache.load_overload, cache.save_overload

    def load_if_whole(*arguments: Any) -> Any:
        kept = None
        try:
            kept = load(*arguments)
        except OSError:
            pass
        except Exception:  # Pickle may fail in any way where bytes are damaged or cut off.
            with suppress(OSError):
                cache.flush()
        if kept is None and _listeners:
            with suppress(IndexError):  # Another thread was faster.
                _listeners.pop()()
        return kept

    def save_if_room(*arguments: Any) -> None:
        with suppress(OSError):
            save(*arguments)

    cache.load_overload, cache.save_overload = load_if_whole, save_if_room


def _sources() -> str:
    """Return a digest of all source files of `models`."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


SOURCES = _sources()
