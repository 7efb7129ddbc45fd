"""The options of the file that holds what became of each click."""

from __future__ import annotations

from typing import Annotated

from .declaration import OUTPUT, option
from .options import ConfigError, parse_name

MOST_LISTED = 1000
"""Items of a list that may be written for every click."""

ClicksPath = Annotated[
    str | None,
    option(
        "File (Parquet) for every learned click with its rank, for each model.",
        OUTPUT,
        value="FILE",
        parse=parse_name,
    ),
]
ClicksK = Annotated[
    int,
    option(
        "Best items, with scores, of each model to write with every click of --clicks.",
        OUTPUT,
        ge=0,
        le=MOST_LISTED,
        default="none",
    ),
]


def check_clicks(path: str | None, k: int) -> None:
    """Check that there is a file for the lists that are asked for.

    Raises
    ------
    ConfigError
        There is none.

    Examples
    --------
    >>> check_clicks("clicks.parquet", 20)
    >>> check_clicks(None, 20)
    Traceback (most recent call last):
    ...
    nextclick.stream.config.options.ConfigError: --clicks-k says what --clicks writes: ...

    """
    if k and path is None:
        raise ConfigError("--clicks-k says what --clicks writes: give --clicks FILE too")
