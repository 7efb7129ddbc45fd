"""A model's options, checked where they come from Python as where they come from a file."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import msgspec
import numpy as np


def check_fields(options: msgspec.Struct) -> None:
    """Check the types of a struct's fields: msgspec itself does not where one is made by a call.

    Whole numbers become floats where these are asked for, and numbers of numpy Python's.

    Raises
    ------
    ValueError
        One is of a wrong type, or none of its choices; the message names it.

    Examples
    --------
    >>> class Options(msgspec.Struct):
    ...     size: int = 100
    >>> check_fields(Options(size="big"))
    Traceback (most recent call last):
    ...
    ValueError: size: expected int, got str ('big')

    """
    for field in msgspec.structs.fields(options):
        given = getattr(options, field.name)
        if get_origin(field.type) is Literal:
            choices = get_args(field.type)
            if given not in choices:
                listed = ", ".join(map(repr, choices))
                raise ValueError(f"{field.name} must be one of {listed}, not {given!r}")
            continue
        try:
            value = msgspec.convert(_plain(given), field.type)
        except msgspec.ValidationError as error:
            words = str(error).replace("`", "")
            raise ValueError(
                f"{field.name}: {words[0].lower()}{words[1:]} ({given!r:.80})"
            ) from error
        msgspec.structs.force_setattr(options, field.name, value)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
