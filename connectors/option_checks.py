"""Options that come from Python, checked as those from a command line are."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import msgspec
import numpy as np

from .source import SourceError


def check_fields(options: msgspec.Struct) -> None:
    """Check the types of a struct's fields: msgspec itself does not where one is made by a call.

    Numbers of numpy become Python's.

    Raises
    ------
    SourceError
        One is wrong; the message names the struct and the field.

    """
    for field in msgspec.structs.fields(options):
        value = check_type(
            type(options).__name__, field.name, getattr(options, field.name), field.type
        )
        msgspec.structs.force_setattr(options, field.name, value)


def check_type(place: str, name: str, given: Any, kind: Any) -> Any:
    """Return a value that is of its type.

    Parameters
    ----------
    place, name
        What takes it, and as what, for the message.
    given
        The value; a number of numpy becomes Python's.
    kind
        Its type, as msgspec reads it.

    Raises
    ------
    SourceError
        It is of another.

    Examples
    --------
    >>> check_type("LogFormat", "item", 3, str)
    Traceback (most recent call last):
    ...
    nextclick.connectors.source.SourceError: LogFormat: item: expected str, got int (3)

    """
    value = given.item() if isinstance(given, np.generic) else given
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        if choices := _choices(kind):
            words = f"expected one of {', '.join(map(str, choices))}"
        else:
            words = str(error).replace("`", "").replace("| null", "or None")
            words = words[0].lower() + words[1:]
        raise SourceError(f"{place}: {name}: {words} ({given!r:.80})") from error


def check_least(place: str, name: str, value: float | None, least: float) -> None:
    """Check that a number is not less than it may be, nor NaN.

    Raises
    ------
    SourceError
        It is.

    """
    if value is not None and not value >= least:
        raise SourceError(f"{place}: {name} must be at least {least}, not {value}")


def _choices(kind: Any) -> tuple[Any, ...]:
    """Return the values that a type has where it has only some."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next((found for part in get_args(kind) if (found := _choices(part))), ())
