"""How options are read: from a TOML file and from flags, checked, with errors that name them."""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_CLICKS = re.compile(r"([\d_,]+)\s*clicks?")

S = TypeVar("S", bound=msgspec.Struct)


class ConfigError(Exception):
    """An option is unknown, of the wrong type or out of range; the message names it."""


class Every(msgspec.Struct, frozen=True):
    """How often: after so many seconds, or after so many clicks; the other is None.

    Examples
    --------
    >>> parse_every("5000clicks", "--snapshot-every")
    Every(seconds=None, clicks=5000)

    """

    seconds: float | None = None
    clicks: int | None = None


def flag(field: str) -> str:
    """Give an option's name as it is typed.

    Examples
    --------
    >>> flag("snapshot_every")
    '--snapshot-every'

    """
    return "--" + field.replace("_", "-")


def at_least(value: float | None, least: float, option: str) -> None:
    """Raise ConfigError where a value is given and below the least that makes sense."""
    if value is not None and not value >= least:
        raise ConfigError(f"{option} must be at least {least}, not {value}")


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
        seconds = float(duration)
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ConfigError(
            f'{option}: {duration!r} is no duration; write for instance "60s" or "30m"'
        )
    return seconds


def parse_every(every: str | float, option: str) -> Every:
    """Read how often something is to happen: a duration, or a number of clicks.

    Raises
    ------
    ConfigError
        It is neither, or it is nothing.

    """
    match = _CLICKS.fullmatch(every.strip()) if isinstance(every, str) else None
    digits = re.sub("[_,]", "", match[1]) if match else ""
    if digits:
        parsed = Every(clicks=int(digits))
    else:
        try:
            parsed = Every(seconds=parse_duration(every, option))
        except ConfigError:
            raise ConfigError(
                f'{option}: {every!r} says not how often; write for instance "60s" or "5000clicks"'
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
    nextclick.stream.options.ConfigError: run.toml: there is no option 'bach'; is it 'batch'?

    """
    known = sorted(known)
    for key in given:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            remedy = f"is it {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
            raise ConfigError(f"{where}: there is no option {key!r}; {remedy}")


def load_toml(path: str | os.PathLike[str], struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Read the options that a TOML file gives.

    Parameters
    ----------
    path
        The file.
    struct
        What the options are for, such as `RunConfig`; a field that is a struct itself is a
        table of the file.

    Returns
    -------
    dict
        The options given, and only those; tables as dicts.

    Raises
    ------
    ConfigError
        The file cannot be read, or an option is unknown or has the wrong type.

    """
    try:
        given = tomllib.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except ValueError as error:  # No TOML, or no UTF-8.
        raise ConfigError(f"{path} is no TOML file: {error}") from error
    _check(given, struct, str(path))
    return given


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


def build(struct: type[S], given: dict[str, Any]) -> S:
    """Make a configuration of the options given; the others have their defaults.

    Raises
    ------
    ConfigError
        An option is unknown, has the wrong type, or is out of its range.

    Examples
    --------
    >>> class Options(msgspec.Struct):
    ...     batch: int = 64
    >>> build(Options, {"batch": 32})
    Options(batch=32)
    >>> build(Options, {"batch": "many"})
    Traceback (most recent call last):
    ...
    nextclick.stream.options.ConfigError: the options: 'batch': expected int, got str ('many')

    """
    _check(given, struct, "the options")
    try:
        return msgspec.convert(given, struct)
    except msgspec.ValidationError as error:
        # The model's own check of a range: "window must be at least 1 - at `$.model`".
        raise ConfigError(str(error).replace(" - at `$.model`", " (a model option)")) from error


def parse_assignments(texts: Iterable[str], option: str) -> dict[str, Any]:
    """Read options given as ``name=value``, each value as TOML has it; a bare word is a text.

    Raises
    ------
    ConfigError
        One has no name or no value.

    Examples
    --------
    >>> parse_assignments(["hidden=200", "reset=after"], "--model")
    {'hidden': 200, 'reset': 'after'}

    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise ConfigError(f"{option} {text!r}: write name=value, for instance hidden=200")
        try:
            values[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[name] = value
    return values


def _check(given: dict[str, Any], struct: type[msgspec.Struct], where: str) -> None:
    """Check the names and types of options, those in tables too."""
    wanted = {field.name: field.type for field in msgspec.structs.fields(struct)}
    check_keys(given, wanted, where)
    for key, value in given.items():
        kind = wanted[key]
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            _check(value, kind, f"{where}, table [{key}]")
            continue
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            if get_origin(kind) is Literal:
                problem = f"expected one of {', '.join(map(str, get_args(kind)))}, got {value!r}"
            else:
                # "Expected `int | null`, got `str`", where TOML has no null.
                words = str(error).replace("`", "").replace(" | null", "")
                problem = f"{words[0].lower()}{words[1:]} ({value!r})"
            raise ConfigError(f"{where}: {key!r}: {problem}") from error
