"""Conversion and checks of the arguments of a model's public methods."""

from __future__ import annotations

import math
import numbers
import operator
from array import array
from collections.abc import Iterable, Mapping, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .recommender import Id

LONGEST_ID = 1024
"""Characters of an id at most, as for the sources of clicks."""

LONGEST_NUMBER: int = 10**LONGEST_ID
"""An id that is a number has no more digits than one that is a text has characters."""

ACCEPTED = "an id is a string or an integer"

_TO_LISTS = ("tolist", "to_pylist", "to_list")
"""What arrays, tensors, columns and series of numpy, torch, pandas, pyarrow and polars have."""


def id_list(values: Iterable[Any], name: str, *, ordered: bool = True) -> list[Id]:
    """Return ids as a list of plain texts and whole numbers.

    Parameters
    ----------
    values
        A list, tuple or generator, a numpy array, a torch tensor, a pandas or polars series, or a
        pyarrow array. They are read from the first to the last, whatever labels they have.
    name
        The argument that they come by, for the message.
    ordered
        Whether their order counts, so that a set is a mistake.

    Raises
    ------
    TypeError
        It is no sequence of ids, or one of them is neither a text nor a whole number. A number
        with a point is refused even where it is whole: large ids have lost digits in it.
    ValueError
        An id is longer than 1,024 characters or digits.

    Examples
    --------
    >>> import numpy as np
    >>> id_list(np.array([3, 1]), "items"), id_list(("hat", np.int64(7)), "items")
    ([3, 1], ['hat', 7])
    >>> id_list("hat", "items")
    Traceback (most recent call last):
    ...
    TypeError: items must be a sequence of ids, not one text: give ['hat']

    """
    if type(values) is list and _plain(values):
        return values
    check_sequence(values, name, ordered=ordered)
    return [one_id(value, f"{name}[{at}]") for at, value in enumerate(_values_of(values))]


def _plain(values: list[Any]) -> bool:
    """Whether all values are plain, usable ids: the fast path for what the engine passes."""
    if not values:
        return True
    kinds = set(map(type, values))
    if kinds == {str}:
        return _plain_texts(values)
    if kinds == {int}:
        return _plain_numbers(values)
    return kinds <= {str, int} and (
        _plain_texts([value for value in values if type(value) is str])
        and _plain_numbers([value for value in values if type(value) is int])
    )


def _plain_texts(texts: list[str]) -> bool:
    return len("".join(texts)) <= LONGEST_ID or max(map(len, texts)) <= LONGEST_ID


def _plain_numbers(whole: list[int]) -> bool:
    try:
        array("q", whole)
    except OverflowError:
        return False
    return True


def _values_of(values: Any) -> Iterable[Any]:
    """Return the values of any kind of sequence, from the first on."""
    for method in _TO_LISTS:
        if callable(convert := getattr(values, method, None)):
            found: list[Any] = convert()
            return found
    read: Iterable[Any] = values
    return read


def check_sequence(
    values: Any, name: str, *, ordered: bool = True, of: str = "ids", accepted: str = ACCEPTED
) -> None:
    """Check that an argument can be one sequence of ids; they are not looked at.

    Parameters
    ----------
    values, name, ordered
        See `id_list`.
    of, accepted
        What it is a sequence of, and what may be in it, for the message.

    Raises
    ------
    TypeError
        It is one text, bytes, a table, a mapping, no sequence at all, or, where the order counts,
        a set.

    """
    if isinstance(values, str | bytes | bytearray):
        what = "bytes"
        if isinstance(values, str):
            what = f"one text: give [{values!r:.80}]" if of == "ids" else f"one text: {accepted}"
        raise TypeError(f"{name} must be a sequence of {of}, not {what}")
    if isinstance(values, Mapping) or (ordered and isinstance(values, set | frozenset)):
        raise TypeError(f"{name} must be a sequence of {of} in order, not a {_kind(values)}")
    if hasattr(values, "columns") or getattr(values, "ndim", 1) != 1:
        raise TypeError(
            f"{name} must be one sequence of {of}, not a {_kind(values)} of other dimensions: "
            "give one column"
        )
    kind = str(getattr(values, "dtype", ""))
    if kind.lower().startswith(("datetime", "timedelta")):
        raise TypeError(f"{name} holds {kind} values: {accepted}")
    if not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a sequence of {of}, not {values!r:.80}")


def one_id(value: Any, name: str) -> Id:
    """Return an id as a plain text or whole number.

    Raises
    ------
    TypeError, ValueError
        As for `id_list`.

    Examples
    --------
    >>> one_id(None, "items[3]")
    Traceback (most recent call last):
    ...
    TypeError: items[3] is None: an id is a string or an integer

    """
    if callable(convert := getattr(value, "as_py", None)):  # A scalar of pyarrow.
        value = convert()
    if isinstance(value, str):
        return _checked_text(str.__str__(value), name)
    whole = as_whole(value)
    if whole is None:
        hint = ""
        if is_number(value) and str(value) != "nan":
            hint = ", and a number with a point may have lost digits: convert it, as by int()"
        raise TypeError(f"{name} is {value!r:.80}: {ACCEPTED}{hint}")
    if not -LONGEST_NUMBER < whole < LONGEST_NUMBER:
        raise ValueError(f"{name} has more than {LONGEST_ID:,} digits, which no id may have")
    return whole


