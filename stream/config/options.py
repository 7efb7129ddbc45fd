"""How options are checked, wherever they come from, with errors that name them."""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from nextclick.models.gru4rec.config import FORMER_NAMES
from nextclick.models.option_checks import plain

from .declaration import AnyTable, bare, by_field, choices, flag, option_in
from .values import listed, shown

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_CLICKS = re.compile(r"([\d_,]+)\s*clicks?")

LONGEST_DURATION = 36_500 * 86_400.0
"""Seconds of 100 years: the operating system waits for no longer time."""

MOST_CLICKS = (1 << 63) - 1

S = TypeVar("S", bound=msgspec.Struct)


class ConfigError(Exception):
    """An option is unknown, of the wrong type or out of range; the message names it."""


class Interval(msgspec.Struct, frozen=True):
    """How often: an interval in seconds or in clicks; the other is None.

    Examples
    --------
    >>> parse_every("5000clicks", "--snapshot-every")
    Interval(seconds=None, clicks=5000)

    """

    seconds: float | None = None
    clicks: int | None = None


def parse_duration(duration: str | float, option: str) -> float:
    """Read a duration in seconds.

    Parameters
    ----------
    duration
        A number of seconds, or a number with its unit: ms, s, m, h or d.
    option
        The option's name, for the message.

    Raises
    ------
    ConfigError
        It is no duration.

    Examples
    --------
    >>> [parse_duration(text, "--gap") for text in ("30m", "500ms", "1.5h", "90", 90)]
    [1800.0, 0.5, 5400.0, 90.0, 90.0]

    """
    if isinstance(duration, str):
        match = _DURATION.fullmatch(duration.strip())
        seconds = float(match[1]) * _UNITS[match[2] or "s"] if match else math.nan
    else:
        try:
            seconds = float(duration)
        except OverflowError:
            seconds = math.inf
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ConfigError(
            f'{option}: {shown(duration)} is not a duration; write, for instance, "60s" or "30m"'
        )
    if seconds > LONGEST_DURATION:
        raise ConfigError(f"{option} must be at most 36500d (100 years), not {shown(duration)}")
    return seconds


def parse_positive(duration: str | float, option: str) -> float:
    """Read a duration that is longer than 0, in seconds.

    Raises
    ------
    ConfigError
        It is no duration, or 0.

    """
    seconds = parse_duration(duration, option)
    if seconds <= 0:
        raise ConfigError(f"{option} must be longer than 0, not {duration}")
    return seconds


def parse_name(path: str, option: str) -> str:
    """Return a name that is not empty, as that of an unset shell variable is.

    Raises
    ------
    ConfigError
        It is empty, or holds a character that no name may have.

    """
    if not path.strip():
        raise ConfigError(f"{option} is empty: give a name, or leave the option out")
    if "\0" in path:
        raise ConfigError(f"{option} {path!r} contains a null character, which names may not have")
    return path


def parse_every(every: str | float, option: str) -> Interval:
    """Read how often something is to happen: a duration, or a number of clicks.

    Raises
    ------
    ConfigError
        It is neither, or it is nothing.

    """
    match = _CLICKS.fullmatch(every.strip()) if isinstance(every, str) else None
    digits = re.sub("[_,]", "", match[1]) if match else ""
    if len(digits) > len(str(MOST_CLICKS)) or (digits and int(digits) > MOST_CLICKS):
        raise ConfigError(f"{option} must be at most {MOST_CLICKS:,} clicks, not {shown(every)}")
    if digits:
        parsed = Interval(clicks=int(digits))
    else:
        try:
            parsed = Interval(seconds=parse_duration(every, option))
        except ConfigError as error:
            if "100 years" in str(error):
                raise
            raise ConfigError(
                f'{option}: {shown(every)} is not an interval; write, for instance, "60s" or '
                '"5000clicks"'
            ) from None
    if not (parsed.seconds or parsed.clicks):
        raise ConfigError(f"{option} must be more than 0, not {every!r}")
    return parsed


