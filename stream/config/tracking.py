"""The option that names trackers of experiments."""

from __future__ import annotations

import difflib
from typing import Annotated

import msgspec

from .declaration import OUTPUT, option
from .options import ConfigError
from .protocol import ProtocolOptions
from .values import shown

TRACKERS = ("tensorboard", "mlflow", "wandb")
"""The trackers that can be named."""


def parse_tracker(text: str, typed: str = "--track") -> tuple[str, str]:
    """Read a tracker and where it keeps its runs; empty where that is not given.

    Raises
    ------
    ConfigError
        There is no such tracker.

    Examples
    --------
    >>> parse_tracker("tensorboard:runs/first"), parse_tracker("mlflow")
    (('tensorboard', 'runs/first'), ('mlflow', ''))

    """
    name, _, where = text.partition(":")
    if name not in TRACKERS:
        nearest = difflib.get_close_matches(name, TRACKERS, n=1, cutoff=0.5)
        guess = f"; is it {nearest[0]!r}?" if nearest else "."
        raise ConfigError(
            f"{typed} {shown(text)}: there is no tracker {name!r:.80}{guess} There are "
            f"{', '.join(TRACKERS)}"
        )
    return name, where.strip()


def parse_trackers(texts: list[str], typed: str = "--track") -> list[tuple[str, str]]:
    """Read trackers; see `parse_tracker`."""
    return [parse_tracker(text, typed) for text in texts]


class TrackOptions(ProtocolOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where figures go besides files."""

    track: Annotated[
        list[str],
        option(
            "Trackers of experiments that get the options and figures: tensorboard[:FOLDER], "
            "mlflow[:URI], wandb[:PROJECT], separated by commas.",
            OUTPUT,
            value="TRACKER,…",
            parse=parse_trackers,
        ),
    ] = msgspec.field(default_factory=list)
