"""Who takes part in a comparison: models by name, made with their options."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_type_hints

import msgspec

from nextclick.models import GRU4RecConfig, OnlineGRU4Rec, Recommender
from nextclick.models.option_checks import plain
from nextclick.models.rivals import RIVALS

from ..config.model_factory import made, model_sessions
from ..config.options import ConfigError, build, check_keys
from ..config.run import StreamConfig
from ..config.values import shown

OWN: dict[str, dict[str, Any]] = {
    "gru4rec": {},
    "gru4rec-network": {"memory": 0},
    "gru4rec-unboosted": {"memory_boost": False},
}
"""The engine's own model under its names, with the options that each changes."""

SHARED = ("max_sessions", "max_items", "seed", "device", "dtype")
"""What is not a model's own: all are given the same, or leave it at its default."""


def names() -> list[str]:
    """Return the names of all models that can be compared, the engine's own first."""
    return [*OWN, *RIVALS]


def check_names(given: Iterable[str]) -> None:
    """Check that models exist.

    Raises
    ------
    ConfigError
        One does not; the message names the nearest one that does, and all of them.

    Examples
    --------
    >>> check_names(["gru4rec", "gru4rek"])
    Traceback (most recent call last):
    ...
    nextclick.stream.config.options.ConfigError: there is no model 'gru4rek'; is it 'gru4rec'? ...

    """
    known = names()
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            guess = f"; is it {nearest[0]!r}?" if nearest else "."
            raise ConfigError(f"there is no model {name!r}{guess} There are {', '.join(known)}")


def make_models(
    models: Mapping[str, Mapping[str, Any]], config: StreamConfig
) -> dict[str, Recommender]:
    """Make the models of a comparison.

    Parameters
    ----------
    models
        For each by name the options that it is given.
    config
        The bounds, the seed and the device that all of them share.

    Raises
    ------
    ConfigError
        There is no such model, or no such option, or the option is out of its range.

    """
    check_models(models)
    return {name: _make(name, dict(given), config) for name, given in models.items()}


def check_models(models: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that models exist, and that each has the options it is given, of the right types.

    Raises
    ------
    ConfigError
        There is no such model, or no such option, or it has the wrong type.

    Examples
    --------
    >>> check_models({"gru4rec": {"hiden": 8}})
    Traceback (most recent call last):
    ...
    nextclick.stream.config.options.ConfigError: model gru4rec: there is no option 'hiden'; is it 'hidden'?

    """  # noqa: E501
    check_names(models)
    for name, given in models.items():
        if name in OWN:
            _model_config(name, given)
        else:
            _own_options(name, given)


def options_of(kind: type[Recommender]) -> dict[str, Any]:
    """Return what a rival takes by keyword, with the types.

    A class that takes any keyword passes on those that it does not name: to the struct of options
    that it has as ``options``, else to the class above it, and a network at last to its
    `GRU4RecConfig`.
    """
    struct = getattr(kind, "options", None)
    found: dict[str, Any] = {}
    for above in kind.__mro__:
        start = vars(above).get("__init__")
        if start is None or above is object:
            continue
        hints = get_type_hints(start)
        parameters = inspect.signature(start).parameters.values()
        named = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
        found = {option: hints.get(option, Any) for option in named} | found
        if struct is not None or above is OnlineGRU4Rec:
            break
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            return found
    fields = msgspec.structs.fields(struct or GRU4RecConfig)
    return {field.name: field.type for field in fields} | found


def _make(name: str, given: Mapping[str, Any], config: StreamConfig) -> Recommender:
    common: dict[str, Any] = {
        "max_sessions": model_sessions(config),
        "max_items": config.max_items,
        "seed": config.seed,
        "device": config.device,
    }
    if name in OWN:
        model_config = _model_config(name, given)
        return made(f"model {name}", lambda: OnlineGRU4Rec(model_config, **common))
    kind: Callable[..., Recommender] = RIVALS[name]
    own, known = _own_options(name, given), options_of(RIVALS[name])
    shared = {key: value for key, value in common.items() if key in known}
    return made(f"model {name}", lambda: kind(**own, **shared))


def _model_config(name: str, given: Mapping[str, Any]) -> GRU4RecConfig:
    place = f"model {name}"
    check_keys(given, GRU4RecConfig.__struct_fields__, place)
    try:
        return build(GRU4RecConfig, {**OWN[name], **given})
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error


def _own_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the options of a rival; a whole number will do for one with a point."""
    known = options_of(RIVALS[name])
    check_keys(given, [option for option in known if option not in SHARED], f"model {name}")
    own = {}
    for option, value in given.items():
        try:
            own[option] = msgspec.convert(plain(value), known[option])
        except msgspec.ValidationError as error:
            raise ConfigError(f"model {name}: {option}: {error}, not {shown(value)}") from error
    return own
