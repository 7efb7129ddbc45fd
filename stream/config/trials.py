"""The options of other models that are tried in a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from .declaration import TRIALS, option
from .options import ConfigError, parse_name
from .texts import read_models

Shadow = Annotated[
    dict[str, dict[str, Any]],
    option(
        "Another model that scores and learns the same clicks beside the model in service, or an "
        "option of one, such as vstan.neighbours=200; may be repeated.",
        TRIALS,
        value="NAME[.OPTION=VALUE]",
        read_all=read_models,
    ),
]
Interleave = Annotated[
    str | None,
    option(
        "Merge the lists that visitors are shown with those of this shadow, and count whose items "
        "they click.",
        TRIALS,
        value="NAME",
        parse=parse_name,
    ),
]


def with_interleaved(
    shadows: Mapping[str, dict[str, Any]], interleaved: str | None
) -> dict[str, dict[str, Any]]:
    """Return all shadows with their options: the model of ``--interleave`` is one.

    Examples
    --------
    >>> with_interleaved({"vstan": {"neighbours": 200}}, "markov")
    {'vstan': {'neighbours': 200}, 'markov': {}}

    """
    further = {} if interleaved is None or interleaved in shadows else {interleaved: {}}
    return {**shadows, **further}


def check_shown(*, served: bool, written: bool) -> None:
    """Check that there are lists to merge.

    Raises
    ------
    ConfigError
        Visitors are shown none.

    """
    if not (served or written):
        raise ConfigError(
            "--interleave merges the lists that visitors are shown: give --serve, or "
            "--recommendations with --recommend every"
        )
