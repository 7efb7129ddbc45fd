"""A model's options, checked where they come from Python as where they come from a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
            value = msgspec.convert(plain(given), field.type)
        except msgspec.ValidationError as error:
            words = str(error).replace("`", "")
            raise ValueError(
                f"{field.name}: {words[0].lower()}{words[1:]} ({given!r:.80})"
            ) from error
        msgspec.structs.force_setattr(options, field.name, value)


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
