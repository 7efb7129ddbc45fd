"""Models of a user's own, named by the module and the class: ``my_package.module:Class``."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from nextclick.models import Recommender

from .options import ConfigError


def own_name(kind: type[Any]) -> str:
    """Return the name of a class, by which `own_class` finds it.

    Examples
    --------
    >>> from nextclick.models.rivals import RIVALS
    >>> own_name(RIVALS["markov"])
    'nextclick.models.rivals.counting.markov:Markov'

    """
    return f"{kind.__module__}:{kind.__qualname__}"


def is_own(kind: str) -> bool:
    """Whether a text names a class and not a model that is built in."""
    return ":" in kind


def own_class(kind: str, place: str = "") -> type[Recommender]:
    """Return the class that a text names; modules of the current folder are found, too.

    Parameters
    ----------
    kind
        The module and the class, with a colon between them.
    place
        The option that gives it, for the message.

    Raises
    ------
    ConfigError
        There is no such module or class, or the class is no model.

    Examples
    --------
    >>> own_class("nextclick.models.rivals.counting.markov:Markov").__name__
    'Markov'
    >>> own_class("math:pi")
    Traceback (most recent call last):
    ...
    nextclick.stream.config.options.ConfigError: model 'math:pi' is no class: write ...

    """
    what = f"{place + ': ' if place else ''}model {kind!r:.200}"
    module, _, path = kind.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), *path.split(".")]):
        raise ConfigError(f"{what}: write package.module:Class")
    try:
        found = _imported(module)
        for part in path.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise ConfigError(f"{what} cannot be used: {type(error).__name__}: {error}") from error
    if not isinstance(found, type):
        raise ConfigError(f"{what} is no class: write package.module:Class")
    missing = [name for name in vars(Recommender) if name[0] != "_" and not hasattr(found, name)]
    if missing:
        raise ConfigError(
            f"{what} is no model: it has no {', '.join(missing)}; inherit from "
            "nextclick.models.base.CheckedModel, and see nextclick.testing.check_recommender"
        )
    return found


def _imported(module: str) -> Any:
    """Import a module, of the current folder too, as ``python -m`` would."""
    here = os.getcwd()
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)
    try:
        return importlib.import_module(module)
    finally:
        if added:
            sys.path.remove(here)