def check_keys(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Check that options exist.

    Parameters
    ----------
    given
        The options' names.
    known
        All names there are.
    where
        The file, and the table in it, for the message.

    Raises
    ------
    ConfigError
        One does not; the message names the nearest one that does.

    Examples
    --------
    >>> check_keys(["bach"], ["batch", "seed"], "run.toml")
    Traceback (most recent call last):
    ...
    nextclick.stream.config.options.ConfigError: run.toml: there is no option 'bach'; is it 'batch'?

    """
    known = sorted(known)
    for key in given:
        if not isinstance(key, str):
            raise ConfigError(f"{where}: {shown(key)} is not the name of an option")
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            remedy = f"is it {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
            if FORMER_NAMES.get(key) in known:
                remedy = f"it is now called {FORMER_NAMES[key]!r}"
            raise ConfigError(f"{where}: there is no option {key!r}; {remedy}")


def load_toml(path: str | os.PathLike[str], *structs: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the options that a TOML file gives, and only those; tables as dicts.

    Parameters
    ----------
    path
        The file.
    *structs
        What the options are for, such as `RunConfig`; a field that is a struct itself is a
        table of the file.

    Raises
    ------
    ConfigError
        The file cannot be read, or an option is unknown or has the wrong type.

    """
    try:
        given = tomllib.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # No TOML, or no UTF-8.
        raise ConfigError(f"{path} is not a valid TOML file: {error}") from error
    wanted = {
        name: kind
        for struct in structs
        for name, kind in _types(struct).items()
        if (declaration := option_in(kind)) is None or declaration.file
    }
    return _checked(given, wanted, str(path))


def merge(file: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    """Lay flags over a file's options; a flag that is None was not given.

    Examples
    --------
    >>> merge({"batch": 64, "model": {"hidden": 50}}, {"batch": 1, "seed": None})
    {'batch': 1, 'model': {'hidden': 50}}

    """
    merged = dict(file)
    for key, value in flags.items():
        if isinstance(value, dict):
            merged[key] = merge(merged.get(key, {}), value)
        elif value is not None:
            merged[key] = value
    return merged


def build(struct: type[S], given: Mapping[str, Any]) -> S:
    """Make a configuration of the options given; the others have their defaults.

    Raises
    ------
    ConfigError
        An option is unknown, has the wrong type, or is out of its range.

    Examples
    --------
    >>> class Some(msgspec.Struct):
    ...     batch: int = 64
    >>> build(Some, {"batch": 32})
    Some(batch=32)
    >>> build(Some, {"batch": "many"})
    Traceback (most recent call last):
    ...
    nextclick.stream.config.options.ConfigError: the options: 'batch': expected int, got str ('many')

    """  # noqa: E501
    try:
        return msgspec.convert(_checked(given, _types(struct), "the options"), struct)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from error


class _OptionsType(msgspec.StructMeta):
    """Makes a configuration from Python with the checks that one from TOML or flags goes through.

    msgspec itself checks no types where a struct is made by a call.
    """

    if not TYPE_CHECKING:  # For a type checker the fields are the parameters.

        def __call__(cls, *args, **given):  # noqa: N805
            if args:
                raise ConfigError(f"{cls.__name__} takes its options by name, as in batch=64")
            return build(cls, given)


class Options(
    msgspec.Struct, metaclass=_OptionsType, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """What configurations are made of: names, types and bounds are checked wherever they are from.

    Each field is declared with an `Option` in its type, and nowhere else.

    Examples
    --------
    >>> from .run import RunConfig
    >>> RunConfig(batch=0)
    Traceback (most recent call last):
    ...
    nextclick.stream.config.options.ConfigError: --batch must be at least 1, not 0
    >>> RunConfig(bach=3)
    Traceback (most recent call last):
    ...
    nextclick.stream.config.options.ConfigError: the options: there is no option 'bach'; is it 'batch'?

    """  # noqa: E501

    def __post_init__(self) -> None:
        """Check the bounds, and the types too: `msgspec.structs.replace` comes only here."""
        for field in msgspec.structs.fields(self):
            given = getattr(self, field.name)
            check_type(given, field.type, f"the options: {field.name!r}")
            value = checked(given, field.type, flag(field.name))
            if value is not given:
                msgspec.structs.force_setattr(self, field.name, value)


def checked(value: Any, kind: Any, typed: str) -> Any:
    """Check a value of the right type as its declaration asks for, and return it as it is kept.

    Parameters
    ----------
    value
        The value; None where the option was not given.
    kind
        The type, with the declaration in it.
    typed
        The option's name, for the message.

    Raises
    ------
    ConfigError
        It is out of bounds, or cannot be read.

    """
    option = option_in(kind)
    if option is None or value is None:
        return value
    if value == [] and option.ge is not None:
        raise ConfigError(f"{typed} must give at least one number")
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, int | float) and (fault := option.fault(number)):
            raise ConfigError(f"{typed} must be {fault}, not {shown(number)}")
    if option.parse is not None:
        option.parse(value, typed)
    return value if option.normalise is None else option.normalise(value)


def check_type(value: Any, kind: Any, place: str, table: str = "") -> Any:
    """Check the type of an option's value, and return the value in plain form.

    Parameters
    ----------
    value
        The value.
    kind
        The type; for a struct, the options in a table are checked.
    place
        The option, for the message.
    table
        The table, for a message on an option in it.

    Raises
    ------
    ConfigError
        It is of another type.

    Examples
    --------
    >>> check_type("many", int, "NEXTCLICK_BATCH")
    Traceback (most recent call last):
    ...
    nextclick.stream.config.options.ConfigError: NEXTCLICK_BATCH: expected int, got str ('many')

    """
    value, struct = plain(value), bare(kind)
    is_struct = isinstance(struct, type) and issubclass(struct, msgspec.Struct)
    if is_struct and isinstance(value, dict):
        return _checked(value, _types(struct), table or place)
    if struct is AnyTable:
        if isinstance(value, msgspec.Struct):
            return value
        kind = dict[str, Any]
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        if among := choices(kind):
            problem = f"expected one of {listed(among)}, got {shown(value)}"
        else:
            # "Expected `int | null`, got `str`", where TOML has no null; its object is a table.
            words = str(error).replace("`", "").replace(" | null", "").replace("object", "table")
            words = words.replace("int | str", "str or int")
            problem = f"{words[0].lower()}{words[1:]} ({shown(value)})"
        raise ConfigError(f"{place}: {problem}") from error
    return value


def _types(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(struct)}


def _checked(given: Mapping[str, Any], wanted: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check the names and types of options, those in tables too, and return them in plain form."""
    given = by_field(given, wanted)
    check_keys(given, wanted, where)
    return {
        name: check_type(value, wanted[name], f"{where}: {name!r}", f"{where}, table [{name}]")
        for name, value in given.items()
    }
