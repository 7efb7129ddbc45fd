"""The models by name, each with its options: what ``run --learner`` and ``compare`` can name."""

from __future__ import annotations

import difflib
import functools
import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

import msgspec

from nextclick.models import GRU4RecConfig, Recommender
from nextclick.models.option_checks import plain
from nextclick.models.rivals import RIVALS

from .options import ConfigError, build, check_keys
from .own_models import is_own, own_class, own_name
from .values import shown

DEFAULT = "gru4rec"
"""The model that a run has where none is named."""

LONGEST_NAME = 80
"""Characters in the name of a contestant."""

OWN: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "gru4rec-network": {"memory": 0},
    "gru4rec-unboosted": {"memory_boost": False},
}
"""The engine's own model under its names, with the options that each changes."""

SHARED = ("max_sessions", "max_items", "seed", "device", "dtype")
"""What is not a model's own: all are given the same, or leave it at its default."""


def names() -> list[str]:
    """Return the names of all models, the engine's own first."""
    return [*OWN, *RIVALS]


def class_of(kind: str) -> type[Recommender]:
    """Return the class of a model by its name; see `own_class` for those that are not built in."""
    if kind in OWN:
        # Imported here: torch takes seconds, and help needs only the models' names.
        from nextclick.models import OnlineGRU4Rec

        return OnlineGRU4Rec
    return own_class(kind) if is_own(kind) else RIVALS[kind]


def kind_of(name: str, given: Any) -> tuple[str, Any]:
    """Return which model a contestant is, and its options without that.

    Parameters
    ----------
    name
        The contestant's name.
    given
        Its options; ``kind`` among them names the model, by default that of the contestant's name.
        A class stands for its name.

    Raises
    ------
    ConfigError
        The kind is no text.

    Examples
    --------
    >>> kind_of("big", {"kind": "gru4rec", "hidden": 200})
    ('gru4rec', {'hidden': 200})
    >>> kind_of("vstan", {})
    ('vstan', {})

    """
    if not isinstance(given, Mapping) or "kind" not in given:
        return name, given
    kind = given["kind"]
    if isinstance(kind, type):
        kind = own_name(kind)
    if not isinstance(kind, str):
        raise ConfigError(f"model {name}: kind is the name of a model, not {shown(kind)}")
    return kind, {option: value for option, value in given.items() if option != "kind"}