def _checked_text(text: str, name: str) -> str:
    if len(text) > LONGEST_ID:
        raise ValueError(
            f"{name} has {len(text):,} characters; {LONGEST_ID:,} are allowed: {text[:80]!r}..."
        )
    return text


def as_whole(value: Any) -> int | None:
    """Return a whole number of any library as Python's; None for anything else, and for bools."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool"):
        return None
    if getattr(value, "ndim", 0):
        return None
    try:
        return operator.index(value)
    except (TypeError, ValueError):
        return None


def is_number(value: object) -> bool:
    """Whether a value is a number of any library; bools and time deltas are none."""
    if isinstance(value, bool) or str(getattr(value, "dtype", "")).startswith("timedelta"):
        return False
    return isinstance(value, numbers.Real)


def click_lists(sessions: Iterable[Any], items: Iterable[Any]) -> tuple[list[Id], list[Id]]:
    """Return the sessions and items of clicks as two lists of one length.

    Raises
    ------
    TypeError, ValueError
        As for `id_list`; or there are more of one than of the other.

    """
    given = id_list(sessions, "sessions"), id_list(items, "items")
    if len(given[0]) != len(given[1]):
        raise ValueError(
            f"sessions and items must be as many, one of each a click, but there are "
            f"{len(given[0]):,} sessions and {len(given[1]):,} items"
        )
    return given


def at_least(value: Any, name: str, least: int) -> int:
    """Return a whole number that is not less than it may be.

    Raises
    ------
    TypeError
        It is no whole number; a bool is none.
    ValueError
        It is less.

    Examples
    --------
    >>> at_least(-1, "k", 0)
    Traceback (most recent call last):
    ...
    ValueError: k must be at least 0, not -1

    """
    whole = as_whole(value)
    if whole is None:
        raise TypeError(f"{name} must be a whole number, not {value!r:.80}")
    if whole < least:
        raise ValueError(f"{name} must be at least {least}, not {whole}")
    return whole


def event_time(time: Any) -> float:
    """Return a time in epoch seconds as a float; minus infinity where none is known.

    Raises
    ------
    TypeError
        It is no number.
    ValueError
        It is NaN, or infinity.

    """
    if type(time) is not float and not is_number(time):
        hint = ": give its timestamp()" if hasattr(time, "timestamp") else ""
        raise TypeError(f"time must be a number of epoch seconds, not {time!r:.80}{hint}")
    try:
        seconds = float(time)
    except OverflowError:
        seconds = math.inf
    if not seconds < math.inf:
        raise ValueError(
            f"time must be a finite number of epoch seconds, or -inf where none is known, "
            f"not {time}"
        )
    return seconds


def click_times(times: Any, clicks: Sized) -> NDArray[np.float64] | None:
    """Return when each click was as an array of epoch seconds, NaN where that is not known.

    Parameters
    ----------
    times
        A sequence of numbers, as `id_list` takes one; NaN or None where a time is not known. None:
        of no click, which comes back as None.
    clicks
        There are to be as many times.

    Raises
    ------
    TypeError
        It is no sequence, or one of them is no number, as a text or a date.
    ValueError
        There are more or fewer times than clicks, or one is infinite.

    Examples
    --------
    >>> click_times([1.5, None], ["shoes", "socks"])
    array([1.5, nan])
    >>> click_times([1.5], ["shoes", "socks"])
    Traceback (most recent call last):
    ...
    ValueError: times must be as many as the clicks, one of each, but there are 1 times and 2 clicks

    """
    if times is None:
        return None
    if isinstance(times, np.ndarray) and times.dtype == np.float64 and times.ndim == 1:
        seconds = times
    else:
        check_sequence(times, "times", of="epoch seconds", accepted="a time is a number")
        given = [_one_time(value, f"times[{at}]") for at, value in enumerate(_values_of(times))]
        seconds = np.array(given, np.float64)
    if len(seconds) != len(clicks):
        raise ValueError(
            f"times must be as many as the clicks, one of each, but there are {len(seconds):,} "
            f"times and {len(clicks):,} clicks"
        )
    infinite = np.isinf(seconds)
    if infinite.any():
        at = int(infinite.argmax())
        raise ValueError(
            f"times[{at}] is {seconds[at]}: give finite epoch seconds, or NaN where a time is not "
            "known"
        )
    return seconds


def _one_time(value: Any, name: str) -> float:
    if callable(convert := getattr(value, "as_py", None)):  # A scalar of pyarrow.
        value = convert()
    if value is None:
        return math.nan
    if not is_number(value):
        hint = ": give its timestamp()" if hasattr(value, "timestamp") else ""
        raise TypeError(f"{name} must be a number of epoch seconds, not {value!r:.80}{hint}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def seed_of(seed: Any) -> int:
    """Return a seed for torch's random numbers.

    Raises
    ------
    TypeError, ValueError
        It is no whole number, or has more than 63 bits.

    """
    whole = at_least(seed, "seed", 0 - (1 << 63))
    if whole >= (1 << 63) - 1:
        raise ValueError(f"seed must be less than {(1 << 63) - 1}, not {whole}")
    return whole


def _kind(value: object) -> str:
    return type(value).__name__
