"""The options of other models that are tried in a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from .declaration import TRIALS, option
from .learners import checked_models
from .options import ConfigError, parse_name
from .texts import read_model, read_models

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
    if interleaved is None or interleaved in shadows:
        return dict(shadows)
    return {**shadows, interleaved: read_model(interleaved, "--interleave")}


def check_trials(
    shadows: Mapping[str, dict[str, Any]], interleaved: str | None, shown: bool
) -> dict[str, dict[str, Any]]:
    """Check that the models exist, and that there are lists to merge where that is asked for.

    Parameters
    ----------
    shadows
        The shadows, each with the options that it is given.
    interleaved
        The model of ``--interleave``.
    shown
        Whether visitors are shown lists.

    Returns
    -------
    dict
        The shadows, as `checked_models` returns them.

    Raises
    ------
    ConfigError
        There is no such model, or no such option of it; or visitors are shown no lists.

    """
    if interleaved is not None and interleaved not in shadows:
        checked_models({interleaved: read_model(interleaved, "--interleave")}, "--interleave")
    if interleaved is not None and not shown:
        raise ConfigError(
            "--interleave merges the lists that visitors are shown: give --serve, or "
            "--recommendations with --recommend every"
        )
    return checked_models(shadows, "--shadow")