def check_names(given: Iterable[str], place: str = "") -> None:
    """Check that models exist.

    Parameters
    ----------
    given
        Their names: those of `names`, or ``package.module:Class``.
    place
        The option that gives them, for the message.

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
        if is_own(name):
            own_class(name, place)
        elif name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            guess = f"; is it {nearest[0]!r}?" if nearest else "."
            where = f"{place}: " if place else ""
            raise ConfigError(
                f"{where}there is no model {name!r:.80}{guess} There are {', '.join(known)}"
            )


def check_name(name: str, typed: str) -> str:
    """Return the name of a model, if there is such a model.

    Raises
    ------
    ConfigError
        There is none.

    """
    check_names([name], typed)
    return name


def check_model_table(table: Any, given: Mapping[str, Any], place: str) -> None:
    """Check some options of the model where they stand.

    Parameters
    ----------
    table
        The options.
    given
        All options of the run.
    place
        Where the table stands, for messages.

    Raises
    ------
    ConfigError
        One is unknown, of the wrong type, or out of its range.

    """
    read_options(check_name(given.get("learner", DEFAULT), "--learner"), table, place)


def options_struct(name: str) -> type[msgspec.Struct]:
    """Return the struct of a model's options, with their types and defaults.

    Examples
    --------
    >>> options_struct("gru4rec").__name__, options_struct("markov")()
    ('GRU4RecConfig', MarkovOptions(half_life=1000000, followers=200))

    """
    return GRU4RecConfig if name in OWN else struct_of(class_of(name))


@functools.cache
def struct_of(kind: type[Recommender]) -> type[msgspec.Struct]:
    """Return the struct of what a class of models takes by keyword, but for what all are given.

    A class that takes any keyword passes on those that it does not name: to the struct of options
    that it has as ``options``, else to the class above it, and a network at last to its
    `GRU4RecConfig`. What a class has in ``fixed_options`` it sets itself; ``default_options`` has
    its own defaults.
    """
    above: type[msgspec.Struct] | None = getattr(kind, "options", None)
    keywords, passes_on = _keywords(kind)
    fixed, changed = (getattr(kind, name, {}) for name in ("fixed_options", "default_options"))
    named = {option: keywords[option] for option in keywords if option not in SHARED}
    if passes_on:
        above = above or GRU4RecConfig
        if not (named or fixed or changed):
            return above
        for field in msgspec.structs.fields(above):
            default: Any = field.default
            if field.default_factory is not msgspec.NODEFAULT:
                default = msgspec.field(default_factory=field.default_factory)
            named.setdefault(field.name, (field.type, default))
    fields = [
        (option, hint, changed.get(option, default))
        for option, (hint, default) in named.items()
        if option not in fixed
    ]
    return msgspec.defstruct(
        f"{kind.__name__}Options", fields, frozen=True, kw_only=True, forbid_unknown_fields=True
    )


def shared_by(kind: type[Recommender]) -> list[str]:
    """Return what a class takes of what all models are given."""
    return [name for name in _keywords(kind)[0] if name in SHARED]


def _keywords(kind: type[Recommender]) -> tuple[dict[str, tuple[Any, Any]], bool]:
    """Return what a class takes by keyword, with types and defaults, and if it passes on others."""
    # Imported here: torch takes seconds, and help needs only the models' names.
    from nextclick.models import OnlineGRU4Rec

    found: dict[str, tuple[Any, Any]] = {}
    passes_on = False
    for above in kind.__mro__:
        start = vars(above).get("__init__")
        if start is None or above is object:
            continue
        hints = get_type_hints(start)
        parameters = [*inspect.signature(start).parameters.values()][1:]
        for each in parameters:
            by_place = each.kind is each.POSITIONAL_OR_KEYWORD and above is not OnlineGRU4Rec
            if each.kind is each.KEYWORD_ONLY or by_place:
                default = msgspec.NODEFAULT if each.default is each.empty else each.default
                found.setdefault(each.name, (hints.get(each.name, Any), default))
        if above is OnlineGRU4Rec:
            break
        passes_on = any(each.kind is each.VAR_KEYWORD for each in parameters)
        if not passes_on or hasattr(kind, "options"):
            break
    return found, passes_on


def read_options(name: str, given: Any, place: str = "") -> msgspec.Struct:
    """Return all options of a model, of those that are given and the defaults of the others.

    Parameters
    ----------
    name
        The model.
    given
        A table of options, or the struct that this function returns.
    place
        What the options come from, for messages; by default the model.

    Raises
    ------
    ConfigError
        There is no such option, or it has the wrong type.

    Examples
    --------
    >>> read_options("gru4rec", {"hiden": 8})
    Traceback (most recent call last):
    ...
    nextclick.stream.config.options.ConfigError: model gru4rec: there is no option 'hiden'; is it 'hidden'?

    """  # noqa: E501
    if not place or name != DEFAULT:
        place = f"{place}, model {name}" if place else f"model {name}"
    struct = options_struct(name)
    settings = OWN.get(name, {})
    if isinstance(given, struct):
        return msgspec.structs.replace(given, **settings) if settings else given
    if not isinstance(given, Mapping):
        what = type(given).__name__ if isinstance(given, msgspec.Struct) else shown(given)
        raise ConfigError(f"{place}: the options of {name} are a table, not {what}")
    known = struct.__struct_fields__
    if "memory" in given and "memory" not in known:
        raise ConfigError(
            f"--memory (model.memory): {name} has no such memory: leave it out, or use {DEFAULT}"
        )
    check_keys(given, known, place)
    for option, value in settings.items():
        if given.get(option, value) != value:
            raise ConfigError(
                f"{place}: {name} is {DEFAULT} with {option} = {json.dumps(value)}: leave "
                f"{option} out, or use {DEFAULT}"
            )
    if struct is GRU4RecConfig:
        try:
            return build(struct, {**given, **settings})
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from error
    types = {field.name: field.type for field in msgspec.structs.fields(struct)}
    own = {}
    for option, value in given.items():
        try:
            # A whole number will do for one with a point.
            own[option] = msgspec.convert(plain(value), types[option])
        except msgspec.ValidationError as error:
            raise ConfigError(f"{place}: {option}: {error}, not {shown(value)}") from error
    try:
        return msgspec.convert(own, struct)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}: {error}") from error


def read_contestant(name: str, given: Any, place: str = "") -> tuple[str, msgspec.Struct]:
    """Return which model a contestant is, and all its options.

    Parameters
    ----------
    name
        The contestant's name.
    given
        The options that it is given, and maybe its ``kind``; see `kind_of`.
    place
        What gives them, for messages.

    Raises
    ------
    ConfigError
        There is no such model, or no such option, or it has the wrong type; or the name holds a
        slash, or is longer than 80 characters.

    Examples
    --------
    >>> kind, options = read_contestant("big", {"kind": "gru4rec", "hidden": 200})
    >>> kind, options.hidden
    ('gru4rec', 200)

    """
    if not name.isprintable() or "/" in name or not 0 < len(name) <= LONGEST_NAME:
        raise ConfigError(
            f"{place + ': ' if place else ''}{name!r:.100} cannot name a model: use at most "
            f"{LONGEST_NAME} printed characters, and no slash"
        )
    kind, options = kind_of(name, given)
    if kind == name:
        check_names([kind], place)
        return kind, read_options(
            kind, options, f"{place} {name}" if place and name == DEFAULT else place
        )
    where = f"{place}, model {name}" if place else f"model {name}"
    check_names([kind], where)
    return kind, read_options(kind, options, where)


def checked_models(models: Mapping[str, Any], place: str = "") -> dict[str, dict[str, Any]]:
    """Return models with their options, each class among them by its name.

    Parameters
    ----------
    models
        For each by name the options that it is given; see `kind_of`.
    place
        What gives them, for messages.

    Raises
    ------
    ConfigError
        There is no such model, or no such option, or it has the wrong type.

    Examples
    --------
    >>> checked_models({"small": {"kind": RIVALS["markov"], "followers": 20}})
    {'small': {'kind': 'nextclick.models.rivals.counting.markov:Markov', 'followers': 20}}

    """
    for name, given in models.items():
        read_contestant(name, given, place)
    return {
        name: {**given, **({"kind": kind_of(name, given)[0]} if "kind" in given else {})}
        for name, given in models.items()
    }
